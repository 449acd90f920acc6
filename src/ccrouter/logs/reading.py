"""Reading log files from their end, in blocks, never whole; and which lines are wanted. Changes nothing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from ccrouter.jsontypes import JsonObject
from ccrouter.logs.files import find_file, list_files, put_away_of

#: Levels by name, in the numbers that stand in the lines (pino's, as the classic router wrote them).
RANKS: Mapping[str, int] = {"trace": 10, "debug": 20, "info": 30, "warn": 40, "error": 50, "fatal": 60}

#: Lines that one page has if nobody says how many, and at most.
USUAL, MOST = 1000, 10_000

_BLOCK = 64 * 1024
#: Bytes of a line that is still read: no line of ours is as long.
_LONGEST = 1024 * 1024
#: Bytes that are looked through for one page.
_BUDGET = 64 * 1024 * 1024
_LEVEL = re.compile(rb'\{"level":(\d{1,3}),')  # how every line of ours begins
_PLACE = re.compile(r"(?P<file>[0-9]{1,20})\.(?P<offset>[0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: of at least level `rank`, of the request and the session whose ids begin so, with this text anywhere
    (in any case), written at `since` or later (as lines tell times). Nothing said: all.
    """

    rank: int = 0
    request: str = ""
    session: str = ""
    search: str = ""
    since: str = ""

    def takes(self, line: bytes) -> bool:
        """True for a line that is wanted. One that is no JSON has level info and neither time, request nor session."""
        if self.rank and _rank_of(line) < self.rank:
            return False
        if self.search and _as_written(self.search) not in line.decode("utf-8", "replace").casefold():
            return False
        if not (self.request or self.session or self.since):
            return True
        told = told_by(line)
        return (
            str(told.get("reqId", "")).startswith(self.request)
            and str(told.get("session", "")).startswith(self.session)
            and str(told.get("time", "")) >= self.since
        )

    def ends_at(self, line: bytes) -> bool:
        """True for a line before which, in its file, nothing is wanted: it was written before `since`."""
        return bool(self.since) and "" < str(told_by(line).get("time", "")) < self.since


ALL = Wanted()


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines of one file, the oldest first. `before` is what to ask for those before them by; None if there are none."""

    lines: list[bytes]
    before: str | None


def told_by(line: bytes) -> JsonObject:
    """The facts of a line; of one that is no JSON object its text."""
    try:
        told = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        told = None
    return told if isinstance(told, dict) else {"level": RANKS["info"], "msg": line.decode("utf-8", "replace")}


def lines_backwards(file: IO[bytes], end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Where each whole line before `end` (None: the end of the file) begins, and the line; the last first.

    What stands behind the last newline is not finished, and left out; so are lines of more than a megabyte.
    """
    size = file.seek(0, os.SEEK_END)
    position = size if end is None else min(end, size)
    parts: list[bytes] = []  # of the line at hand, its end first
    length, is_finished = 0, False
    while position:
        block = min(_BLOCK, position)
        position -= block
        file.seek(position)
        pieces = file.read(block).split(b"\n")
        begins = position + block
        for number in range(len(pieces) - 1, -1, -1):
            parts.append(pieces[number])
            length += len(pieces[number])
            begins -= len(pieces[number])
            if number == 0:  # it may begin further to the front
                continue
            if is_finished and 0 < length <= _LONGEST:
                yield begins, b"".join(reversed(parts))
            parts, length, is_finished = [], 0, True
            begins -= 1
        if length > _LONGEST:
            parts = []
    if is_finished and 0 < length <= _LONGEST:
        yield 0, b"".join(reversed(parts))


