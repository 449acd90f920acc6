"""A Messages request → a Responses request. Pure.

Stateless: nothing is stored at the provider, and nothing stored there is referred to. One decode of the conversation,
one encode of the result. What is mapped to what, and what is lost on the way, is docs/reference/openai-responses.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.base import Amend, Loss, UpstreamRequest
from ccrouter.dialects.extra_body import merged
from ccrouter.dialects.jsonschema import is_closed, output_schema
from ccrouter.dialects.ledger import BETA_HEADER, left_out, thinking_hints, unsent_members, unsent_within
from ccrouter.dialects.limits import fitted_limit, session_pseudonym
from ccrouter.dialects.openai_responses.content import Content
from ccrouter.dialects.openai_responses.conversation import Conversation
from ccrouter.dialects.openai_responses.reasoning import reasoning_members
from ccrouter.dialects.openai_responses.tools import choice_members, toolset_of
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.profiles import profile_of
from ccrouter.dialects.toolnames import sent_name
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest

#: Members that are mapped. Of all others dialects/ledger.py says whether they are missed.
_KNOWN = frozenset(
    {
        "model", "messages", "system", "tools", "tool_choice", "max_tokens", "stream", "temperature", "top_p", "top_k",
        "stop_sequences", "thinking", "output_config", "thread",
    }
)  # fmt: skip
_WITHIN = {
    "tool_choice": frozenset({"type", "name", "disable_parallel_tool_use"}),
    "thinking": frozenset({"type", "budget_tokens", "display", "block_binding"}),
    "output_config": frozenset({"effort", "format"}),
}
_FORMAT = "output_config.format"
#: 400 for names of formats that are longer, or of other letters than tools may have.
_NAME_LIMIT = 64


@dataclass(frozen=True, slots=True)
class ResponsesRequest(UpstreamRequest):
    """A Responses request, and what the reader of its answer has to know of it: the call ids that the client has seen,
    and whether it asked for a web search.
    """

    ids: frozenset[str] = frozenset()
    asks_search: bool = False


def encode(
    request: MessagesRequest, target: Target, amend: Amend | None = None, *, has_betas: bool = False
) -> ResponsesRequest:
    """The request for `target`, as `amend` leaves it; `has_betas` says that the client named some in a header.

    Raises UnsupportedContent for content that it cannot carry and must not lose, and ClientError for members of the
    wrong type.
    """
    profile = profile_of(target)
    content = Content(profile)
    tools = toolset_of(request, profile)
    losses = content.losses
    losses += tools.losses
    content.kept.add("stream")
    content.mapped.update(tools.mapped, ("model",))
    format_members, instruction = _format(request, profile, content)
    conversation = Conversation(content, target.provider.name, target.model)
    conversation.write(request.system, request.turns, instruction)
    body: dict[str, Any] = {"model": target.model}
    if conversation.instructions:
        body["instructions"] = conversation.instructions
    body["input"] = conversation.items
    if tools.encoded:
        body["tools"] = msgspec.Raw(tools.encoded)
    for members, lost, said in (
        choice_members(request.tool_choice, tools, profile),
        _limits(request, profile, content),
        reasoning_members(request, profile, searches=tools.searches),
    ):
        body.update(members)
        losses += lost
        content.mapped |= said
    body.update(format_members)
    _housekeeping(body, request, profile)
    losses += _unsent(request, has_betas=has_betas)
    if amend is not None:
        body = amend(body)
    return ResponsesRequest(
        body=msgspec.json.encode(merged(body, target.provider.extra_body)),
        headers={"accept": "text/event-stream" if request.stream else "application/json", **profile.default_headers},
        losses=tuple(dict.fromkeys(losses)),
        names={**conversation.names, **tools.names},
        kept=frozenset(content.kept),
        mapped=frozenset(content.mapped),
        ids=frozenset(conversation.ids),
        asks_search=tools.asks_search,
    )


def _housekeeping(body: dict[str, Any], request: MessagesRequest, profile: Profile) -> None:
    body["stream"] = request.stream
    body["store"] = False
    if profile.session_member and (pseudonym := session_pseudonym(request)):
        body[profile.session_member] = pseudonym


def _limits(
    request: MessagesRequest, profile: Profile, content: Content
) -> tuple[dict[str, Any], list[Loss], set[str]]:
    """Length and sampling, within what the profile accepts; there are no stop sequences."""
    members: dict[str, Any] = {}
    losses: list[Loss] = []
    mapped: set[str] = set()
    limit = request.max_tokens
    if limit is not None:
        fitting, lost = fitted_limit(limit, request, profile)
        losses += lost
        members["max_output_tokens"] = fitting
        mapped.add("max_tokens")
    for name in ("temperature", "top_p", "top_k"):
        value = request.number(name)
        if value is None:
            continue
        if profile.accepts_sampling and name != "top_k":
            members[name] = value
            content.kept.add(name)
        elif value != 1 or name == "top_k":  # 1 is what the model does anyway
            losses.append(Loss(name, "the model takes none"))
    if any(request.stop_sequences):
        losses.append(Loss("stop_sequences", "the API has none"))
    return members, losses, mapped


def _format(request: MessagesRequest, profile: Profile, content: Content) -> tuple[dict[str, Any], str]:
    """The `text` member, and words for the instructions where the server cannot be held to a schema."""
    asked = request.output_config.format
    if not asked:
        return {}, ""
    schema = asked.get("schema")
    if asked.get("type") != "json_schema" or not isinstance(schema, dict):
        content.losses.append(Loss(_FORMAT, f"unknown format {asked.get('type')}"))
        return {}, ""
    if profile.accepts_response_format == "json_schema":
        unsaid: set[str] = set()
        fitted = output_schema(schema, profile, unsaid)
        name = asked.get("name")
        wanted: JsonObject = {
            "type": "json_schema",
            "name": sent_name(name, _NAME_LIMIT) if isinstance(name, str) and name else "answer",
            "schema": fitted,
        }
        if is_closed(fitted):
            wanted["strict"] = True
        content.mapped.add(_FORMAT)
        if unsaid:
            content.losses.append(Loss(f"{_FORMAT}.schema", left_out(unsaid), "approximated"))
        return {"text": {"format": wanted}}, ""
    what = "the schema is asked for in words: the provider cannot enforce it"
    content.losses.append(Loss(_FORMAT, what, "approximated"))
    text = msgspec.json.encode(schema).decode()
    words = f"Answer with one JSON object and nothing else. It must match this JSON schema: {text}"
    if profile.accepts_response_format == "json_object":
        return {"text": {"format": {"type": "json_object"}}}, words
    return {}, words


def _unsent(request: MessagesRequest, *, has_betas: bool) -> list[Loss]:
    losses = unsent_members(request, _KNOWN)
    for member, known in _WITHIN.items():
        losses += unsent_within(request, member, known)
    losses += thinking_hints(request)
    return [*losses, BETA_HEADER] if has_betas else losses
