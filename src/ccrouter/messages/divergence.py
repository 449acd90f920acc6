"""Where a request first differs from the one before it in its conversation. Pure: two prefixes in, a place out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ccrouter.messages.prefix import (
    RECORD,
    SECTIONS,
    Item,
    Prefix,
    Record,
    Section,
    is_left_out,
    kind_of,
    records,
    size_of,
)

#: What dialects call the blocks of an item, where not "content".
_PARTS = {
    "contents": "parts",
    "systemInstruction": "parts",
    "system_instruction": "parts",
    "tools": "functionDeclarations",
}
#: Sections that are one object, and no list.
_OBJECTS = frozenset({"systemInstruction", "system_instruction"})
#: What an answer is known by: its calls, which have ids, and where there are none, its words.
_CALLS, _WORDS = frozenset({"tool_use", "server_tool_use"}), frozenset({"text", "string"})


class Difference(NamedTuple):
    """Where a request first differs from the one before. `change` tells how: "changed", "shortened" (to less than a
    half), "inserted", "removed", "appended" (something came after what nothing may come after: a tool) or "cut" (there
    is less, and all of it as it was). `kind` is that of the block as it was, or as it is if it is new; `place` counts
    the section's items, `same` the bytes before it.
    """

    section: Section
    path: str
    change: str
    kind: str
    place: int
    same: int


def first_difference(before: Prefix, after: Prefix) -> Difference | None:
    """Where `after` does not go on as `before` began; None if it only goes on."""
    for number, name in enumerate(SECTIONS):
        old, new = before.section(name), after.section(name)
        if old is new or old == (new[: len(old)] if name == "messages" else new):
            continue
        found = _differing(old, new, name, after.names[number])
        if found is not None:
            earlier = sum(size_of(item) for one in SECTIONS[:number] for item in before.section(one))
            return found._replace(same=earlier + found.same)
    return None


def has_answers(prefix: Prefix) -> bool:
    """True if somebody has answered in the conversation: it is not its first turn."""
    return any(kind_of(item) == "assistant" for item in prefix.messages)


def is_rewritten(before: Prefix, after: Prefix) -> bool:
    """True if `after` goes on with the conversation of `before` although the two begin differently.

    The answers tell: what a client puts into the turns of a user it may change or repeat in another conversation, but
    the answers of one are its own. Most of the old ones have to be there, or, where the client went back to an earlier
    point, most of those that are left, from the first on: what keeps only the last ones has a summary in the place of
    the others.
    """
    had, has = _said(before, _CALLS), _said(after, _CALLS)
    if not had or not has:
        had, has = _said(before, _WORDS), _said(after, _WORDS)
    if not has:
        return False
    if not had:
        return _asks_alike(before, after)
    old, new = set(had), set(has)
    kept = len(old & new)
    return kept * 2 >= len(old) or (had[0] == has[0] and kept * 2 >= len(new))


def _said(prefix: Prefix, kinds: frozenset[str]) -> list[bytes]:
    """The blocks of these kinds in the answers."""
    answers = (item for item in prefix.messages if kind_of(item) == "assistant")
    return [one.digest for item in answers for one in records(item)[1:] if one.kind in kinds]


def _asks_alike(before: Prefix, after: Prefix) -> bool:
    """True if there was no answer yet, and what the user asked last is still what is answered first."""
    asked = records(before.messages[-1])[-1].digest if before.messages else b""
    first = next((place for place, item in enumerate(after.messages) if kind_of(item) == "assistant"), 0)
    return asked in {one.digest for item in after.messages[:first] for one in records(item)}


def _differing(old: Sequence[Item], new: Sequence[Item], section: Section, name: str) -> Difference | None:
    held = [(place, item) for place, item in enumerate(new) if not is_left_out(item)]
    had = [item for item in old if not is_left_out(item)]
    grows = section == "messages"
    same = 0
    for number, item in enumerate(had):
        if number >= len(held):
            place = len(new)
            return Difference(section, f"{name}[{place}]", "cut" if grows else "removed", kind_of(item), place, same)
        place, now = held[number]
        if item != now:
            found = _within(item, now, may_grow=grows and number == len(had) - 1)
            if found is not None:
                block, change, kind, size = found
                shifted = _shift(item, had[number + 1 :], now, [one for _, one in held[number + 1 :]])
                if block <= 0 and shifted:
                    block, change, kind = -1, shifted, kind_of(now if shifted == "inserted" else item)
                return Difference(section, _path(name, place, block, now), change, kind, place, same + size)
        same += size_of(item)
    if not grows and len(held) > len(had):
        place, item = held[len(had)]
        return Difference(section, f"{name}[{place}]", "appended", kind_of(item), place, same)
    return None


def _path(name: str, place: int, block: int, item: Item) -> str:
    is_single = (kind_of(item) == "string" and len(item) == RECORD) or name in _OBJECTS
    here = name if is_single else f"{name}[{place}]"
    if block < 0:
        return here
    kinds = [one.kind for one in records(item)][1:]
    part = _PARTS.get(name, "content")
    return f"{here}.{part}" if kinds == ["string"] else f"{here}.{part}[{block}]"


def _within(old: Item, new: Item, *, may_grow: bool) -> tuple[int, str, str, int] | None:
    """The first block that differs (-1: the item itself), how, its kind, and the bytes before; None if none does."""
    was, now = records(old), records(new)
    if len(was) == len(now) == 1 or was[0].digest != now[0].digest:
        if was[0].digest == now[0].digest:
            return None
        return -1, _change(was[0], now[0]), was[0].kind, 0
    size = 0
    for number in range(1, len(was)):
        if number >= len(now):
            return number - 1, "removed", was[number].kind, size
        if was[number].digest != now[number].digest:
            old_digests, new_digests = [one.digest for one in was], [one.digest for one in now]
            change = _change(was[number], now[number])
            kind = was[number].kind
            if was[number].digest in new_digests[number + 1 :]:
                change, kind = "inserted", now[number].kind
            elif now[number].digest in old_digests[number + 1 :]:
                change = "removed"
            return number - 1, change, kind, size
        size += was[number].size
    if len(now) > len(was) and not may_grow:
        return len(was) - 1, "inserted", now[len(was)].kind, size
    return None


def _shift(was: Item, later_old: Sequence[Item], now: Item, later_new: Sequence[Item]) -> str:
    """How the items behind this one moved: "inserted" or "removed" before them, or "" for neither."""
    if _goes_on([was, *later_old], later_new):
        return "inserted"
    return "removed" if now in later_old and _goes_on(later_old[later_old.index(now) :], [now, *later_new]) else ""


def _goes_on(old: Sequence[Item], new: Sequence[Item]) -> bool:
    """True if all of `old` is in `new`, one after the other."""
    if old[0] not in new:
        return False
    start = new.index(old[0])
    return list(new[start : start + len(old)]) == list(old)


def _change(was: Record, now: Record) -> str:
    return "shortened" if now.size * 2 < was.size else "changed"
