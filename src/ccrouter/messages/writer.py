"""The writer: the one place that makes a Messages stream. It opens, numbers and closes blocks by itself.

A dialect's reader says what arrived ("text", "a piece of this call's arguments"), in whatever order its provider sends
it, and the stream that comes out is well formed by construction: at most one block open, indexes without a gap, every
opened block closed, no end that nobody announced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from ccrouter.errors import ErrorType, LocalProtocolError, RemoteProtocolError
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Delta,
    Ending,
    ErrorBody,
    ErrorEvent,
    InputJsonDelta,
    MessageDelta,
    MessageEvent,
    MessageHead,
    MessageStart,
    MessageStop,
    RedactedThinkingBlock,
    SignatureDelta,
    StartBlock,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolUseBlock,
    WireUsage,
)
from ccrouter.messages.grammar import Grammar, GrammarBreach


class _Call:
    """A tool call: all of its arguments so far, and how many of them have been written."""

    __slots__ = ("ended", "id", "name", "pieces", "written")

    def __init__(self, id: str, name: str) -> None:  # noqa: A002 - the protocol's own word
        self.id = id
        self.name = name
        self.pieces: list[str] = []
        self.written = False
        self.ended = False

    @property
    def is_complete(self) -> bool:
        """True if nothing can follow: the provider said so, or the arguments are a whole JSON object."""
        if self.ended:
            return True
        try:
            msgspec.json.decode("".join(self.pieces), type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, RecursionError):
            return False
        return True


class MessageWriter:
    """Writes one message. Each method appends events; `take` gives what has gathered since it was last called.

    `model` is the *asked* model: Claude Code drops its own thinking from the history when an answer names another one.
    `input_tokens` is the estimate that `message_start` reports; `finish` reports the provider's own figures.

    Providers interleave, blocks must not. While the arguments of a call are unfinished, other calls and other content
    wait; they follow, in order of arrival, as soon as the call is whole.
    """

    def __init__(self, *, id: str, model: str, input_tokens: int = 0) -> None:  # noqa: A002 - the protocol's own word
        self.model = model
        self._head = MessageHead(id=id, model=model, usage=WireUsage(input_tokens=input_tokens))
        self._grammar = Grammar()
        self._events: list[MessageEvent] = []
        self._index = -1
        self._open: Literal["text", "thinking", "tool", "whole", ""] = ""
        self._signed = False
        self._call: _Call | None = None  # the call whose block is open
        self._calls: dict[str, _Call] = {}  # every call ever begun, by key
        self._waiting: list[_Call] = []
        self._held: list[Callable[[], None]] = []  # content that came in the middle of a call
        self.has_content = False  # something a reader of the answer would see has been written
        self.has_tool_use = False
        self.ended = False

    def take(self) -> list[MessageEvent]:
        """The events written since the last call, in order."""
        events, self._events = self._events, []
        return events

    # -- content -------------------------------------------------------------------------------------------------

    def text(self, piece: str) -> None:
        """A piece of visible text."""
        if not piece:
            return
        if self._call is not None and self._is_held(lambda: self.text(piece)):
            return
        if self._open != "text":
            self._begin("text", TextBlock())
        self._delta(TextDelta(piece))

    def text_end(self) -> None:
        """The text so far is a block of its own: further text begins another one."""
        if self._call is not None and self._is_held(self.text_end):
            return
        if self._open == "text":
            self._close_block()

    def citation(self, citation: JsonObject) -> None:
        """Where something in the text that is being written was taken from; nothing where no text is."""
        if self._open == "text":
            self._delta({"type": "citations_delta", "citation": citation})

    def thinking(self, piece: str) -> None:
        """A piece of the model's thinking. After a `signature` it begins a new thinking block."""
        if not piece:
            return
        if self._call is not None and self._is_held(lambda: self.thinking(piece)):
            return
        if self._open != "thinking" or self._signed:
            self._begin("thinking", ThinkingBlock())
        self._delta(ThinkingDelta(piece))

    def signature(self, signature: str) -> None:
        """The seal of the thinking just written; with no thinking open, of an empty thinking block of its own."""
        if not signature:
            return
        if self._call is not None and self._is_held(lambda: self.signature(signature)):
            return
        if self._open != "thinking" or self._signed:
            self._begin("thinking", ThinkingBlock())
        self._signed = True
        self._delta(SignatureDelta(signature))

    def block(self, block: RedactedThinkingBlock | JsonObject) -> None:
        """A block that comes whole (redacted thinking, a server tool's result): begun and ended at once."""
        if self._call is not None and self._is_held(lambda: self.block(block)):
            return
        self._begin("whole", block)
        self._close_block()

    def tool_use(self, key: str, *, id: str, name: str) -> None:  # noqa: A002 - the protocol's own word
        """A call of the tool `name` begins; `key` is the provider's own mark for it (an index, an id)."""
        if key in self._calls:
            raise LocalProtocolError(f"tool call {key} begun twice")
        call = self._calls[key] = _Call(id, name)
        self.has_tool_use = True
        if self._call is not None and self._call.is_complete:
            self._close_block()
        if self._call is None and not self._waiting:
            self._open_call(call)
        else:
            self._waiting.append(call)

    def tool_input(self, key: str, piece: str) -> None:
        """A piece of the JSON text of a call's arguments, passed on exactly as it came.

        Raises RemoteProtocolError for arguments after the end of the call: they cannot be part of valid JSON.
        """
        if not piece:
            return
        call = self._calls.get(key)
        if call is None:
            raise LocalProtocolError(f"arguments for tool call {key}, which never began")
        if call is self._call:
            call.pieces.append(piece)
            self._delta(InputJsonDelta(piece))
        elif not call.written:
            call.pieces.append(piece)
        elif piece.strip():
            raise RemoteProtocolError(f"more arguments for tool call {call.name} after they were complete")

    def tool_end(self, key: str) -> None:
        """The call's arguments are complete. Calls not ended one by one are ended by `finish`."""
        call = self._calls.get(key)
        if call is None:
            raise LocalProtocolError(f"end of tool call {key}, which never began")
        call.ended = True
        if call is self._call:
            self._close_block()
            self._release()

    # -- the end -------------------------------------------------------------------------------------------------

    def finish(self, stop_reason: str, usage: WireUsage, stop_sequence: str | None = None) -> None:
        """The provider said that it is done: held calls are written, blocks closed, reason and usage told.

        A provider that reports no input at all has the estimate told for it: Claude Code compacts by this figure, and
        by zero it never would.
        """
        if not usage.context:
            usage = WireUsage(input_tokens=self._head.usage.input_tokens, output_tokens=usage.output_tokens)
        for call in self._calls.values():
            call.ended = True
        self._close_block()
        self._release()
        self._close_block()
        self._start()
        self._put("message_delta", MessageDelta(Ending(stop_reason, stop_sequence), usage))
        self._put("message_stop", MessageStop())
        self.ended = True

    def fail(self, type: ErrorType, message: str) -> None:  # noqa: A002 - the protocol's own word
        """The stream broke: an `error` event, and nothing after it. Open blocks stay open; held calls are not sent."""
        self._put("error", ErrorEvent(ErrorBody(type, message)))
        self.ended = True

    # -- the mechanism -------------------------------------------------------------------------------------------

    def _put(self, name: str, event: MessageEvent, index: int | None = None) -> None:
        try:
            self._grammar.step(name, index)
        except GrammarBreach as breach:
            raise LocalProtocolError(str(breach)) from breach
        self._events.append(event)

    def _delta(self, delta: Delta) -> None:
        self._put("content_block_delta", BlockDelta(self._index, delta), self._index)

    def _start(self) -> None:
        if self._grammar.state == "idle":
            self._put("message_start", MessageStart(self._head))

    def _begin(self, kind: Literal["text", "thinking", "tool", "whole"], block: StartBlock) -> None:
        self._close_block()
        self._start()
        self._index += 1
        self._open = kind
        self._signed = False
        self.has_content = True
        self._put("content_block_start", BlockStart(self._index, block), self._index)

    def _close_block(self) -> None:
        if self._open:
            self._put("content_block_stop", BlockStop(self._index), self._index)
            self._open = ""
            self._call = None

    def _is_held(self, write: Callable[[], None]) -> bool:
        """True if `write` has to wait for the open call; the call is closed, and it need not, if the call is whole."""
        if self._call is not None and self._call.is_complete:
            self._close_block()
            self._release()
        if self._call is None:
            return False
        self._held.append(write)
        return True

    def _open_call(self, call: _Call) -> None:
        self._begin("tool", ToolUseBlock(call.id, call.name))
        self._call = call
        call.written = True
        if call.pieces:
            self._delta(InputJsonDelta("".join(call.pieces)))

    def _release(self) -> None:
        """Write the calls and then the content that waited, as far as nothing unfinished stands in the way."""
        while self._waiting and self._call is None:
            call = self._waiting.pop(0)
            self._open_call(call)
            if call.is_complete:
                self._close_block()
        if self._call is None and self._held:
            held, self._held = self._held, []
            for write in held:
                write()
