"""What a client saw of one answer: the judge of a drill. It uses none of the router's own readers, and is strict: what
is not provably right is `misled`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from ccrouter.drill.client import Heard
from ccrouter.drill.truth import ASKED_MODEL, TOOL_INPUT, TOOL_NAME, Said

#: The whole right answer; an error that says so; anything else that ended; and what did not.
Saw = Literal["answered", "safe error", "misled", "hung"]

#: Every `error.type` of the Messages API.
_TYPES = frozenset({
    "invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
    "request_too_large", "rate_limit_error", "timeout_error", "api_error", "overloaded_error",
})  # fmt: skip
_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Verdict:
    """`why` says it in a few words: the error, or what was wrong."""

    saw: Saw
    why: str = ""


class _Breach(Exception):
    """The answer is not what the Messages API allows."""


@dataclass
class _Seen:
    """A stream as far as it was seen: its blocks, each with whether it was closed, and how it ended."""

    blocks: list[dict[str, Any]] = field(default_factory=list)
    open: int | None = None
    stop_reason: str | None = None
    has_begun: bool = False
    is_stopped: bool = False
    error: str = ""


def judge(heard: Heard, truths: tuple[Said, ...], *, streamed: bool) -> Verdict:
    """The verdict on what was heard, if one of `truths` is the whole right answer."""
    if heard.end == "late":
        return Verdict("hung", f"no end after {heard.seconds:.1f} s")
    if heard.end == "garbled":
        return Verdict("misled", "the answer is no HTTP")
    if not heard.status:
        return Verdict("misled", "the connection ended without an answer")
    try:
        if heard.status != 200:
            return _error_answer(heard)
        if streamed:
            return _stream(heard, truths)
        return _message(heard, truths)
    except _Breach as breach:
        return Verdict("misled", str(breach))


# -- errors ------------------------------------------------------------------------------------------------------------


def _error_answer(heard: Heard) -> Verdict:
    if heard.status < 400:
        raise _Breach(f"status {heard.status}")
    if heard.end != "whole":
        raise _Breach(f"an error that was cut off, status {heard.status}")
    return Verdict("safe error", f"{heard.status} {_error_in(_json(heard.body))}")


def _error_in(told: Any) -> str:
    """The error, in a line. Raises _Breach for one that is not in form."""
    error = told.get("error") if isinstance(told, dict) and told.get("type") == "error" else None
    if not isinstance(error, dict) or error.get("type") not in _TYPES or not error.get("message"):
        raise _Breach(f"an error that is not in form: {json.dumps(told)[:_SHOWN]}")
    return f"{error['type']}: {error['message']}"


# -- unstreamed --------------------------------------------------------------------------------------------------------


def _message(heard: Heard, truths: tuple[Said, ...]) -> Verdict:
    if heard.end != "whole":
        raise _Breach("an answer that was cut off, status 200")
    if not heard.headers.get("content-type", "").startswith("application/json"):
        raise _Breach(f"content type {heard.headers.get('content-type')!r} for a message")
    message = _json(heard.body)
    if (
        not isinstance(message, dict)
        or message.get("type") != "message"
        or not isinstance(message.get("content"), list)
    ):
        raise _Breach("200, and no message")
    _check_head(message)
    _check_usage(message)
    _compare(message["content"], message.get("stop_reason"), truths)
    return Verdict("answered")


# -- streamed ----------------------------------------------------------------------------------------------------------


def _stream(heard: Heard, truths: tuple[Said, ...]) -> Verdict:
    if not heard.headers.get("content-type", "").startswith("text/event-stream"):
        raise _Breach(f"content type {heard.headers.get('content-type')!r} for a stream")
    seen = _Seen()
    for event in _events(heard.body):
        _follow(seen, event)
    if seen.error:
        _check_calls(seen)
        return Verdict("safe error", f"in the stream: {seen.error}")
    if not seen.is_stopped:
        how = "was cut off" if heard.end == "cut" else "ended"
        raise _Breach(f"the stream {how} without message_stop and without an error")
    if heard.end != "whole":  # to a client that reads on to the end of the answer it is a broken one
        raise _Breach("the connection broke off after message_stop")
    _compare(seen.blocks, seen.stop_reason, truths)
    return Verdict("answered")


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    """The events of a stream that is exactly in form. Raises _Breach."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _Breach("a stream that is no UTF-8") from error
    *frames, rest = text.split("\n\n")
    if rest:
        raise _Breach(f"a frame without its end: {rest[:_SHOWN]!r}")
    for frame in frames:
        lines = [line for line in frame.split("\n") if not line.startswith(":")]
        if not lines:
            continue
        fields = [line.partition(": ") for line in lines]
        if [name for name, _, _ in fields] != ["event", "data"]:
            raise _Breach(f"a frame that is no event: {frame[:_SHOWN]!r}")
        data = _json(fields[1][2].encode())
        if not isinstance(data, dict) or data.get("type") != fields[0][2]:
            raise _Breach(f"an event called {fields[0][2]!r} that is none: {fields[1][2][:_SHOWN]}")
        yield data


