"""Tools: their definitions, names and the choice among them, Messages → Responses. Pure.

The same tools come with every turn of a session, so what they become is remembered by their bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from ccrouter.dialects.base import Fate, Loss
from ccrouter.dialects.jsonschema import tool_parameters
from ccrouter.dialects.ledger import PLACEHOLDER, unsent_of_tool
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.toolnames import WEB_SEARCH, is_placeholder, is_web_search, runs_at_anthropic, sent_name
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest, Tool, ToolChoice

_tools = msgspec.json.Decoder(list[Tool])
_raw_tools = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])

_FUNCTION = frozenset({"name", "type", "description", "input_schema"})
_SEARCH = frozenset({"name", "type", "allowed_domains", "blocked_domains", "user_location", "max_uses"})
_FORMS = {"auto": "auto", "none": "none", "any": "required", "tool": "named"}


@dataclass(frozen=True, slots=True)
class Toolset:
    """Tools as sent. `encoded` is the JSON of the `tools` member, b"" for none; `names` maps sent names that had to be
    changed to asked ones, `functions` has all of them; `searches` is true if the provider searches the web by itself,
    `asks_search` if the client asked for that.
    """

    encoded: bytes = b""
    names: Mapping[str, str] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()
    mapped: frozenset[str] = frozenset()
    losses: tuple[Loss, ...] = ()
    searches: bool = False
    asks_search: bool = False


class _Gathered:
    """What becomes of the tools, one by one."""

    def __init__(self) -> None:
        self.sent: list[JsonObject] = []
        self.names: dict[str, str] = {}
        self.functions: set[str] = set()
        self.mapped: set[str] = set()
        self.unsaid: set[str] = set()
        self.losses: list[Loss] = []


def toolset_of(request: MessagesRequest, profile: Profile) -> Toolset:
    """The request's tools as `profile`'s server takes them. Raises ClientError where they are no list of tools."""
    raw = request.members.get("tools")
    if raw is None or bytes(raw) in {b"null", b"[]"}:
        return Toolset()
    try:
        return _toolset(bytes(raw), profile)
    except (msgspec.DecodeError, RecursionError):
        _ = request.tools  # fails the same way, with words for the client
        raise


@lru_cache(maxsize=32)
def _toolset(raw: bytes, profile: Profile) -> Toolset:
    found = _Gathered()
    searches = asks_search = False
    for place, (tool, members) in enumerate(zip(_tools.decode(raw), _raw_tools.decode(raw), strict=True)):
        path = f"tools[{place}]"
        if is_placeholder(tool):
            found.losses.append(PLACEHOLDER)
        elif not runs_at_anthropic(tool):
            _add_function(found, tool, members, path, profile)
        elif is_web_search(tool) and profile.web_search_tool:
            asks_search = searches = True
            _add_search(found, tool, members, path, profile)
        else:
            asks_search = asks_search or is_web_search(tool)
            what = f"server tool {tool.type} dropped: the provider has none like it"
            found.losses.append(Loss(path, what))
    if found.unsaid:
        what = f"left out, as the provider refuses them: {', '.join(sorted(found.unsaid))}"
        found.losses.append(Loss("tools[].input_schema", what, "approximated"))
    return Toolset(
        encoded=msgspec.json.encode(found.sent) if found.sent else b"",
        names=found.names,
        functions=frozenset(found.functions),
        mapped=frozenset(found.mapped),
        losses=tuple(dict.fromkeys(found.losses)),
        searches=searches,
        asks_search=asks_search,
    )


def _add_function(
    found: _Gathered, tool: Tool, members: Mapping[str, msgspec.Raw], path: str, profile: Profile
) -> None:
    name = sent_name(tool.name, profile.tool_name_limit)
    if name != tool.name:
        found.names[name] = tool.name
    found.functions.add(name)
    found.mapped |= {f"tools[].{member}" for member in members.keys() & _FUNCTION}
    found.losses += unsent_of_tool(path, members, _FUNCTION)
    # Left out, `strict` would be true there, and every schema with optional properties refused.
    function: JsonObject = {"type": "function", "name": name, "strict": False}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool_parameters(tool.input_schema, profile, found.unsaid)
    found.sent.append(function)


def _add_search(found: _Gathered, tool: Tool, members: Mapping[str, msgspec.Raw], path: str, profile: Profile) -> None:
    found.mapped |= {f"tools[].{name}" for name in members.keys() & _SEARCH - {"max_uses"}}
    found.losses += unsent_of_tool(path, members, _SEARCH)
    if tool.max_uses:
        found.losses.append(Loss(f"{path}.max_uses", "the provider's web search has no such limit"))
    if profile.web_search_tool != WEB_SEARCH:
        found.sent.append({"type": profile.web_search_tool, **_parameters(tool)})
        return
    search: JsonObject = {"type": WEB_SEARCH}
    if tool.allowed_domains:
        search["filters"] = {"allowed_domains": tool.allowed_domains}
    if tool.blocked_domains:
        found.losses.append(Loss(f"{path}.blocked_domains", "the provider's web search cannot leave out domains"))
    if tool.user_location:
        search["user_location"] = {"type": "approximate", **tool.user_location}
    found.sent.append(search)


def _parameters(tool: Tool) -> JsonObject:
    """The options of a search in OpenRouter's words (openrouter.ai/docs: web search server tool)."""
    parameters: JsonObject = {}
    if tool.allowed_domains:
        parameters["allowed_domains"] = tool.allowed_domains
    elif tool.blocked_domains:  # the two exclude each other there
        parameters["excluded_domains"] = tool.blocked_domains
    if tool.user_location:
        parameters["user_location"] = tool.user_location
    return {"parameters": parameters} if parameters else {}


