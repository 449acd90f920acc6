"""The configuration file replaced: a backup first, then the new text in one step. Knows nothing of what is in it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ccrouter.errors import ConfigError, Problem

#: How many backups stay.
KEPT = 3

_PRIVATE = 0o600


def save(path: Path, text: str, *, now: datetime) -> Path | None:
    """After the call the file at `path` holds `text` (UTF-8), whole; the old content is in the backup returned.

    The backup stands beside `path`, for its owner alone, named `config.json.2026-11-22T10-30-00-000Z.bak` by `now` (in
    UTC); the newest three stay. None if there was nothing to back up: no file, or one that holds `text` already, which
    is then left alone. Mode and owner stay, a new file is its owner's alone; of a symlink the file it points to is
    written. Raises ConfigError if anything of this fails, and then the file is what it was.
    """
    try:
        data = text.encode()
        target = Path(os.path.realpath(path))
        old = _read(target)
        if old == data:
            return None
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = _back_up(path, old, now) if old is not None else None
        try:
            _replace(target, data)
        except BaseException:
            if made:
                made.unlink(missing_ok=True)
            raise
    except UnicodeEncodeError:
        raise ConfigError([Problem(str(path), "", "cannot be written: a text in it is not Unicode")]) from None
    except OSError as error:
        hint = "the file is as it was"
        raise ConfigError([Problem(str(path), "", f"cannot be written: {error.strerror or error}", hint)]) from error
    _remove_old(path)
    return made


def backups(path: Path) -> list[Path]:
    """The backups of the file at `path`, the newest first: files, not links, whose whole name has the form."""
    form = re.compile(re.escape(path.name) + r"\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z\.bak", re.ASCII)
    with os.scandir(path.parent) as found:
        names = [entry.name for entry in found if form.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)]
    return [path.with_name(name) for name in sorted(names, reverse=True)]


def _read(target: Path) -> bytes | None:
    try:
        descriptor = os.open(target, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return None
    is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    if not is_file:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file")
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _back_up(path: Path, data: bytes, now: datetime) -> Path:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    names = _names(path, now)
    while True:
        name = next(names)
        try:
            descriptor = os.open(name, flags, _PRIVATE)
        except FileExistsError:
            continue
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
        except BaseException:
            name.unlink(missing_ok=True)
            raise
        return name


def _names(path: Path, now: datetime) -> Iterator[Path]:
    """The backup's name, and, for when two are made within a millisecond, those of the milliseconds after."""
    moment = now.astimezone(UTC)
    while True:
        stamp = moment.replace(tzinfo=None).isoformat(timespec="milliseconds").replace(":", "-").replace(".", "-")
        yield path.with_name(f"{path.name}.{stamp}Z.bak")
        moment += timedelta(milliseconds=1)


def _replace(target: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # 0600 by contract
    written = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _take_after(target, descriptor)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        written.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):  # what failed first is what is reported
            written.unlink()
        raise
    with contextlib.suppress(OSError):  # the text is in place; not every file system can be asked for more
        _settle(target.parent)


def _take_after(target: Path, descriptor: int) -> None:
    """Gives the new file the owner, if that is allowed, and the mode of the one whose place it takes."""
    try:
        before = target.stat()
    except FileNotFoundError:
        return
    if os.name == "nt":
        return
    now = os.fstat(descriptor)
    if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        with contextlib.suppress(PermissionError):  # only root may give a file away
            os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _settle(folder: Path) -> None:
    """Asks the disk to remember the new name, too, where folders can be asked."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_old(path: Path) -> None:
    with contextlib.suppress(OSError):  # the text is saved: a backup too many is no failure
        for old in backups(path)[KEPT:]:
            old.unlink()
