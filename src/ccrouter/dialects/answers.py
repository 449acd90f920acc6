"""The other direction: which facts of an answer each dialect's reader gives, found out by reading one that has all of
them. For the page of `dialects/matrix.py`; the router itself does not use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ccrouter.config.schema import DialectName, Endpoint, Provider, Target
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import UpstreamError
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import WireUsage
from ccrouter.messages.fold import Fold
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter

_PAGE = "https://example.test/mkpage"
_ARGS = '{"city":"mkparis"}'
_TOOL = {"name": "weather", "description": "", "input_schema": {"type": "object", "properties": {}}}
_SEARCH = {"type": "web_search_20250305", "name": "web_search"}
_ASKED = {
    "model": "asked", "max_tokens": 5000, "thinking": {"type": "adaptive"}, "tools": [_TOOL, _SEARCH],
    "stop_sequences": ["mkstop"], "messages": [{"role": "user", "content": "hi"}],
}  # fmt: skip


def _anthropic(finish: str, *, calls: bool) -> JsonObject:
    content: list[JsonObject] = [
        {"type": "thinking", "thinking": "mkthought", "signature": "mksigned"},
        {"type": "text", "text": "mktext"},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [
            {"type": "web_search_result", "url": _PAGE, "title": "t", "encrypted_content": "x", "page_age": None}]},
    ]  # fmt: skip
    if calls:
        content += [
            {"type": "tool_use", "id": f"toolu_{number}", "name": "weather", "input": {"city": "mkparis"}}
            for number in (1, 2)
        ]
    usage = {
        "input_tokens": 700,
        "output_tokens": 31,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 50,
    }
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "mkanswered", "content": content}
    return {**message, "stop_reason": finish, "stop_sequence": "mkstop" if finish == "stop_sequence" else None,
            "usage": usage}  # fmt: skip


def _chat(finish: str, *, calls: bool) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": "mktext", "reasoning": "mkthought"}
    message["reasoning_details"] = [{"type": "reasoning.text", "text": "mkthought", "signature": "mksigned"}]
    message["annotations"] = [{"type": "url_citation", "url_citation": {"url": _PAGE, "title": "t"}}]
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{number}", "type": "function", "function": {"name": "weather", "arguments": _ARGS}}
            for number in (1, 2)
        ]
    details = {"cached_tokens": 200, "cache_write_tokens": 50}
    usage = {"prompt_tokens": 950, "completion_tokens": 31, "prompt_tokens_details": details}
    return {
        "model": "mkanswered",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }


def _responses(finish: str, *, calls: bool) -> JsonObject:
    note = {"type": "url_citation", "url": _PAGE, "title": "t", "start_index": 0, "end_index": 2}
    text: JsonObject = {"type": "output_text", "text": "mktext", "annotations": [note]}
    output: list[JsonObject] = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "mkthought"}],
         "encrypted_content": "mksigned"},
        {"type": "message", "id": "m_1", "role": "assistant", "status": "completed",
         "content": [{"type": "refusal", "refusal": "mktext"} if finish == "refusal part" else text]},
    ]  # fmt: skip
    if calls:
        output += [
            {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": "weather",
             "arguments": _ARGS, "status": "completed"}
            for number in (1, 2)
        ]  # fmt: skip
    usage = {"input_tokens": 950, "output_tokens": 31, "output_tokens_details": {"reasoning_tokens": 9},
             "input_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 50}}  # fmt: skip
    is_whole = finish in {"completed", "refusal part"}
    return {
        "id": "resp_1",
        "object": "response",
        "model": "mkanswered",
        "status": "completed" if is_whole else "incomplete",
        "incomplete_details": None if is_whole else {"reason": finish},
        "output": output,
        "usage": usage,
    }


def _gemini(finish: str, *, calls: bool) -> JsonObject:
    parts: list[JsonObject] = [{"text": "mkthought", "thought": True, "thoughtSignature": "bWtzaWduZWQ="}]
    parts.append({"text": "mktext"})
    if calls:
        parts += [
            {"functionCall": {"id": f"call_{number}", "name": "weather", "args": {"city": "mkparis"}}}
            for number in (1, 2)
        ]
    grounding = {"webSearchQueries": ["q"], "groundingChunks": [{"web": {"uri": _PAGE, "title": "t"}}]}
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": finish, "groundingMetadata": grounding}
    usage = {"promptTokenCount": 900, "cachedContentTokenCount": 200, "candidatesTokenCount": 22,
             "thoughtsTokenCount": 9, "totalTokenCount": 931}  # fmt: skip
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "mkanswered", "responseId": "r"}


@dataclass(frozen=True, slots=True)
class Speaker:
    """A provider that tells all that its dialect can tell. `finishes` are its words for why an answer ended."""

    title: str
    dialect: DialectName
    url: str
    model: str
    say: Any
    finishes: tuple[str, ...]

    @property
    def target(self) -> Target:
        return Target(Provider("probed", (Endpoint(self.dialect, self.url),)), self.model)


SPEAKERS = (
    Speaker(
        "Messages", "anthropic", "https://api.anthropic.com/v1/messages", "claude-x", _anthropic,
        (
            "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal",
            "model_context_window_exceeded",
        ),
    ),
    Speaker(
        "Chat", "openai_chat", "https://openrouter.ai/api/v1/chat/completions", "anthropic/claude-sonnet-4.5", _chat,
        ("stop", "length", "tool_calls", "content_filter", "model_context_window_exceeded"),
    ),
    Speaker(
        "Responses", "openai_responses", "https://api.openai.com/v1/responses", "gpt-5.1", _responses,
        ("completed", "max_output_tokens", "content_filter", "refusal part"),
    ),
    Speaker(
        "Gemini", "gemini", "https://generativelanguage.googleapis.com/v1beta", "gemini-3-pro-preview", _gemini,
        ("STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "PROHIBITED_CONTENT"),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What was understood of an answer; `content` as JSON text."""

    content: str
    kinds: tuple[str, ...]
    stop_reason: str
    stop_sequence: str
    usage: WireUsage
    answered: str


