"""Chat Completions wire data as real providers send it: builders of frames and bodies, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tests.upstream.anthropic_wire import Tool, dumps, pieces

MODEL = "gpt-5-mini"
DONE = b"data: [DONE]\n\n"
ReasoningField = Literal["reasoning_content", "reasoning", "reasoning_details"]
UsagePlace = Literal["final", "finish", "every", "choice", "none"]


def chunk(
    delta: Mapping[str, Any] | None,
    finish: str | None = None,
    usage: Mapping[str, Any] | None = None,
    *,
    model: str = MODEL,
    ident: str = "chatcmpl-scripted",
    **extra: Any,
) -> bytes:
    """One frame. A delta of None means a chunk with no choices (where OpenAI puts the usage)."""
    choices = [] if delta is None else [{"index": 0, "delta": dict(delta), "finish_reason": finish}]
    body: dict[str, Any] = {
        "id": ident,
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": model,
        "choices": choices,
        **extra,
    }
    if usage is not None:
        body["usage"] = dict(usage)
    return f"data: {dumps(body)}\n\n".encode()


def usage_of(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    counts = {"prompt_tokens": 25, "completion_tokens": 12, **(usage or {})}
    return {"total_tokens": counts["prompt_tokens"] + counts["completion_tokens"], **counts}


def reasoning_delta(part: str, name: ReasoningField) -> dict[str, Any]:
    """One piece of reasoning in the field this provider uses."""
    if name == "reasoning_details":
        detail = {"type": "reasoning.text", "text": part, "format": "unknown", "index": 0}
        return {"reasoning": part, "reasoning_details": [detail]}  # OpenRouter sends both
    return {name: part}


def call_deltas(
    tools: Iterable[Tool], *, size: int = 12, interleaved: bool = False, repeat_ids: bool = False
) -> list[dict[str, Any]]:
    """Deltas of the tool calls: id and name first, then argument pieces; call after call, or in turns."""
    streams: list[list[dict[str, Any]]] = []
    for index, (ident, name, args) in enumerate(tools):
        opening = {
            "index": index,
            "id": ident,
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        kept = {"id": ident, "type": "function"} if repeat_ids else {}
        written = pieces(dumps(dict(args)), size)
        streams.append([opening, *({"index": index, **kept, "function": {"arguments": part}} for part in written)])
    if not interleaved:
        return [{"tool_calls": [call]} for stream in streams for call in stream]
    longest = max((len(stream) for stream in streams), default=0)
    return [{"tool_calls": [stream[at]]} for at in range(longest) for stream in streams if at < len(stream)]


def chat_stream(
    text: str | Sequence[str] | None = None,
    reasoning: str | Sequence[str] | None = None,
    tools: Iterable[Tool] = (),
    finish: str | None = "",
    usage: Mapping[str, Any] | None = None,
    *,
    reasoning_field: ReasoningField = "reasoning_content",
    usage_in: UsagePlace = "final",
    interleaved: bool = False,
    repeat_ids: bool = False,
    done: bool = True,
    size: int = 12,
    model: str = MODEL,
    ident: str = "chatcmpl-scripted",
) -> list[bytes]:
    """The frames of a streamed completion.

    finish: "" picks tool_calls or stop, None leaves it out (a stream that never finished).
    usage_in: "final" a last chunk without choices (OpenAI), "finish" with the finish reason (OpenRouter),
    "every" cumulative in each chunk (Gemini, GLM), "choice" inside the choice (Kimi), "none".
    """
    calls = list(tools)
    counts = usage_of(usage)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [reasoning_delta(part, reasoning_field) for part in pieces(reasoning or "", size)]
    deltas += [{"content": part} for part in pieces(text or "", size)]
    deltas += call_deltas(calls, size=size, interleaved=interleaved, repeat_ids=repeat_ids)
    named: dict[str, Any] = {"model": model, "ident": ident}
    every = counts if usage_in == "every" else None
    frames = [chunk(delta, None, every, **named) for delta in deltas]
    reason = ("tool_calls" if calls else "stop") if finish == "" else finish
    if reason is not None:
        frames.append(_finish_chunk(reason, counts, usage_in, named))
    if usage_in == "final":
        frames.append(chunk(None, None, counts, **named))
    return [*frames, DONE] if done else frames


def _finish_chunk(reason: str, counts: Mapping[str, Any], usage_in: UsagePlace, named: Mapping[str, Any]) -> bytes:
    if usage_in != "choice":
        return chunk({}, reason, counts if usage_in in ("finish", "every") else None, **named)
    choice = {"index": 0, "delta": {}, "finish_reason": reason, "usage": dict(counts)}
    return chunk(None, choices=[choice], **named)


def chat_json(
    text: str | None = None,
    reasoning: str | None = None,
    tools: Iterable[Tool] = (),
    finish: str | None = "",
    usage: Mapping[str, Any] | None = None,
    *,
    reasoning_field: ReasoningField = "reasoning_content",
    arguments_as: Literal["string", "object"] = "string",
    model: str = MODEL,
    ident: str = "chatcmpl-scripted",
) -> dict[str, Any]:
    """A whole completion, arguments as above."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if reasoning is not None:
        message |= reasoning_delta(reasoning, reasoning_field)
    calls = [
        {
            "id": call,
            "type": "function",
            "function": {
                "name": name,
                "arguments": dumps(dict(args)) if arguments_as == "string" else dict(args),
            },
        }
        for call, name, args in tools
    ]
    if calls:
        message["tool_calls"] = calls
    reason = ("tool_calls" if calls else "stop") if finish == "" else finish
    return {
        "id": ident,
        "object": "chat.completion",
        "created": 1760000000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": usage_of(usage),
    }


def error_json(
    message: str, kind: str | None = "invalid_request_error", code: str | int | None = None
) -> dict[str, Any]:
    """The error body of OpenAI and those who follow it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_frame(message: str, code: str | int = "server_error") -> bytes:
    """An error after the 200, as OpenRouter sends it: beside a choice that ends with "error"."""
    error = {"code": code, "message": message}
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    return chunk(None, choices=[choice], error=error)
