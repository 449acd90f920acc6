"""Members that mean the same in OpenAI's two APIs, read into Messages' words. Pure.

What a client said wrongly is a ClientError whose details name the JSON path as `param`, as OpenAI's errors do.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ccrouter.dialects.draft import Draft
from ccrouter.errors import ClientError
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest, locate

T = TypeVar("T")

_MOST_USER_ID = 256  # characters that the Messages API takes
_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_NULL = b"null"
#: Effort words of OpenAI that the Messages API says otherwise.
_EFFORTS = {"minimal": "low"}
_KNOWN_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_IN_WORDS = "Answer with one JSON object and nothing else."
#: The member of a free-form tool's input.
INPUT = "input"


def bad(path: str, why: str) -> ClientError:
    """A 400 that names the JSON path."""
    return ClientError(f"{path}: {why}", details={"param": path})


def members_of(body: bytes) -> dict[str, msgspec.Raw]:
    """The top level of a request, undecoded. Raises ClientError for what is no JSON object."""
    if not body.strip():
        raise ClientError("the request body is empty; it must be a JSON object")
    return MessagesRequest.read(body).members


def take(members: Mapping[str, msgspec.Raw], name: str, decoder: msgspec.json.Decoder[T]) -> T | None:
    """The member, None if it is absent or null. Raises ClientError with the path at fault."""
    raw = members.get(name)
    if raw is None or bytes(raw) == _NULL:
        return None
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        path, _, why = locate(name, error).partition(": ")
        raise bad(path, why) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad(name, f"not valid JSON: {error}") from error


text = msgspec.json.Decoder(str)
flag = msgspec.json.Decoder(bool)
whole = msgspec.json.Decoder(int)
number = msgspec.json.Decoder(float)
anything: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
members = msgspec.json.Decoder(dict[str, msgspec.Raw])


# -- limits and sampling -------------------------------------------------------------------------------------------


def read_limit(asked: Mapping[str, msgspec.Raw], names: Sequence[str], draft: Draft) -> None:
    """The limit on the answer's length, under the first of `names` that is there."""
    for name in names:
        limit = take(asked, name, whole)
        if limit is not None:
            if limit < 1:
                raise bad(name, "must be at least 1")
            draft.members["max_tokens"] = limit
            draft.mark("max_tokens", name)
            return


def read_sampling(asked: Mapping[str, msgspec.Raw], draft: Draft) -> None:
    """`temperature`, which reaches to 2 there and to 1 here, and `top_p`."""
    for name in ("temperature", "top_p"):
        value = take(asked, name, number)
        if value is None:
            continue
        if value < 0:
            raise bad(name, "must not be negative")
        if value > 1:
            draft.lose(name, f"{value:g} sent as 1, the most that the Messages API knows", "approximated")
        draft.members[name] = min(value, 1)


def read_effort(word: str | None, path: str, draft: Draft, *, shows: bool = False) -> None:
    """How much to reason. `shows` if the client wants to see it."""
    if word is None:
        return
    draft.mark("thinking", path)
    draft.mark("output_config.effort", path)
    if word == "none":
        draft.members["thinking"] = {"type": "disabled"}
        return
    effort = _EFFORTS.get(word, word)
    if effort not in _KNOWN_EFFORTS:
        raise bad(path, f"must be none, minimal, low, medium, high, xhigh or max, not {word!r}")
    if effort != word:
        draft.lose(path, f"{word} sent as {effort}", "approximated")
    draft.members["thinking"] = {"type": "adaptive", **({"display": "summarized"} if shows else {})}
    output_config(draft)["effort"] = effort


def output_config(draft: Draft) -> JsonObject:
    """The member `output_config` of the request in the making."""
    config: JsonObject = draft.members.setdefault("output_config", {})
    return config


# -- the form of the answer ----------------------------------------------------------------------------------------


def read_format(kind: str, schema: object, path: str, draft: Draft) -> None:
    """`response_format` or `text.format`, taken apart."""
    draft.mark("output_config.format", path)
    if kind == "json_schema":
        if not isinstance(schema, dict):
            raise bad(f"{path}.schema", "required, a JSON schema")
        output_config(draft)["format"] = {"type": "json_schema", "schema": schema}
    elif kind == "json_object":
        draft.lose(path, "JSON without a schema is asked for in words", "approximated")
        draft.add_instruction(_IN_WORDS, path)
    elif kind != "text":
        raise bad(f"{path}.type", f"must be text, json_object or json_schema, not {kind!r}")


# -- who asks ------------------------------------------------------------------------------------------------------


def read_user(asked: Mapping[str, msgspec.Raw], draft: Draft) -> None:
    """Who asks, and within which session: what a prompt cache goes by is the best word for that which there is."""
    user = take(asked, "safety_identifier", text) or take(asked, "user", text) or ""
    session = take(asked, "prompt_cache_key", text) or ""
    told = f"{user}_session_{session}" if session else user
    if told:
        draft.members["metadata"] = {"user_id": told[-_MOST_USER_ID:]}
        draft.mark("metadata", "prompt_cache_key" if session else "user")


# -- media ---------------------------------------------------------------------------------------------------------


