"""The files that what is in force was made of, and whether they are others than they were. Looks; judges nothing.

The user's own code, its prompt and the routers of projects are not among them: those are read anew where they are used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from ccrouter.compliance.document import FILE_NAME, PRESETS, VARIABLE, machine_file
from ccrouter.compliance.policy import Policy
from ccrouter.config.certified import FOLDER as PROFILES
from ccrouter.config.load import home_folder, router_folder
from ccrouter.config.presets import MANIFEST, installed
from ccrouter.config.schema import Config
from ccrouter.config.syntax import read_bounded, read_source
from ccrouter.errors import ConfigError
from ccrouter.extensions.files import module_file

#: Device and number, modification time in nanoseconds, size, mode and owner of what a path leads to.
Identity = tuple[int, int, int, int, int, int]
#: What is at each path; a path that leads nowhere is in none.
Look = Mapping[Path, Identity]
#: The files, and how they were seen.
Known = tuple[frozenset[Path], Look]

_LONGEST_CHAIN = 10  # policies that extend each other: more than one may


class Sources:
    """The files of the edition in force, and of the last attempt to replace it.

    `seen` is how they were before that attempt read them: what changes while it reads differs from it afterwards.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._files: frozenset[Path] = frozenset()
        self.seen: Look = {}

    @property
    def known(self) -> Known:
        """For a process that serves the same: it need not look to know the same."""
        return self._files, dict(self.seen)

    @known.setter
    def known(self, known: Known) -> None:
        self._files, self.seen = known

    def begin(self, config: Config, policy: Policy) -> None:
        """After the call the files of `config` and `policy`, which are in force, are known as they are now, but for a
        config that has changed since it was read.
        """
        self._files = self._files_of(config, policy)
        seen = dict(self.look())
        if config.path is not None and digest_of(config.path) != config.digest:
            seen.pop(config.path, None)
        self.seen = seen

    def read(self) -> None:
        """To be called before the files are read: as they are now, they are seen."""
        self.seen = self.look()

    def follow(self, in_force: tuple[Config, Policy], tried: tuple[Config, Policy] | None = None) -> None:
        """After the call the files of what is in force are known, and those of what was read and is not in force yet,
        its code included: that may be why it will not be.
        """
        files = self._files_of(*in_force) | (self._files_of(*tried, with_code=True) if tried else frozenset())
        added = {path: found for path in files - self._files if (found := _identity(path)) is not None}
        self._files = files
        folders = set(self._in_folders())
        kept = {path: found for path, found in self.seen.items() if path in files or path in folders}
        self.seen = {**added, **kept}

    def look(self) -> Look:
        """How the files are now. Blocks: it asks the file system."""
        found = {path: _identity(path) for path in (*self._files, *self._in_folders())}
        return {path: one for path, one in found.items() if one is not None}

    def _files_of(self, config: Config, policy: Policy, *, with_code: bool = False) -> frozenset[Path]:
        files = {*self._policies(policy)}
        if config.path is not None:
            files.add(config.path)
        if with_code:
            files |= {module_file(one.path) for one in (*config.custom_transformers, config.custom_router) if one}
            files |= {config.rewrite_system_prompt} if config.rewrite_system_prompt else set()
        return frozenset(files)

    def _policies(self, policy: Policy) -> Iterator[Path]:
        """Every file that has a say in which policy is in force and what it says, whether it is there or not."""
        yield machine_file(self._environ)
        yield router_folder(self._environ) / FILE_NAME
        named = self._environ.get(VARIABLE, "")
        for name in dict.fromkeys((policy.source, named)):
            if name and name not in PRESETS and not name.startswith("preset "):
                yield from self._chain(self._located(name, Path()))

    def _chain(self, path: Path) -> Iterator[Path]:
        """The policy at `path` and those that it extends."""
        for _ in range(_LONGEST_CHAIN):
            yield path
            try:
                base = read_source(path).tree.get("extends")
            except ConfigError:  # it is refused, or was when it was read; what changes is this file
                return
            if not isinstance(base, str) or base in PRESETS:
                return
            path = self._located(base, path.parent)

    def _located(self, name: str, folder: Path) -> Path:
        if name == "~" or name.startswith(("~/", "~\\")):
            return home_folder(self._environ) / name[2:]
        return folder / name

    def _in_folders(self) -> Iterator[Path]:
        """The files of folders that are read whole: installed presets, and what is known of providers."""
        try:
            for folder in installed(self._environ):
                yield folder / MANIFEST
            yield from (router_folder(self._environ) / PROFILES).glob("*.json")
        except OSError:  # a folder that may not be read, or is being removed
            return


def digest_of(path: Path) -> str:
    """The SHA-256 of the file's content, in hex; "" if it cannot be read."""
    try:
        return hashlib.sha256(read_bounded(path)).hexdigest()
    except (OSError, ConfigError):
        return ""


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except (OSError, ValueError):  # the latter for a name that no file can have
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode, status.st_uid
