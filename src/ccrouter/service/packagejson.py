"""The package.json at hand and its scripts that call `ccr`. Changes those and nothing else in it."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ccrouter.errors import RouterError
from ccrouter.jsontypes import JsonObject
from ccrouter.service.replacement import replace_content

#: The scripts of the guide, as they call the installed command.
SCRIPTS: Mapping[str, str] = {
    "router:install": "ccr install",
    "router:verify": "ccr verify",
    "router:code": "ccr code",
    "router:ui": "ccr ui",
}


class UnusablePackage(RouterError):
    """There is no package.json to write to, or it is not one."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package.json as it was read. `text` has its own line ends; `mark` is its byte order mark."""

    path: Path
    text: str
    tree: JsonObject
    mark: bytes = b""


@dataclass(frozen=True, slots=True)
class Added:
    """What became of the scripts: the names that were added, and of those that were replaced what they said."""

    new: tuple[str, ...] = ()
    replaced: Mapping[str, object] | None = None


def read_package(start: Path) -> Package:
    """The package.json that npm would use in the folder `start`. Raises UnusablePackage if there is none to write to.

    npm takes the nearest folder upwards that has a package.json or a node_modules folder (docs.npmjs.com: folders,
    "More Information"); the latter alone is no package.
    """
    for folder in (start, *start.parents):
        path = folder / "package.json"
        try:
            is_file, is_end = path.is_file(), (folder / "node_modules").is_dir()
        except OSError as error:
            raise UnusablePackage(f"{path}: cannot be looked at: {error.strerror or error}") from error
        if is_file:
            return _read(path)
        if is_end:
            raise UnusablePackage(f"there is no package.json in {folder}, which npm takes for the package")
    raise UnusablePackage(f"there is no package.json in {start} or above it; `npm init` makes one")


def add_scripts(package: Package) -> Added:
    """After the call the package's scripts hold SCRIPTS; a file that held them is not written.

    Everything else in it, spacing and line ends included, and its mode stay. Raises UnusablePackage if it cannot be
    written.
    """
    from ccrouter.config.rewrite import rewrite  # noqa: PLC0415 - only `--npm` pays for it

    old = package.tree.get("scripts", {})
    assert isinstance(old, dict)  # read so
    replaced = {name: old[name] for name, text in SCRIPTS.items() if name in old and old[name] != text}
    new = tuple(name for name in SCRIPTS if name not in old)
    if not new and not replaced:
        return Added()
    wanted: JsonObject = {**package.tree, "scripts": {**old, **SCRIPTS}}
    text = rewrite(package.text, wanted)
    if json.loads(text) != wanted:
        raise UnusablePackage(f"{package.path}: cannot be changed; add the scripts by hand")
    try:
        replace_content(package.path, package.mark + text.encode("utf-8"))
    except OSError as error:
        raise UnusablePackage(f"{package.path}: cannot be written: {error.strerror or error}") from error
    return Added(new, replaced)


def shadowing(package: Package) -> Path | None:
    """A program called `ccr` of another package that npm would run in place of ours; None if there is none."""
    names = ("ccr", "ccr.cmd") if os.name == "nt" else ("ccr",)
    folders = (folder / "node_modules" / ".bin" for folder in package.path.absolute().parents)
    return next((found for folder in folders for name in names if (found := folder / name).exists()), None)


def _read(path: Path) -> Package:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnusablePackage(f"{path}: cannot be read: {error.strerror or error}") from error
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    try:
        text = data[len(mark) :].decode("utf-8")
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusablePackage(f"{path}: is not JSON: {error}") from error
    if not isinstance(tree, dict):
        raise UnusablePackage(f"{path}: must hold an object")
    if not isinstance(tree.get("scripts", {}), dict):
        raise UnusablePackage(f"{path}: its `scripts` must be an object")
    return Package(path, text, tree, mark)
