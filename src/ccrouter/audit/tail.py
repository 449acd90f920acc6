"""The end of a chain's file, read backwards: what was written last, and what was not finished. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from ccrouter.audit.chain import Breach, Record, read

_BLOCK = 64 * 1024
_POLICY = b'"policy":"'  # in a text its quotes would be escaped


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of one file: its size, its last whole line, and the bytes of a line that was not finished.

    `last` is None if there is no whole line, or if the last one is no sound record; `is_damaged` tells the latter.
    `is_open`: nothing but its newline is missing from the last one.
    """

    size: int = 0
    last: Record | None = None
    is_damaged: bool = False
    is_open: bool = False
    torn: bytes = b""


def read_tail(path: Path) -> Tail:
    """The end of the file at `path`; an empty one if there is no file. Raises OSError."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return Tail()
    with file:
        backwards = _lines_backwards(file)
        torn = next(backwards, b"")
        size = file.seek(0, 2)
        line = next(backwards, None)
    if (record := _sound(torn)) is not None:
        return Tail(size, record, is_open=True)
    if line is None:
        return Tail(size, torn=torn)
    record = _sound(line)
    return Tail(size, record, is_damaged=record is None, torn=torn)


def newest_policy(paths: Iterable[Path]) -> str | None:
    """The `policy` of the newest line that has one, in files given newest first; None if no line has."""
    for path in paths:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue
        with file:
            for line in _lines_backwards(file):
                record = _sound(line) if _POLICY in line else None
                if record is not None and isinstance(record.policy, str):
                    return record.policy
    return None


def last_lines(path: Path, count: int) -> list[bytes]:
    """The last `count` whole lines of the file at `path`, the oldest first; none without a file. Raises OSError."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return []
    with file:
        return list(islice(_lines_backwards(file), 1, count + 1))[::-1]


def _sound(line: bytes) -> Record | None:
    try:
        return read(line)
    except Breach:
        return None


def _lines_backwards(file: IO[bytes]) -> Iterator[bytes]:
    """What stands behind the last newline (b"" in a whole file), then the lines before it, the last first."""
    position = file.seek(0, 2)
    rest: list[bytes] = []  # of the line that began further to the front, the last part first
    while position:
        length = min(_BLOCK, position)
        position -= length
        file.seek(position)
        *before, last = file.read(length).split(b"\n")
        rest.append(last)
        for part in reversed(before):
            yield b"".join(reversed(rest))
            rest = [part]
    if rest:
        yield b"".join(reversed(rest))
