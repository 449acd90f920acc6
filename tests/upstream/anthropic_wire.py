"""Messages API wire data as real providers send it: builders of frames and bodies, no I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Tool = tuple[str, str, Mapping[str, Any]]
MODEL = "claude-sonnet-4-5-20250929"


def frame(event: str, data: Mapping[str, Any]) -> bytes:
    """One server-sent event, named."""
    return f"event: {event}\ndata: {dumps(data)}\n\n".encode()


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pieces(text: str | Sequence[str], size: int = 12) -> list[str]:
    """Deltas: a list is taken as it is, a string is cut every `size` characters."""
    if not isinstance(text, str):
        return list(text)
    return [text[at : at + size] for at in range(0, len(text), size)]


def blocks(
    text: str | Sequence[str] | None = None,
    thinking: str | Sequence[str] | None = None,
    tools: Iterable[Tool] = (),
    *,
    signature: str | None = "EqQBCkYIARgCIkAn-signature",
    redacted: str | None = None,
) -> list[dict[str, Any]]:
    """Content blocks in the order a model gives them: thinking, redacted thinking, text, tools."""
    content: list[dict[str, Any]] = []
    if thinking is not None:
        content.append({"type": "thinking", "thinking": "".join(thinking), "signature": signature or ""})
    if redacted is not None:
        content.append({"type": "redacted_thinking", "data": redacted})
    if text is not None:
        content.append({"type": "text", "text": "".join(text)})
    content += [{"type": "tool_use", "id": ident, "name": name, "input": dict(args)} for ident, name, args in tools]
    return content


def usage_of(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "input_tokens": 25,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 12,
        **(usage or {}),
    }


def message_json(
    text: str | Sequence[str] | None = None,
    thinking: str | Sequence[str] | None = None,
    tools: Iterable[Tool] = (),
    stop_reason: str | None = None,
    usage: Mapping[str, Any] | None = None,
    *,
    content: Sequence[Mapping[str, Any]] | None = None,
    signature: str | None = "EqQBCkYIARgCIkAn-signature",
    redacted: str | None = None,
    model: str = MODEL,
    ident: str = "msg_01Scripted",
    stop_sequence: str | None = None,
) -> dict[str, Any]:
    """A whole message. `content` gives the blocks outright, else they are made from text, thinking and tools."""
    made = list(content or blocks(text, thinking, tools, signature=signature, redacted=redacted))
    calls = any(block["type"] == "tool_use" for block in made)
    return {
        "id": ident,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": made,
        "stop_reason": stop_reason or ("tool_use" if calls else "end_turn"),
        "stop_sequence": stop_sequence,
        "usage": usage_of(usage),
    }


def message_stream(
    text: str | Sequence[str] | None = None,
    thinking: str | Sequence[str] | None = None,
    tools: Iterable[Tool] = (),
    stop_reason: str | None = None,
    usage: Mapping[str, Any] | None = None,
    *,
    pings: bool = True,
    size: int = 12,
    **named: Any,
) -> list[bytes]:
    """The frames of a streamed message. A list as text or thinking gives its deltas; other arguments as `message_json`."""
    message = message_json(text, thinking, tools, stop_reason, usage, **named)
    final = message["usage"]
    opening = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**final, "output_tokens": 1},
    }
    frames = [frame("message_start", {"type": "message_start", "message": opening})]
    deltas = {
        "text": None if text is None or isinstance(text, str) else list(text),
        "thinking": None if thinking is None or isinstance(thinking, str) else list(thinking),
    }
    for index, block in enumerate(message["content"]):
        frames += block_frames(index, block, deltas.get(block["type"]), size=size)
        if index == 0 and pings:
            frames.insert(2, frame("ping", {"type": "ping"}))
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    frames.append(frame("message_delta", {"type": "message_delta", "delta": ending, "usage": final}))
    frames.append(frame("message_stop", {"type": "message_stop"}))
    return frames


def block_frames(
    index: int, block: Mapping[str, Any], deltas: Sequence[str] | None = None, *, size: int = 12
) -> list[bytes]:
    """Start, deltas and stop of one block."""
    match block["type"]:
        case "text":
            start: dict[str, Any] = {"type": "text", "text": ""}
            parts = [{"type": "text_delta", "text": part} for part in deltas or pieces(block["text"], size)]
        case "thinking":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            parts = [{"type": "thinking_delta", "thinking": part} for part in deltas or pieces(block["thinking"], size)]
            if block.get("signature"):
                parts.append({"type": "signature_delta", "signature": block["signature"]})
        case "tool_use":
            start = {"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}}
            written = dumps(block["input"]) if block["input"] else ""
            # The API opens with an empty part, and sends nothing else for an input without keys.
            parts = [{"type": "input_json_delta", "partial_json": part} for part in ["", *pieces(written, size)]]
        case _:
            start, parts = dict(block), []
    return [
        frame("content_block_start", {"type": "content_block_start", "index": index, "content_block": start}),
        *(
            frame("content_block_delta", {"type": "content_block_delta", "index": index, "delta": part})
            for part in parts
        ),
        frame("content_block_stop", {"type": "content_block_stop", "index": index}),
    ]


def error_json(kind: str, message: str, *, request_id: str | None = "req_01Scripted") -> dict[str, Any]:
    """The API's error envelope."""
    body: dict[str, Any] = {"type": "error", "error": {"type": kind, "message": message}}
    return {**body, "request_id": request_id} if request_id else body


def error_frame(kind: str, message: str) -> bytes:
    """An error after the 200."""
    return frame("error", error_json(kind, message, request_id=None))