def _follow(seen: _Seen, event: dict[str, Any]) -> None:
    """One event further. Raises _Breach for one that may not come now."""
    kind = event["type"]
    if seen.is_stopped or seen.error:
        raise _Breach(f"{kind} after the end" if seen.is_stopped else f"{kind} after an error")
    if kind == "ping":
        return
    if kind == "error":
        seen.error = _error_in(event)
        return
    if seen.has_begun is (kind == "message_start"):
        raise _Breach(f"{kind} {'twice' if seen.has_begun else 'before message_start'}")
    if seen.stop_reason is not None and kind != "message_stop":
        raise _Breach(f"{kind} after message_delta")
    match kind:
        case "message_start":
            seen.has_begun = True
            _check_head(event.get("message") or {})
            _check_usage(event["message"])
        case "content_block_start":
            if seen.open is not None or event.get("index") != len(seen.blocks):
                raise _Breach("a block that begins out of order")
            seen.open = len(seen.blocks)
            seen.blocks.append({**event["content_block"], "json": "", "closed": False})
        case "content_block_delta" | "content_block_stop":
            if seen.open is None or event.get("index") != seen.open:
                raise _Breach(f"{kind} without an open block")
            if kind == "content_block_stop":
                seen.blocks[seen.open]["closed"] = True
                seen.open = None
            else:
                _add(seen.blocks[seen.open], event.get("delta") or {})
        case "message_delta":
            if seen.open is not None:
                raise _Breach("message_delta while a block is open")
            seen.stop_reason = str((event.get("delta") or {}).get("stop_reason"))
            _check_usage(event)
        case "message_stop":
            if seen.stop_reason is None:
                raise _Breach("message_stop without message_delta")
            seen.is_stopped = True
        case _:
            raise _Breach(f"an event that nobody knows: {kind}")


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    match block.get("type"), delta.get("type"):
        case "text", "text_delta":
            block["text"] = block.get("text", "") + delta["text"]
        case "tool_use", "input_json_delta":
            block["json"] += delta["partial_json"]
        case "thinking", "thinking_delta" | "signature_delta":
            pass
        case kind, what:
            raise _Breach(f"{what} in a block of {kind}")


def _check_calls(seen: _Seen) -> None:
    """In a turn that failed, a call that was closed is one that a client may carry out."""
    for block in seen.blocks:
        if block.get("type") == "tool_use" and block["closed"] and _arguments(block) != TOOL_INPUT:
            raise _Breach("a call that was not finished ended as if it were")


# -- both --------------------------------------------------------------------------------------------------------------


def _check_head(message: dict[str, Any]) -> None:
    if message.get("role") != "assistant" or not message.get("id"):
        raise _Breach("a message without a role or an id")
    if message.get("model") != ASKED_MODEL:
        raise _Breach(f"the answer names the model {message.get('model')!r}, {ASKED_MODEL!r} was asked for")


def _check_usage(told: dict[str, Any]) -> None:
    usage = told.get("usage")
    if not isinstance(usage, dict) or not isinstance(usage.get("output_tokens"), int):
        raise _Breach(f"{told.get('type')} without usage, which clients add up without looking")


def _compare(blocks: list[dict[str, Any]], stop_reason: str | None, truths: tuple[Said, ...]) -> None:
    """Raises _Breach if that is none of the answers that were to come."""
    text = "".join(block.get("text", "") for block in blocks if block.get("type") == "text")
    calls = [(block.get("name"), _arguments(block)) for block in blocks if block.get("type") == "tool_use"]
    for said in truths:
        expected = [(TOOL_NAME, TOOL_INPUT)] if said.call else []
        if text == "".join(said.text) and calls == expected and stop_reason == said.stop_reason:
            return
    called = f", {len(calls)} calls {[arguments for _, arguments in calls]}" if calls else ""
    raise _Breach(f"finished ({stop_reason}), and not what was said: {text!r}{called}")


def _arguments(block: dict[str, Any]) -> Any:
    """What a call was given; its own text where that is no JSON."""
    written = block.get("json")
    if not written:
        return block.get("input")
    try:
        return json.loads(written)
    except ValueError:
        return written


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise _Breach(f"no JSON: {data[:_SHOWN]!r}") from error
