"""Tools: their definitions, names and the choice among them, Messages → Gemini. Pure.

The same tools come with every turn of a session, so what they become is remembered by their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from ccrouter.dialects.base import Fate, Loss
from ccrouter.dialects.gemini.schema import parameters
from ccrouter.dialects.ledger import PLACEHOLDER, left_out, unsent_of_tool
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.toolnames import is_placeholder, is_web_search, runs_at_anthropic, sent_name
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest, Tool, ToolChoice

_tools = msgspec.json.Decoder(list[Tool])
_raw_tools = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])

_FUNCTION = frozenset({"name", "type", "description", "input_schema"})
_SEARCH = frozenset({"name", "type", "blocked_domains"})
_MODES = {"auto": "AUTO", "any": "ANY", "none": "NONE", "tool": "ANY"}


@dataclass(frozen=True, slots=True)
class Toolset:
    """Tools as sent. `encoded` is the JSON of the `tools` member, b"" for none; `names` maps sent names that had to be
    changed to asked ones; `functions` are the sent names of the functions; `searches` is true if Google is searched,
    `asks_web_search` if the client asked for a search.
    """

    encoded: bytes = b""
    names: Mapping[str, str] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()
    mapped: frozenset[str] = frozenset()
    losses: tuple[Loss, ...] = ()
    searches: bool = False
    asks_web_search: bool = False


def function_name(name: str, profile: Profile) -> str:
    """The name under which the tool `name` is declared and called."""
    return sent_name(name, profile.tool_name_limit, is_identifier=True)


def toolset_of(request: MessagesRequest, profile: Profile, *, is_vertex: bool) -> Toolset:
    """The request's tools as `profile`'s model takes them. Raises ClientError where they are no list of tools."""
    raw = request.members.get("tools")
    if raw is None or bytes(raw) in {b"null", b"[]"}:
        return Toolset()
    try:
        return _toolset(bytes(raw), profile, is_vertex=is_vertex)
    except (msgspec.DecodeError, RecursionError):
        _ = request.tools  # fails the same way, with words for the client
        raise


@lru_cache(maxsize=32)
def _toolset(raw: bytes, profile: Profile, *, is_vertex: bool) -> Toolset:
    functions: dict[str, JsonObject] = {}
    names: dict[str, str] = {}
    losses: list[Loss] = []
    mapped: set[str] = set()
    unsaid: set[str] = set()
    search: tuple[str, Tool, Mapping[str, msgspec.Raw]] | None = None
    for place, (tool, members) in enumerate(zip(_tools.decode(raw), _raw_tools.decode(raw), strict=True)):
        path = f"tools[{place}]"
        if is_placeholder(tool):
            losses.append(PLACEHOLDER)
        elif runs_at_anthropic(tool):
            if is_web_search(tool) and profile.web_search_tool:
                search = (path, tool, members)
            else:
                losses.append(Loss(path, f"server tool {tool.type} dropped: the provider has none like it"))
        else:
            name = function_name(tool.name, profile)
            if name != tool.name:
                names[name] = tool.name
            mapped |= {f"tools[].{member}" for member in members.keys() & _FUNCTION}
            losses += unsent_of_tool(path, members, _FUNCTION)
            described = {"description": tool.description} if tool.description else {}
            schema = parameters(tool.input_schema, unsaid)
            functions[name] = {"name": name, **described, "parametersJsonSchema": schema}
    sent: list[JsonObject] = [{"functionDeclarations": list(functions.values())}] if functions else []
    searches = search is not None and (not functions or profile.mixes_search)
    if search is not None and searches:
        sent.append({profile.web_search_tool: _search_options(search[1], is_vertex=is_vertex)})
        mapped |= {f"tools[].{member}" for member in search[2].keys() & {"name", "type"}}
        losses += _unsaid_of_search(*search, is_vertex=is_vertex)
    elif search is not None:
        losses.append(Loss(search[0], "web search dropped: the model cannot search where it has functions"))
    if unsaid:
        losses.append(Loss("tools[].input_schema", left_out(unsaid), "approximated"))
    return Toolset(
        encoded=msgspec.json.encode(sent) if sent else b"",
        names=names,
        functions=frozenset(functions),
        mapped=frozenset(mapped),
        losses=tuple(dict.fromkeys(losses)),
        searches=searches,
        asks_web_search=search is not None,
    )


def _search_options(tool: Tool, *, is_vertex: bool) -> JsonObject:
    return {"excludeDomains": tool.blocked_domains} if is_vertex and tool.blocked_domains else {}


def _unsaid_of_search(path: str, tool: Tool, members: Mapping[str, msgspec.Raw], *, is_vertex: bool) -> Iterator[Loss]:
    """What Google is not told of a search that was asked."""
    what = "Google's search has no such option there"
    yield from unsent_of_tool(path, members, _SEARCH | {"allowed_domains", "user_location", "max_uses"})
    for name in ("allowed_domains", "user_location", "max_uses"):
        if getattr(tool, name):
            yield Loss(f"{path}.{name}", what)
    if tool.blocked_domains and not is_vertex:
        yield Loss(f"{path}.blocked_domains", what)


def choice_members(
    choice: ToolChoice | None, tools: Toolset, profile: Profile, *, is_vertex: bool
) -> tuple[dict[str, Any], list[Loss], set[str]]:
    """The `toolConfig` for the client's choice, what is lost of it, and what is said."""
    config: dict[str, Any] = {}
    losses: list[Loss] = []
    said: set[str] = set()
    is_mixed = tools.searches and bool(tools.functions)
    if is_mixed and not is_vertex:
        # "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with Function calling."
        config["includeServerSideToolInvocations"] = True
    if choice is not None:
        said = {"tool_choice.type", "tool_choice.name", "tool_choice.disable_parallel_tool_use"}
        calling, loss = _calling(choice, tools, profile, is_mixed=is_mixed)
        if loss is not None:
            losses.append(loss)
        if calling:
            config["functionCallingConfig"] = calling
        if choice.disable_parallel_tool_use and tools.functions:
            losses.append(Loss("tool_choice.disable_parallel_tool_use", "the provider cannot be told"))
    members = {"toolConfig": config} if config else {}
    return members, losses, said - {loss.path for loss in losses}


def _calling(choice: ToolChoice, tools: Toolset, profile: Profile, *, is_mixed: bool) -> tuple[JsonObject, Loss | None]:
    """The `functionCallingConfig`, and what is lost. Without functions there may be none (400)."""
    mode = _MODES.get(choice.type)
    if mode is None:
        return {}, Loss("tool_choice", f"unknown type {choice.type}; left to the model")
    fate: Fate = "approximated" if tools.searches else "dropped"
    if not tools.functions:
        if mode != "ANY":
            return {}, None
        what = "left to the model: a search cannot be demanded" if tools.searches else "dropped: no tools are left"
        return {}, Loss("tool_choice", f"{choice.type} {what}", fate)
    name = function_name(choice.name or "", profile)
    if choice.type == "tool" and name not in tools.functions:
        # The tool itself was dropped, or is no function; a name that nobody declared is an error.
        return {}, Loss("tool_choice", f"tool {choice.name} is not among the functions sent; left to the model", fate)
    if mode == "AUTO" and is_mixed:
        return {}, None  # beside Google's own tools there is no mode AUTO: its default means the same
    calling: JsonObject = {"mode": mode}
    if choice.type == "tool":
        calling["allowedFunctionNames"] = [name]
    return calling, None
