"""The first configuration of a newcomer: a commented file that needs no provider. Overwrites nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ccrouter.errors import ConfigError, Problem

_HERE = Path(__file__).parent

#: The starter file, as it is written.
TEMPLATE = _HERE / "starter.json5"

#: The JSON Schema of the file, which the starter refers to by this name beside it.
SCHEMA = _HERE / "schema.json"
SCHEMA_NAME = "config.schema.json"


def create_starter(path: Path) -> bool:
    """Makes the folder of `path` (0700) and in it the starter file (0600), with its schema.

    False if there is a file already, which is left as it is. A reader sees the whole file or none. Raises ConfigError
    if nothing can be written there.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = write_new(path, TEMPLATE.read_bytes())
        if is_new:
            write_new(path.with_name(SCHEMA_NAME), SCHEMA.read_bytes())
    except OSError as error:
        hint = "name another place: ccr start --config PATH"
        raise ConfigError([Problem(str(path), "", f"cannot be created: {error.strerror or error}", hint)]) from error
    return is_new


def is_starter(path: Path) -> bool:
    """True if the file at `path` is the starter as it was written: nobody's work would be lost with it."""
    try:
        return not path.is_symlink() and path.read_bytes() == TEMPLATE.read_bytes()
    except OSError:
        return False


def replace_starter(path: Path, data: bytes) -> bool:
    """Puts `data` in the place of the starter at `path` in one step, readable by its owner alone.

    False, and nothing is changed, if something else is there. Raises OSError if nothing can be written.
    """
    written = _write_beside(path, data)
    try:
        if not is_starter(path):
            return False
        written.replace(path)
        return True
    finally:
        written.unlink(missing_ok=True)


def write_new(path: Path, data: bytes) -> bool:
    """Puts `data` at `path` in one step, readable by its owner alone; False if something is there.

    The folder must be there. Raises OSError if nothing can be written.
    """
    if path.exists():
        return False
    written = _write_beside(path, data)
    try:
        return _place(written, path, data)
    finally:
        written.unlink(missing_ok=True)


def _write_beside(path: Path, data: bytes) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 by contract
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _place(written: Path, path: Path, data: bytes) -> bool:
    try:
        os.link(written, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links: exclusive creation is the next best
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    return True
