"""Log files by their names: which there are, which is newest, and putting one away that has grown. Knows no lines.

A run of the router writes to `ccr-YYYYMMDDHHMMSS.log`, from its beginning to its end: programs look for that name. What
has grown too large is put away as `….log.1`, `….log.2` and so on; the highest number is the newest.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG

from ccrouter.jsontypes import JsonObject

if sys.platform != "win32":
    import fcntl

_NAME = re.compile(r"ccr-(?P<stamp>[0-9]{14})(?:_(?P<run>[0-9]{1,6}))?\.log(?:\.(?P<number>[1-9][0-9]{0,8}))?")
_STILL_OPEN = 1 << 40  # more than any number: what is written now is newer than what was put away of it


@dataclass(frozen=True, slots=True)
class LogFile:
    """One log file. `modified` in seconds since 1970; `is_put_away` if it has got its number."""

    path: Path
    size: int
    modified: float

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def is_put_away(self) -> bool:
        return not self.name.endswith(".log")

    @property
    def facts(self) -> JsonObject:
        """As the classic router told of it; `path` is what to ask for it by, and no place on the disk."""
        modified = datetime.fromtimestamp(self.modified, UTC).isoformat(timespec="milliseconds")
        return {
            "name": self.name,
            "path": self.name,
            "size": self.size,
            "lastModified": modified.replace("+00:00", "Z"),
            "putAway": self.is_put_away,
        }


def age_of(name: str) -> tuple[str, int, int] | None:
    """What orders log files, the oldest first; None for what is no name of one."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return found["stamp"], int(found["run"] or 0), int(found["number"] or _STILL_OPEN)


def list_files(folder: Path) -> list[LogFile]:
    """The log files in `folder`, the newest first; none without a folder. Links and folders are none."""
    found = []
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    for entry in entries:
        age = age_of(entry.name)
        if age is None:
            continue
        with contextlib.suppress(FileNotFoundError):  # it has just been removed
            status = entry.stat(follow_symlinks=False)
            if S_ISREG(status.st_mode):
                found.append((age, LogFile(folder / entry.name, status.st_size, status.st_mtime)))
    return [file for _, file in sorted(found, key=lambda pair: pair[0], reverse=True)]


def find_file(folder: Path, name: str) -> LogFile | None:
    """The log file of this name in `folder`; None for any other name, and for a path. "" is the newest one."""
    files = list_files(folder)
    if not name:
        return next((file for file in files if not file.is_put_away), files[0] if files else None)
    return next((file for file in files if file.name == name), None)


def put_away_of(path: Path) -> list[Path]:
    """What was put away of the log at `path`, the oldest first. Raises OSError if its folder cannot be read."""
    prefix = f"{path.name}."
    numbered = [
        (int(number), path.with_name(entry.name))
        for entry in os.scandir(path.parent)
        if entry.name.startswith(prefix) and (number := entry.name.removeprefix(prefix)).isdecimal()
    ]
    return [one for _, one in sorted(numbered)]


def put_away(path: Path, file: int, keep: int) -> str:
    """After the call the log at `path` has the next number, and at most `keep` of its like are left. Gives its name.

    "" if it is not the open `file` any more (-1: nothing is open, and nobody else writes), or if another process does
    the same: of several that write to one file one alone does it, whoever locks it first. The others go on writing to
    what they have open until they notice, and nothing is lost. Raises OSError: the log is as it was then.
    """
    with _alone_with(file) as is_alone:
        if not is_alone or (file >= 0 and not is_open_as(path, file)):
            return ""
        before = put_away_of(path)
        number = int(before[-1].name.rpartition(".")[2]) + 1 if before else 1
        target = path.with_name(f"{path.name}.{number}")
        path.rename(target)
        for old in [*before, target][: max(0, len(before) + 1 - keep)]:
            old.unlink(missing_ok=True)
    return target.name


def is_open_as(path: Path, file: int) -> bool:
    """True if the open `file` is what stands at `path`. Raises OSError if that cannot be told."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def empty(file: LogFile) -> None:
    """After the call nothing is left of what is in it: one that may still be written to is empty, one that was put away
    is gone. Raises OSError.
    """
    if file.is_put_away:
        file.path.unlink(missing_ok=True)
    else:
        os.truncate(file.path, 0)


@contextlib.contextmanager
def _alone_with(file: int) -> Iterator[bool]:
    """True within if no other process is within with the same file."""
    if sys.platform == "win32":  # a router is one process there
        yield True
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
