"""Following a log while it is written: also when it is put away, emptied or gone on with by another run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ccrouter.logs.files import is_open_as

#: Seconds for which a log that was put away is still read: other processes notice within one that they write to it.
_LINGER = 5.0
_BLOCK = 1024 * 1024


@dataclass(slots=True)
class _Open:
    file: IO[bytes]
    unfinished: bytes = b""
    left_at: float | None = None

    def read(self) -> list[bytes]:
        """The whole lines that were written since."""
        if os.fstat(self.file.fileno()).st_size < self.file.tell():  # it was emptied
            self.file.seek(0)
            self.unfinished = b""
        lines: list[bytes] = []
        while piece := self.file.read(_BLOCK):
            *whole, self.unfinished = (self.unfinished + piece).split(b"\n")
            lines += whole
        return [line for line in lines if line]


@dataclass
class Tail:
    """The lines that are written from now on, or from the beginning of what is there now (`from_start`).

    `newest` gives the log that is to be followed: another one as soon as another run goes on. `clock` gives seconds.
    """

    newest: Callable[[], Path | None]
    from_start: bool = False
    clock: Callable[[], float] = time.monotonic
    _path: Path | None = None
    _open: list[_Open] = field(default_factory=list)
    _has_begun: bool = False

    def begin(self) -> tuple[Path, int] | None:
        """Where the first line will be read: the log, and how much of it is not. None if there is no log yet."""
        self._follow()
        return (self._path, self._open[-1].file.tell()) if self._path is not None and self._open else None

    def read(self) -> list[bytes]:
        """Every whole line since the last call, in order within each file. Raises OSError."""
        self._follow()
        lines = [line for one in self._open for line in one.read()]
        now = self.clock()
        for one in [one for one in self._open if one.left_at is not None and now - one.left_at > _LINGER]:
            one.file.close()
            self._open.remove(one)
        return lines

    def close(self) -> None:
        """After the call no file is open."""
        for one in self._open:
            one.file.close()
        self._open.clear()

    def _follow(self) -> None:
        """After the call what is at the path of the newest log is open, and what was is being left."""
        path = self.newest()
        current = self._open[-1] if self._open and self._open[-1].left_at is None else None
        if path is None or (current is not None and path == self._path and is_open_as(path, current.file.fileno())):
            self._has_begun = True
            return
        try:
            file = path.open("rb")
        except FileNotFoundError:  # between the putting away and the new one
            return
        if not (self._has_begun or self.from_start):
            file.seek(0, os.SEEK_END)
        self._has_begun, self._path = True, path
        if current is not None:
            current.left_at = self.clock()
        self._open.append(_Open(file))
