"""Reads what requests begin with. Pure: bytes in, hashes out; what was read lately is remembered, as hashes.

What moves or varies without mattering to a prompt cache is left out: `cache_control`, the form of a content (a text, or
a list of one text block), and, for Anthropic's own API, Claude Code's attribution and the tools that are loaded only
when they are searched for. Bodies of every dialect are read as data: their members have other names (`contents`,
`input`, `instructions`), and the same shape.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ccrouter.messages.prefix import (
    DIGEST,
    HAS_IMAGE,
    KINDS,
    LEFT_OUT,
    SECTIONS,
    Item,
    Prefix,
    Section,
    kind_of,
    pack,
    retold,
)

#: What the dialects call the sections.
_NAMES: dict[str, Section] = {
    "tools": "tools",
    "system": "system",
    "instructions": "system",
    "systemInstruction": "system",
    "system_instruction": "system",
    "messages": "messages",
    "input": "messages",
    "contents": "messages",
}
#: What they call the blocks of an item.
_PARTS = ("content", "parts", "functionDeclarations", "function_declarations")
#: Members beside the sections that a cache may depend on.
SETTINGS = frozenset({
    "thinking", "tool_choice", "output_config", "output_format", "speed", "reasoning", "reasoning_effort", "verbosity",
    "response_format", "text", "toolConfig", "tool_config", "generationConfig", "generation_config",
    "prompt_cache_key", "prompt_cache_retention", "cachedContent", "cached_content", "context_management",
    "mcp_servers", "service_tier", "provider",
})  # fmt: skip

#: Items that are remembered, sections (tools, system prompts), beginnings of conversations, and of those the ones that
#: begin with the same bytes.
_ITEMS, _LISTS, _OPENINGS, _ALIKE = 8192, 256, 256, 8
#: Bytes by which the beginnings are told apart, those at their end that are looked at first, and the turns at a
#: conversation's end that may still change their form.
_OPENING, _TAIL, _UNSETTLED = 2048, 64, 3
#: Bytes that the small members between two sections of a body have at most.
_BETWEEN = 4096

_MARKER = b'"cache_control"'
_MARK = re.compile(rb'\s*"cache_control"\s*:\s*(?:\{[^{}]*\}|null)\s*')
_IMAGE = re.compile(rb'"type"\s*:\s*"image"')
_DEFERRED = re.compile(rb'"defer_loading"\s*:\s*true')
_ATTRIBUTION = b"x-anthropic-billing-header"
_OPENS_ATTRIBUTION = re.compile(rb'\s*"' + _ATTRIBUTION)
_TYPE = {name.encode(): number for number, name in enumerate(KINDS)}
_STRING, _TOOL, _BILLING, _TEXT = (KINDS.index(name) for name in ("string", "tool", "attribution", "text"))

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


class _Start(NamedTuple):
    """The turns that a conversation began with: `length` bytes of its list up to the end of the last of them, the hash
    of these, and a checksum of their end.
    """

    length: int
    tail: int
    digest: bytes
    items: tuple[Item, ...]


class Reader:
    """Reads prefixes. A conversation that grows costs one hash over what is old, in which the interpreter is free for
    others, and a look into what is new. `salt` makes the hashes this reader's own.
    """

    def __init__(self, salt: bytes = b"") -> None:
        self._base = hashlib.sha256(salt)
        self._items: OrderedDict[bytes, Item] = OrderedDict()
        self._lists: OrderedDict[bytes, tuple[Item, ...]] = OrderedDict()
        self._starts: OrderedDict[bytes, list[_Start]] = OrderedDict()

    def read(
        self, members: Mapping[str, msgspec.Raw], *, is_first_party: bool = False, is_sent: bool = False
    ) -> Prefix:
        """The prefix of a body with these members. Claude Code's attribution is left out where it goes to Anthropic
        itself, and of what was not `is_sent` yet: other providers never see it. Raises msgspec.DecodeError for what is
        not JSON.
        """
        sections: dict[Section, tuple[Item, ...]] = {}
        names: dict[Section, str] = {name: name for name in SECTIONS}
        is_marked = False
        left_out = (is_first_party or not is_sent, is_first_party)
        for name, raw in members.items():
            section = _NAMES.get(name)
            if section is None or section in sections:
                continue
            names[section] = name
            if section == "messages":
                sections[section], is_here = self._turns(bytes(raw))
            else:
                plain, is_here = _unmarked(bytes(raw))
                sections[section] = self._listed(plain, section, left_out)
            is_marked = is_marked or is_here
        return Prefix(
            tools=sections.get("tools", ()),
            system=sections.get("system", ()),
            messages=sections.get("messages", ()),
            names=(names["tools"], names["system"], names["messages"]),
            settings={name: self._hash(raw) for name, raw in members.items() if name in SETTINGS},
            is_marked=is_marked,
        )

    def read_sent(
        self, body: bytes, asked: Mapping[str, msgspec.Raw], read: Prefix, *, is_first_party: bool = False
    ) -> Prefix:
        """The prefix of the `body` that was sent for a request of members `asked`, whose prefix is `read`: what passed
        untouched is not read again. Raises msgspec.DecodeError.
        """
        rest, marks = _without(body, asked)
        members = _members.decode(rest)
        kept = {name for name, mark in marks.items() if bytes(members.get(name, b"")) == mark}
        if len(kept) < sum(name in asked for name in SECTIONS):  # not all were sent as asked, or not in that order
            members = members if rest is body else _members.decode(body)
            kept = {name for name in SECTIONS if name in asked and bytes(members.get(name, b"")) == bytes(asked[name])}
        if "system" in kept and not is_first_party and any(kind_of(item) == "attribution" for item in read.system):
            kept.discard("system")
            members["system"] = asked["system"]
        others = {name: raw for name, raw in members.items() if name not in kept}
        found = self.read(others, is_first_party=is_first_party, is_sent=True)
        if not kept:
            return found
        is_all = all(name in kept for name in SECTIONS if name in asked)
        is_marked = found.is_marked or (
            read.is_marked and (is_all or any(_MARKER in bytes(asked[name]) for name in kept))
        )
        sections: dict[str, Any] = {name: read.section(name) for name in kept}
        return msgspec.structs.replace(found, is_marked=is_marked, **sections)

    def _hash(self, *pieces: bytes | msgspec.Raw) -> bytes:
        hashed = self._base.copy()
        for piece in pieces:
            hashed.update(piece)
        return hashed.digest()[:DIGEST]

    # -- conversations -----------------------------------------------------------------------------------------------

    def _turns(self, text: bytes) -> tuple[tuple[Item, ...], bool]:
        """The turns, and whether they are marked."""
        if not text.startswith(b"["):  # Responses: an input that is one text
            plain, is_marked = _unmarked(text)
            return tuple(self._split(plain, "messages", (False, False))), is_marked
        # What is known has no marks: where the text begins with it, they need not be looked for in that.
        key, start, hashed = self._find_start(text)
        rest, is_marked = _unmarked(text[start.length :])
        if is_marked and not start.length:
            text = rest
            key, start, hashed = self._find_start(text)
            rest = text[start.length :]
        raws = _list.decode(b"[" + (rest[1:] or b"]"))
        items = (*start.items, *map(self._turn, raws))
        self._note_start(key, (text[max(0, start.length - _TAIL) : start.length], rest), items, start, hashed, raws)
        return items, is_marked

    def _find_start(self, text: bytes) -> tuple[bytes, _Start, Any]:
        """The key of the beginning of `text`, what it is known to begin with, and what was hashed of it so far."""
        key = self._hash(text[:_OPENING])
        for start in self._starts.get(key, []):
            length = start.length
            if text[length : length + 1] in {b",", b"]"} and zlib.crc32(text[length - _TAIL : length]) == start.tail:
                hashed = self._base.copy()
                hashed.update(memoryview(text)[:length])
                if hashed.digest() == start.digest:
                    return key, start, hashed
        return key, _Start(0, 0, b"", ()), self._base.copy()

    def _note_start(  # noqa: PLR0913, PLR0917 - where it began, and how far it went
        self,
        key: bytes,
        texts: tuple[bytes, bytes],
        items: tuple[Item, ...],
        start: _Start,
        hashed: Any,
        raws: list[msgspec.Raw],
    ) -> None:
        """Remember how the conversation begins: its turns but for the last ones. `texts` are what is known of it, the
        end of that, and what comes after.
        """
        known, rest = texts
        settled = raws[:-_UNSETTLED]
        # Between two turns there is one comma, or nothing is remembered; so it is before the first, as "[".
        more = sum(map(len, settled)) + len(settled)
        length = start.length + more
        if not settled or length < _OPENING or rest[more : more + 1] != b",":
            return
        hashed.update(memoryview(rest)[:more])
        tail = zlib.crc32((known + rest[max(0, more - _TAIL) : more])[-_TAIL:])
        now = _Start(length, tail, hashed.digest(), items[: len(start.items) + len(settled)])
        alike = [one for one in self._starts.get(key, []) if one is not start]
        self._starts[key] = [now, *alike][:_ALIKE]
        self._starts.move_to_end(key)
        if len(self._starts) > _OPENINGS:
            self._starts.popitem(last=False)

    def _turn(self, raw: msgspec.Raw) -> Item:
        shelf, key = self._items, self._hash(raw)
        item = shelf.get(key)
        if item is None:
            item = shelf[key] = self._item(raw)
            if len(shelf) > _ITEMS:
                shelf.popitem(last=False)
        return item

    # -- tools and system prompts ------------------------------------------------------------------------------------

    def _listed(self, text: bytes, section: Section, left_out: tuple[bool, bool]) -> tuple[Item, ...]:
        key = self._hash(section.encode(), bytes(left_out), text)
        items = self._lists.get(key)
        if items is None:
            items = self._lists[key] = tuple(self._split(text, section, left_out))
            if len(self._lists) > _LISTS:
                self._lists.popitem(last=False)
        else:
            self._lists.move_to_end(key)
        return items

    def _split(self, text: bytes, section: Section, left_out: tuple[bool, bool]) -> Iterator[Item]:
        if not text.lstrip().startswith(b"["):
            if text.strip() != b"null":
                yield self._item(msgspec.Raw(text))
            return
        attribution, deferred = left_out
        for raw in _list.decode(text):
            item = self._item(raw)
            if section == "tools":
                is_out = deferred and _DEFERRED.search(raw) is not None
                yield retold(item, _TOOL, LEFT_OUT if is_out else 0)
            elif section == "system" and _is_attribution(raw):
                yield retold(item, _BILLING, LEFT_OUT if attribution else 0)
            else:
                yield item

    # -- items -------------------------------------------------------------------------------------------------------

    def _item(self, raw: msgspec.Raw) -> Item:
        text = bytes(raw).strip()
        if not text.startswith(b"{"):
            return pack(self._hash(b"text", text), _STRING, len(text))
        members = _members.decode(text)
        for name in _PARTS:
            content = members.get(name)
            blocks = None if content is None else self._blocks(bytes(content))
            if blocks is None:
                continue
            others = [b"%b\0%b" % (key.encode(), bytes(value)) for key, value in members.items() if key != name]
            flags = HAS_IMAGE if _IMAGE.search(text) else 0
            return b"".join((pack(self._hash(b"\0".join(others)), _kind(members), len(text), flags), *blocks))
        return self._block(text, members)

    def _blocks(self, inner: bytes) -> list[Item] | None:
        """The records of a content's blocks; None if it has none."""
        if inner.startswith(b'"'):
            return [pack(self._hash(b"text", inner), _STRING, len(inner))]
        if not inner.startswith(b"["):
            return None
        found: list[Item] = []
        for raw in _list.decode(inner):
            text = bytes(raw)
            is_object = text.startswith(b"{")
            found.append(
                self._block(text, _members.decode(text)) if is_object else pack(self._hash(text), 0, len(text))
            )
        return found

    def _block(self, text: bytes, members: Mapping[str, msgspec.Raw]) -> Item:
        kind = _kind(members)
        is_plain = kind == _TEXT and len(members) == 2 and "text" in members
        digest = self._hash(b"text", members["text"]) if is_plain else self._hash(text)
        return pack(digest, kind, len(text))


