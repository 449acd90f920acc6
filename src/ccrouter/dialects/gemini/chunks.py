"""The shapes of Gemini answers, streamed and not: a stream is a row of whole answers. Types only.

Everything is optional and wide: what a server leaves out or sends as null must decode, what it adds is ignored. A chunk
that does not fit is decoded once more with lax types (numbers as strings and the reverse) before it counts as nonsense.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ccrouter.errors import RemoteProtocolError
from ccrouter.jsontypes import JsonObject

Number = int | float | None


class PartialArg(msgspec.Struct, rename="camel"):
    """A piece of a call's arguments (Vertex, where it was asked for): a value, or a piece of a text, at a JSON path."""

    json_path: str = ""
    string_value: str | None = None
    number_value: int | float | None = None
    bool_value: bool | None = None


class FunctionCall(msgspec.Struct, rename="camel"):
    """A call, or a piece of one if `will_continue` or a call before it said so."""

    id: str | None = None
    name: str | None = None
    args: msgspec.Raw = msgspec.Raw()
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class Blob(msgspec.Struct, rename="camel"):
    mime_type: str | None = None
    data: str | None = None


class FileUri(msgspec.Struct, rename="camel"):
    mime_type: str | None = None
    file_uri: str | None = None


class Code(msgspec.Struct, rename="camel"):
    language: str | None = None
    code: str | None = None


class CodeResult(msgspec.Struct, rename="camel"):
    outcome: str | None = None
    output: str | None = None


class Part(msgspec.Struct, rename="camel"):
    """A part of an answer; which member is set says what it is."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    file_data: FileUri | None = None
    executable_code: Code | None = None
    code_execution_result: CodeResult | None = None
    tool_call: msgspec.Raw = msgspec.Raw()
    tool_response: msgspec.Raw = msgspec.Raw()


class Content(msgspec.Struct, rename="camel"):
    parts: list[Part] | None = None


class WebPage(msgspec.Struct, rename="camel"):
    uri: str | None = None
    title: str | None = None


class GroundingChunk(msgspec.Struct, rename="camel"):
    web: WebPage | None = None


class Segment(msgspec.Struct, rename="camel"):
    text: str | None = None


class GroundingSupport(msgspec.Struct, rename="camel"):
    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class Grounding(msgspec.Struct, rename="camel"):
    """What Google was searched for, the pages found, and which of them say what of the text."""

    web_search_queries: list[str] | None = None
    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    index: int | None = None
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    grounding_metadata: Grounding | None = None


class PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: Number = None
    cached_content_token_count: Number = None
    tool_use_prompt_token_count: Number = None
    candidates_token_count: Number = None
    thoughts_token_count: Number = None
    total_token_count: Number = None


class Chunk(msgspec.Struct, rename="camel"):
    """One event of a stream, or a whole answer."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: Usage | None = None
    model_version: str | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(Chunk)
_lax_decoder = msgspec.json.Decoder(Chunk, strict=False)
_row_decoder = msgspec.json.Decoder(list[msgspec.Raw])


def read_chunk(data: bytes | msgspec.Raw) -> Chunk:
    """The chunk in `data`. Raises RemoteProtocolError for what is not JSON or not of this shape."""
    try:
        try:
            return _decoder.decode(data)
        except msgspec.ValidationError:
            return _lax_decoder.decode(data)
    except msgspec.ValidationError as error:
        raise RemoteProtocolError(f"the provider sent a chunk that is no Gemini answer: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the provider sent corrupt JSON: {error}") from error


def read_row(data: bytes) -> list[msgspec.Raw]:
    """The chunks of a stream that came as one JSON array. Raises as `read_chunk`."""
    try:
        return _row_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the provider sent corrupt JSON: {error}") from error


def object_in(raw: msgspec.Raw) -> JsonObject:
    """The object in `raw`. Raises as `read_chunk`."""
    try:
        return msgspec.json.decode(raw, type=JsonObject)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the provider sent corrupt JSON: {error}") from error
