"""Whether a chain is unbroken, from its files; and where it breaks. Reads only, also while a router appends."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ccrouter.audit.chain import GENESIS, LINE_LIMIT, Breach, ChainCheck, Link, Place, Record, check_link
from ccrouter.audit.files import ChainFiles, Head, unpack_head

_TRIES = 50
_PAUSE = 0.01  # seconds between two looks at a line that is being written, or at a file that is being put away


@dataclass(slots=True)
class Proof:
    """What was found of one chain. Without `breach` its lines are unbroken from `first` to `last`.

    `repaired` are torn lines that are accounted for, `missed` records that could not be written at the time. `seen`
    are those of the wanted hashes that a line has. `is_shortened`: the first line is not the chain's first, and a later
    one says that the files before it were removed. Of a broken chain the facts end before the break.
    """

    name: str
    files: int = 0
    lines: int = 0
    first: Record | None = None
    last: Record | None = None
    repaired: int = 0
    missed: int = 0
    seen: set[str] = field(default_factory=set)
    is_shortened: bool = False
    breach: Breach | None = None

    @property
    def is_unbroken(self) -> bool:
        """True if there are lines, and nothing is wrong with any. Nothing to prove is not proof."""
        return self.breach is None and self.last is not None


def prove(files: ChainFiles, *, is_part: bool = False, wanted: Iterable[str] = ()) -> Proof:
    """The proof of one chain. If it `is_part`, its beginning may be elsewhere, and its head and its end too.

    Raises OSError for a file that cannot be read.
    """
    wanted = frozenset(wanted)
    for _ in range(_TRIES):
        before = files.rotated()
        try:
            proof = _prove(files, wanted, is_part=is_part)
        except FileNotFoundError:
            if files.rotated() == before:
                raise
        else:
            if proof.breach is None or files.rotated() == before:
                return proof
        # A file was put away meanwhile, and with that old ones may have been removed: what was seen is half of each.
    return _prove(files, wanted, is_part=is_part)


def _prove(files: ChainFiles, wanted: frozenset[str], *, is_part: bool) -> Proof:
    proof = Proof(files.name)
    content = _read_head(files.head)  # before the lines: what it names exists, whatever is appended meanwhile
    head = unpack_head(content) if content is not None else None
    walk = _Walk(proof, wanted, is_part=is_part, head=head.newest if head else None, live=str(files.live))
    try:
        with closing(_in_order(files)) as opened:
            for path, file in opened:
                with file:
                    walk.go(path, file)
        walk.end()
        if not is_part or content is not None:
            _check_head(files, walk, content, head)
    except Breach as breach:
        proof.breach = breach.with_traceback(None)
    return proof


def prove_file(path: Path, *, wanted: Iterable[str] = ()) -> Proof:
    """The proof of one file alone: of where it begins and ends it says nothing. Raises OSError."""
    proof = Proof(path.name)
    walk = _Walk(proof, frozenset(wanted), is_part=True, head=None)
    try:
        with path.open("rb") as file:
            walk.go(path, file)
        walk.end()
    except Breach as breach:
        proof.breach = breach.with_traceback(None)
    return proof


class _Walk:
    """Goes through files, line by line, and writes into `proof` what it meets. Memory: two lines."""

    def __init__(
        self, proof: Proof, wanted: frozenset[str], *, is_part: bool, head: Link | None, live: str = ""
    ) -> None:
        self.at: Place | None = None  # where the next line would stand
        self.has_met_head = head == GENESIS
        self.proof = proof
        self._wanted = wanted
        self._head = head
        self._is_part = is_part
        self._live = live
        self._check = ChainCheck(None)
        self._first: tuple[Record, Place] | None = None  # until it is known why the chain begins there

    def go(self, path: Path, file: IO[bytes]) -> None:
        """After the call the lines of `file`, the next one of the chain, are in the proof. Raises Breach."""
        self.proof.files += 1
        name, number, offset = str(path), 0, 0
        for number, line in enumerate(_lines(file), 1):
            place = Place(name, number, offset)
            if not line.endswith(b"\n"):
                self._check.close()
                raise _unfinished(line, place)
            offset += len(line)
            record = self._check.feed(line[:-1], place)
            if record is not None:
                self._note(record, place)
        self.at = Place(name, number + 1, offset)

    def end(self) -> None:
        """Raises Breach if the last line is not whole, or the first not the chain's first and nothing says why."""
        self._check.close()
        if self._first is not None:
            proof = self.proof
            proof.lines = proof.missed = proof.repaired = 0
            proof.first = proof.last = None
            proof.seen.clear()
            self._check_first(*self._first)

    def _check_first(self, record: Record, place: Place) -> None:
        try:
            check_link(record, GENESIS)
        except Breach as breach:
            breach.place = place
            raise

    def _note(self, record: Record, place: Place) -> None:
        proof = self.proof
        if proof.first is None and not self._is_part:
            # Where the oldest files are removed some full ones stay: a live file alone begins at the beginning.
            if record.seq > 1 and place.file != self._live:
                self._first = (record, place)
            else:
                self._check_first(record, place)
        if self._first is not None and record.removed == self._first[0].before:
            self._first, proof.is_shortened = None, True
        proof.lines += 1
        proof.first = proof.first or record
        proof.last = record
        proof.missed += record.missed
        proof.repaired += record.kind == "repair"
        self.has_met_head = self.has_met_head or record.link == self._head
        if record.hash in self._wanted:
            proof.seen.add(record.hash)


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of `file`, each with its newline; one without it is the last, or longer than a line can be."""
    while line := file.readline(LINE_LIMIT + 1):
        if line.endswith(b"\n") or len(line) > LINE_LIMIT:
            yield line
            continue
        start = file.tell() - len(line)
        for _ in range(_TRIES):  # it may be on its way to the disk just now
            time.sleep(_PAUSE)
            file.seek(start)
            line = file.readline(LINE_LIMIT + 1)
            if line.endswith(b"\n") or not line:
                break
        if line:
            yield line
        if not line.endswith(b"\n"):
            return


def _unfinished(line: bytes, place: Place) -> Breach:
    if len(line) > LINE_LIMIT:
        return Breach(f"a line of more than {LINE_LIMIT} bytes: no record is as long", place=place)
    words = "the last line is not finished: it was cut off, or the router crashed; its next start puts that on record"
    return Breach(words, expected="a newline at its end", found=f"{len(line)} bytes", place=place)


def _in_order(files: ChainFiles) -> Generator[tuple[Path, IO[bytes]]]:
    """The files of the chain, open, the oldest first: a snapshot, even if one is put away meanwhile.

    The newest is opened first, since it keeps its content when it is renamed.
    """
    live = None
    for _ in range(_TRIES):
        try:
            live = files.live.open("rb")
            break
        except FileNotFoundError:
            if not files.rotated():
                return
        time.sleep(_PAUSE)
    try:
        rotated = files.rotated()
        if live is not None and rotated and os.path.samestat(rotated[-1].stat(), os.fstat(live.fileno())):
            rotated.pop()
        for path in rotated:
            yield path, path.open("rb")
        if live is not None:
            yield files.live, live
    finally:
        if live is not None:
            live.close()


def _read_head(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _check_head(files: ChainFiles, walk: _Walk, content: bytes | None, head: Head | None) -> None:
    place = Place(str(files.head), 1, 0)
    if content is None:
        raise Breach("the head file is missing: nothing tells whether the last lines are all there", place=place)
    if head is None:
        raise Breach("the head file is damaged", expected="seq, hash, number", found=ascii(content[:120]), place=place)
    if walk.has_met_head:
        return
    seq, digest = head.newest
    last = walk.proof.last
    if last is None or seq > last.seq:
        there = f"seq {last.seq} as the last" if last else "no line"
        words = f"the head names line {seq}, which is not there: lines were cut off"
        raise Breach(words, expected=f"seq {seq} {digest}", found=there, place=walk.at or Place(str(files.live), 1, 0))
    raise Breach(f"the head names a line {seq} that this chain does not have", found=digest, place=place)
