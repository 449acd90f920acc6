"""The form of an audit line and the check of a chain of them, line by line. Pure: knows no file and no clock.

A line is one JSON object without blanks: `seq`, `time`, `kind`, the facts, `prev`, and as its last member `hash`. The
hash is the SHA-256, in small hexadecimal digits, of the line's bytes before `,"hash":"`: nothing needs to be parsed or
written anew to compute it. `prev` is the hash of the line before, 64 zeros in the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

#: What a line can be about. Two are the trail's own words: `repair`, the line before was torn; `removal`, the oldest
#: files are not kept.
OWN_KINDS = frozenset({"repair", "removal"})
KINDS = frozenset({"start", "stop", "reload", "policy", "decision", "denial", "outcome"}) | OWN_KINDS
#: The members that are not facts.
RESERVED = frozenset({"seq", "time", "kind", "missed", "prev", "hash"})
#: Bytes that no line exceeds, its newline not counted.
LINE_LIMIT = 64 * 1024

_BEFORE_HASH = b',"hash":"'
_AFTER_HASH = b'"}'
_TAIL = len(_BEFORE_HASH) + 64 + len(_AFTER_HASH)


class Link(NamedTuple):
    """One line, named: its number and its hash."""

    seq: int
    hash: str


#: What the first line of a chain follows.
GENESIS = Link(0, "0" * 64)


class Record(msgspec.Struct, frozen=True):
    """What the chain needs to know of a line. `hash` is the line's own, `missed` the records that could not be written
    before it. What follows is of any type, since facts may have these names: `torn_bytes`, `torn_sha256` and `reason`
    mean something in a repair only, `removed_to` and `removed_hash` in a removal.
    """

    seq: int
    time: str
    kind: str
    prev: str
    hash: str
    missed: int = 0
    policy: Any = None
    torn_bytes: Any = None
    torn_sha256: Any = ""
    reason: Any = ""
    removed_to: Any = None
    removed_hash: Any = ""

    @property
    def link(self) -> Link:
        return Link(self.seq, self.hash)

    @property
    def before(self) -> Link:
        """The line that this one says it follows."""
        return Link(self.seq - 1, self.prev)

    @property
    def removed(self) -> Link | None:
        """The newest of the lines that a removal takes away; None for any other record."""
        if self.kind == "removal" and isinstance(self.removed_to, int) and isinstance(self.removed_hash, str):
            return Link(self.removed_to, self.removed_hash)
        return None


class Place(NamedTuple):
    """Where a line begins: file, number of the line from 1, offset in bytes."""

    file: str
    line: int
    offset: int


class Breach(Exception):
    """The chain does not hold at `place`. `expected` and `found` are "" where there is nothing to compare."""

    def __init__(self, what: str, *, expected: str = "", found: str = "", place: Place | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.found = found
        self.place = place


_decode = msgspec.json.Decoder(Record).decode


def seal(body: bytes) -> tuple[bytes, str]:
    """`body`, an encoded object with at least one member, as a line with its newline; and the line's hash."""
    covered = body[:-1]
    digest = sha256(covered).hexdigest()
    return b'%b%b%b"}\n' % (covered, _BEFORE_HASH, digest.encode()), digest


def repair(after: Link, time: str, torn: bytes, reason: str) -> tuple[bytes, Link]:
    """The line that follows `after` where the chain was found damaged: `torn` are the bytes of an unfinished line just
    before it, empty if there are none.
    """
    told: dict[str, object] = {"seq": after.seq + 1, "time": time, "kind": "repair", "reason": reason}
    if torn:
        told |= {"torn_bytes": len(torn), "torn_sha256": sha256(torn).hexdigest()}
    line, digest = seal(msgspec.json.encode(told | {"prev": after.hash}))
    return line, Link(after.seq + 1, digest)


def removal(after: Link, time: str, last: Link) -> tuple[bytes, Link]:
    """The line that follows `after` when the oldest file goes, the newest of whose lines is `last`."""
    told: dict[str, object] = {"seq": after.seq + 1, "time": time, "kind": "removal"}
    told |= {"removed_to": last.seq, "removed_hash": last.hash, "prev": after.hash}
    line, digest = seal(msgspec.json.encode(told))
    return line, Link(after.seq + 1, digest)