def note_detail(detail: str | None, path: str, draft: Draft) -> None:
    """How closely an image is to be looked at is not said by the Messages API."""
    if detail not in {None, "", "auto"}:
        draft.lose(path, "a wish about how closely, and for how much, an image is looked at", "hint")


def image_block(url: str) -> JsonObject | None:
    """An image by its URL or data URL; None for one that is neither."""
    if url[:5].lower() == "data:":
        found = _DATA_URL.match(url)
        if found is None or ";base64" not in found[2].lower():
            return None
        source = {"type": "base64", "media_type": found[1] or "image/png", "data": url[found.end() :]}
    elif url[:8].lower().startswith(("http://", "https://")):
        source = {"type": "url", "url": url}
    else:
        return None
    return {"type": "image", "source": source}


def file_block(data: str, name: str) -> JsonObject | None:
    """A file that came with the request, as data URL or base64: PDFs as they are, texts as text; None for others."""
    found = _DATA_URL.match(data)
    media_type = (found[1] if found else "") or ("text/plain" if name.endswith((".txt", ".md")) else "application/pdf")
    coded = data[found.end() :] if found else data
    if media_type == "application/pdf":
        source = {"type": "base64", "media_type": media_type, "data": coded}
    elif media_type.startswith("text/") or media_type == "application/json":
        try:
            plain = base64.b64decode(coded, validate=True).decode()
        except (binascii.Error, ValueError):
            return None
        source = {"type": "text", "media_type": "text/plain", "data": plain}
    elif media_type.startswith("image/"):
        return image_block(f"data:{media_type};base64,{coded}")
    else:
        return None
    return {"type": "document", "source": source, **({"title": name} if name else {})}


# -- tools ---------------------------------------------------------------------------------------------------------


def freeform_tool(name: str, description: str, grammar: object) -> JsonObject:
    """A tool that takes free text, as one that takes an object with that text in it."""
    words = "All of the tool's input, as plain text."
    if isinstance(grammar, dict) and grammar.get("definition"):
        words += f" It must match this {grammar.get('syntax', '')} grammar:\n{grammar['definition']}"
    return {
        "name": name,
        "description": description,
        "input_schema": {
            "type": "object",
            "properties": {INPUT: {"type": "string", "description": words}},
            "required": [INPUT],
            "additionalProperties": False,
        },
    }


def freeform_input(arguments: str) -> str:
    """What a model wrote for a free-form tool; all of it where it did not keep to the form."""
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    written = value.get(INPUT) if isinstance(value, dict) else None
    return written if isinstance(written, str) else arguments


def function_tool(
    name: str, description: str | None, parameters: object, *, strict: bool | None, path: str
) -> JsonObject:
    """A function as a tool."""
    if not name:
        raise bad(f"{path}.name", "required")
    if parameters is None:
        parameters = {"type": "object", "properties": {}}
    if not isinstance(parameters, dict):
        raise bad(f"{path}.parameters", "must be a JSON schema, an object")
    tool: JsonObject = {"name": name, "input_schema": {"type": "object", **parameters}}
    if description:
        tool["description"] = description
    if strict:
        tool["strict"] = True
    return tool


def web_search_tool(location: object, domains: object) -> JsonObject:
    """The provider's own web search."""
    tool: JsonObject = {"type": "web_search_20250305", "name": "web_search"}
    if isinstance(domains, list) and domains:
        tool["allowed_domains"] = domains
    if isinstance(location, dict):
        place = location.get("approximate") if isinstance(location.get("approximate"), dict) else location
        told = {name: value for name, value in (place or {}).items() if name != "type" and value}
        if told:
            tool["user_location"] = {"type": "approximate", **told}
    return tool


def choice(kind: str, *, name: str = "", parallel: bool | None = None, has_tools: bool = True) -> JsonObject | None:
    """`tool_choice` for "auto", "none", "required" or "tool", and for whether calls may be parallel; None if neither is
    said.
    """
    told: JsonObject = {"type": {"required": "any"}.get(kind, kind or "auto")}
    if kind == "tool":
        told["name"] = name
    if parallel is False and kind != "none":
        told["disable_parallel_tool_use"] = True
    return told if has_tools and (kind or len(told) > 1) else None


# -- what is not said ----------------------------------------------------------------------------------------------

#: Members of either API that tell the service something about price, speed or accounting.
HINTS = {
    "metadata": "labels for OpenAI's own records",
    "prompt_cache_retention": "a wish about caching",
    "prompt_cache_options": "a wish about caching",
    "service_tier": "a choice among OpenAI's own tiers",
    "safety_identifier": "names the end user to OpenAI",
    "client_metadata": "labels for OpenAI's own records",
    "prediction": "a wish about speed",
}


def note_unsaid(
    asked: Mapping[str, msgspec.Raw], known: frozenset[str], unsaid: Mapping[str, str], draft: Draft
) -> None:
    """Tell what becomes of members that are not `known`: `unsaid` are losses by name, the HINTS are hints."""
    for name, raw in asked.items():
        if name in known or bytes(raw) in {_NULL, b"[]", b"{}", b"false", b"0", b'""'}:
            continue
        if name in HINTS:
            draft.lose(name, HINTS[name], "hint")
        else:
            draft.lose(name, unsaid.get(name, "not sent: the Messages API has nothing like it"))
