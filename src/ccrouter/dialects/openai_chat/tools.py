"""Tools: their definitions, names and the choice among them, Messages → Chat. Pure.

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
from ccrouter.dialects.ledger import PLACEHOLDER, left_out, unsent_of_tool
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.toolnames import is_placeholder, is_web_search, runs_at_anthropic, sent_name
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest, Tool, ToolChoice

_tools = msgspec.json.Decoder(list[Tool])
_raw_tools = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])

_FUNCTION = frozenset({"name", "type", "description", "input_schema"})
_SEARCH = frozenset({"name", "type", "allowed_domains", "blocked_domains", "user_location", "max_uses"})


@dataclass(frozen=True, slots=True)
class Toolset:
    """Tools as sent. `encoded` is the JSON of the `tools` member, b"" for none; `names` maps sent names that had to be
    changed to asked ones; `schemas` has each sent function's input schema; `web_searches` is true if the provider
    searches the web by itself.
    """

    encoded: bytes = b""
    names: Mapping[str, str] = field(default_factory=dict)
    schemas: Mapping[str, JsonObject] = field(default_factory=dict)
    mapped: frozenset[str] = frozenset()
    losses: tuple[Loss, ...] = ()
    web_searches: bool = False
    asks_web_search: bool = False


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
    sent: list[JsonObject] = []
    names: dict[str, str] = {}
    schemas: dict[str, JsonObject] = {}
    losses: list[Loss] = []
    mapped: set[str] = set()
    unsaid: set[str] = set()
    web_searches = asks_web_search = False
    for place, (tool, members) in enumerate(zip(_tools.decode(raw), _raw_tools.decode(raw), strict=True)):
        path = f"tools[{place}]"
        if is_placeholder(tool):
            losses.append(PLACEHOLDER)
            continue
        if runs_at_anthropic(tool):
            is_search = is_web_search(tool)
            asks_web_search = asks_web_search or is_search
            if is_search and profile.web_search_tool:
                web_searches = True
                sent.append(_web_search(tool, profile))
                mapped |= {f"tools[].{name}" for name in members.keys() & _SEARCH - {"max_uses"}}
                losses += unsent_of_tool(path, members, _SEARCH)
                if tool.max_uses:
                    losses.append(Loss(f"{path}.max_uses", "the provider's web search has no such limit"))
            else:
                losses.append(Loss(path, f"server tool {tool.type} dropped: the provider has none like it"))
            continue
        name = sent_name(tool.name, profile.tool_name_limit)
        if name != tool.name:
            names[name] = tool.name
        schemas[name] = parameters = tool_parameters(tool.input_schema, profile, unsaid)
        mapped |= {f"tools[].{member}" for member in members.keys() & _FUNCTION}
        losses += unsent_of_tool(path, members, _FUNCTION)
        function: JsonObject = {"name": name, "parameters": parameters}
        if tool.description:
            function["description"] = tool.description
        sent.append({"type": "function", "function": function})
    if unsaid:
        losses.append(Loss("tools[].input_schema", left_out(unsaid), "approximated"))
    encoded = msgspec.json.encode(sent) if sent else b""
    lost = tuple(dict.fromkeys(losses))
    return Toolset(encoded, names, schemas, frozenset(mapped), lost, web_searches, asks_web_search)


def _web_search(tool: Tool, profile: Profile) -> JsonObject:
    parameters: JsonObject = {}
    if tool.allowed_domains:
        parameters["allowed_domains"] = tool.allowed_domains
    elif tool.blocked_domains:  # the two exclude each other there
        parameters["excluded_domains"] = tool.blocked_domains
    if tool.user_location:
        parameters["user_location"] = tool.user_location
    return {"type": profile.web_search_tool, **({"parameters": parameters} if parameters else {})}


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
    forms = profile.tool_choice_forms
    wanted = {"auto": "auto", "none": "none", "any": "required", "tool": "named"}.get(choice.type)
    name = sent_name(choice.name or "", profile.tool_name_limit)
    if wanted == "named" and name not in tools.schemas:
        # The tool itself was dropped; a function nobody defined is an error everywhere.
        losses.append(Loss("tool_choice", f"tool {choice.name} is not among the tools sent; left to the model"))
        wanted = "auto"
    form = wanted
    if form == "named" and form not in forms:
        form = "required"
    if form == "required" and form not in forms:
        form = "auto"
    if form is None:
        losses.append(Loss("tool_choice", f"unknown type {choice.type}; left to the model"))
    elif form not in forms:
        losses.append(Loss("tool_choice", f"{choice.type}: the provider has no such choice"))
    else:
        members["tool_choice"] = {"type": "function", "function": {"name": name}} if form == "named" else form
    if form != wanted:
        fate: Fate = "approximated" if form == "required" else "dropped"
        losses.append(Loss("tool_choice", f"{choice.type} sent as {form}: the provider has no stronger form", fate))
    if choice.disable_parallel_tool_use:
        if profile.accepts_parallel_flag:
            members["parallel_tool_calls"] = False
        else:
            losses.append(Loss("tool_choice.disable_parallel_tool_use", "the provider cannot be told"))
    return members, losses, mapped
