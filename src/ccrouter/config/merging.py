"""Two changes of one text brought together, where neither touches what the other does. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

#: With more lines than this nobody compares: a configuration is written by hand.
_MOST_LINES = 20_000


class _Hunk(NamedTuple):
    """The lines `start` to `end` of the base, and what stands there instead."""

    start: int
    end: int
    lines: tuple[str, ...]


def merge(base: str, ours: str, theirs: str) -> str | None:
    """`base` with the changes that lead to `ours` and those that lead to `theirs`, line by line; None if they touch the
    same lines, or neighbouring ones.
    """
    before, first, second = (text.splitlines(keepends=True) for text in (base, ours, theirs))
    if max(map(len, (before, first, second))) > _MOST_LINES:
        return None
    mine, others = list(_hunks(before, first)), list(_hunks(before, second))
    hunks = sorted({*mine, *others})
    merged: list[str] = []
    at = 0
    for number, hunk in enumerate(hunks):
        if number and hunk.start <= at:
            return None
        merged += [*before[at : hunk.start], *hunk.lines]
        at = hunk.end
    return "".join([*merged, *before[at:]])


def _hunks(before: Sequence[str], after: Sequence[str]) -> Iterator[_Hunk]:
    for kind, start, end, first, last in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            yield _Hunk(start, end, tuple(after[first:last]))
