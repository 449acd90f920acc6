"""Folding a stream of events into the one message that an unstreamed request gets."""

from __future__ import annotations

import msgspec

from ccrouter.errors import LocalProtocolError, RemoteProtocolError, UpstreamStatus
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    ErrorEvent,
    InputJsonDelta,
    Message,
    MessageDelta,
    MessageEvent,
    MessageStart,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)


class _Open:
    """A block whose end has not come: the block as it began, and the pieces that came since."""

    __slots__ = ("arguments", "block", "text")

    def __init__(self, block: JsonObject) -> None:
        self.block = block
        self.text: list[str] = []
        self.arguments: list[str] = []


class Fold:
    """Takes every event of a stream; `close` gives the message. Blocks may interleave, as the grammar allows."""

    def __init__(self) -> None:
        self._message: Message | None = None
        self._open: dict[int, _Open] = {}
        self._half: list[tuple[JsonObject, RemoteProtocolError]] = []  # calls whose arguments are no JSON object
        self._finished = False

    def feed(self, event: MessageEvent) -> None:
        """Take one event. An `error` event raises UpstreamStatus: an unstreamed answer can still be an error."""
        match event:
            case MessageStart(message=head):
                self._message = Message(id=head.id, model=head.model, content=[], stop_reason=None, usage=head.usage)
            case BlockStart(index=index, content_block=start):
                block: JsonObject = msgspec.to_builtins(start)
                self._open_message().content.append(block)
                self._open[index] = _Open(block)
            case BlockDelta(index=index, delta=delta):
                _grow(self._opened(index), delta)
            case BlockStop(index=index):
                opened = self._open.pop(index, None)
                if opened is None:
                    raise LocalProtocolError(f"the end of block {index}, which is not open")
                self._end(opened)
            case MessageDelta(delta=ending, usage=usage):
                message = self._open_message()
                message.stop_reason = ending.stop_reason or message.stop_reason
                message.stop_sequence = ending.stop_sequence or message.stop_sequence
                message.usage = usage
                self._finished = True
            case ErrorEvent(error=error):
                raise UpstreamStatus(error.message, status=502, type=error.type)
            case _:
                pass

    def close(self) -> Message:
        """The whole message. Raises RemoteProtocolError if the stream never said that it was finished, or if a call's
        arguments are no JSON object: there is no honest way to send half a call in an unstreamed answer, and an error
        is retried. Half a call that max_tokens cut, as the stop reason tells, is left out: it would be cut again.
        """
        message = self._message
        if message is None or not self._finished:
            raise RemoteProtocolError("the answer ended before it was finished", kind="cut")
        for block, error in self._half:
            if message.stop_reason != "max_tokens":
                raise error
            message.content.remove(block)
        return message

    def _end(self, opened: _Open) -> None:
        block = opened.block
        if opened.text or block["type"] in {"text", "thinking"}:
            member = "thinking" if block["type"] == "thinking" else "text"
            block[member] = "".join([block.get(member) or "", *opened.text])
        if opened.arguments:
            try:
                block["input"] = _arguments("".join(opened.arguments), str(block.get("name", "")))
            except RemoteProtocolError as error:
                self._half.append((block, error))

    def _open_message(self) -> Message:
        if self._message is None:
            raise LocalProtocolError("an event before message_start")
        return self._message

    def _opened(self, index: int) -> _Open:
        opened = self._open.get(index)
        if opened is None:
            raise LocalProtocolError(f"an event for block {index}, which is not open")
        return opened


def _grow(opened: _Open, delta: object) -> None:
    match delta:
        case TextDelta(text=piece):
            opened.text.append(piece)
        case ThinkingDelta(thinking=piece):
            opened.text.append(piece)
        case InputJsonDelta(partial_json=piece):
            opened.arguments.append(piece)
        case SignatureDelta(signature=signature):
            opened.block["signature"] = signature
        case {"type": "citations_delta", "citation": citation}:
            opened.block["citations"] = [*(opened.block.get("citations") or []), citation]
        case _:
            raise RemoteProtocolError(f"the answer holds a piece of an unknown kind: {_kind(delta)}")


def _kind(delta: object) -> str:
    return str(delta.get("type")) if isinstance(delta, dict) else type(delta).__name__


def _arguments(text: str, tool: str) -> JsonObject:
    """A tool's input. Raises RemoteProtocolError if the model wrote no JSON object."""
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=JsonObject)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the model's arguments for tool {tool} are not a JSON object: {error}") from error
