"""Looking on while a Responses answer passes to a client that speaks Responses too. Pure.

The bytes are the provider's, but for the model's name. What is looked for: the end, without which the answer is an
error; errors inside it; usage; the model that answered.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ccrouter.dialects.bills import cost_reported, count_of, refresh, service_of
from ccrouter.dialects.openai_error import error_of
from ccrouter.dialects.openai_responses.usage import searches_in
from ccrouter.dialects.splices import with_model
from ccrouter.dialects.upstream_error import explain_error_object
from ccrouter.errors import RemoteProtocolError
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import Billed, WireUsage
from ccrouter.messages.fault import Fault
from ccrouter.sse import ServerSentEvent, frame

#: Events that only announce the answer.
_OPENING = frozenset({
    "response.created", "response.in_progress", "response.queued", "keepalive",
    "response.content_part.added", "response.reasoning_summary_part.added",
})  # fmt: skip
#: Items that are filled piece by piece: of the others it is something to know that they begin.
_FILLED = frozenset({"message", "reasoning"})
_FINAL = frozenset({"response.completed", "response.incomplete"})
_FAILED = frozenset({"failed", "cancelled"})


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: Any = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None
    cost: Any = None
    is_byok: Any = None
    cost_details: Any = None


class _Reason(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    """A response, or as much of one as a tap looks at."""

    id: str | None = None
    created_at: float | None = None
    model: str | None = None
    status: str | None = None
    error: Any = None
    incomplete_details: _Reason | None = None
    usage: _Usage | None = None
    service_tier: Any = None
    output: list[msgspec.Raw] | None = None


class _Item(msgspec.Struct):
    type: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    sequence_number: int | None = None
    response: _Response | None = None
    item: _Item | None = None
    delta: Any = None
    error: Any = None
    code: Any = None
    message: Any = None


_event = msgspec.json.Decoder(_Event, strict=False)
_response = msgspec.json.Decoder(_Response, strict=False)


class ResponsesTap:
    """As `dialects.served.IdentityTap`. `echo` is what a response repeats of its request."""

    def __init__(self, *, asked: str, sent: str, echo: JsonObject) -> None:
        self.has_content = False
        self.is_done = False
        self.usage = WireUsage()
        self.billed = Billed()
        self.answered_model = ""
        self.stop_reason = ""
        self._asked = asked
        self._echo = echo
        self._renamed = asked if asked != sent else ""
        self._sequence = -1
        self._id = ""
        self._created: float = 0

    def feed(self, event: ServerSentEvent) -> bytes:
        data = event.data
        if data[:6] == b"[DONE]":
            return data
        told = _decode(_event, data)
        if told.sequence_number is not None:
            self._sequence = told.sequence_number
        if told.type == "error" or (told.error and told.response is None):
            raise explain_error_object(told.error or {"message": told.message, "code": told.code}, "")
        if told.response is not None:
            self._look(told.response)
        if told.type in _FINAL:
            self.is_done = True
            self._judge(told.response)
        elif not self.has_content:
            self.has_content = _says_something(told)
        if self._renamed and told.response is not None and told.response.model is not None:
            return with_model(data, self._renamed, "response")
        return data

    def feed_body(self, body: bytes) -> bytes:
        response = _decode(_response, body)
        self._look(response)
        if response.output is None:
            raise RemoteProtocolError("the answer is JSON, but no response: it has no output")
        if response.status not in {None, "completed", "incomplete"}:
            words = f"the provider's answer is not finished: its status is {response.status}"
            raise RemoteProtocolError(words, kind="cut")
        self.is_done = True
        self._judge(response)
        return with_model(body, self._renamed) if self._renamed and response.model is not None else body

    def close(self) -> bytes:
        if not self.is_done:
            raise RemoteProtocolError("the provider's answer ended before it was finished", kind="cut")
        return b""

    def fault(self, fault: Fault) -> bytes:
        error = error_of(fault)
        failed = {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "model": self._asked,
            "status": "failed",
            **self._echo,
            "error": {"code": error["code"] or error["type"], "message": fault.message},
            "output": [],
        }
        number = self._sequence + 1
        members = {"code": error["code"], "message": fault.message, "param": error["param"], "error": error}
        events: list[tuple[bytes, Any]] = [
            (b"response.failed", {"type": "response.failed", "sequence_number": number, "response": failed}),
            (b"error", {"type": "error", "sequence_number": number + 1, **members}),
        ]
        return b"".join(frame(name, msgspec.json.encode(event)) for name, event in events)

    def _judge(self, response: _Response | None) -> None:
        """The answer is complete. One that is, and holds nothing, is not worth committing to."""
        is_complete = response is None or response.status in {None, "completed"}
        self.has_content = self.has_content or not is_complete or bool(response and response.output)

    def _look(self, response: _Response) -> None:
        self._id = response.id or self._id
        self._created = response.created_at or self._created
        self.answered_model = response.model or self.answered_model
        if response.status in _FAILED or response.error:
            raise explain_error_object(response.error or {"message": f"the response is {response.status}"}, "")
        if response.usage is not None:
            self._count(response.usage, response)
        if response.status == "completed":
            self.stop_reason = "end_turn"
        elif response.status == "incomplete":
            reason = response.incomplete_details.reason if response.incomplete_details else None
            self.stop_reason = "refusal" if reason == "content_filter" else "max_tokens"

    def _count(self, usage: _Usage, response: _Response) -> None:
        details = usage.input_tokens_details or _InputDetails()
        cached, written = details.cached_tokens or 0, details.cache_write_tokens or 0
        self.usage = WireUsage(
            input_tokens=max(0, (usage.input_tokens or 0) - cached - written),
            cache_creation_input_tokens=written,
            cache_read_input_tokens=cached,
            output_tokens=usage.output_tokens or 0,
        )
        thought = usage.output_tokens_details
        refresh(
            self.billed,
            thinking=count_of(thought.reasoning_tokens) if thought else 0,
            cost=cost_reported(usage.cost, usage.is_byok, usage.cost_details),
            searches=searches_in(response.output),
            service=service_of(response.service_tier),
        )


def _decode(decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the provider sent what is no part of a response: {error}") from error


def _says_something(told: _Event) -> bool:
    """True if there is something in the event for a client, which in the announcement of what follows is not."""
    if told.type == "response.output_item.added":
        return told.item is None or told.item.type not in _FILLED
    return bool(told.delta) if told.type.endswith(".delta") else told.type not in _OPENING
