"""Where two answers become one message: what the client has been told of the first, and how the second goes on. Pure.

    first answer   ─▶ client, and noted by `Said`: plain text only, or it may not be gone on with
    second answer  ─▶ `Seam`: its beginning left out, its first text joined to the open block, blocks numbered on,
                      usage of both ─▶ `Said` ─▶ client

Nothing is guessed: what is joined is the text exactly as it comes. White space is the one exception, because providers
take no beginning that ends in it: what was cut off it is not told a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any

import msgspec

from ccrouter.dialects.anthropic.reader import Tap
from ccrouter.dialects.base import Reader
from ccrouter.dialects.served import AnswerWriter
from ccrouter.errors import RemoteProtocolError
from ccrouter.gateway.image_agent import replace_index
from ccrouter.gateway.stream import Translation
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.carrier import is_bare
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    ErrorEvent,
    MessageDelta,
    MessageEvent,
    MessageStart,
    MessageStop,
    TextDelta,
    WireUsage,
)
from ccrouter.sse import ServerSentEvent
from ccrouter.transforms.base import EventFilter


class _Noted(msgspec.Struct):
    """As much of an event on the wire as is noted."""

    index: int = 0
    content_block: JsonObject = {}
    delta: JsonObject = {}


_noted = msgspec.json.Decoder(_Noted)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Said:
    """What the client has been told of a message. `open` is the block of text that has not ended, `next` the number of
    the next block, `count` how many pieces there were; `writer` is what renders events for the client, None for one
    that speaks Messages.
    """

    def __init__(self) -> None:
        self.writer: AnswerWriter | None = None
        self.open: int | None = None
        self.next = 0
        self.count = 0
        self._pieces: list[str] = []
        self._thinking: int | None = None
        self._is_plain = True

    @property
    def text(self) -> str:
        """All of it, of all blocks."""
        return "".join(self._pieces)

    @property
    def is_plain(self) -> bool:
        """True if it is text and nothing else: but for thinking before it that its maker did not sign."""
        return self._is_plain and self._thinking is None and any(not piece.isspace() for piece in self._pieces)

    def feed(self, events: Iterable[MessageEvent]) -> list[MessageEvent]:
        """Note events on their way to the client; they come out as they are."""
        passed = list(events)
        for event in passed:
            match event:
                case BlockStart(index=index, content_block=block):
                    self.begin(index, msgspec.to_builtins(block))
                case BlockDelta(index=index, delta=TextDelta(text=piece)):
                    self.add(index, piece)
                case BlockDelta(index=index, delta=delta):
                    self.extend(index, msgspec.to_builtins(delta))
                case BlockStop(index=index):
                    self.end(index)
                case MessageDelta() | MessageStop() | ErrorEvent():
                    self.spoil()
                case _:
                    pass
        return passed

    def begin(self, index: int, block: JsonObject) -> None:
        """A block begins."""
        self.count += 1
        self.next = max(self.next, index + 1)
        match block:
            case {"type": "text", "text": str(text), **more} if self._is_free and not any(more.values()):
                self.open = index
                self.add(index, text)
            case {"type": "thinking"} if self._is_free and not self._pieces and not block.get("signature"):
                self._thinking = index
            case _:
                self.spoil()

    def add(self, index: int, piece: str) -> None:
        """A piece of text."""
        self.count += 1
        if index != self.open:
            self.spoil()
        elif piece:
            self._pieces.append(piece)

    def extend(self, index: int, delta: JsonObject) -> None:
        """A piece of a block."""
        match delta:
            case {"type": "text_delta", "text": str(piece)} if len(delta) == 2:
                self.add(index, piece)
            case {"type": "thinking_delta", "thinking": str()} if index == self._thinking:
                self.count += 1
            case {"type": "signature_delta", "signature": str(signature)} if not signature or is_bare(signature):
                pass
            case _:
                self.spoil()

    def end(self, index: int) -> None:
        """A block ends."""
        self.count += 1
        if index == self.open:
            self.open = None
        elif index == self._thinking:
            self._thinking = None

    def spoil(self) -> None:
        """Something came that nothing can be put behind, or that cannot be asked for again."""
        self.count += 1
        self._is_plain = False

    @property
    def _is_free(self) -> bool:
        return self.open is None and self._thinking is None


class SaidTap(Tap):
    """A tap that also notes what passes."""

    def __init__(self, said: Said) -> None:
        super().__init__()
        self._said = said

    def feed(self, event: ServerSentEvent) -> None:
        super().feed(event)
        said, name = self._said, self.name
        if name in {"message_start", "ping"}:
            return
        try:
            noted = _noted.decode(event.data)
        except _UNREADABLE:  # the client may make something of it; what it means cannot be told
            said.spoil()
            return
        match name:
            case "content_block_start":
                said.begin(noted.index, {"text": "", **noted.content_block})
            case "content_block_delta":
                said.extend(noted.index, noted.delta)
            case "content_block_stop":
                said.end(noted.index)
            case _:
                said.spoil()


class Seam:
    """Joins the events of a further answer to what was `said`. `before` is the usage of all answers so far; an answer
    that adds nothing is a failed one unless it `may_be_silent`.
    """

    def __init__(self, said: Said, before: WireUsage, *, may_be_silent: bool) -> None:
        text = said.text
        self.said = said
        self._before = before
        self._may_be_silent = may_be_silent
        self._open = said.open  # the client's, until the answer has begun
        self._next = said.next
        self._known = text[len(text.rstrip()) :]  # white space that was not told to the provider
        self._indexes: dict[int, int] = {}  # theirs → the client's
        self._held: BlockStart | None = None  # a text of which nothing but that white space has come
        self._has_spoken = False

    def total(self, usage: WireUsage) -> WireUsage:
        """The usage of all answers together, this one's being `usage`."""
        return WireUsage(*(
            getattr(self._before, name) + getattr(usage, name) for name in WireUsage.__struct_fields__
        ))  # fmt: skip

    def feed(self, events: Iterable[MessageEvent]) -> list[MessageEvent]:
        """The events for the client. Raises RemoteProtocolError ("empty") at the end of an answer that adds nothing."""
        return [out for event in events for out in self._joined(event)]

    def _joined(self, event: MessageEvent) -> Iterator[MessageEvent]:
        match event:
            case MessageStart():
                pass
            case BlockStart():
                yield from self._begin(event)
            case BlockDelta(index=index, delta=TextDelta(text=piece)):
                yield from self._text(index, piece)
            case BlockStop(index=index) if self._held is not None and self._held.index == index:
                self._held = None
            case BlockDelta(index=index) | BlockStop(index=index):
                yield from self._release()
                yield replace_index(event, self._indexes[index])
            case MessageDelta(delta=ending, usage=usage):
                if not self._has_spoken and not self._may_be_silent and ending.stop_reason in {None, "", "end_turn"}:
                    raise RemoteProtocolError("the answer was to be gone on with, and nothing was added", kind="empty")
                yield from self._close()
                yield MessageDelta(ending, self.total(usage))
            case _:
                yield event

    def _begin(self, event: BlockStart) -> Iterator[MessageEvent]:
        block: dict[str, Any] = msgspec.to_builtins(event.content_block)
        if block.get("type") != "text":
            self._known, self._has_spoken = "", True
            yield from self._close()
            yield from self._number(event)
            return
        if self._open is None:
            self._held = BlockStart(event.index, {**block, "text": ""})
        else:
            self._indexes[event.index], self._open = self._open, None
        if not self._known:
            yield from self._release()
        yield from self._text(event.index, block.get("text") or "")

    def _release(self) -> Iterator[MessageEvent]:
        """The text that was held back begins."""
        held, self._held = self._held, None
        if held is not None:
            yield from self._number(held)

    def _number(self, event: BlockStart) -> Iterator[MessageEvent]:
        self._indexes[event.index] = self._next
        yield replace_index(event, self._next)
        self._next += 1

    def _text(self, index: int, piece: str) -> Iterator[MessageEvent]:
        """A piece of text, without the white space that the client has already."""
        if not piece:
            return
        self._has_spoken = True
        if self._known:
            pairs = zip(self._known, piece, strict=False)
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            self._known = self._known[shared:] if shared == len(piece) else ""
            piece = piece[shared:]
        if piece:
            yield from self._release()
            yield BlockDelta(self._indexes[index], TextDelta(piece))

    def _close(self) -> Iterator[MessageEvent]:
        """The block that was open for the client ends, if this answer has not taken it up."""
        if self._open is not None:
            yield BlockStop(self._open)
            self._open = None


class Continuation(Translation):
    """The rest of a message, by a further answer: a Pipe (gateway/stream.py)."""

    def __init__(self, reader: Reader, filters: Sequence[EventFilter], seam: Seam) -> None:
        super().__init__(reader, (*filters, seam.feed, seam.said.feed), seam.said.writer)
        self._seam = seam

    @property
    def usage(self) -> WireUsage:
        return self._seam.total(super().usage)