def read(line: bytes) -> Record:
    """The record of `line` (without its newline), its hash checked. Raises Breach, without a place."""
    body, tail = line[:-_TAIL], line[-_TAIL:]
    if not body or not tail.startswith(_BEFORE_HASH) or not tail.endswith(_AFTER_HASH):
        raise Breach("this is no whole record", expected=',"hash":"…"} at the end', found=_shown(line))
    stated = tail[len(_BEFORE_HASH) : -len(_AFTER_HASH)].decode("ascii", "backslashreplace")
    computed = sha256(body).hexdigest()
    if stated != computed:
        raise Breach("the line was changed: its hash is not that of its bytes", expected=computed, found=stated)
    try:
        return _decode(line)
    except msgspec.MsgspecError as error:
        raise Breach(f"this is no record: {error}", found=_shown(line)) from error


class ChainCheck:
    """Lines in order, one at a time; holds no more than two of them.

    `after` is the line that the first one has to follow; None takes the first one's word for it, for a chain whose
    beginning is kept elsewhere.
    """

    def __init__(self, after: Link | None = GENESIS) -> None:
        self._newest = after
        self._torn: tuple[bytes, Breach] | None = None

    def feed(self, line: bytes, place: Place) -> Record | None:
        """The record of `line` (without its newline), or None for one that only the next line can explain.

        Raises Breach with the place of the line that is wrong, which may be the one before.
        """
        try:
            record = read(line)
        except Breach as breach:
            if self._torn is not None:
                raise self._torn[1] from breach
            breach.place = place
            self._torn = (line, breach)
            return None
        try:
            self._follow(record)
        except Breach as breach:
            breach.place = breach.place or place
            raise
        self._newest = record.link
        self._torn = None
        return record

    def close(self) -> None:
        """Raises the Breach of a last line that nothing explained."""
        if self._torn is not None:
            raise self._torn[1]

    def _follow(self, record: Record) -> None:
        if self._torn is not None and not _repairs(record, self._torn[0]):
            raise self._torn[1]
        if self._newest is not None:
            check_link(record, self._newest)
        if record.kind not in KINDS:
            raise Breach("this kind of record does not exist", expected=", ".join(sorted(KINDS)), found=record.kind)
        if record.kind == "repair" and self._torn is None:
            raise Breach(f"the router found the chain damaged here: {record.reason or 'it did not say how'}")


def _repairs(record: Record, torn: bytes) -> bool:
    stated = (record.torn_bytes, record.torn_sha256)
    return record.kind == "repair" and stated == (len(torn), sha256(torn).hexdigest())


def check_link(record: Record, before: Link) -> None:
    """Raises Breach, without a place, if `record` is not the one behind `before`."""
    expected, found = before.seq + 1, record.seq
    if found > expected:
        gone = f"lines {expected} to {found - 1} are" if found > expected + 1 else f"line {expected} is"
        raise Breach(f"{gone} missing before this one", expected=f"seq {expected}", found=f"seq {found}")
    if found < expected:
        raise Breach("a line was repeated, inserted or moved here", expected=f"seq {expected}", found=f"seq {found}")
    if record.prev != before.hash:
        raise Breach("this line does not follow the one before it", expected=before.hash, found=record.prev)


def _shown(line: bytes) -> str:
    text = ascii(line[:60])[2:-1]
    return f"{len(line)} bytes: {text}{'…' if len(line) > 60 else ''}"


def encode(after: Link, time: str, kind: str, facts: Mapping[str, object], missed: int = 0) -> tuple[bytes, Link]:
    """The line that follows `after`, and its name. Raises ValueError if it would be longer than LINE_LIMIT."""
    told: dict[str, object] = {"seq": after.seq + 1, "time": time, "kind": kind}
    if missed:
        told["missed"] = missed
    line, digest = seal(msgspec.json.encode({**told, **facts, "prev": after.hash}))
    if len(line) > LINE_LIMIT:
        raise ValueError(f"an audit record of {len(line)} bytes; {LINE_LIMIT} is the limit")
    return line, Link(after.seq + 1, digest)
