"""Responses API wire data as OpenAI sends it: builders of frames and bodies, no I/O.

tests/dialects_responses/test_wire_is_honest.py reads all of it with the official SDK.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tests.upstream.anthropic_wire import Tool, dumps, frame, pieces

MODEL = "gpt-5.2-2025-12-11"
SEALED = "gAAAAABo-sealed-reasoning=="
Status = Literal["completed", "incomplete", "failed", "in_progress", "cancelled", "queued"]


def usage_of(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    counts = {"input_tokens": 25, "output_tokens": 12, "cached": 0, "written": 0, "reasoning": 0, **(usage or {})}
    return {
        "input_tokens": counts["input_tokens"],
        "input_tokens_details": {"cached_tokens": counts["cached"], "cache_write_tokens": counts["written"]},
        "output_tokens": counts["output_tokens"],
        "output_tokens_details": {"reasoning_tokens": counts["reasoning"]},
        "total_tokens": counts["input_tokens"] + counts["output_tokens"],
    }


def items(
    text: str | None = None,
    thinking: str | Sequence[str] | None = None,
    tools: Iterable[Tool] = (),
    *,
    sealed: str | None = SEALED,
    refusal: str | None = None,
    status: Status = "completed",
) -> list[dict[str, Any]]:
    """Output items in the order a model gives them: reasoning (a list gives the parts of its summary; "" none), the
    message, function calls.
    """
    found: list[dict[str, Any]] = []
    if thinking is not None:
        parts = [thinking] if isinstance(thinking, str) else list(thinking)
        summary = [{"type": "summary_text", "text": part} for part in parts if part]
        found.append({"id": "rs_01", "type": "reasoning", "summary": summary})
        if sealed is not None:
            found[0]["encrypted_content"] = sealed
    if text is not None or refusal is not None:
        said = (
            {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
            if text is not None
            else {"type": "refusal", "refusal": refusal}
        )
        found.append({"id": "msg_01", "type": "message", "status": status, "role": "assistant", "content": [said]})
    for number, (call, name, arguments) in enumerate(tools, 1):
        found.append(
            {
                "id": f"fc_{number:02}",
                "type": "function_call",
                "status": "completed",
                "call_id": call,
                "name": name,
                "arguments": dumps(dict(arguments)),
            }
        )
    return found


def response_json(
    text: str | None = None,
    thinking: str | Sequence[str] | None = None,
    tools: Iterable[Tool] = (),
    status: Status = "completed",
    usage: Mapping[str, Any] | None = None,
    *,
    output: Sequence[Mapping[str, Any]] | None = None,
    reason: str | None = None,
    error: Mapping[str, Any] | None = None,
    model: str = MODEL,
    ident: str = "resp_scripted",
    **named: Any,
) -> dict[str, Any]:
    """A whole response. `output` gives its items outright, else `items` makes them; `usage` may name `cached`,
    `written` and `reasoning` tokens; `reason` says why it is incomplete.
    """
    return {
        "id": ident,
        "object": "response",
        "created_at": 1760000000,
        "status": status,
        "background": False,
        "error": error,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": model,
        "output": [dict(item) for item in (items(text, thinking, tools, **named) if output is None else output)],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": "medium", "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage_of(usage) if status in {"completed", "incomplete"} else None,
        "user": None,
    }


class _Frames:
    """Numbers the events as they are made."""

    def __init__(self) -> None:
        self.made: list[bytes] = []

    def add(self, kind: str, **data: Any) -> None:
        self.made.append(frame(kind, {"type": kind, "sequence_number": len(self.made), **data}))


def response_stream(
    text: str | None = None,
    thinking: str | Sequence[str] | None = None,
    tools: Iterable[Tool] = (),
    status: Status | None = "completed",
    usage: Mapping[str, Any] | None = None,
    *,
    interleaved: bool = False,
    size: int = 12,
    **named: Any,
) -> list[bytes]:
    """The frames of a streamed response; `status` None leaves out its end (a stream that was never finished), the
    other arguments are those of `response_json`. `interleaved` sends the arguments of parallel calls in turns.
    """
    whole = response_json(text, thinking, tools, status or "in_progress", usage, **named)
    opening = {**whole, "status": "in_progress", "output": [], "usage": None, "error": None, "incomplete_details": None}
    frames = _Frames()
    frames.add("response.created", response=opening)
    frames.add("response.in_progress", response=opening)
    waiting: list[tuple[int, dict[str, Any]]] = []
    for index, item in enumerate(whole["output"]):
        if item["type"] == "function_call" and interleaved:
            waiting.append((index, item))
        else:
            _item_frames(frames, index, item, size)
    _interleaved(frames, waiting, size)
    if status is not None:
        frames.add(f"response.{status}", response=whole)
    return frames.made


def _item_frames(frames: _Frames, index: int, item: Mapping[str, Any], size: int) -> None:
    place = {"item_id": item["id"], "output_index": index}
    match item["type"]:
        case "reasoning":
            frames.add("response.output_item.added", output_index=index, item={**item, "summary": []})
            for number, part in enumerate(item["summary"]):
                _summary_frames(frames, {**place, "summary_index": number}, part["text"], size)
        case "message":
            begun = {**item, "status": "in_progress", "content": []}
            frames.add("response.output_item.added", output_index=index, item=begun)
            for number, part in enumerate(item["content"]):
                _part_frames(frames, {**place, "content_index": number}, part, size)
        case "function_call":
            begun = {**item, "status": "in_progress", "arguments": ""}
            frames.add("response.output_item.added", output_index=index, item=begun)
            for piece in pieces(item["arguments"], size):
                frames.add("response.function_call_arguments.delta", **place, delta=piece, obfuscation="x7Qz")
            frames.add("response.function_call_arguments.done", **place, arguments=item["arguments"])
        case _:
            frames.add("response.output_item.added", output_index=index, item={**item, "status": "in_progress"})
    frames.add("response.output_item.done", output_index=index, item=item)


def _summary_frames(frames: _Frames, place: Mapping[str, Any], text: str, size: int) -> None:
    part = {"type": "summary_text", "text": text}
    frames.add("response.reasoning_summary_part.added", **place, part={**part, "text": ""})
    for piece in pieces(text, size):
        frames.add("response.reasoning_summary_text.delta", **place, delta=piece)
    frames.add("response.reasoning_summary_text.done", **place, text=text)
    frames.add("response.reasoning_summary_part.done", **place, part=part)


def _part_frames(frames: _Frames, place: Mapping[str, Any], part: Mapping[str, Any], size: int) -> None:
    member = "text" if part["type"] == "output_text" else "refusal"
    frames.add("response.content_part.added", **place, part={**part, member: ""})
    extra: dict[str, Any] = {"logprobs": []} if member == "text" else {}
    event = "response.output_text" if member == "text" else "response.refusal"
    for piece in pieces(part[member], size):
        frames.add(f"{event}.delta", **place, delta=piece, **extra)
    frames.add(f"{event}.done", **place, **{member: part[member]}, **extra)
    frames.add("response.content_part.done", **place, part=part)


def _interleaved(frames: _Frames, calls: Sequence[tuple[int, Mapping[str, Any]]], size: int) -> None:
    for index, item in calls:
        begun = {**item, "status": "in_progress", "arguments": ""}
        frames.add("response.output_item.added", output_index=index, item=begun)
    cut = [(index, item, pieces(item["arguments"], size)) for index, item in calls]
    for at in range(max((len(parts) for _, _, parts in cut), default=0)):
        for index, item, parts in cut:
            if at < len(parts):
                place = {"item_id": item["id"], "output_index": index}
                frames.add("response.function_call_arguments.delta", **place, delta=parts[at])
    for index, item in calls:
        place = {"item_id": item["id"], "output_index": index}
        frames.add("response.function_call_arguments.done", **place, arguments=item["arguments"])
        frames.add("response.output_item.done", output_index=index, item=item)


def error_json(
    message: str, kind: str | None = "invalid_request_error", code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """The error body of an error status."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_frame(message: str, code: str = "server_error", number: int = 2) -> bytes:
    """An error after the 200."""
    data = {"type": "error", "sequence_number": number, "code": code, "message": message, "param": None}
    return frame("error", data)
