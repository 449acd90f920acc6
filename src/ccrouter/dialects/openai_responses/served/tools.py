"""The tools of a Responses request and the choice among them → Messages'. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ccrouter.dialects.draft import Draft
from ccrouter.dialects.openai_members import bad, choice, flag, freeform_tool, function_tool, take, web_search_tool
from ccrouter.dialects.openai_responses.served.natives import NATIVES, TOOL_SEARCH, Native, tool_search
from ccrouter.jsontypes import JsonObject


class Tool(msgspec.Struct):
    """A tool of any type; which members are set follows from `type`."""

    type: str = "function"
    name: str = ""
    description: str | None = None
    parameters: Any = None
    strict: bool | None = None
    defer_loading: bool | None = None
    format: JsonObject | None = None
    tools: list[Tool] | None = None
    filters: JsonObject | None = None
    user_location: JsonObject | None = None
    execution: str | None = None


_tools: msgspec.json.Decoder[list[Tool]] = msgspec.json.Decoder(list[Tool])
_choice: msgspec.json.Decoder[str | JsonObject] = msgspec.json.Decoder(str | dict[str, Any])


def joined(namespace: str | None, name: str) -> str:
    """The one name for a tool of a namespace."""
    if not namespace:
        return name
    return f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"


class Toolset:
    """Reads tools into a draft. What calls of them have to become again: `customs` take free text, `natives` are of
    OpenAI's own types, `spaces` tells of a joined name the namespace and the name in it.
    """

    def __init__(self, draft: Draft) -> None:
        self.customs: set[str] = set()
        self.natives: dict[str, Native] = {}
        self.spaces: dict[str, tuple[str, str]] = {}
        self._draft = draft
        self._tools: dict[str, tuple[JsonObject, str]] = {}
        self._dropped: set[str] = set()

    def read(self, asked: Mapping[str, msgspec.Raw]) -> None:
        """The member `tools`."""
        self.add(take(asked, "tools", _tools) or [], "tools")

    def add(self, tools: list[Tool], path: str) -> list[str]:
        """The tools at `path`; the names that they have from now on."""
        known = set(self._tools)
        for place, tool in enumerate(tools):
            self._add(tool, f"{path}[{place}]", "")
        return [name for name in self._tools if name not in known]

    def choose(self, asked: Mapping[str, msgspec.Raw]) -> None:
        """`tool_choice` and `parallel_tool_calls`; to be called after all tools are known."""
        parallel = take(asked, "parallel_tool_calls", flag)
        kind, name = self._chosen(take(asked, "tool_choice", _choice))
        told = choice(kind, name=name, parallel=parallel, has_tools=bool(self._tools))
        draft = self._draft
        if told is not None:
            draft.members["tool_choice"] = told
            draft.mark("tool_choice", "tool_choice")
            draft.mark("tool_choice.disable_parallel_tool_use", "parallel_tool_calls")
        if self._tools:
            draft.members["tools"] = [tool for tool, _ in self._tools.values()]
            for number, (_, path) in enumerate(self._tools.values()):
                draft.mark(f"tools[{number}]", path)

    def _add(self, tool: Tool, path: str, namespace: str) -> None:
        name = joined(namespace, tool.name)
        match tool.type:
            case "function":
                made = function_tool(name, tool.description, tool.parameters, strict=tool.strict, path=path)
                self._keep(made, path, namespace, tool.name)
                if tool.defer_loading:
                    self._draft.lose(f"{path}.defer_loading", "sent like the others, at once", "hint")
            case "custom":
                if not tool.name:
                    raise bad(f"{path}.name", "required")
                self.customs.add(name)
                self._keep(freeform_tool(name, tool.description or "", tool.format), path, namespace, tool.name)
                if (tool.format or {}).get("type") == "grammar":
                    self._draft.lose(f"{path}.format", "the grammar is asked for in words", "approximated")
            case "namespace":
                for place, inner in enumerate(tool.tools or ()):
                    self._add(inner, f"{path}.tools[{place}]", tool.name)
            case kind if kind in NATIVES:
                native = NATIVES[kind]
                self.natives[native.tool["name"]] = native
                self._keep(native.tool, path, "", "")
            case kind if kind.startswith("web_search"):
                domains = (tool.filters or {}).get("allowed_domains")
                self._keep(web_search_tool(tool.user_location, domains), path, "", "")
            case "tool_search" if tool.execution == "client":
                native = self.natives[TOOL_SEARCH] = tool_search(tool.description or "", tool.parameters)
                self._keep(native.tool, path, "", "")
            case "tool_search":
                self._draft.lose(path, "all tools are sent at once: there is nothing to search", "hint")
            case kind:
                self._dropped.add(kind)
                self._draft.lose(path, f"a tool of type `{kind}` runs at OpenAI alone: not sent")

    def _keep(self, tool: JsonObject, path: str, namespace: str, name: str) -> None:
        self._tools[tool["name"]] = (tool, path)
        if namespace:
            self.spaces[tool["name"]] = (namespace, name)

    def _chosen(self, asked: str | JsonObject | None) -> tuple[str, str]:
        """The kind of choice, and the tool where one is chosen."""
        if asked is None:
            return "", ""
        if isinstance(asked, str):
            if asked not in {"auto", "none", "required"}:
                raise bad("tool_choice", f"must be auto, none, required or a tool, not {asked!r}")
            return asked, ""
        kind = str(asked.get("type", ""))
        if kind == "allowed_tools":
            return self._allowed(asked), ""
        name = self._named(asked)
        if name in self._tools:
            return "tool", name
        if kind in self._dropped or not name:
            self._draft.lose("tool_choice", f"`{kind}` runs at OpenAI alone; left to the model")
            return "auto", ""
        raise bad("tool_choice", f"there is no tool {name!r} in `tools`")

    def _named(self, entry: JsonObject) -> str:
        """The name of the tool that an entry of a choice means, "" for none that is here."""
        kind = str(entry.get("type", ""))
        if kind in NATIVES:
            return str(NATIVES[kind].tool["name"])
        if kind == TOOL_SEARCH:
            return kind
        if kind.startswith("web_search"):
            return "web_search"
        return joined(entry.get("namespace"), str(entry.get("name") or "")) if kind in {"function", "custom"} else ""

    def _allowed(self, asked: JsonObject) -> str:
        """Leaves the allowed tools only: nothing else can be called then."""
        listed = asked.get("tools")
        if not isinstance(listed, list):
            raise bad("tool_choice.tools", "required")
        names = {self._named(entry) for entry in listed if isinstance(entry, dict)}
        self._tools = {name: kept for name, kept in self._tools.items() if name in names}
        return "required" if asked.get("mode") == "required" else "auto"
