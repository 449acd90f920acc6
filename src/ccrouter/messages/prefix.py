"""What the beginning of a request consists of, as hashes: enough to say where two requests first differ, and nothing of
what they say. Pure: bytes in, hashes out.

A provider's prompt cache matches from the beginning, in the order tools, system, messages. What moves or varies without
mattering to it is left out: `cache_control`, the form of a content (a text, or a list of one text block), and, for
Anthropic's own API, Claude Code's attribution and tools that are loaded only when they are searched for.

Bodies of every dialect are read as data: their members have other names (`contents`, `input`, `instructions`), and the
same shape.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from struct import Struct as Layout
from typing import Literal, NamedTuple, TypeAlias

import msgspec

#: What an item or a block is; the number is what is kept of it.
KINDS = (
    "other", "text", "thinking", "redacted_thinking", "tool_use", "tool_result", "image", "document", "string",
    "tool", "attribution", "user", "assistant", "system", "tool_reference", "server_tool_use",
)  # fmt: skip
Section: TypeAlias = Literal["tools", "system", "messages"]
SECTIONS: tuple[Section, ...] = ("tools", "system", "messages")
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

_DIGEST = 8
_KIND, _FLAGS = 8, 9
_LEFT_OUT, _HAS_IMAGE = 1, 2
# digest, kind, flags, size in bytes
_record = Layout("<8sBBI")
RECORD = _record.size
_SHELVED = 8192
_MARKER = b'"cache_control"'
_MARK = re.compile(rb'\s*"cache_control"\s*:\s*(?:\{[^{}]*\}|null)\s*')
_IMAGE = re.compile(rb'"type"\s*:\s*"image"')
_DEFERRED = re.compile(rb'"defer_loading"\s*:\s*true')
_ATTRIBUTION = re.compile(rb'\s*"x-anthropic-billing-header')
_TYPE = {name.encode(): number for number, name in enumerate(KINDS)}
_STRING, _TOOL, _BILLING = KINDS.index("string"), KINDS.index("tool"), KINDS.index("attribution")
_TEXT = KINDS.index("text")

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])

#: An item (a tool, a block of the system prompt, a turn): its own record, then one for each of its blocks.
Item: TypeAlias = bytes


class Prefix(msgspec.Struct, frozen=True, array_like=True):
    """A request's beginning. `names` is what its body calls the sections, `part` the blocks of a turn; `settings` are
    hashes by name. `is_marked` says whether the client marked what to cache.
    """

    tools: tuple[Item, ...] = ()
    system: tuple[Item, ...] = ()
    messages: tuple[Item, ...] = ()
    names: tuple[str, str, str] = ("tools", "system", "messages")
    settings: dict[str, bytes] = {}
    is_marked: bool = False

    def section(self, name: Section) -> tuple[Item, ...]:
        """The items of one section."""
        items: tuple[Item, ...] = getattr(self, name)
        return items

    @property
    def size(self) -> int:
        """How many bytes its items have."""
        return sum(size_of(item) for name in SECTIONS for item in self.section(name))

    @property
    def has_image(self) -> bool:
        """True if an image is anywhere in the conversation."""
        return any(item[_FLAGS] & _HAS_IMAGE for item in self.messages)


class Record(NamedTuple):
    """What is kept of an item or a block: `is_left_out` if no cache depends on it."""

    digest: bytes
    kind: str
    is_left_out: bool
    size: int


def records(item: Item) -> list[Record]:
    """An item's own record, then those of its blocks."""
    return [
        Record(digest, KINDS[kind], bool(flags & _LEFT_OUT), size)
        for digest, kind, flags, size in _record.iter_unpack(item)
    ]


def is_left_out(item: Item) -> bool:
    """True if no cache depends on the item."""
    return bool(item[_FLAGS] & _LEFT_OUT)


def kind_of(item: Item) -> str:
    """What the item is."""
    return KINDS[item[_KIND]]


def size_of(item: Item) -> int:
    """An item's size in bytes of JSON."""
    size: int = _record.unpack_from(item)[3]
    return size


