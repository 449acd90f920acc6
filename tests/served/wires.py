"""What providers of every dialect send for the same answer, and the configuration that leads to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.upstream import Upstream, anthropic_wire, chat_wire, responses_wire
from tests.upstream.anthropic_wire import Tool, dumps, pieces

CALLS: tuple[Tool, ...] = (("call_1", "Read", {"path": "ä 中"}), ("call_2", "List", {}))


def gemini_whole(text: str = "", thinking: str = "", tools: Sequence[Tool] = (), **_named: Any) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": thinking, "thought": True}] if thinking else []
    parts += [{"text": text}] if text else []
    parts += [{"functionCall": {"id": call, "name": name, "args": dict(given)}} for call, name, given in tools]
    return _gemini(parts, is_last=True)


def gemini_stream(text: str = "", thinking: str = "", tools: Sequence[Tool] = (), **_named: Any) -> list[bytes]:
    chunks = [[{"text": piece, "thought": True}] for piece in pieces(thinking)]
    chunks += [[{"text": piece}] for piece in pieces(text)]
    calls = [{"functionCall": {"id": call, "name": name, "args": dict(given)}} for call, name, given in tools]
    bodies = [_gemini(parts) for parts in chunks] + [_gemini(calls, is_last=True)]
    return [f"data: {dumps(body)}\r\n\r\n".encode() for body in bodies]


def _gemini(parts: Sequence[Mapping[str, Any]], *, is_last: bool = False) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    body: dict[str, Any] = {"candidates": [candidate], "modelVersion": "gemini-scripted", "responseId": "r1"}
    if is_last:
        candidate["finishReason"] = "STOP"
        body["usageMetadata"] = {"promptTokenCount": 25, "candidatesTokenCount": 12, "totalTokenCount": 37}
    return body


@dataclass(frozen=True)
class Wire:
    """`stream` and `whole` give an answer of this dialect, `error` the body of an error status; `midway` an error in a
    stream. `path` is where the provider is asked.
    """

    path: str
    stream: Callable[..., list[bytes]]
    whole: Callable[..., dict[str, Any]]
    error: Callable[[str], Any]
    midway: bytes


#: By the word of the configuration.
WIRES: dict[str, Wire] = {
    "anthropic": Wire(
        "/v1/messages",
        anthropic_wire.message_stream,
        anthropic_wire.message_json,
        lambda words: anthropic_wire.error_json("api_error", words),
        anthropic_wire.error_frame("overloaded_error", "busy"),
    ),
    "openai": Wire(
        "/v1/chat/completions",
        lambda text=None, thinking=None, tools=(), **named: chat_wire.chat_stream(text, thinking, tools, **named),
        lambda text=None, thinking=None, tools=(), **named: chat_wire.chat_json(text, thinking, tools, **named),
        chat_wire.error_json,
        chat_wire.error_frame("busy", 503),
    ),
    "responses": Wire(
        "/v1/responses",
        responses_wire.response_stream,
        responses_wire.response_json,
        responses_wire.error_json,
        responses_wire.error_frame("busy", "server_error"),
    ),
    "gemini": Wire(
        "/v1beta/models/",
        gemini_stream,
        gemini_whole,
        lambda words: {"error": {"code": 500, "message": words, "status": "INTERNAL"}},
        b'data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}\r\n\r\n',
    ),
}


def unfinished(dialect: str) -> list[bytes]:
    """The beginning of a stream: there is content, and no word of an end."""
    return WIRES[dialect].stream("Hi 🙂 " + "and so on " * 12)[:-4]


def provider(upstream: Upstream, dialect: str, **more: Any) -> dict[str, Any]:
    return {
        "name": dialect,
        "api_base_url": upstream.url + WIRES[dialect].path,
        "api_key": f"sk-{dialect}-upstream-secret-0123456789",
        "models": ["m1", "m2"],
        "protocol": dialect,
        **more,
    }


def config(upstream: Upstream, default: str = "anthropic,m1", **more: Any) -> dict[str, Any]:
    providers = [provider(upstream, dialect, **more.pop(dialect, {})) for dialect in WIRES]
    return {"PORT": 3456, "Providers": providers, "Router": {"default": default}, **more}
