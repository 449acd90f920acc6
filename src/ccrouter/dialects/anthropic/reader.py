"""Reading a Messages answer: as typed events (`MessagesReader`), or only looking on while its bytes pass (`Tap`)."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from ccrouter.dialects.bills import cost_reported, count_of, refresh, service_of
from ccrouter.dialects.upstream_error import explain_error_object
from ccrouter.errors import RemoteProtocolError, UpstreamStatus
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.messages.events import (
    Billed,
    BlockDelta,
    BlockStart,
    BlockStop,
    Delta,
    Ending,
    InputJsonDelta,
    MessageDelta,
    MessageEvent,
    MessageHead,
    MessageStart,
    MessageStop,
    Ping,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    WireUsage,
    adds_content,
    begins_content,
)
from ccrouter.messages.grammar import KNOWN_EVENTS, Grammar, GrammarBreach
from ccrouter.sse import ServerSentEvent


class _Position(msgspec.Struct):
    """As much of a delta or a stop as order needs."""

    type: str = ""
    index: int | None = None


class _Head(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: Any = None


class _Event(msgspec.Struct):
    """Any event, wide enough for the rare kinds. What only informs (usage, an error's words) may be of any type."""

    type: str = ""
    index: int | None = None
    message: _Head | None = None
    content_block: JsonObject | None = None
    delta: JsonObject | None = None
    usage: Any = None
    error: Any = None


_position = msgspec.json.Decoder(_Position)
_event = msgspec.json.Decoder(_Event)
#: Of blocks by type, the members that are text.
_TEXTS = {
    "text": ("text",), "thinking": ("thinking", "signature"), "redacted_thinking": ("data",),
    "tool_use": ("id", "name"), "server_tool_use": ("id", "name"),
}  # fmt: skip
_FREQUENT = frozenset({b"content_block_delta", b"content_block_stop"})
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Tap:
    """Looks on while a stream passes: its order, its usage, the model that answered. Changes nothing.

    `name` is the name of the event just fed; `has_content` is true once a block has something in it;
    `is_finished` once the upstream said why it stopped, `is_done` once nothing more can come.
    """

    def __init__(self) -> None:
        self._grammar = Grammar()
        self._is_body = False
        self.usage = WireUsage()
        self.billed = Billed()
        self.answered_model = ""
        self.stop_reason: str | None = None
        self.has_content = False
        self.tells_usage = False  # in the event just fed, or in the body
        self.name = ""

    @property
    def open_blocks(self) -> list[int]:
        """The blocks that have begun and not ended."""
        return sorted(self._grammar.open)

    @property
    def is_finished(self) -> bool:
        return self._is_body or self._grammar.state in {"ending", "done"}

    @property
    def is_done(self) -> bool:
        return self._is_body or self._grammar.state == "done"

    def feed(self, event: ServerSentEvent) -> None:
        """Take one event.

        Raises UpstreamStatus for an `error` event, RemoteProtocolError for what is not JSON or may not come here.
        """
        if not self.has_content or event.event not in _FREQUENT:
            self.read(event)
            return
        try:
            position = _position.decode(event.data)
        except _UNREADABLE as error:
            raise _unreadable(error) from error
        self.name = event.event.decode()
        self._step(position.index)

    def read(self, event: ServerSentEvent) -> _Event:
        """Take one event and give it decoded. Raises as `feed`."""
        try:
            decoded = _event.decode(event.data)
        except _UNREADABLE as error:
            decoded = _Event(_name(event))
            if decoded.type in KNOWN_EVENTS or not decoded.type:
                raise _unreadable(error) from error
        self.name = decoded.type or event.event.decode("latin-1")
        if self.name == "error":
            raise _status_of(decoded.error)
        self._step(decoded.index)
        if self.name == "message_start" and decoded.message is not None:
            self.answered_model = decoded.message.model or ""
            self._count(decoded.message.usage)
        elif self.name == "content_block_start":
            self.has_content = self.has_content or begins_content(decoded.content_block or {})
        elif self.name == "content_block_delta":
            self.has_content = self.has_content or adds_content(decoded.delta or {})
        elif self.name == "message_delta":
            self.stop_reason = _word((decoded.delta or {}).get("stop_reason")) or self.stop_reason
            self._count(decoded.usage)
            self.tells_usage = isinstance(decoded.usage, dict)
        return decoded

    def note_body(self, body: bytes) -> JsonObject:
        """Look at an unstreamed answer, and give it decoded.

        Raises RemoteProtocolError if it is none, UpstreamStatus if it is an error.
        """
        answer = _read_body(body)
        self.answered_model = str(answer.get("model") or "")
        self.stop_reason = _word(answer.get("stop_reason"))
        self.has_content = self._is_body = True
        self._count(answer.get("usage"))
        self.tells_usage = isinstance(answer.get("usage"), dict)
        return answer

    def _step(self, index: int | None) -> None:
        try:
            self._grammar.step(self.name, index)
        except GrammarBreach as breach:
            raise RemoteProtocolError(f"the stream breaks the protocol: {breach}") from breach

    def _count(self, usage: Json) -> None:
        """Later figures replace earlier ones; null, zero (OpenRouter sends both) and what is no number say nothing."""
        if not isinstance(usage, dict):
            return
        for name in WireUsage.__struct_fields__:
            value = usage.get(name)
            if isinstance(value, (int, float)) and value > 0:
                setattr(self.usage, name, int(value))
        _bill(self.billed, usage)


class MessagesReader:
    """A Reader (dialects/base.py) of Messages answers. `asked` is the model that `message_start` will name."""

    def __init__(self, asked: str) -> None:
        self._tap = Tap()
        self._asked = asked

    @property
    def usage(self) -> WireUsage:
        return self._tap.usage

    @property
    def billed(self) -> Billed:
        return self._tap.billed

    @property
    def answered_model(self) -> str:
        return self._tap.answered_model

    def feed(self, event: ServerSentEvent) -> list[MessageEvent]:
        if not event.data.strip() or event.data == b"[DONE]":
            return []
        decoded = self._tap.read(event)
        return _typed(self._tap.name, decoded, self._asked, self._tap.usage)

    def feed_body(self, body: bytes) -> list[MessageEvent]:
        answer = self._tap.note_body(body)
        events: list[MessageEvent] = [_message_start(answer.get("id"), self._asked, self.usage)]
        for index, block in enumerate(answer["content"]):
            events += _block_events(index, _sound(block))
        return [*events, MessageDelta(_ending(answer), self.usage), MessageStop()]

    def close(self) -> list[MessageEvent]:
        if not self._tap.is_finished:
            raise RemoteProtocolError("the stream ended before the message was finished", kind="cut")
        return [] if self._tap.is_done else [MessageStop()]


def _bill(billed: Billed, usage: JsonObject) -> None:
    """What `usage` says beyond tokens: Anthropic's own members, and those that OpenRouter adds."""
    written, used, details = (
        usage.get("cache_creation"),
        usage.get("server_tool_use"),
        usage.get("output_tokens_details"),
    )
    refresh(
        billed,
        thinking=count_of(details.get("thinking_tokens")) if isinstance(details, dict) else 0,
        hour=count_of(written.get("ephemeral_1h_input_tokens")) if isinstance(written, dict) else 0,
        searches=count_of(used.get("web_search_requests")) if isinstance(used, dict) else 0,
        cost=cost_reported(usage.get("cost"), usage.get("is_byok"), usage.get("cost_details")),
        service=service_of(usage.get("speed"), usage.get("service_tier"), usage.get("inference_geo")),
    )


def _message_start(id_: object, asked: str, usage: WireUsage) -> MessageStart:
    return MessageStart(MessageHead(str(id_ or ""), asked, copy.copy(usage)))


def _typed(name: str, event: _Event, asked: str, usage: WireUsage) -> list[MessageEvent]:
    match name:
        case "message_start":
            return [_message_start(event.message and event.message.id, asked, usage)]
        case "content_block_start":
            return [BlockStart(event.index or 0, _start(_sound(event.content_block or {})))]
        case "content_block_delta":
            return [BlockDelta(event.index or 0, _delta(event.delta or {}))]
        case "content_block_stop":
            return [BlockStop(event.index or 0)]
        case "message_delta":
            return [MessageDelta(_ending(event.delta or {}), usage)]
        case "message_stop":
            return [MessageStop()]
        case "ping":
            return [Ping()]
        case _:
            return []


def _ending(members: JsonObject) -> Ending:
    return Ending(_word(members.get("stop_reason")), _word(members.get("stop_sequence")))


def _word(value: Json) -> str | None:
    """`value` if it is text; what is of another type says nothing."""
    return value if isinstance(value, str) else None


def _sound(block: JsonObject) -> JsonObject:
    """`block`, of which whoever folds or translates it can rely on the types. Raises RemoteProtocolError if not."""
    kind = block.get("type", "text")
    wrong = (
        [name for name in _TEXTS.get(kind, ()) if not isinstance(block.get(name), str | None)]
        if isinstance(kind, str)
        else ["type"]
    )
    if not isinstance(block.get("citations"), list | None):
        wrong.append("citations")
    if wrong:
        raise RemoteProtocolError(f"the answer holds a block of type {kind} whose {wrong[0]} is of a wrong type")
    return block


def _start(block: JsonObject) -> JsonObject:
    """The block as it begins, with the members that SDKs add to without looking."""
    match block.get("type", "text"):
        case "text":
            return {"type": "text", "text": "", **block}
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": "", **block}
        case _:
            return block


def _delta(delta: JsonObject) -> Delta:
    match delta:
        case {"type": "text_delta", "text": str(text)}:
            return TextDelta(text)
        case {"type": "thinking_delta", "thinking": str(text)}:
            return ThinkingDelta(text)
        case {"type": "signature_delta", "signature": str(text)}:
            return SignatureDelta(text)
        case {"type": "input_json_delta", "partial_json": str(text)}:
            return InputJsonDelta(text)
        case _:
            return delta


def _block_events(index: int, block: JsonObject) -> list[MessageEvent]:
    """A whole block as the events that stream it."""
    deltas: list[Delta] = []
    match block:
        case {"type": "text", "text": str(text), **rest}:
            start = {"type": "text", "text": "", **rest}
            deltas = [TextDelta(text)] if text else []
        case {"type": "thinking", "thinking": str(text), **rest}:
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [ThinkingDelta(text)] if text else []
            if seal := rest.get("signature"):
                deltas.append(SignatureDelta(str(seal)))
        case {"type": "tool_use" | "server_tool_use", "input": arguments, **rest}:
            start = {"type": block["type"], **rest, "input": {}}
            deltas = [InputJsonDelta(msgspec.json.encode(arguments).decode())]
        case _:
            start = block
    return [BlockStart(index, start), *(BlockDelta(index, delta) for delta in deltas), BlockStop(index)]


def _read_body(body: bytes) -> JsonObject:
    try:
        answer = msgspec.json.decode(body, type=JsonObject)
    except _UNREADABLE as error:
        raise RemoteProtocolError(f"the answer is not a JSON object: {error}") from error
    if answer.get("type") == "error" or ("error" in answer and "content" not in answer):
        raise _status_of(answer.get("error"))
    content = answer.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) and "type" in block for block in content):
        raise RemoteProtocolError("the answer is JSON, but not a message: it has no list of content blocks")
    return answer


def _name(event: ServerSentEvent) -> str:
    """The name of an event whose data cannot be read as that of any we know."""
    if event.event not in {b"", b"message"}:
        return event.event.decode("latin-1")
    try:
        return _position.decode(event.data).type
    except _UNREADABLE:
        return ""


def _unreadable(error: Exception) -> RemoteProtocolError:
    return RemoteProtocolError(f"an event of the stream cannot be read: {error}")


def _status_of(error: Json) -> UpstreamStatus:
    """An error inside a 200 as the status that it would have had."""
    return explain_error_object(error or "no message", "")
