"""One scripted answer in the words of every dialect, and its reading."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.registry import DIALECTS
from ccrouter.messages.events import Message, MessageEvent
from ccrouter.messages.fold import Fold
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader
from tests.upstream import anthropic_wire, chat_wire, gemini_wire, responses_wire
from tests.upstream.anthropic_wire import Tool

#: By reason: what Messages, Chat, Responses and Gemini call it.
REASONS = {
    "end": ("end_turn", "stop", "completed", "STOP"),
    "cut": ("max_tokens", "length", "max_output_tokens", "MAX_TOKENS"),
    "refused": ("refusal", "content_filter", "content_filter", "SAFETY"),
}


@dataclass(frozen=True)
class Answer:
    """What the model says. `fresh` and `cached` input tokens, `written` output tokens."""

    text: str | None = "Hello."
    thinking: str | None = None
    calls: tuple[Tool, ...] = ()
    reason: str = "end"
    fresh: int = 70
    cached: int = 30
    written: int = 12


def anthropic_of(answer: Answer, *, streamed: bool) -> bytes:
    usage = {
        "input_tokens": answer.fresh,
        "cache_read_input_tokens": answer.cached,
        "output_tokens": answer.written,
    }
    stop = REASONS[answer.reason][0] if answer.reason != "end" else None
    said = (answer.text, answer.thinking, answer.calls, stop, usage)
    if streamed:
        return b"".join(anthropic_wire.message_stream(*said))
    return json.dumps(anthropic_wire.message_json(*said)).encode()


def chat_of(answer: Answer, *, streamed: bool) -> bytes:
    usage = {
        "prompt_tokens": answer.fresh + answer.cached,
        "completion_tokens": answer.written,
        "prompt_tokens_details": {"cached_tokens": answer.cached},
    }
    finish = REASONS[answer.reason][1] if answer.reason != "end" else ""
    said = (answer.text, answer.thinking, answer.calls, finish, usage)
    if streamed:
        return b"".join(chat_wire.chat_stream(*said, interleaved=True))
    return json.dumps(chat_wire.chat_json(*said)).encode()


def responses_of(answer: Answer, *, streamed: bool) -> bytes:
    usage = {
        "input_tokens": answer.fresh + answer.cached,
        "cached": answer.cached,
        "output_tokens": answer.written,
    }
    cut = {} if answer.reason == "end" else {"status": "incomplete", "reason": REASONS[answer.reason][2]}
    said: dict[str, Any] = {
        "text": answer.text,
        "thinking": answer.thinking,
        "tools": answer.calls,
        "usage": usage,
        **cut,
    }
    if streamed:
        return b"".join(responses_wire.response_stream(**said, interleaved=True))
    return json.dumps(responses_wire.response_json(**said)).encode()


def gemini_of(answer: Answer, *, streamed: bool) -> bytes:
    usage = {
        "promptTokenCount": answer.fresh + answer.cached,
        "cachedContentTokenCount": answer.cached,
        "candidatesTokenCount": answer.written,
    }
    said = (answer.text, answer.thinking, answer.calls, REASONS[answer.reason][3], usage)
    if streamed:
        return b"".join(gemini_wire.gemini_stream(*said))
    return json.dumps(gemini_wire.gemini_json(*said)).encode()


WIRES: dict[str, Callable[..., bytes]] = {
    "anthropic": anthropic_of,
    "openai_chat": chat_of,
    "openai_responses": responses_of,
    "gemini": gemini_of,
}


def events_of(target: Target, wire: bytes, *, streamed: bool, **asked: Any) -> list[MessageEvent]:
    """The events that `wire` means, from this target."""
    dialect = DIALECTS[target.endpoint.dialect]
    body = {
        "model": "asked", "max_tokens": 1000, "stream": streamed, "messages": [{"role": "user", "content": "x"}], **asked,
    }  # fmt: skip
    sent = dialect.encode(MessagesRequest.read(json.dumps(body).encode()), target, {})
    reader = dialect.reader(sent, target, MessageWriter(id="msg_1", model="asked"))
    if not streamed:
        return [*reader.feed_body(wire), *reader.close()]
    sse = SseReader()
    events = [event for one in [*sse.feed(wire), *sse.close()] for event in reader.feed(one)]
    return [*events, *reader.close()]


def folded(events: list[MessageEvent]) -> Message:
    fold = Fold()
    for event in events:
        fold.feed(event)
    return fold.close()


def content_of(message: Message) -> list[dict[str, Any]]:
    """Its blocks, without ids and signatures, and without thinking that says nothing but carries a signature."""
    blocks = [{**block} for block in msgspec.to_builtins(message)["content"]]
    for block in blocks:
        block.pop("signature", None)
        block.pop("id", None)
    return [block for block in blocks if block["type"] != "thinking" or block["thinking"]]


def expected_of(answer: Answer) -> tuple[list[dict[str, Any]], str, dict[str, int]]:
    """The blocks, the stop reason and the usage that every dialect's answer comes to."""
    blocks: list[dict[str, Any]] = []
    if answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    blocks += [{"type": "tool_use", "name": name, "input": dict(given)} for _, name, given in answer.calls]
    stop = REASONS[answer.reason][0]
    usage = {
        "input_tokens": answer.fresh, "cache_creation_input_tokens": 0, "cache_read_input_tokens": answer.cached,
        "output_tokens": answer.written,
    }  # fmt: skip
    return blocks, "tool_use" if answer.calls and answer.reason == "end" else stop, usage


def told(message: Message) -> tuple[list[dict[str, Any]], str | None, dict[str, int]]:
    return content_of(message), message.stop_reason, msgspec.to_builtins(message.usage)
