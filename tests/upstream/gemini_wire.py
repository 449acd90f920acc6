"""Gemini wire data as Google sends it: builders of frames and bodies, no I/O."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.upstream.anthropic_wire import Tool, dumps, pieces

MODEL = "gemini-3-pro-preview"
#: Of the third generation; the one before signs fewer things, and gives no ids.
SIGNATURE = base64.b64encode(b"scripted thought signature").decode()


def frame(body: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """One event of a stream."""
    return f"data: {dumps(body)}\r\n\r\n".encode()


def chunk(
    parts: Sequence[Mapping[str, Any]] = (),
    finish: str | None = None,
    usage: Mapping[str, Any] | None = None,
    *,
    model: str = MODEL,
    ident: str = "scripted",
    **more: Any,
) -> dict[str, Any]:
    """One answer of a stream, or a whole one; `more` are members of its candidate (groundingMetadata, finishMessage)."""
    candidate: dict[str, Any] = {"index": 0, **more}
    if parts:
        candidate["content"] = {"role": "model", "parts": [dict(part) for part in parts]}
    if finish is not None:
        candidate["finishReason"] = finish
    body: dict[str, Any] = {"candidates": [candidate], "modelVersion": model, "responseId": ident}
    if usage is not None:
        body["usageMetadata"] = dict(usage)
    return body


def usage_of(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    """The final figures; the total is the sum of prompt, searches, answer and thoughts, as Google counts."""
    counts = {"promptTokenCount": 25, "candidatesTokenCount": 12, **(usage or {})}
    summed = ("promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    return {"totalTokenCount": sum(counts.get(name, 0) for name in summed), **counts}


def call_part(tool: Tool, signature: str | None = None, *, with_id: bool = True) -> dict[str, Any]:
    """A part with a call."""
    ident, name, args = tool
    call: dict[str, Any] = {"name": name, "args": dict(args)}
    if with_id:
        call["id"] = ident
    return {"functionCall": call, **({"thoughtSignature": signature} if signature else {})}


def call_parts(
    tools: Iterable[Tool], signature: str | None = SIGNATURE, *, with_ids: bool = True
) -> list[dict[str, Any]]:
    """Parts with parallel calls: the first one is signed."""
    return [call_part(tool, None if at else signature, with_id=with_ids) for at, tool in enumerate(tools)]


def gemini_stream(
    text: str | Sequence[str] | None = None,
    thinking: str | Sequence[str] | None = None,
    tools: Iterable[Tool] = (),
    finish: str | None = "STOP",
    usage: Mapping[str, Any] | None = None,
    *,
    signature: str | None = SIGNATURE,
    with_ids: bool = True,
    size: int = 12,
    model: str = MODEL,
    ident: str = "scripted",
    **more: Any,
) -> list[bytes]:
    """The frames of a streamed answer: thoughts, text, calls in one chunk, and a last chunk with the finish.

    finish: None leaves it out (a stream that never finished). The last text is signed where no calls are, on a part of
    its own. `more` are members of the last candidate.
    """
    calls = list(tools)
    rising = {"promptTokenCount": usage_of(usage)["promptTokenCount"]}
    named: dict[str, Any] = {"model": model, "ident": ident}
    rows = [[{"text": part, "thought": True}] for part in pieces(thinking or "", size)]
    rows += [[{"text": part}] for part in pieces(text or "", size)]
    if calls:
        rows.append(call_parts(calls, signature, with_ids=with_ids))
    frames = [frame(chunk(row, usage=rising, **named)) for row in rows]
    if finish is not None:
        signed = [{"text": "", "thoughtSignature": signature}] if signature and text and not calls else []
        frames.append(frame(chunk(signed, finish, usage_of(usage), **named, **more)))
    return frames


def gemini_json(
    text: str | None = None,
    thinking: str | None = None,
    tools: Iterable[Tool] = (),
    finish: str | None = "STOP",
    usage: Mapping[str, Any] | None = None,
    *,
    signature: str | None = SIGNATURE,
    with_ids: bool = True,
    model: str = MODEL,
    **more: Any,
) -> dict[str, Any]:
    """A whole answer, arguments as above."""
    calls = list(tools)
    parts: list[dict[str, Any]] = []
    if thinking is not None:
        parts.append({"text": thinking, "thought": True})
    if text is not None:
        parts.append({"text": text, **({"thoughtSignature": signature} if signature and not calls else {})})
    parts += call_parts(calls, signature, with_ids=with_ids)
    return chunk(parts, finish, usage_of(usage), model=model, **more)


def blocked_json(reason: str = "PROHIBITED_CONTENT") -> dict[str, Any]:
    """The answer to a prompt that was blocked."""
    usage = {"promptTokenCount": 25, "totalTokenCount": 25}
    return {"promptFeedback": {"blockReason": reason}, "usageMetadata": usage, "modelVersion": MODEL}


def error_json(message: str, code: int = 400, status: str = "INVALID_ARGUMENT", *details: Any) -> dict[str, Any]:
    """Google's error envelope."""
    error: dict[str, Any] = {"code": code, "message": message, "status": status}
    return {"error": {**error, "details": list(details)} if details else error}


def error_frame(message: str, code: int = 503, status: str = "UNAVAILABLE") -> bytes:
    """An error after the 200."""
    return frame(error_json(message, code, status))
