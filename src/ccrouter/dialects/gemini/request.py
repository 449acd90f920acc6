"""A Messages request → a generateContent request. Pure.

One decode of the conversation, one encode of the result. What is mapped to what, and what is lost on the way, is
docs/reference/gemini.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.base import Amend, Loss, UpstreamRequest
from ccrouter.dialects.extra_body import merged
from ccrouter.dialects.gemini.content import Content
from ccrouter.dialects.gemini.conversation import Conversation
from ccrouter.dialects.gemini.place import url_of
from ccrouter.dialects.gemini.schema import answer
from ccrouter.dialects.gemini.thinking import thinking_members
from ccrouter.dialects.gemini.tools import Toolset, choice_members, toolset_of
from ccrouter.dialects.ledger import BETA_HEADER, left_out, thinking_hints, unsent_members, unsent_within
from ccrouter.dialects.limits import fitted_limit
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.profiles import profile_of
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
_SAMPLING = {"temperature": "temperature", "top_p": "topP", "top_k": "topK"}
_FORMAT = "output_config.format"


@dataclass(frozen=True, slots=True)
class GeminiRequest(UpstreamRequest):
    """A Gemini request, and what the reader of its answer has to know of it: the call ids that the client has seen, and
    whether it asked for a web search.
    """

    ids: frozenset[str] = frozenset()
    asks_web_search: bool = False


def encode(
    request: MessagesRequest, target: Target, amend: Amend | None = None, *, has_betas: bool = False
) -> GeminiRequest:
    """The request for `target`, as `amend` leaves it; `has_betas` says that the client named some in a header.

    Raises UnsupportedContent for content that it cannot carry and must not lose, and ClientError for members of the
    wrong type and for a model that has no place.
    """
    profile = profile_of(target)
    url = url_of(target.endpoint.url, target.model, is_streamed=request.stream)
    is_vertex = target.endpoint.platform == "vertex"
    content = Content(profile)
    tools = _tools(request, profile, is_vertex=is_vertex)
    losses = content.losses
    losses += tools.losses
    content.mapped.update(tools.mapped, ("model", "stream"))
    config, instruction = _format(request, profile, content, has_functions=bool(tools.functions))
    conversation = Conversation(content, target.provider.name, target.model)
    conversation.write(request.system, request.turns, instruction)
    body: dict[str, Any] = {"contents": conversation.contents}
    if conversation.system:
        body["systemInstruction"] = {"parts": conversation.system}
    if tools.encoded:
        body["tools"] = msgspec.Raw(tools.encoded)
    choice, lost, said = choice_members(request.tool_choice, tools, profile, is_vertex=is_vertex)
    body.update(choice)
    limits = _limits(request, profile, content)
    thinking, unthought, thought = thinking_members(request, profile, limits.get("maxOutputTokens"))
    content.mapped |= said | thought
    losses += [*lost, *unthought]
    losses += [loss for loss in _unsent(request, has_betas=has_betas) if loss.path not in thought]
    if config := {**limits, **thinking, **config}:
        body["generationConfig"] = config
    if amend is not None:
        body = amend(body)
    return GeminiRequest(
        body=msgspec.json.encode(merged(body, target.provider.extra_body)),
        headers={"accept": "text/event-stream" if request.stream else "application/json", **profile.default_headers},
        losses=tuple(dict.fromkeys(losses)),
        names={**conversation.names, **tools.names},
        url=url,
        kept=frozenset(content.kept),
        mapped=frozenset(content.mapped),
        ids=frozenset(conversation.ids),
        asks_web_search=tools.asks_web_search,
    )


def _tools(request: MessagesRequest, profile: Profile, *, is_vertex: bool) -> Toolset:
    """The request's tools; none where a search is all there is and the client wants none of it."""
    tools = toolset_of(request, profile, is_vertex=is_vertex)
    choice = request.tool_choice
    if choice is not None and choice.type == "none" and not tools.functions:
        return Toolset(mapped=tools.mapped, losses=tools.losses)
    return tools


def _limits(request: MessagesRequest, profile: Profile, content: Content) -> dict[str, Any]:
    """Length, sampling and stop sequences, within what the profile accepts."""
    members: dict[str, Any] = {}
    limit = request.max_tokens
    if limit is not None:
        fitting, lost = fitted_limit(limit, request, profile)
        content.losses += lost
        members["maxOutputTokens"] = fitting
        content.mapped.add("max_tokens")
    for name, sent in _SAMPLING.items():
        value = request.number(name)
        if value is None:
            continue
        if profile.accepts_sampling and (name != "top_k" or profile.accepts_top_k):
            members[sent] = value
            content.mapped.add(name)
        elif value != 1 or name == "top_k":  # 1 is what the model does anyway
            content.losses.append(Loss(name, "the model takes none"))
    stops = [stop for stop in request.stop_sequences if stop]
    if stops and profile.max_stops:
        members["stopSequences"] = stops[: profile.max_stops]
        content.mapped.add("stop_sequences")
    if len(stops) > profile.max_stops:
        what = f"only the first {profile.max_stops} of {len(stops)} sent"
        content.losses.append(Loss("stop_sequences", what, "approximated"))
    return members


def _format(
    request: MessagesRequest, profile: Profile, content: Content, *, has_functions: bool
) -> tuple[dict[str, Any], str]:
    """The members that hold the answer to a schema, and words for the system prompt where it cannot be held to it."""
    asked = request.output_config.format
    if not asked:
        return {}, ""
    schema = asked.get("schema")
    if asked.get("type") != "json_schema" or not isinstance(schema, dict):
        content.losses.append(Loss(_FORMAT, f"unknown format {asked.get('type')}"))
        return {}, ""
    if profile.accepts_response_format == "json_schema" and (profile.accepts_format_with_tools or not has_functions):
        unsaid: set[str] = set()
        fitted = answer(schema, unsaid)
        content.mapped.add(_FORMAT)
        if unsaid:
            content.losses.append(Loss(f"{_FORMAT}.schema", left_out(unsaid), "approximated"))
        return {"responseMimeType": "application/json", "responseJsonSchema": fitted}, ""
    what = "the schema is asked for in words: the model cannot be held to it where it has functions"
    content.losses.append(Loss(_FORMAT, what, "approximated"))
    text = msgspec.json.encode(schema).decode()
    return {}, f"Answer with one JSON object and nothing else. It must match this JSON schema: {text}"


def _unsent(request: MessagesRequest, *, has_betas: bool) -> list[Loss]:
    losses = unsent_members(request, _KNOWN)
    for member, known in _WITHIN.items():
        losses += unsent_within(request, member, known)
    losses += thinking_hints(request)
    return [*losses, BETA_HEADER] if has_betas else losses
