"""A configuration's text changed as little as its new content allows, and masked secrets put back. Opens no file.

What nobody changed stays as it was written: comments, order, spacing, quotes, hexadecimal numbers.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from dataclasses import dataclass

from ccrouter.config.restore import IDENTITIES, NEW_TEXT, keep_secrets
from ccrouter.config.spans import (
    Entry,
    Node,
    ScanError,
    has_comment,
    indentation,
    is_open,
    joined,
    scan,
    starts_line,
)
from ccrouter.config.syntax import parse
from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import Json, JsonObject

__all__ = ["keep_secrets", "rewrite"]

_DEFAULT_UNIT = "  "
# Lone surrogates have no UTF-8; the line separators are line ends to some editors, and to JSON5 outside of strings.
_ESCAPED = re.compile("[\ud800-\udfff\u2028\u2029]")
_PATTERN = re.compile(r"[*?\[]")


def rewrite(text: str, new: JsonObject) -> str:
    """`text` (JSON or JSON5) with the least changes after which it parses to exactly `new`.

    An empty text, and one in which the changes cannot be made, becomes plain JSON. Raises ConfigError if `text` is not
    JSON5, which somebody may be about to mend, or if `new` cannot be written as JSON.
    """
    try:
        if text.strip():
            if is_same(parse(text, "the present configuration").tree, new):
                return text
            edited = _edit(text, new)
            if _says(edited, new):
                return edited
        plain = _Style(unit=_DEFAULT_UNIT, line_end=_line_end(text)).render(new, "") + _line_end(text)
        if is_same(parse(plain, NEW_TEXT).tree, new):
            return plain
    except RecursionError:
        raise ConfigError([Problem(NEW_TEXT, "", "is nested too deeply")]) from None
    raise ConfigError([Problem(NEW_TEXT, "", "cannot be written as JSON")])


def is_same(one: Json, other: Json) -> bool:
    """True if both are the same JSON: 1, 1.0 and true are three things, and the order of patterns counts."""
    return _is_same(joined(one), joined(other))


def _is_same(one: Json, other: Json) -> bool:
    match one, other:
        case dict(), dict():
            if any(map(_PATTERN.search, one)) and list(one) != list(other):
                return False
            return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(_is_same, one, other))
        case str(), str():
            return one == other
        case float(), float():
            return repr(one) == repr(other)  # -0.0 == 0.0
        case _:
            return type(one) is type(other) and one == other


def _says(text: str, new: JsonObject) -> bool:
    """True if `text` parses to `new`. It need not parse at all: the check is what makes the edits safe to try."""
    try:
        return bool(text) and is_same(parse(text, NEW_TEXT).tree, new)
    except ConfigError:
        return False


def _edit(text: str, new: JsonObject) -> str:
    """`text` with the changes made, "" if the scanner does not understand it."""
    try:
        root = scan(text)
    except ScanError:
        return ""
    style = _Style(_unit(root), _line_end(text))
    indent = indentation(text[: root.start]) or ""
    return text[: root.start] + _Editor(style).change(root, joined(new), indent, is_inline=False) + text[root.end :]


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(root: Node) -> str:
    """One step of the text's own indentation."""
    first = next((found for entry in root.entries or () if (found := indentation(entry.lead))), "")
    base = indentation(root.closing) or ""
    return first.removeprefix(base) or _DEFAULT_UNIT


@dataclass(frozen=True, slots=True)
class _Style:
    """How new values are written."""

    unit: str
    line_end: str

    def render(self, value: Json, indent: str, *, is_inline: bool = False) -> str:
        """`value` as plain JSON; its lines after the first begin with `indent`."""
        text = json.dumps(value, ensure_ascii=False, indent=None if is_inline else self.unit)
        text = _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        return text.replace("\n", self.line_end + indent)


@dataclass(slots=True)
class _Slot:
    """An entry as it will be: from an old one, or new."""

    old: Entry | None
    name: str
    value: Json
    lead: str = ""


class _Editor:
    """Changes values in place, deepest first; each call gives the new text of one value."""

    def __init__(self, style: _Style) -> None:
        self.style = style

    def change(self, node: Node, new: Json, indent: str, *, is_inline: bool) -> str:
        """The text of `node` once it means `new`; `indent` is that of the line it stands on."""
        if _is_same(node.value, new):
            return node.text
        if isinstance(node.value, dict) and isinstance(new, dict):
            slots = _object_slots(node, new)
        elif isinstance(node.value, list) and isinstance(new, list):
            slots = _list_slots(node, new)
        else:
            return self.style.render(new, indent, is_inline=is_inline)
        assert node.entries is not None
        between = node.opening + node.closing
        if not slots and not has_comment(between + "".join(entry.lead for entry in node.entries)):
            return node.text[0] + node.text[-1]
        if not node.entries and not between.strip():
            return self.style.render(new, indent, is_inline=is_inline)
        return self._assemble(node, slots, indent)

    def _assemble(self, node: Node, slots: list[_Slot], indent: str) -> str:
        entries = node.entries or []
        closing = _keep_comments(entries, slots, node.closing, self.style.line_end)
        layout = _Layout(node, slots, indent, self.style)
        closing = layout.settle(closing)
        ends_in_comma = bool(entries) and entries[-1].has_comma
        parts = [node.text[0], node.opening]
        for place, slot in enumerate(slots):
            needs_comma = place < len(slots) - 1 or ends_in_comma
            parts += [_line_break(parts[-1], slot.lead, self.style.line_end), slot.lead]
            parts += self._entry(slot, layout, needs_comma=needs_comma)
        return "".join([*parts, _line_break(parts[-1], closing, self.style.line_end), closing, node.text[-1]])

    def _entry(self, slot: _Slot, layout: _Layout, *, needs_comma: bool) -> list[str]:
        """The parts of an entry after its lead; the last one is what follows on its line."""
        comma = "," if needs_comma else ""
        own = indentation(slot.lead)
        indent = layout.indent if own is None else own
        if slot.old is None:
            head = f"{self.style.render(slot.name, '')}: " if layout.is_object else ""
            return [head, self.style.render(slot.value, indent, is_inline=layout.is_inline), comma, ""]
        value = self.change(slot.old.node, slot.value, indent, is_inline=layout.is_inline)
        gap = slot.old.gap if needs_comma or has_comment(slot.old.gap) else ""
        if not needs_comma and is_open(gap):
            gap += self.style.line_end
        return [slot.old.head, value, gap, comma, slot.old.note]