class Reader:
    """Reads prefixes. What was read lately is remembered by its hash, so a conversation that grows costs one hash over
    what is old, and a look into what is new. `salt` makes the hashes this reader's own.
    """

    def __init__(self, salt: bytes = b"", shelved: int = _SHELVED) -> None:
        self._base = hashlib.sha256(salt)
        self._shelved = shelved
        self._items: OrderedDict[bytes, Item] = OrderedDict()
        self._lists: OrderedDict[bytes, tuple[Item, ...]] = OrderedDict()

    def read(
        self, members: Mapping[str, msgspec.Raw], *, is_first_party: bool = False, is_sent: bool = False
    ) -> Prefix:
        """The prefix of a body with these members. Of one that was not `is_sent` yet, Claude Code's attribution is left
        out in any case: most providers never see it. Raises msgspec.DecodeError for what is not JSON.
        """
        sections: dict[str, tuple[Item, ...]] = {}
        names: dict[Section, str] = {name: name for name in SECTIONS}
        is_marked = False
        leaves_out = (is_first_party or not is_sent, is_first_party)
        for name, raw in members.items():
            section = _NAMES.get(name)
            if section is None:
                continue
            text = bytes(raw)
            plain = _unmarked(text)
            is_marked = is_marked or plain is not text
            names[section] = name
            if section == "messages":
                sections[section] = tuple(self._turns(plain))
            else:
                sections[section] = self._listed(plain, section, leaves_out)
        return Prefix(
            tools=sections.get("tools", ()),
            system=sections.get("system", ()),
            messages=sections.get("messages", ()),
            names=(names["tools"], names["system"], names["messages"]),
            settings=self._settings(members),
            is_marked=is_marked,
        )

    def read_sent(
        self, body: bytes, asked: Mapping[str, msgspec.Raw], read: Prefix, *, is_first_party: bool = False
    ) -> Prefix:
        """The prefix of the `body` that was sent for a request of members `asked`, whose prefix is `read`: what passed
        untouched is not read again. Raises msgspec.DecodeError.
        """
        rest, untouched = _without(body, asked)
        members = _members.decode(rest)
        kept = {name for name, mark in untouched.items() if bytes(members.get(name, b"")) == mark}
        if len(kept) < len(untouched):  # what looked like a member of the body lies somewhere deeper
            members, kept = _members.decode(body), set()
        if "system" in kept and not is_first_party and _holds_attribution(read):
            kept.discard("system")
            members["system"] = asked["system"]
        others = {name: raw for name, raw in members.items() if name not in kept}
        found = self.read(others, is_first_party=is_first_party, is_sent=True)
        if not kept:
            return found
        sections = {name: read.section(name) for name in SECTIONS if name in kept}
        is_marked = found.is_marked or (read.is_marked and any(_MARKER in bytes(asked[name]) for name in kept))
        return msgspec.structs.replace(found, is_marked=is_marked, **sections)

    def _settings(self, members: Mapping[str, msgspec.Raw]) -> dict[str, bytes]:
        return {name: self._hash(raw) for name, raw in members.items() if name in SETTINGS}

    def _hash(self, *pieces: bytes | msgspec.Raw) -> bytes:
        hashed = self._base.copy()
        for piece in pieces:
            hashed.update(piece)
        return hashed.digest()[:_DIGEST]

    def _turns(self, text: bytes) -> Iterator[Item]:
        if not text.lstrip().startswith(b"["):  # Responses: an input that is one text
            yield self._single(text)
            return
        shelf = self._items
        for raw in _list.decode(text):
            key = self._hash(raw)
            item = shelf.get(key)
            if item is None:
                item = shelf[key] = self._item(raw)
                if len(shelf) > self._shelved:
                    shelf.popitem(last=False)
            else:
                shelf.move_to_end(key)
            yield item

    def _listed(self, text: bytes, section: Section, leaves_out: tuple[bool, bool]) -> tuple[Item, ...]:
        """The items of the tools or the system prompt."""
        key = self._hash(section.encode(), bytes(leaves_out), text)
        items = self._lists.get(key)
        if items is None:
            items = self._lists[key] = tuple(self._split(text, section, leaves_out))
            if len(self._lists) > 256:
                self._lists.popitem(last=False)
        else:
            self._lists.move_to_end(key)
        return items

    def _split(self, text: bytes, section: Section, leaves_out: tuple[bool, bool]) -> Iterator[Item]:
        if not text.lstrip().startswith(b"["):
            if text.strip() != b"null":
                yield self._single(text)
            return
        attribution, deferred = leaves_out
        for raw in _list.decode(text):
            item = self._item(raw)
            if section == "tools":
                is_out = deferred and _DEFERRED.search(raw) is not None
                yield _retold(item, _TOOL, _LEFT_OUT if is_out else 0)
            elif _is_attribution(raw):
                yield _retold(item, _BILLING, _LEFT_OUT if attribution else 0)
            else:
                yield item

    def _single(self, text: bytes) -> Item:
        """A text where a list may stand too, or the one object of Gemini's system instruction."""
        if text.lstrip().startswith(b"{"):
            return self._item(msgspec.Raw(text))
        return _record.pack(self._hash(b"text", text.strip()), _STRING, 0, len(text))

    def _item(self, raw: msgspec.Raw) -> Item:
        text = bytes(raw)
        if not text.lstrip().startswith(b"{"):
            return self._single(text)
        members = _members.decode(raw)
        kind = _kind(members)
        for name in _PARTS:
            content = members.get(name)
            if content is None:
                continue
            inner = bytes(content)
            blocks = self._blocks(inner)
            if blocks is None:
                continue
            others = [b"%b\0%b" % (key.encode(), bytes(value)) for key, value in members.items() if key != name]
            flags = _HAS_IMAGE if _IMAGE.search(inner) else 0
            return b"".join((_record.pack(self._hash(b"\0".join(others)), kind, flags, len(text)), *blocks))
        return self._block(raw, members)

    def _blocks(self, inner: bytes) -> list[bytes] | None:
        """The records of a content's blocks; None if it has none."""
        if inner.startswith(b'"'):
            return [_record.pack(self._hash(b"text", inner), _STRING, 0, len(inner))]
        if not inner.startswith(b"["):
            return None
        return [
            self._block(raw, _members.decode(raw)) if bytes(raw[:1]) == b"{" else self._single(bytes(raw))
            for raw in map(_as_bytes, _list.decode(inner))
        ]

    def _block(self, raw: bytes | msgspec.Raw, members: Mapping[str, msgspec.Raw]) -> bytes:
        kind = _kind(members)
        is_plain = kind == _TEXT and members.keys() <= {"type", "text"} and "text" in members
        digest = self._hash(b"text", members["text"]) if is_plain else self._hash(raw)
        return _record.pack(digest, kind, 0, len(bytes(raw)))


