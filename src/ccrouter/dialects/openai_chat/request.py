"""A Messages request → a Chat Completions request. Pure.

One decode of the conversation, one encode of the result. What is mapped to what, and what is lost on the way, is
docs/reference/openai-chat.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.base import Amend, Loss, UpstreamRequest
from ccrouter.dialects.extra_body import merged
from ccrouter.dialects.jsonschema import is_closed, output_schema
from ccrouter.dialects.ledger import BETA_HEADER, left_out, thinking_hints, unsent_members, unsent_within
from ccrouter.dialects.limits import fitted_limit, session_pseudonym
from ccrouter.dialects.openai_chat.content import Content
from ccrouter.dialects.openai_chat.conversation import Conversation
from ccrouter.dialects.openai_chat.reasoning import is_streamed, reasoning_members
from ccrouter.dialects.openai_chat.tools import Toolset, choice_members, toolset_of
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.profiles import profile_of
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


@dataclass(frozen=True, slots=True)
class ChatRequest(UpstreamRequest):
    """A Chat request, and what the reader of its answer has to know of it: the schemas of the functions sent, the call
    ids that the client has seen, the stop sequences, and whether the client or we asked for a web search.
    """

    schemas: Mapping[str, JsonObject] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()
    stops: tuple[str, ...] = ()
    asks_web_search: bool = False


def encode(
    request: MessagesRequest, target: Target, amend: Amend | None = None, *, has_betas: bool = False
) -> ChatRequest:
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
    body: dict[str, Any] = {"model": target.model}
    format_members, instruction = _format(request, profile, content)
    conversation = Conversation(content, target.provider.name)
    conversation.write(request.system, request.turns, instruction)
    body["messages"] = conversation.messages
    if tools.encoded:
        body["tools"] = msgspec.Raw(tools.encoded)
    for members, lost, said in (
        choice_members(request.tool_choice, tools, profile),
        _limits(request, profile, content),
        reasoning_members(request, profile, has_tools=bool(tools.schemas)),
    ):
        body.update(members)
        losses += lost
        content.mapped |= said
    body.update(format_members)
    _stream(body, request, profile, has_tools=bool(tools.schemas))
    losses += _unsent(request, has_betas=has_betas)
    if amend is not None:
        body = amend(body)
    accepted = "text/event-stream" if is_streamed(request, profile) else "application/json"
    return ChatRequest(
        body=msgspec.json.encode(merged(body, target.provider.extra_body)),
        headers={"accept": accepted, **profile.default_headers},
        losses=tuple(dict.fromkeys(losses)),
        names={**conversation.names, **tools.names},
        kept=frozenset(content.kept),
        mapped=frozenset(content.mapped),
        schemas=tools.schemas if profile.textual_tool_calls else {},
        ids=frozenset(conversation.ids),
        stops=tuple(request.stop_sequences),
        asks_web_search=_asks(tools),
    )


def _asks(tools: Toolset) -> bool:
    return tools.asks_web_search or tools.web_searches


def _limits(
    request: MessagesRequest, profile: Profile, content: Content
) -> tuple[dict[str, Any], list[Loss], set[str]]:
    """Length, sampling and stop sequences, within what the profile accepts."""
    members: dict[str, Any] = {}
    losses: list[Loss] = []
    mapped: set[str] = set()
    limit = request.max_tokens
    if limit is not None:
        fitting, lost = fitted_limit(limit, request, profile)
        losses += lost
        members[profile.max_tokens_field] = fitting
        mapped.add("max_tokens")
    for name, is_accepted in (
        ("temperature", profile.accepts_sampling),
        ("top_p", profile.accepts_sampling),
        ("top_k", profile.accepts_sampling and profile.accepts_top_k),
    ):
        value = request.number(name)
        if value is None:
            continue
        if is_accepted:
            members[name] = value
            content.kept.add(name)
        elif value != 1 or name == "top_k":  # 1 is what the model does anyway
            losses.append(Loss(name, "the model takes none"))
    stops = [stop for stop in request.stop_sequences if stop]
    if stops and profile.max_stops:
        members["stop"] = stops[: profile.max_stops]
        mapped.add("stop_sequences")
    if len(stops) > profile.max_stops:
        if profile.max_stops:
            what = f"only the first {profile.max_stops} of {len(stops)} sent"
            losses.append(Loss("stop_sequences", what, "approximated"))
        else:
            losses.append(Loss("stop_sequences", "the model takes none"))
    return members, losses, mapped


def _stream(body: dict[str, Any], request: MessagesRequest, profile: Profile, *, has_tools: bool) -> None:
    body["stream"] = streams = is_streamed(request, profile)
    if streams and profile.accepts_stream_usage:
        body["stream_options"] = {"include_usage": True}
    if profile.session_member and (pseudonym := session_pseudonym(request)):
        body[profile.session_member] = pseudonym
    body.update(profile.extra)
    if has_tools and streams:
        body.update(profile.extra_with_streamed_tools)


def _format(request: MessagesRequest, profile: Profile, content: Content) -> tuple[dict[str, Any], str]:
    """The `response_format` member, and words for the system prompt where the server cannot be held to a schema."""
    asked = request.output_config.format
    if not asked:
        return {}, ""
    schema, path = asked.get("schema"), "output_config.format"
    if asked.get("type") != "json_schema" or not isinstance(schema, dict):
        content.losses.append(Loss(path, f"unknown format {asked.get('type')}"))
        return {}, ""
    if profile.accepts_response_format == "json_schema":
        name = asked.get("name")
        unsaid: set[str] = set()
        fitted = output_schema(schema, profile, unsaid)
        wanted: JsonObject = {"name": name if isinstance(name, str) and name else "answer", "schema": fitted}
        if is_closed(fitted):
            wanted["strict"] = True
        content.mapped.add(path)
        if unsaid:
            content.losses.append(Loss(f"{path}.schema", left_out(unsaid), "approximated"))
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}, ""
    what = "the schema is asked for in words: the provider cannot enforce it"
    content.losses.append(Loss(path, what, "approximated"))
    text = msgspec.json.encode(schema).decode()
    words = f"Answer with one JSON object and nothing else. It must match this JSON schema: {text}"
    if profile.accepts_response_format == "json_object":
        return {"response_format": {"type": "json_object"}}, words
    return {}, words


def _unsent(request: MessagesRequest, *, has_betas: bool) -> list[Loss]:
    losses = unsent_members(request, _KNOWN)
    for member, known in _WITHIN.items():
        losses += unsent_within(request, member, known)
    losses += thinking_hints(request)
    return [*losses, BETA_HEADER] if has_betas else losses
