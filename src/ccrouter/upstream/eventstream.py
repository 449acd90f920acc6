"""Amazon's event stream (application/vnd.amazon.eventstream) as the server-sent events that are inside it.

Bedrock wraps each Messages event into a binary frame: a `chunk` that holds it in base64. What is inside passes as it
is; frames that report an exception become `error` events in Messages' words.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from ccrouter.dialects.aws_error import type_of
from ccrouter.errors import Broken, RemoteProtocolError
from ccrouter.sse import frame
from ccrouter.upstream.credentials.seam import library

CONTENT_TYPE = "application/vnd.amazon.eventstream"


class _Chunk(msgspec.Struct):
    bytes: str = ""


class _Event(msgspec.Struct):
    type: str = ""


class _Fault(msgspec.Struct, rename="camel"):
    message: str = ""
    original_message: str = ""


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_chunk = msgspec.json.Decoder(_Chunk)
_event = msgspec.json.Decoder(_Event)


class Inner(Protocol):
    """An answer that has begun, as `client.UpstreamResponse`."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes: ...

    def close(self) -> None: ...


class EventStreamResponse:
    """An UpstreamResponse whose body reads as text/event-stream, over one that is an event stream of Amazon's."""

    def __init__(self, inner: Inner, provider: str) -> None:
        self._inner = inner
        self._provider = provider
        self._buffer: Any = library("botocore.eventstream", "bedrock").EventStreamBuffer()
        self._damage: type[Exception] = library("botocore.eventstream", "bedrock").ParserError
        self._waiting = 0  # bytes of a frame that is not whole yet
        self._fault: RemoteProtocolError | None = None  # raised once all that came before it was given out
        self.status = inner.status
        self.headers: Mapping[str, str] = {**inner.headers, "content-type": "text/event-stream"}

    async def read(self) -> bytes:
        """The events that are whole by now; b"" at the end. Raises UpstreamError, also for a frame cut short."""
        while self._fault is None and (chunk := await self._inner.read()):
            events = self._feed(chunk)
            if events:
                return events
        if self._fault is not None:
            raise self._fault
        if self._waiting:
            raise self._broken("it ends within a frame", "cut")
        return b""

    def close(self) -> None:
        self._inner.close()

    def _feed(self, chunk: bytes) -> bytes:
        self._waiting += len(chunk)
        self._buffer.add_data(chunk)
        events = []
        try:
            for message in self._buffer:
                self._waiting -= message.prelude.total_length
                events.append(self._event(message.headers, message.payload))
        except self._damage as error:
            self._fault = self._broken(str(error))
        except RemoteProtocolError as error:
            self._fault = error
        return b"".join(events)

    def _event(self, headers: Mapping[str, Any], payload: bytes) -> bytes:
        match headers.get(":message-type"):
            case "event" if headers.get(":event-type") == "chunk":
                return self._unwrapped(payload)
            case "exception":
                return _error(str(headers.get(":exception-type", "")), payload)
            case "error":
                words = msgspec.json.encode({"message": str(headers.get(":error-message", ""))})
                return _error(str(headers.get(":error-code", "")), words)
            case _:
                return b""  # a kind of event that only newer clients know

    def _unwrapped(self, payload: bytes) -> bytes:
        try:
            data = base64.b64decode(_chunk.decode(payload).bytes, validate=True)
            if not data:
                return b""
            return frame(_event.decode(data).type.encode(), data)
        except (*_UNREADABLE, ValueError) as error:  # binascii.Error is one; characters beyond ASCII raise it bare
            raise self._broken(f"a chunk cannot be read: {error}") from error

    def _broken(self, why: str, kind: Broken = "protocol") -> RemoteProtocolError:
        text = f"{self._provider}: the event stream is broken: {why}"
        return RemoteProtocolError(text, provider=self._provider, kind=kind)


def _error(code: str, payload: bytes) -> bytes:
    """An exception within the stream as the `error` event that a Messages API sends."""
    try:
        fault = msgspec.json.decode(payload, type=_Fault)
        words = fault.message
        if fault.original_message and fault.original_message not in words:
            words = f"{words} ({fault.original_message})"
    except _UNREADABLE:
        words = payload.decode("utf-8", "replace")
    error = {"type": type_of(code), "message": f"{code}: {words}" if words else code or "no message"}
    return frame(b"error", msgspec.json.encode({"type": "error", "error": error}))
