"""Doing without a member that a server refuses. Pure.

A server that no profile describes (an older Vertex, a relay) says in a 400 what it does not take; then the same request
without it is a better answer than the error. Only what leaves the conversation, the tools and the asked format as they
are may go; a length limit that is too high goes down to the one that the error names, and what can be said in an older
word is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ccrouter.dialects.base import Loss, UpstreamRequest
from ccrouter.dialects.gemini.schema import openapi
from ccrouter.dialects.ledger import lessened
from ccrouter.dialects.refusals import highest_limit, refused_name
from ccrouter.errors import UpstreamStatus
from ccrouter.jsontypes import JsonObject

_LIMIT = "maxOutputTokens<="
_IDS, _SCHEMAS, _SIGNATURES = "functionCall.id", "parametersJsonSchema", "thoughtSignature"
_SIDE = "includeServerSideToolInvocations"
_PLACEHOLDER = "skip_thought_signature_validator"

#: Members of `generationConfig` that may go → where in a Messages request they were asked for.
_CONFIG = {
    "thinkingConfig": "thinking",
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "stopSequences": "stop_sequences",
}
#: What the errors call `thinkingConfig` when they are about what is in it.
_THINKING = re.compile(
    r"thinking[ _]?(?:config|budget|level)|thinking (?:is|mode)|(?:does|do) not support thinking|budget \d+ is invalid"
    r"|include_?thoughts",
    re.IGNORECASE,
)
_UNKNOWN_ID = re.compile(r"unknown name \\?[\"']id\\?[\"'] at .{0,80}function_?(?:call|response)", re.IGNORECASE)
_UNSIGNED = re.compile(r"missing (?:a|an|the)? ?[`'\"]?thought_?signature", re.IGNORECASE)
#: Refusals by range: "it has a topK value of 500 but the supported range is ...".
_RANGE = re.compile(r"has an? (temperature|topP|topK) value of", re.IGNORECASE)


class Body:
    """A request's members, each decoded when somebody asks for it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        self._members: dict[str, Any] = {}

    def member(self, name: str) -> Any:
        """The decoded member, to be changed in place; None if it is absent, or nothing that can be decoded and encoded
        again without a change.
        """
        if name not in self._members:
            try:
                self._members[name] = msgspec.json.decode(self._raw[name])
            except (KeyError, msgspec.DecodeError):
                return None
        return self._members[name]

    def remove(self, name: str) -> None:
        self._raw.pop(name, None)
        self._members.pop(name, None)

    def encode(self) -> bytes:
        return msgspec.json.encode({**self._raw, **self._members})


def refused_member(error: UpstreamStatus, sent: UpstreamRequest) -> str:
    """The member of `sent` that the error says the server does not take, if it can be done without; else "". Where a
    lower limit is asked for, that is "maxOutputTokens<=N".
    """
    if error.status not in {400, 422}:
        return ""
    text = str(error)
    body = Body(sent.body)
    config = _object(body, "generationConfig")
    most = highest_limit(text)
    if most and _whole(config.get("maxOutputTokens")) > most:
        return f"{_LIMIT}{most}"
    if _UNSIGNED.search(text):
        return _SIGNATURES if any("thoughtSignature" not in call for call in _first_calls(body)) else ""
    if _UNKNOWN_ID.search(text):
        return _IDS if any("id" in call for call in _calls_and_results(body)) else ""
    if "thinkingConfig" in config and _THINKING.search(text):
        return "thinkingConfig"
    out_of_range = _RANGE.search(text)
    named = refused_name(text, [*(name for name in _CONFIG if name in config), _SCHEMAS, _SIDE])
    if named == _SCHEMAS:
        return named if any(_SCHEMAS in function for function in _functions(body)) else ""
    if named == _SIDE:
        return named if _SIDE in _object(body, "toolConfig") else ""
    if out_of_range is not None and out_of_range[1] in config:
        return out_of_range[1]
    return named


def without(sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest:
    """`sent` without the refused members, or with them said in another way, or lowered; what is lost is told."""
    names = list(refused)
    if not names:
        return sent
    body = Body(sent.body)
    losses = list(sent.losses)
    for name in names:
        if name.startswith(_LIMIT):
            _lower(body, int(name.removeprefix(_LIMIT)), losses)
        elif name in _CONFIG:
            if _object(body, "generationConfig").pop(name, None) is not None:
                losses.append(Loss(_CONFIG[name], f"the provider refuses {name}; sent without"))
        elif name in _REWRITES:
            _REWRITES[name](body)
    return lessened(sent, body.encode(), losses)


def _lower(body: Body, most: int, losses: list[Loss]) -> None:
    config = _object(body, "generationConfig")
    asked = _whole(config.get("maxOutputTokens"))
    if asked > most:
        config["maxOutputTokens"] = most
        losses.append(Loss("max_tokens", f"{asked} sent as {most}, the most that the provider takes", "approximated"))


# -- the same in other words -------------------------------------------------------------------------------------------


def _without_ids(body: Body) -> None:
    for call in _calls_and_results(body):
        call.pop("id", None)


def _as_openapi(body: Body) -> None:
    for function in _functions(body):
        schema = function.pop(_SCHEMAS, None)
        if schema is not None and schema.get("properties"):
            function["parameters"] = openapi(schema)


def _signed(body: Body) -> None:
    for call in _first_calls(body):
        call.setdefault("thoughtSignature", _PLACEHOLDER)


def _unannounced(body: Body) -> None:
    config = _object(body, "toolConfig")
    config.pop(_SIDE, None)
    if not config:
        body.remove("toolConfig")


_REWRITES: Mapping[str, Callable[[Body], None]] = {
    _IDS: _without_ids,
    _SCHEMAS: _as_openapi,
    _SIGNATURES: _signed,
    _SIDE: _unannounced,
}


# -- places in a request -----------------------------------------------------------------------------------------------


def _object(body: Body, name: str) -> JsonObject:
    value = body.member(name)
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _functions(body: Body) -> Iterator[JsonObject]:
    for tool in _objects(body.member("tools")):
        yield from _objects(tool.get("functionDeclarations"))


def _parts(body: Body) -> Iterator[list[JsonObject]]:
    for content in _objects(body.member("contents")):
        yield _objects(content.get("parts"))


def _objects(value: object) -> list[JsonObject]:
    """The objects in a list that may be of the user's making (`extra_body`)."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _calls_and_results(body: Body) -> Iterator[JsonObject]:
    for parts in _parts(body):
        for part in parts:
            yield from _objects([part.get("functionCall"), part.get("functionResponse")])


def _first_calls(body: Body) -> Iterator[JsonObject]:
    """The first part with a call of each content that has one: the ones that have to be signed."""
    for parts in _parts(body):
        yield from [part for part in parts if "functionCall" in part][:1]
