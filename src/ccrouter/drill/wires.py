"""Answers and errors as providers put them, in each wire format. Pure.

Messages, Chat Completions and Responses are written by the router's own writers for clients of these; nobody is served
in Gemini's format, so that is written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import msgspec

from ccrouter.config.schema import DialectName
from ccrouter.dialects.openai_chat.served import SERVED as CHAT
from ccrouter.dialects.openai_responses.served import SERVED as RESPONSES
from ccrouter.drill.truth import TOOL_NAME, Said
from ccrouter.errors import ErrorType
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.messages.events import (
    BlockDelta,
    ErrorBody,
    ErrorEvent,
    InputJsonDelta,
    Message,
    MessageDelta,
    MessageEvent,
    TextDelta,
    WireUsage,
    render,
)
from ccrouter.messages.fault import Fault
from ccrouter.messages.fold import Fold
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import frame

#: Google's words for statuses (google.rpc.Code).
_CODES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 402: "FAILED_PRECONDITION", 403: "PERMISSION_DENIED",
    404: "NOT_FOUND", 408: "DEADLINE_EXCEEDED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
    529: "UNAVAILABLE",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """What goes out at a time: some frames, and what they are about."""

    kind: Literal["text", "tool", "end"]
    data: bytes


class _Teller(Protocol):
    def frames(self, events: Iterable[MessageEvent]) -> bytes: ...

    def whole(self, message: Message) -> bytes: ...

    def fault(self, fault: Fault) -> bytes: ...


class Wire:
    """One answer, `said` by `model` in the words of `dialect`."""

    def __init__(self, dialect: DialectName, model: str, said: Said) -> None:
        self.dialect = dialect
        self._model = model
        self._said = said

    @cached_property
    def pieces(self) -> list[Piece]:
        """The streamed answer, in the order in which it goes out. The last piece is its end."""
        teller = self._teller()
        told = ((kind, teller.frames(events)) for kind, events in self._events())
        return [Piece(kind, data) for kind, data in told if data]

    @cached_property
    def stream(self) -> bytes:
        """The streamed answer, all of it."""
        return b"".join(piece.data for piece in self.pieces)

    @cached_property
    def whole(self) -> bytes:
        """The unstreamed answer, JSON."""
        fold = Fold()
        for _, events in self._events():
            for event in events:
                fold.feed(event)
        return self._teller().whole(fold.close())

    def error(self, status: int, kind: ErrorType, message: str) -> bytes:
        """The body of an answer that is an error, JSON."""
        fault = Fault(status, kind, message)
        match self.dialect:
            case "anthropic":
                return fault.json("req_drill")
            case "gemini":
                return msgspec.json.encode(_google_error(status, message))
            case "openai_chat":
                return msgspec.json.encode(_chat_error(fault))
            case "openai_responses":
                return RESPONSES.error(fault, "req_drill")

    def error_frames(self, status: int, kind: ErrorType, message: str) -> bytes:
        """The frames of an error inside a stream."""
        fault = Fault(status, kind, message)
        if self.dialect == "openai_chat":
            return frame(b"", msgspec.json.encode(_chat_error(fault)))
        return self._teller().fault(fault)

    def _events(self) -> Iterator[tuple[Literal["text", "tool", "end"], list[MessageEvent]]]:
        writer = MessageWriter(id="msg_drill", model=self._model, input_tokens=12)
        for words in self._said.text:
            writer.text(words)
            yield "text", writer.take()
        if self._said.call:
            writer.tool_use("0", id="toolu_drill", name=TOOL_NAME)
            yield "tool", writer.take()
        for arguments in self._said.call:
            writer.tool_input("0", arguments)
            yield "tool", writer.take()
        ending: Literal["tool_use", "end_turn"] = "tool_use" if self._said.call else "end_turn"
        writer.finish(ending, WireUsage(input_tokens=12, output_tokens=24))
        yield "end", writer.take()

    def _teller(self) -> _Teller:
        match self.dialect:
            case "anthropic":
                return _Messages()
            case "openai_chat":
                return CHAT.read(_chat_request(self._model)).writer(asked=self._model)
            case "openai_responses":
                return RESPONSES.read(_responses_request(self._model)).writer(asked=self._model)
            case "gemini":
                return _Gemini(self._model)


class _Messages:
    def frames(self, events: Iterable[MessageEvent]) -> bytes:
        return b"".join(map(render, events))

    def whole(self, message: Message) -> bytes:
        return msgspec.json.encode(message)

    def fault(self, fault: Fault) -> bytes:
        return render(ErrorEvent(ErrorBody(fault.type, fault.message)))


class _Gemini:
    """Answers of streamGenerateContent and generateContent: every chunk is an answer of its own, calls come whole."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._arguments = ""

    def frames(self, events: Iterable[MessageEvent]) -> bytes:
        return b"".join(frame(b"", msgspec.json.encode(chunk)) for event in events for chunk in self._chunks(event))

    def whole(self, message: Message) -> bytes:
        parts: list[Json] = []
        for block in message.content:
            if block["type"] == "text":
                parts.append({"text": block["text"]})
            else:
                parts.append(_call(block["input"]))
        return msgspec.json.encode(self._chunk(parts, message.usage))

    def fault(self, fault: Fault) -> bytes:
        return frame(b"", msgspec.json.encode(_google_error(fault.status, fault.message)))

    def _chunks(self, event: MessageEvent) -> Iterator[JsonObject]:
        match event:
            case BlockDelta(delta=TextDelta(text=words)):
                yield self._chunk([{"text": words}])
            case BlockDelta(delta=InputJsonDelta(partial_json=arguments)):
                self._arguments += arguments
                if self._arguments.endswith("}"):  # the drill's own arguments: one object, nothing in it that ends so
                    yield self._chunk([_call(msgspec.json.decode(self._arguments))])
            case MessageDelta(usage=usage):
                yield self._chunk([], usage)
            case _:
                pass

    def _chunk(self, parts: list[Json], usage: WireUsage | None = None) -> JsonObject:
        candidate: JsonObject = {"content": {"role": "model", "parts": parts}, "index": 0}
        told: JsonObject = {"candidates": [candidate], "modelVersion": self._model, "responseId": "drill"}
        if usage is not None:
            candidate["finishReason"] = "STOP"
            told["usageMetadata"] = {
                "promptTokenCount": usage.input_tokens,
                "candidatesTokenCount": usage.output_tokens,
                "totalTokenCount": usage.input_tokens + usage.output_tokens,
            }
        return told


