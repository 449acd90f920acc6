"""Reading a Messages answer: as typed events (`MessagesReader`), or only looking on while its bytes pass (`Tap`)."""

from __future__ import annotations

import msgspec

from ccrouter.errors import ErrorType, RemoteProtocolError, UpstreamStatus
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import (
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
    Usage,
    WireUsage,
)
from ccrouter.messages.fault import STATUS_BY_TYPE
from ccrouter.messages.grammar import Grammar, GrammarBreach
from ccrouter.sse import ServerSentEvent


class _Position(msgspec.Struct):
    """As much of a delta or a stop as order needs."""

    type: str = ""
    index: int | None = None


class _Head(msgspec.Struct):
    id: str = ""
    model: str = ""
    usage: Usage | None = None


class _Error(msgspec.Struct):
    type: str = "api_error"
    message: str = ""


class _Event(msgspec.Struct):
    """Any event, wide enough for the rare kinds."""

    type: str = ""
    index: int | None = None
    message: _Head | None = None
    content_block: JsonObject | None = None
    delta: JsonObject | None = None
    usage: Usage | None = None
    error: _Error | str | None = None


_position = msgspec.json.Decoder(_Position)
_event = msgspec.json.Decoder(_Event)
_FREQUENT = frozenset({b"content_block_delta", b"content_block_stop"})


class Tap:
    """Looks on while a stream passes: its order, its usage, the model that answered. Changes nothing.

    `name` is the name of the event just fed; `has_content` is true once a block has begun; `is_finished` once the upstream
    said why it stopped.
    """

    def __init__(self) -> None:
        self._grammar = Grammar()
        self.usage = WireUsage()
        self.answered_model = ""
        self.stop_reason: str | None = None
        self.has_content = False
        self.name = ""

    @property
    def is_finished(self) -> bool:
        return self._grammar.state in {"ending", "done"}

    @property
    def is_done(self) -> bool:
        return self._grammar.state == "done"

    def feed(self, event: ServerSentEvent) -> _Event | None:
        """Take one event; gives it decoded where it is not a plain delta or stop.

        Raises UpstreamStatus for an `error` event, RemoteProtocolError for what is not JSON or may not come here.
        """
        try:
            if event.event in _FREQUENT:
                position = _position.decode(event.data)
                self.name = event.event.decode()
                self._grammar.step(self.name, position.index)
                return None
            decoded = _event.decode(event.data)
            self.name = decoded.type or event.event.decode("latin-1")
            if self.name == "error":
                raise _status_of(decoded.error)
            self._grammar.step(self.name, decoded.index)
        except GrammarBreach as breach:
            raise RemoteProtocolError(f"the stream breaks the protocol: {breach}") from breach
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RemoteProtocolError(f"an event of the stream cannot be read: {error}") from error
        self._note(decoded)
        return decoded

    def _note(self, event: _Event) -> None:
        if event.message is not None:
            self.answered_model = event.message.model
            self._count(event.message.usage)
        elif self.name == "content_block_start":
            self.has_content = True
        elif self.name == "message_delta":
            self.stop_reason = (event.delta or {}).get("stop_reason")
            self._count(event.usage)

    def _count(self, usage: Usage | None) -> None:
        """Later figures replace earlier ones; a null or a zero input says nothing (OpenRouter sends both)."""
        if usage is None:
            return
        mine = self.usage
        mine.input_tokens = usage.input_tokens or mine.input_tokens
        mine.output_tokens = usage.output_tokens or mine.output_tokens
        mine.cache_read_input_tokens = usage.cache_read_input_tokens or mine.cache_read_input_tokens
        mine.cache_creation_input_tokens = usage.cache_creation_input_tokens or mine.cache_creation_input_tokens

    def note_body(self, body: bytes) -> None:
        """Look at an unstreamed answer. Raises RemoteProtocolError if it is none, UpstreamStatus if it is an error."""
        answer = _read_body(body)
        self.answered_model = str(answer.get("model") or "")
        self.stop_reason = answer.get("stop_reason")
        self.has_content = True
        try:
            self._count(msgspec.convert(answer.get("usage"), Usage | None))
        except msgspec.ValidationError as error:
            raise RemoteProtocolError(f"the answer's usage cannot be read: {error}") from error