def read(speaker: Speaker, finish: str, *, calls: bool = False) -> Reading | None:
    """What the dialect's reader makes of the answer; None if it takes it for an error."""
    dialect, target = DIALECTS[speaker.dialect], speaker.target
    sent = dialect.encode(MessagesRequest.read(msgspec.json.encode(_ASKED)), target, {})
    reader = dialect.reader(sent, target, MessageWriter(id="msg_1", model="asked", input_tokens=0))
    fold = Fold()
    try:
        for event in (*reader.feed_body(msgspec.json.encode(speaker.say(finish, calls=calls))), *reader.close()):
            fold.feed(event)
        message = fold.close()
    except UpstreamError:
        return None
    content = msgspec.to_builtins(message.content)
    return Reading(
        content=msgspec.json.encode(content).decode(),
        kinds=tuple(block["type"] for block in content),
        stop_reason=message.stop_reason or "",
        stop_sequence=message.stop_sequence or "",
        usage=reader.usage,
        answered=reader.answered_model,
    )


def facts(speaker: Speaker) -> Mapping[str, bool]:
    """By its name, whether a fact of the answer comes through."""
    found = read(speaker, speaker.finishes[0], calls=True)
    assert found is not None, f"{speaker.title}: its answer with everything in it is an error"
    content, usage = found.content, found.usage
    return {
        "text": "mktext" in content,
        "thinking, as text": "mkthought" in content,
        "a signature that brings thinking back": '"signature":""' not in content and '"signature":"' in content,
        "tool calls with their arguments, parallel ones too": content.count('"city":"mkparis"') == 2,
        "pages of a web search": "web_search_tool_result" in found.kinds and _PAGE in content,
        "the model that answered": found.answered == "mkanswered",
        "input tokens, cached ones apart": usage.input_tokens == 700,
        "tokens read from a cache": usage.cache_read_input_tokens == 200,
        "tokens written to a cache": usage.cache_creation_input_tokens == 50,
        "output tokens, thinking among them": usage.output_tokens == 31,
    }


def stop_reasons(speaker: Speaker) -> Mapping[str, list[str]]:
    """By `stop_reason`, the provider's words that lead to it; under "error" those that are none."""
    reasons: dict[str, list[str]] = {}
    for finish in speaker.finishes:
        found = read(speaker, finish)
        reasons.setdefault(found.stop_reason if found else "error", []).append(finish)
    called = read(speaker, speaker.finishes[0], calls=True)
    if called is not None and called.stop_reason != speaker.finishes[0]:
        reasons.setdefault(called.stop_reason, []).append(f"{speaker.finishes[0]} with calls")
    return reasons
