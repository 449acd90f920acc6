"""Every model that an outgoing request names, read from its bytes and its URL. Pure; judges nothing.

Read from the bytes and not from what made them: whoever asks wants to know what a provider will see. A provider may
read more leniently than we write (names in any case, the first of two equal names), so a name in any case counts, and
bytes that could be read in two ways are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ccrouter.config.named_models import chooses_models, models_in_url
from ccrouter.errors import LocalProtocolError

#: Members that hold the conversation, or what a user writes schemas and words in: a "model" in there chooses nothing.
_CONTENT = frozenset({
    "messages", "system", "input", "contents", "instructions", "prompt", "metadata", "stop", "stop_sequences",
    "response_format", "output_config", "output_format", "user", "session_id", "tool_choice", "systeminstruction",
    "system_instruction",
})  # fmt: skip
#: Types of tools that the client runs itself: their `parameters` are a schema.
_CLIENT_TOOLS = frozenset({"", "custom", "function"})
# Where none of these is, no member names a model; an escape may hide one.
_HINT = re.compile(rb"model|fallback|preset|route|\\u", re.IGNORECASE)
#: The members of the tools that clients send most: none of them names a model.
_PLAIN = frozenset({
    "name", "type", "description", "input_schema", "function", "cache_control", "max_uses", "strict",
    "functionDeclarations",
})  # fmt: skip
#: Members of tools that hold schemas of what the client runs.
_SCHEMAS = frozenset({"input_schema", "function", "functiondeclarations", "function_declarations"})

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raws = msgspec.json.Decoder(list[msgspec.Raw])


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it stands in the bytes: with every member, also those of the same name."""


def models_named(url: str, body: bytes) -> list[str]:
    """The models that a POST of `body` to `url` asks for, in no order, [] if none is named.

    These are the texts in members called `model`, `models` or something that ends so, in `fallbacks`, in the tools that
    the provider runs, a preset (as "@preset/…"), and what the URL names. `route: "fallback"` leaves the choice to the
    provider: it counts as a model of that name.
    Raises LocalProtocolError for bytes that are not one compact JSON object with each name once.
    """
    try:
        members = _members.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LocalProtocolError(f"the outgoing request is not a JSON object: {error}") from error
    if not _accounts_for(members, body):
        raise LocalProtocolError("the outgoing request could be read in two ways: a name twice, or loose bytes")
    found = list(models_in_url(url))
    for name, raw in members.items():
        folded = name.casefold()
        if folded == "tools":
            found += _in_tools(raw)
        elif folded not in _CONTENT and (chooses_models(folded) or _HINT.search(raw)):
            found += _in_member(folded, _pairs_of(raw))
    return found


def _accounts_for(members: dict[str, msgspec.Raw], body: bytes | msgspec.Raw) -> bool:
    """True if every byte of `body` belongs to one of `members`: nothing twice, nothing between them."""
    size = len(members) * 2 + 1 if members else 2  # braces, colons and commas
    for name, raw in members.items():
        size += len(msgspec.json.encode(name)) + len(raw)
    return size == len(body)


def _pairs_of(raw: bytes | msgspec.Raw) -> Any:
    """The value, objects as `_Pairs`."""
    try:
        return json.loads(bytes(raw), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise LocalProtocolError("a member of the outgoing request cannot be read") from error


def _in_member(folded: str, value: Any) -> Iterator[str]:
    """The models in a member by its name (case folded) and value."""
    if folded == "preset" and isinstance(value, str):
        yield f"@preset/{value}"
    elif folded == "route" and isinstance(value, str):
        if value.casefold() == "fallback":
            yield value
    elif folded.endswith(("fallback", "fallbacks")):
        yield from _texts(value)
        yield from _by_model(value)
    elif chooses_models(folded):
        yield from _texts(value)
    else:
        yield from _deep(value)


def _texts(value: Any) -> Iterator[str]:
    """Every model in the value of a member that chooses: texts, in lists too; of objects what names one in them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, _Pairs):
        yield from _deep(value)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _by_model(value: Any) -> Iterator[str]:
    """The models in lists of fallbacks that are told apart by the model that they are for: `[{"a": ["b", "c"]}]`."""
    if isinstance(value, _Pairs):
        for _, inner in value:
            if isinstance(inner, list) and not isinstance(inner, _Pairs):
                yield from _texts(inner)
    elif isinstance(value, list):
        for item in value:
            yield from _by_model(item)


def _deep(value: Any) -> Iterator[str]:
    """Every model that objects within the value name."""
    if isinstance(value, _Pairs):
        for name, inner in value:
            yield from _in_member(name.casefold(), inner)
    elif isinstance(value, list):
        for item in value:
            yield from _deep(item)


def _in_tools(raw: msgspec.Raw) -> Iterator[str]:
    """The models of tools that the provider runs. The schema of a tool that the client runs is the client's matter."""
    try:
        tools = _raws.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        yield from _deep(_pairs_of(raw))  # null, or of a shape that only the provider knows
        return
    for tool in tools:
        if not _is_plain(tool):
            yield from _in_tool(_pairs_of(tool))


def _is_plain(tool: msgspec.Raw) -> bool:
    """True for a tool with members of no interest here only, each of them once: it need not be looked into further."""
    try:
        members = _members.decode(tool)
    except (msgspec.DecodeError, RecursionError):
        return False
    return _PLAIN.issuperset(members) and _accounts_for(members, tool)


def _in_tool(tool: Any) -> Iterator[str]:
    if not isinstance(tool, _Pairs):
        yield from _deep(tool)
        return
    kinds = {str(value).casefold() for name, value in tool if name.casefold() == "type"} or {""}
    for name, value in tool:
        folded = name.casefold()
        is_schema = folded in _SCHEMAS or (folded == "parameters" and kinds <= _CLIENT_TOOLS)
        if not is_schema:
            yield from _in_member(folded, value)