class _Layout:
    """How the entries of one object or list are arranged: each on its own line, or all on one."""

    def __init__(self, node: Node, slots: list[_Slot], indent: str, style: _Style) -> None:
        self.is_object = isinstance(node.value, dict)
        self._entries = node.entries or []
        self._slots = slots
        self._style = style
        found = [own for entry in self._entries if (own := indentation(entry.lead)) is not None]
        self._own_indent = found[0] if found else None
        self.is_inline = self._own_indent is None and (bool(self._entries) or indentation(node.closing) is None)
        self.indent = indent

    def settle(self, closing: str) -> str:
        """After the call each slot has its lead; gives what stands before the closing bracket."""
        if not self._entries:
            return self._settle_first(closing)
        separator = next((entry.lead for entry in self._entries[1:] if not has_comment(entry.lead)), " ")
        edge = self._entries[0].lead if not has_comment(self._entries[0].lead) else ""
        neighbour = self.indent + self._style.unit if self._own_indent is None else self._own_indent
        for place, slot in enumerate(self._slots):
            if self.is_inline and not has_comment(slot.lead):
                slot.lead = separator if place else edge
            elif slot.old is None:
                slot.lead = self._style.line_end + neighbour
            own = indentation(slot.lead)
            neighbour = neighbour if own is None else own
        return closing

    def _settle_first(self, closing: str) -> str:
        """New entries of what held only comments: after them, and under them if they are on lines of their own."""
        if self.is_inline:
            for slot in self._slots:
                slot.lead = " "
            return closing
        base = indentation(closing) or ""
        comments = closing.rstrip() if has_comment(closing) else ""
        first_comment = indentation(split_comment(closing))
        own = first_comment if comments and first_comment is not None else base + self._style.unit
        for place, slot in enumerate(self._slots):
            slot.lead = (comments if place == 0 else "") + self._style.line_end + own
        return self._style.line_end + base


def split_comment(trivia: str) -> str:
    """`trivia` up to its first comment."""
    return trivia[: trivia.find("/")]


def _line_break(before: str, after: str, line_end: str) -> str:
    """What has to stand between two pieces so that a line comment at the end of the first does not take the second."""
    return line_end if is_open(before) and not starts_line(after) else ""


def _keep_comments(entries: list[Entry], slots: list[_Slot], closing: str, line_end: str) -> str:
    """Gives each kept slot its lead, with the comments that stood above entries removed before it; and the closing."""
    kept = {id(slot.old): slot for slot in slots if slot.old}
    carried = ""
    for entry in entries:
        slot = kept.get(id(entry))
        lead = carried + _line_break(carried, entry.lead, line_end) + entry.lead
        if slot is None:
            carried = lead.rstrip() if has_comment(lead) else ""
        else:
            slot.lead, carried = lead, ""
    return carried + _line_break(carried, closing, line_end) + closing


def _object_slots(node: Node, new: JsonObject) -> list[_Slot]:
    """The members in the order of the text, new ones after the member they follow in `new`.

    Where names are patterns, the first that fits counts: there the order is that of `new`, and a name has one place.
    """
    entries = node.entries or []
    if any(map(_PATTERN.search, new)):
        last = {entry.name: entry for entry in entries}
        return [_Slot(last.get(name), name, value) for name, value in new.items()]
    counting = {entry.name: entry for entry in entries}
    after: dict[str | None, list[_Slot]] = {None: []}  # by the member before them; None: at the beginning
    before = None
    for name, value in new.items():
        if name in counting:
            before = name
        else:
            after.setdefault(before, []).append(_Slot(None, name, value))
    slots = after[None]
    for entry in entries:
        if entry.name not in new:
            continue
        is_counting = counting[entry.name] is entry
        slots.append(_Slot(entry, entry.name, new[entry.name] if is_counting else entry.node.value))
        if is_counting:
            slots += after.get(entry.name, ())
    return slots


def _list_slots(node: Node, new: list[Json]) -> list[_Slot]:
    """The items in the order of `new`: each from the old item that is the same thing, else the one in its place."""
    entries = node.entries or []
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    for index, entry in enumerate(entries):
        waiting[_identity(entry.node.value)].append(index)
    found: list[int | None] = [waiting[key].popleft() if waiting[key] else None for key in map(_identity, new)]
    free = set(range(len(entries))) - set(found)
    slots: list[_Slot] = []
    place = 0
    for known, value in zip(found, new, strict=True):
        taken = place if known is None and place in free else known
        if taken is not None:
            free.discard(taken)
            place = taken + 1
        slots.append(_Slot(None if taken is None else entries[taken], "", value))
    return slots


def _identity(item: Json) -> str:
    """What makes an item of a list the same thing in another version of the list."""
    if isinstance(item, dict):
        named = (key for key in IDENTITIES if isinstance(item.get(key), str))
        if key := next(named, None):
            return json.dumps([key, item[key]])
    return json.dumps({"": item}, sort_keys=True)