def without_usage(told: bytes) -> bytes:
    """`told`, frames or JSON, with no figures at its end."""
    if not told.startswith((b"event:", b"data:")):
        return _stripped(told)
    lines = told.split(b"\n")
    return b"\n".join(b"data: " + _stripped(line[6:]) if line.startswith(b"data: {") else line for line in lines)


def _stripped(data: bytes) -> bytes:
    members: JsonObject = msgspec.json.decode(data)
    for place in (members, members.get("response")):
        if isinstance(place, dict):
            place.pop("usage", None)
            place.pop("usageMetadata", None)
    return msgspec.json.encode(members)


def _call(arguments: Json) -> JsonObject:
    return {"functionCall": {"name": TOOL_NAME, "args": arguments}}


def _chat_error(fault: Fault) -> JsonObject:
    """As the relays of many providers put it: with the status that the provider had."""
    return {"error": {"message": fault.message, "type": fault.type, "code": fault.status}}


def _google_error(status: int, message: str) -> JsonObject:
    return {"error": {"code": status, "message": message, "status": _CODES.get(status, "UNKNOWN")}}


def _chat_request(model: str) -> bytes:
    """The least request that is answered by a stream with usage."""
    return msgspec.json.encode({
        "model": model,
        "messages": [{"role": "user", "content": "drill"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    })  # fmt: skip


def _responses_request(model: str) -> bytes:
    return msgspec.json.encode({"model": model, "input": "drill", "stream": True})
