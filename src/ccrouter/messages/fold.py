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


class Fold:
    """Takes every event of a stream; `close` gives the message."""

    def __init__(self) -> None:
        self._message: Message | None = None
        self._pieces: list[str] = []
        self._finished = False

    def feed(self, event: MessageEvent) -> None:
        """Take one event. An `error` event raises UpstreamStatus: an unstreamed answer can still be an error."""
        match event:
            case MessageStart(message=head):
                self._message = Message(id=head.id, model=head.model, content=[], stop_reason=None, usage=head.usage)
            case BlockStart(content_block=block):
                self._content.append(msgspec.to_builtins(block))
                self._pieces = []
            case BlockDelta(delta=delta):
                self._grow(delta)
            case BlockStop():
                self._end_block()
            case MessageDelta(delta=ending, usage=usage):
                message = self._open_message()
                message.stop_reason = ending.stop_reason
                message.stop_sequence = ending.stop_sequence
                message.usage = usage
                self._finished = True
            case ErrorEvent(error=error):
                raise UpstreamStatus(error.message, status=502, type=error.type)
            case _:
                pass

    def close(self) -> Message:
        """The whole message. Raises RemoteProtocolError if the stream never said that it was finished."""
        if self._message is None or not self._finished:
            raise RemoteProtocolError("the answer ended before it was finished")
        return self._message

    @property
    def _content(self) -> list[JsonObject]:
        return self._open_message().content

    def _open_message(self) -> Message:
        if self._message is None:
            raise LocalProtocolError("an event before message_start")
        return self._message

    def _grow(self, delta: object) -> None:
        block = self._content[-1]
        match delta:
            case TextDelta(text=piece):
                self._pieces.append(piece)
            case ThinkingDelta(thinking=piece):
                self._pieces.append(piece)
            case InputJsonDelta(partial_json=piece):
                self._pieces.append(piece)
            case SignatureDelta(signature=signature):
                block["signature"] = signature
            case _:
                raise LocalProtocolError(f"a delta of an unknown kind: {delta!r}")

    def _end_block(self) -> None:
        block, joined = self._content[-1], "".join(self._pieces)
        if block["type"] in {"text", "thinking"}:
            block[block["type"]] = joined
        elif block["type"] == "tool_use":
            block["input"] = _arguments(joined, str(block["name"]))
        self._pieces = []


def _arguments(text: str, tool: str) -> JsonObject:
    """A tool's input. Raises RemoteProtocolError if the model wrote no JSON object: there is no honest way to send
    half a call in an unstreamed answer, and an error is retried.
    """
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=JsonObject)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the model's arguments for tool {tool} are not a JSON object: {error}") from error
