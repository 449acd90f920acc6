"""The shapes of Chat answers, streamed and not, as the field really sends them. Types only.

Everything is optional and wide: what a server leaves out or sends as null must decode, what it adds is ignored. A chunk
that does not fit is decoded once more with lax types (numbers as strings and the reverse) before it counts as nonsense.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from ccrouter.errors import RemoteProtocolError
from ccrouter.jsontypes import JsonObject

Number = int | float | None


#: Finish reasons that report a failure of the provider.
FAILURES = frozenset({"error", "network_error", "insufficient_system_resource", "abort", "engine_overloaded"})


class PromptDetails(msgspec.Struct):
    cached_tokens: Number = None
    cache_write_tokens: Number = None
    cache_creation_tokens: Number = None


class CompletionDetails(msgspec.Struct):
    reasoning_tokens: Number = None


class ChatUsage(msgspec.Struct):
    """Usage in OpenAI's words, DeepSeek's (`prompt_cache_hit_tokens`), Moonshot's (`cached_tokens`) and Anthropic's."""

    prompt_tokens: Number = None
    completion_tokens: Number = None
    total_tokens: Number = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: Number = None
    cached_tokens: Number = None
    input_tokens: Number = None
    output_tokens: Number = None
    cache_read_input_tokens: Number = None
    cache_creation_input_tokens: Number = None
    cost: Any = None  # OpenRouter's, as are the next two
    is_byok: Any = None
    cost_details: Any = None


class FunctionDelta(msgspec.Struct):
    name: str | None = None
    arguments: str | JsonObject | None = None


class CallDelta(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None
    extra_content: JsonObject | None = None


class ContentPart(msgspec.Struct):
    """A part of `content` where that is a list (Mistral): text, or thinking that is a list again."""

    type: str = "text"
    text: str | None = None
    thinking: str | list[ContentPart] | None = None
    refusal: str | None = None


class UrlCitation(msgspec.Struct):
    url: str = ""
    title: str | None = None


class Annotation(msgspec.Struct):
    type: str = ""
    url_citation: UrlCitation | None = None


class ChatDelta(msgspec.Struct):
    """A piece of a message, or all of it: `delta` and `message` have the same members."""

    content: str | list[ContentPart] | None = None
    reasoning_content: str | None = None
    reasoning: str | JsonObject | None = None
    reasoning_details: list[JsonObject] | None = None
    thinking: Any = None  # what the classic router's transformers make of reasoning: its text, or an object with it
    tool_calls: list[CallDelta] | None = None
    function_call: FunctionDelta | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None
    audio: Any = None
    images: Any = None


class ChatChoice(msgspec.Struct):
    index: int | None = None
    delta: ChatDelta | None = None
    message: ChatDelta | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    stop_reason: str | int | None = None  # vLLM: the stop string, or the id of the stop token
    matched_stop: str | int | list[Any] | None = None  # SGLang: the same
    usage: ChatUsage | None = None
    error: Any = None


class GroqExtra(msgspec.Struct):
    usage: ChatUsage | None = None


class ChatChunk(msgspec.Struct):
    """One event of a stream, or a whole answer. The members after `error` are those of errors without that member."""

    choices: list[ChatChoice] | None = None
    model: str | None = None
    usage: ChatUsage | None = None
    x_groq: GroqExtra | None = None
    service_tier: Any = None
    error: Any = None
    object: str | None = None
    type: str | None = None
    code: Any = None
    message: Any = None
    detail: Any = None
    base_resp: JsonObject | None = None


class TornChunk(ChatChunk):
    """A chunk whose texts may hold halves of characters: lone surrogates, which nothing else here can encode."""


_decoder = msgspec.json.Decoder(ChatChunk)
_lax_decoder = msgspec.json.Decoder(ChatChunk, strict=False)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
#: Members whose text goes on in the next chunk; a half anywhere else has nothing to wait for.
_CONTINUED = frozenset({"content", "reasoning_content", "reasoning", "thinking", "arguments", "text", "summary"})


def read_chunk(data: bytes) -> ChatChunk:
    """The chunk in `data`; a TornChunk if characters are cut in two in it. Raises RemoteProtocolError for what is not
    JSON or not of this shape.
    """
    try:
        try:
            return _decoder.decode(data)
        except msgspec.ValidationError:
            return _lax_decoder.decode(data)
    except msgspec.ValidationError as error:
        raise RemoteProtocolError(f"the provider sent a chunk that is no chat completion: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        torn = _read_torn(data)
        if torn is not None:
            return torn
        raise RemoteProtocolError(f"the provider sent corrupt JSON: {error}") from error


def _read_torn(data: bytes) -> TornChunk | None:
    """The chunk in `data`, which msgspec refuses, if that is for its lone surrogates; else None."""
    if not _SURROGATE.search(data):
        return None
    try:
        value = _without_halves(json.loads(data))
        return msgspec.convert(value, TornChunk, strict=False)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def _without_halves(value: Any, *, is_continued: bool = False) -> Any:
    """`value` with U+FFFD for halves of characters where no text goes on."""
    if isinstance(value, dict):
        return {
            _without_halves(name): _without_halves(inner, is_continued=name in _CONTINUED)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_halves(inner) for inner in value]
    if isinstance(value, str) and not is_continued:
        return joined(value)
    return value


def joined(text: str) -> str:
    """`text` with its surrogate pairs as characters, and everything that is half of one as U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def is_error(chunk: ChatChunk) -> bool:
    """True for an error, in whatever member it comes."""
    if chunk.error:
        return True
    if chunk.choices is not None or chunk.usage is not None:
        return False
    if chunk.base_resp is not None and chunk.base_resp.get("status_code"):
        return True
    return chunk.object == "error" or chunk.type == "error" or bool(chunk.message) or bool(chunk.detail)


def error_of(chunk: ChatChunk) -> object:
    """The error that `is_error` saw, as an object or in words."""
    if chunk.error:
        return chunk.error
    members = {"code": chunk.code, "type": chunk.type, "message": chunk.message, "detail": chunk.detail}
    if chunk.base_resp is not None:
        members["base_resp"] = chunk.base_resp
    return {name: value for name, value in members.items() if value is not None}