def choice_members(
    choice: ToolChoice | None, tools: Toolset, profile: Profile
) -> tuple[dict[str, Any], list[Loss], set[str]]:
    """`tool_choice` and `parallel_tool_calls` for the client's choice, in the strongest form that the server has; what
    is lost of it, and what is said.
    """
    members: dict[str, Any] = {}
    losses: list[Loss] = []
    if choice is None:
        return members, losses, set()
    mapped = {"tool_choice.type", "tool_choice.name", "tool_choice.disable_parallel_tool_use"}
    if not tools.encoded:
        if choice.type in {"any", "tool"}:
            losses.append(Loss("tool_choice", f"{choice.type} dropped: no tools are left to choose from"))
        return members, losses, mapped
    wanted = _FORMS.get(choice.type)
    named = _named(choice, tools, profile) if wanted == "named" else None
    if wanted == "named" and named is None:
        # The tool itself was dropped; one that nobody defined is an error everywhere.
        losses.append(Loss("tool_choice", f"tool {choice.name} is not among the tools sent; left to the model"))
        wanted = "auto"
    form = _nearest_form(wanted, profile)
    if wanted is None:
        losses.append(Loss("tool_choice", f"unknown type {choice.type}; left to the model"))
    elif form not in profile.tool_choice_forms:
        losses.append(Loss("tool_choice", f"{choice.type}: the provider has no such choice"))
    else:
        members["tool_choice"] = named if form == "named" else form
    if form != wanted:
        fate: Fate = "approximated" if form == "required" else "dropped"
        losses.append(Loss("tool_choice", f"{choice.type} sent as {form}: the provider has no stronger form", fate))
    if choice.disable_parallel_tool_use:
        if profile.accepts_parallel_flag:
            members["parallel_tool_calls"] = False
        else:
            losses.append(Loss("tool_choice.disable_parallel_tool_use", "the provider cannot be told"))
    return members, losses, mapped


def _nearest_form(wanted: str | None, profile: Profile) -> str | None:
    form = wanted
    if form == "named" and form not in profile.tool_choice_forms:
        form = "required"
    if form == "required" and form not in profile.tool_choice_forms:
        form = "auto"
    return form


def _named(choice: ToolChoice, tools: Toolset, profile: Profile) -> str | JsonObject | None:
    """The choice of one tool in the provider's words; None if it was not sent."""
    name = sent_name(choice.name or "", profile.tool_name_limit)
    if name in tools.functions:
        return {"type": "function", "name": name}
    if choice.name == WEB_SEARCH and tools.searches:
        # A search has no name to be chosen by; it can be made the only tool that is allowed.
        if not tools.functions:
            return "required"
        allowed = [{"type": profile.web_search_tool}]
        return {"type": "allowed_tools", "mode": "required", "tools": allowed}
    return None
