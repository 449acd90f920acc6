"""The open files of one chain: appends lines, keeps the head, rotates, sees when the files are not its own any more.

Knows nothing of what is recorded. Every failure is an OSError; after one the ledger is to be closed and opened anew,
which finds out what is on the disk.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from ccrouter.audit.chain import GENESIS, Link, repair
from ccrouter.audit.files import HEAD_SIZE, ChainFiles, Head, unpack_head
from ccrouter.audit.tail import Tail, read_tail

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# The lock is taken on the head, which is never renamed. On Windows it covers a byte far behind the content, since a
# locked byte there cannot be read by others.
_LOCKED_BYTE = 1 << 20
_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


class Ledger:
    """One chain, open and locked for as long as this object is.

    `known` is the newest line that this process has written itself: it is believed more than the head file. After the
    call `newest` is the line that the next one has to follow, and what was found damaged is on record and in `found`.
    Raises OSError: BlockingIOError if another process writes this chain.
    """

    def __init__(self, files: ChainFiles, now: Callable[[], str], limit: int, known: Link | None = None) -> None:
        self.files = files
        self.newest = GENESIS
        self.found = ""
        self._paths = (str(files.live), str(files.head))  # as texts: they are looked at before every line
        self._limit = limit
        self._live = -1
        self._size = 0
        self._rotated = 0
        make_private_folder(files.folder)
        self._head = os.open(files.head, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        try:
            lock(self._head)
            self._resume(now, known)
        except BaseException:
            self.close()
            raise

    @property
    def rotated(self) -> int:
        """The number of the newest full file."""
        return self._rotated

    def append(self, line: bytes, link: Link) -> None:
        """After the call `line` is in the file, `link` in the head. Raises OSError; a part of a line does not stay."""
        if self._size and self._size + len(line) > self._limit:
            self._rotate()
        self._write(line)
        self.newest = link
        self._write_head()

    def is_in_place(self) -> bool:
        """False if a file was removed, replaced, cut or written to by others since the last line."""
        try:
            live, head = map(os.stat, self._paths)
        except FileNotFoundError:
            return False
        return (live.st_ino, live.st_dev, live.st_size, head.st_ino, head.st_size) == self._identity

    def close(self) -> None:
        """After the call the files are closed, on the disk as far as the system tells, and free for others."""
        try:
            if self._live >= 0:
                os.fsync(self._live)
        finally:
            for descriptor in (self._live, self._head):
                if descriptor >= 0:
                    os.close(descriptor)
            self._live = self._head = -1

    # -- opening -------------------------------------------------------------------------------------------------------

    def _resume(self, now: Callable[[], str], known: Link | None) -> None:
        os.lseek(self._head, 0, os.SEEK_SET)
        content = os.read(self._head, HEAD_SIZE + 1)
        head = unpack_head(content)
        rotated = self.files.rotated()
        self._rotated = max(head.rotated if head else 0, self.files.newest_number())
        tail = read_tail(self.files.live)
        has_lines = tail.last is not None or tail.is_damaged
        before = tail if has_lines or not rotated else read_tail(rotated[-1])
        stated = known or (head.newest if head else None)
        is_new = not content and not tail.size and not rotated and known is None
        self.newest, self.found = (GENESIS, "") if is_new else reconcile(before, stated)
        self._open_live(os.O_CREAT)
        if tail.is_open:
            self._write(b"\n")
        if tail.torn or self.found:
            line, link = repair(self.newest, now(), tail.torn, self.found or "the last line was not finished")
            self._write(b"\n" + line if tail.torn else line)
            self.newest = link
        self._write_head()
        os.fsync(self._head)  # once: its length stays the same from here on

    def _open_live(self, how: int) -> None:
        self._live = os.open(self.files.live, os.O_WRONLY | os.O_APPEND | how | _FLAGS, 0o600)
        live, head = os.fstat(self._live), os.fstat(self._head)
        self._size = live.st_size
        self._place = (live.st_ino, live.st_dev)
        self._head_place = head.st_ino
        make_private(self.files.live, live.st_mode, 0o600)
        make_private(self.files.head, head.st_mode, 0o600)

    # -- writing -------------------------------------------------------------------------------------------------------

    @property
    def _identity(self) -> tuple[int, int, int, int, int]:
        return (*self._place, self._size, self._head_place, HEAD_SIZE)

    def _write(self, data: bytes) -> None:
        written = os.write(self._live, data)
        if written != len(data):
            os.ftruncate(self._live, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _write_head(self) -> None:
        os.lseek(self._head, 0, os.SEEK_SET)
        os.write(self._head, Head(self.newest, self._rotated).pack())

    def _rotate(self) -> None:
        os.fsync(self._live)
        os.close(self._live)
        self._live = -1
        number = max(self._rotated, self.files.newest_number()) + 1
        try:
            self.files.live.rename(self.files.numbered(number))
        except PermissionError:  # it is append-only, or, on Windows, somebody reads it: it grows on
            self._limit *= 2
            self._open_live(0)
            return
        self._rotated = number
        self._open_live(os.O_CREAT | os.O_EXCL)


def reconcile(tail: Tail, stated: Link | None) -> tuple[Link, str]:
    """The line that the next one has to follow, given the end of the file and the line stated to be the newest; and in
    words what does not agree, "" if nothing. What is gone keeps its numbers: the next line has one that shows the gap.
    """
    last = tail.last.link if tail.last else None
    if stated is None:
        return last or GENESIS, "the head file was missing or unreadable: lines may have been cut off"
    if tail.is_damaged:
        return stated, "the line before is no record"
    if last is None:
        return stated, f"all lines up to {stated.seq} are gone" if stated.seq else ""
    if last.seq > stated.seq or last == stated:  # a crash came between the line and the head
        return last, ""
    if last.seq == stated.seq:
        return stated, f"line {last.seq} is not the one that was written"
    return stated, f"lines {last.seq + 1} to {stated.seq} had been written and are gone"


def lock(descriptor: int) -> None:
    """After the call this process alone has the file, until it closes it. Raises BlockingIOError."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise BlockingIOError(errno.EAGAIN, "another process writes it") from error


def make_private_folder(path: Path) -> None:
    """After the call `path` is a folder that its owner alone may enter; so are those above it that were made here."""
    for folder in reversed([path, *path.parents]):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
    make_private(path, path.stat().st_mode, 0o700)


def make_private(path: Path, mode: int, wanted: int) -> None:
    """After the call nobody but the owner of `path` may do anything with it."""
    if os.name == "posix" and mode & 0o077:
        path.chmod(wanted)
