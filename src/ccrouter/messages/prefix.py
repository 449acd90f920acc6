"""What the beginning of a request consists of, as hashes: enough to say where two requests first differ, and nothing of
what they say. Pure data; `prefix_reader` makes it, `divergence` compares it.

A provider's prompt cache matches from the beginning, in the order tools, system, messages.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Literal, NamedTuple, TypeAlias

import msgspec

Section: TypeAlias = Literal["tools", "system", "messages"]
SECTIONS: tuple[Section, ...] = ("tools", "system", "messages")
#: What an item or a block is; the number is what is kept of it, so names are only ever added at the end.
KINDS = (
    "other", "text", "thinking", "redacted_thinking", "tool_use", "tool_result", "image", "document", "string",
    "tool", "attribution", "user", "assistant", "system", "tool_reference", "server_tool_use",
)  # fmt: skip

#: An item (a tool, a block of the system prompt, a turn): its own record, then one for each of its blocks.
Item: TypeAlias = bytes

#: Bytes of a hash. An accident among a million is as likely as one in ten thousand billions.
DIGEST = 8
LEFT_OUT, HAS_IMAGE = 1, 2
_KIND, _FLAGS = DIGEST, DIGEST + 1
# hash, kind, flags, size in bytes
_record = Layout(f"<{DIGEST}sBBI")
RECORD = _record.size


class Prefix(msgspec.Struct, frozen=True, array_like=True):
    """A request's beginning. `names` is what its body calls the sections, `settings` are hashes by name of the other
    members that a cache may depend on. `is_marked` says whether it is marked what to cache (`cache_control`).
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
        """How many bytes of JSON its items have."""
        return sum(size_of(item) for name in SECTIONS for item in self.section(name))

    @property
    def has_image(self) -> bool:
        """True if an image is anywhere in the conversation."""
        return any(item[_FLAGS] & HAS_IMAGE for item in self.messages)


class Record(NamedTuple):
    """What is kept of an item or a block."""

    digest: bytes
    kind: str
    size: int


def pack(digest: bytes, kind: int, size: int, flags: int = 0) -> Item:
    """One record. `kind` is the number of one in KINDS, `size` in bytes of JSON."""
    return _record.pack(digest, kind, flags, size)


def records(item: Item) -> list[Record]:
    """An item's own record, then those of its blocks."""
    return [Record(digest, KINDS[kind], size) for digest, kind, _, size in _record.iter_unpack(item)]


def retold(item: Item, kind: int, flags: int = 0) -> Item:
    """The item as one of another kind, with these flags beside those that it has."""
    digest, _, known, size = _record.unpack_from(item)
    return _record.pack(digest, kind, known | flags, size) + item[RECORD:]


def is_left_out(item: Item) -> bool:
    """True if no cache depends on the item."""
    return bool(item[_FLAGS] & LEFT_OUT)


def kind_of(item: Item) -> str:
    """What the item is: one of KINDS."""
    return KINDS[item[_KIND]]


def size_of(item: Item) -> int:
    """An item's size in bytes of JSON."""
    size: int = _record.unpack_from(item)[3]
    return size


def count_blocks(item: Item) -> int:
    """How many blocks an item has; one that has none counts as one."""
    return max(1, len(item) // RECORD - 1)