def read_page(path: Path, wanted: Wanted = ALL, count: int = USUAL, before: str | None = None) -> LogPage:
    """The last `count` lines of the log at `path` that are wanted, before the place that an earlier page named.

    A page may have fewer, also none, where much had to be looked through: then it says where to go on. A log that was
    put away since the earlier page is found by its new name. Raises OSError, ValueError for what names no place.
    """
    end = None
    if before is not None:
        there = _PLACE.fullmatch(before)
        if there is None:
            raise ValueError("before must be what an earlier page gave")
        end = int(there["offset"])
        renamed = next((one for one in _names_of(path) if one.stat().st_ino == int(there["file"])), None)
        if renamed is None:  # it has been removed since
            return LogPage([], None)
        path = renamed
    found: list[bytes] = []
    place = 0
    with path.open("rb") as file:
        least = (file.seek(0, os.SEEK_END) if end is None else end) - _BUDGET
        for begins, line in lines_backwards(file, end):
            is_over = wanted.ends_at(line)
            place = 0 if is_over else begins
            if not is_over and wanted.takes(line):
                found.append(line)
            if not place or len(found) >= count or place < least:
                break
        number = os.fstat(file.fileno()).st_ino
    return LogPage(found[::-1], f"{number}.{place}" if place else None)


def _names_of(path: Path) -> list[Path]:
    """The log at `path`, and what was put away of it."""
    is_put_away = path.suffix.removeprefix(".").isdecimal()
    log = path.with_suffix("") if is_put_away else path
    return [one for one in (log, *reversed(put_away_of(log))) if one.exists()]


def last_lines(paths: Iterable[Path], wanted: Wanted, count: int, end: int | None = None) -> list[bytes]:
    """The last `count` lines that are wanted of files given newest first, the oldest line first. Of the first file only
    what stands before `end`. Raises OSError.
    """
    found: list[bytes] = []
    for number, path in enumerate(paths):
        try:
            file = path.open("rb")
        except FileNotFoundError:  # it has just been removed
            continue
        with file:
            for _, line in lines_backwards(file, end if number == 0 else None):
                if wanted.ends_at(line):
                    return found[::-1]
                if wanted.takes(line):
                    found.append(line)
                    if len(found) >= count:
                        return found[::-1]
    return found[::-1]


def page_facts(folder: Path, query: Mapping[str, str]) -> JsonObject | None:
    """A page of the log for those who look at it: `file` ("" or absent: the newest), `lines`, `before`, `level`,
    `request`, `session`, `search`, `since` of an address. None if there is no such file. Raises ValueError for what is
    no number or level, OSError.
    """
    wanted, count = wanted_of(query), count_of(query)
    files = list_files(folder)
    file = find_file(folder, query.get("file", ""))
    if file is None and query.get("file"):
        return None
    page = LogPage([], None) if file is None else read_page(file.path, wanted, count, query.get("before") or None)
    return {
        "file": None if file is None else file.name,
        "files": [one.facts for one in files],
        "lines": [told_by(line) for line in page.lines],
        "before": page.before,
        "asked": {name: query.get(name, "") for name in ("level", "request", "session", "search", "since")},
    }


def wanted_of(query: Mapping[str, str]) -> Wanted:
    """What an address asks for. Raises ValueError for a level that there is not."""
    level = query.get("level", "").strip().lower()
    if level and level not in RANKS:
        raise ValueError(f"level must be one of {', '.join(RANKS)}")
    return Wanted(
        rank=RANKS.get(level, 0),
        request=query.get("request", "").strip(),
        session=query.get("session", "").strip(),
        search=query.get("search", ""),
        since=query.get("since", "").strip(),
    )


def count_of(query: Mapping[str, str]) -> int:
    """How many lines an address asks for. Raises ValueError for what is no number, or none from 1 to MOST."""
    text = query.get("lines", "").strip() or str(USUAL)
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise ValueError(f"lines must be a number from 1 to {MOST}")
    return int(text)


def _rank_of(line: bytes) -> int:
    found = _LEVEL.match(line)
    if found is not None:
        return int(found[1])
    level = told_by(line).get("level")
    return level if isinstance(level, int) else RANKS["info"]


def _as_written(text: str) -> str:
    """`text` as it stands within a line: a quotation mark has its backslash there."""
    return json.dumps(text, ensure_ascii=False)[1:-1].casefold()