class MessagesReader:
    """A Reader (dialects/base.py) of Messages answers. `asked` is the model that `message_start` will name."""

    def __init__(self, asked: str) -> None:
        self._tap = Tap()
        self._asked = asked

    @property
    def usage(self) -> WireUsage:
        return self._tap.usage

    @property
    def answered_model(self) -> str:
        return self._tap.answered_model

    def feed(self, event: ServerSentEvent) -> list[MessageEvent]:
        if not event.data.strip() or event.data == b"[DONE]":
            return []
        decoded = self._tap.feed(ServerSentEvent(b"", event.data))
        if decoded is None:
            return []
        return _typed(decoded, self._asked, self._tap.usage)

    def feed_body(self, body: bytes) -> list[MessageEvent]:
        answer = _read_body(body)
        self._tap.note_body(body)
        events: list[MessageEvent] = [
            MessageStart(MessageHead(str(answer.get("id") or ""), self._asked, WireUsage(self.usage.input_tokens)))
        ]
        for index, block in enumerate(answer.get("content") or []):
            events += _block_events(index, block)
        ending = Ending(answer.get("stop_reason"), answer.get("stop_sequence"))
        return [*events, MessageDelta(ending, self.usage), MessageStop()]

    def close(self) -> list[MessageEvent]:
        if self._tap.stop_reason is None and not self._tap.is_finished:
            raise RemoteProtocolError("the stream ended before the message was finished")
        return [MessageStop()] if self._tap.is_finished and not self._tap.is_done else []


def _typed(event: _Event, asked: str, usage: WireUsage) -> list[MessageEvent]:
    match event.type:
        case "message_start":
            head = event.message or _Head()
            return [MessageStart(MessageHead(head.id, asked, WireUsage(usage.input_tokens)))]
        case "content_block_start":
            return [BlockStart(event.index or 0, event.content_block or {"type": "text", "text": ""})]
        case "content_block_delta":
            return [BlockDelta(event.index or 0, _delta(event.delta or {}))]
        case "content_block_stop":
            return [BlockStop(event.index or 0)]
        case "message_delta":
            delta = event.delta or {}
            return [MessageDelta(Ending(delta.get("stop_reason"), delta.get("stop_sequence")), usage)]
        case "message_stop":
            return [MessageStop()]
        case "ping":
            return [Ping()]
        case _:
            return []


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
    match block:
        case {"type": "text", "text": str(text), **rest}:
            start, deltas = {"type": "text", "text": "", **rest}, [TextDelta(text)] if text else []
        case {"type": "thinking", "thinking": str(text), **rest}:
            seal = SignatureDelta(str(rest.get("signature") or ""))
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [*([ThinkingDelta(text)] if text else []), *([seal] if seal.signature else [])]  # type: ignore[list-item]
        case {"type": "tool_use" | "server_tool_use", "input": arguments, **rest}:
            start = {"type": block["type"], **rest, "input": {}}
            deltas = [InputJsonDelta(msgspec.json.encode(arguments).decode())]  # type: ignore[list-item]
        case _:
            start, deltas = block, []
    return [BlockStart(index, start), *(BlockDelta(index, delta) for delta in deltas), BlockStop(index)]


def _read_body(body: bytes) -> JsonObject:
    try:
        answer = msgspec.json.decode(body, type=JsonObject)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the answer is not a JSON object: {error}") from error
    if answer.get("type") == "error" or ("error" in answer and "content" not in answer):
        error_member = answer.get("error")
        raise _status_of(
            _Error(str(error_member.get("type") or "api_error"), str(error_member.get("message") or ""))
            if isinstance(error_member, dict)
            else str(error_member)
        )
    if not isinstance(answer.get("content"), list):
        raise RemoteProtocolError("the answer is JSON, but not a message: it has no content")
    return answer


def _status_of(error: _Error | str | None) -> UpstreamStatus:
    """An error inside a 200 as the status that it would have had."""
    if not isinstance(error, _Error):
        return UpstreamStatus(error or "the provider reported an error without a word", status=502, type="api_error")
    kind: ErrorType = error.type if error.type in STATUS_BY_TYPE else "api_error"  # type: ignore[assignment]
    return UpstreamStatus(error.message or error.type, status=STATUS_BY_TYPE[kind], type=kind)