def _as_bytes(raw: msgspec.Raw) -> bytes:
    return bytes(raw)


def _kind(members: Mapping[str, msgspec.Raw]) -> int:
    said = members.get("type") or members.get("role")
    return _TYPE.get(bytes(said).strip(b'"'), 0) if said is not None else 0


def _is_attribution(raw: msgspec.Raw) -> bool:
    if b"x-anthropic-billing-header" not in bytes(raw):
        return False
    members = _members.decode(raw)
    return _ATTRIBUTION.match(bytes(members.get("text", b""))) is not None


def _holds_attribution(prefix: Prefix) -> bool:
    return any(item[_KIND] == _BILLING for item in prefix.system)


def _retold(item: Item, kind: int, flags: int) -> Item:
    digest, _, known, size = _record.unpack_from(item)
    return _record.pack(digest, kind, known | flags, size) + item[RECORD:]


def _unmarked(text: bytes) -> bytes:
    """`text` without its members `cache_control`; itself if it has none. Within a string they would be escaped."""
    at = text.find(_MARKER)
    if at < 0:
        return text
    kept: list[bytes] = []
    start = 0
    while at >= 0:
        comma = at
        while text[comma - 1 : comma] in (b" ", b"\n", b"\t", b"\r"):
            comma -= 1
        found = _MARK.match(text, at)
        if found is None or text[comma - 1 : comma] not in (b",", b"{"):
            at = text.find(_MARKER, at + 1)
            continue
        end = found.end()
        if text[comma - 1 : comma] == b",":
            kept.append(text[start : comma - 1])
        else:
            kept.append(text[start:comma])
            end += text[end : end + 1] == b","
        start = end
        at = text.find(_MARKER, end)
    return b"".join([*kept, text[start:]])


def _without(body: bytes, asked: Mapping[str, msgspec.Raw]) -> tuple[bytes, dict[Section, bytes]]:
    """The body with those sections that it has exactly as `asked` has them replaced by numbers; and these by name."""
    spans: list[tuple[int, int, Section]] = []
    for name in SECTIONS:
        raw = asked.get(name)
        if raw is None:
            continue
        value, label = bytes(raw), b'"%b":' % name.encode()
        at = body.find(label)
        while at >= 0 and not body.startswith(value, at + len(label)):
            at = body.find(label, at + 1)
        if at >= 0:
            spans.append((at + len(label), at + len(label) + len(value), name))
    marks: dict[Section, bytes] = {}
    pieces: list[bytes] = []
    start = 0
    for number, (begin, end, name) in enumerate(sorted(spans)):
        if begin < start:
            continue
        marks[name] = b"-9007199254%d" % (740990 + number)
        pieces += (body[start:begin], marks[name])
        start = end
    return b"".join([*pieces, body[start:]]), marks


def read_prefix(members: Mapping[str, msgspec.Raw], *, is_first_party: bool = False) -> Prefix:
    """The prefix of one body, by a reader of its own. Raises msgspec.DecodeError."""
    return Reader().read(members, is_first_party=is_first_party)
