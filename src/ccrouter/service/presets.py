"""Presets on the disk: unpacked from a folder, a file or an archive, written whole, removed. Downloads from GitHub.

Nothing of what is unpacked is run or believed: names are checked, archives may hold files and folders below their own
only, and not more than a preset could need.
"""

from __future__ import annotations

import io
import lzma
import os
import re
import shutil
import struct
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import msgspec

from ccrouter.config.presets import MANIFEST, Preset, is_name, presets_folder, read_preset
from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import JsonObject
from ccrouter.service.private import make_folder

_MOST_BYTES = 16 * 1024 * 1024
_MOST_FILES = 500
_TIMEOUT = 30.0  # seconds

_REPOSITORY = re.compile(r"(?:https://github\.com/)?([A-Za-z0-9-]+)/([A-Za-z0-9._-]+?)(?:\.git)?/?")
# What the readers of the formats within a zip file raise for nonsense.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError, struct.error)
_ARCHIVE = "https://codeload.github.com/{}/{}/zip/HEAD"


def is_remote(source: str) -> bool:
    """True if installing from `source` means a download."""
    return not Path(source).expanduser().exists() and _REPOSITORY.fullmatch(source) is not None


def unpack(source: str, into: Path) -> Preset:
    """After the call the preset in `source` (a folder, a manifest, a zip file, or owner/repository at GitHub) lies in a
    new folder below `into`. Raises ConfigError with what is wrong with it.
    """
    target = Path(tempfile.mkdtemp(prefix=".installing-", dir=make_folder(into)))
    try:
        _fetch(source, target)
        for link in [found for found in target.rglob("*") if found.is_symlink()]:
            link.unlink()
        return read_preset(_root(target, source))
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise ConfigError([Problem(source, "", f"cannot be unpacked: {error.strerror or error}")]) from error
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _fetch(source: str, target: Path) -> None:
    path = Path(source).expanduser()
    if path.is_dir():
        if target.is_relative_to(path.resolve()):
            raise ConfigError([Problem(source, "", "holds the folder of presets itself")])
        shutil.copytree(path, target, dirs_exist_ok=True, symlinks=True, ignore=_ignored)
    elif path.is_file() and zipfile.is_zipfile(path):
        if path.stat().st_size > _MOST_BYTES:
            raise _too_large(source)
        _extract(path.read_bytes(), target, source)
    elif path.is_file():
        shutil.copyfile(path, target / MANIFEST)
    elif found := _REPOSITORY.fullmatch(source):
        _extract(_download(_ARCHIVE.format(found[1], found[2]), source), target, source)
    else:
        hint = "name a folder, a manifest.json, a .zip, or owner/repository at GitHub"
        raise ConfigError([Problem(source, "", "there is no such preset to install", hint)])


def discard(preset: Preset, into: Path) -> None:
    """The unpacked preset is not installed after all."""
    shutil.rmtree(_unpacked(preset, into), ignore_errors=True)


def put_in_place(preset: Preset, name: str, environ: Mapping[str, str]) -> Preset:
    """After the call what was unpacked is the installed preset `name`; one of that name before is gone."""
    folder = presets_folder(environ)
    target = folder / name
    old = Path(tempfile.mkdtemp(prefix=".removing-", dir=folder))
    if target.exists():
        target.rename(old / name)
    preset.folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    for leftover in folder.glob(".installing-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return read_preset(target)


def answer(preset: Preset, values: JsonObject) -> Preset:
    """After the call the preset's manifest holds `values` as the answers to its questions; for its owner alone."""
    manifest = {**preset.manifest, "userValues": values}
    write_manifest(preset.file, manifest)
    return Preset(preset.folder, manifest)


def write_manifest(path: Path, manifest: JsonObject) -> None:
    """The manifest at `path`, whole or as it was before. Raises ConfigError."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    try:
        descriptor, name = tempfile.mkstemp(prefix=".manifest-", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"cannot be written: {error.strerror or error}")]) from error


def remove(name: str, environ: Mapping[str, str]) -> bool:
    """After the call there is no preset in the folder `name`; False if there was none."""
    folder = presets_folder(environ) / name
    if not is_name(name) or not folder.is_dir() or folder.is_symlink():
        return False
    shutil.rmtree(folder)
    return True


def _unpacked(preset: Preset, into: Path) -> Path:
    """The folder below `into` that the preset was unpacked to; the preset itself may lie deeper in it."""
    return into / preset.folder.relative_to(into).parts[0]


def _root(target: Path, source: str) -> Path:
    """The folder that holds the manifest: the target itself, or the only folder in it, as archives have it."""
    if (target / MANIFEST).is_file():
        return target
    inner = [entry for entry in target.iterdir() if entry.is_dir() and (entry / MANIFEST).is_file()]
    if len(inner) == 1:
        return inner[0]
    raise ConfigError([Problem(source, "", f"there is no {MANIFEST} in it")])


def _ignored(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in {".git", "node_modules", "__pycache__"}]


def _extract(data: bytes, target: Path, source: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > _MOST_FILES or sum(member.file_size for member in members) > _MOST_BYTES:
                raise _too_large(source)
            for member in members:
                parts = PurePosixPath(member.filename.replace("\\", "/")).parts
                if not parts or ".." in parts or parts[0].endswith(":") or parts[0].startswith("/"):
                    raise ConfigError([Problem(source, member.filename, "leads out of the archive's own folder")])
                place = target.joinpath(*parts)
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed:
                    content = packed.read(_MOST_BYTES + 1)
                if len(content) > member.file_size:
                    raise ConfigError([Problem(source, member.filename, "is larger than the archive says")])
                place.write_bytes(content)
    except _UNREADABLE as error:
        raise ConfigError([Problem(source, "", f"is no archive that can be read: {error}")]) from error


def _download(url: str, source: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 - https, made from a fixed form
            data: bytes = answer.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError([Problem(source, "", f"cannot be downloaded: {error}")]) from error
    if len(data) > _MOST_BYTES:
        raise _too_large(source)
    return data


def _too_large(source: str) -> ConfigError:
    return ConfigError([Problem(source, "", "is too large for a preset")])