def read_prefix(members: Mapping[str, msgspec.Raw], *, is_first_party: bool = False) -> Prefix:
    """The prefix of one body, by a reader of its own. Raises msgspec.DecodeError."""
    return Reader().read(members, is_first_party=is_first_party)


def _kind(members: Mapping[str, msgspec.Raw]) -> int:
    said = members.get("type") or members.get("role")
    return _TYPE.get(bytes(said).strip(b'"'), 0) if said is not None else 0


def _is_attribution(raw: msgspec.Raw) -> bool:
    text = bytes(raw)
    if _ATTRIBUTION not in text or not text.startswith(b"{"):
        return False
    return _OPENS_ATTRIBUTION.match(bytes(_members.decode(text).get("text", b""))) is not None


def _unmarked(text: bytes) -> tuple[bytes, bool]:
    """`text` without its members `cache_control`, and whether it has any. What a string quotes has escaped quotes."""
    at = text.find(_MARKER)
    kept: list[bytes] = []
    start = 0
    while at >= 0:
        before = len(text[:at].rstrip()) if text[at - 1 : at].isspace() else at
        found = _MARK.match(text, at)
        if found is None:  # a value, not a name
            at = text.find(_MARKER, at + 1)
            continue
        end = found.end()
        if text[before - 1 : before] == b",":
            before -= 1
        elif text[end : end + 1] == b",":
            end += 1
        kept.append(text[start:before])
        start = end
        at = text.find(_MARKER, end)
    return (b"".join([*kept, text[start:]]), True) if kept else (text, False)


def _without(body: bytes, asked: Mapping[str, msgspec.Raw]) -> tuple[bytes, dict[Section, bytes]]:
    """The body with those sections that it has exactly as `asked` has them replaced by numbers; and these by name.

    A body that the client's own bytes make up has them in their order, and little between them; others are left alone.
    """
    marks: dict[Section, bytes] = {}
    pieces: list[bytes] = []
    start = 0
    for member, raw in asked.items():
        name = next((one for one in SECTIONS if one == member), None)
        if name is None:
            continue
        value, label = bytes(raw), b'"%b":' % name.encode()
        at = body.find(label, start, start + _BETWEEN)
        if at < 0 or not body.startswith(value, at + len(label)):
            return body, {}
        marks[name] = b"-9007199254%d" % (740990 + len(marks))
        pieces += (body[start : at + len(label)], marks[name])
        start = at + len(label) + len(value)
    return b"".join([*pieces, body[start:]]), marks
