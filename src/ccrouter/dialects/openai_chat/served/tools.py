"""Chat's tools and the choice among them → Messages'. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ccrouter.dialects.draft import Draft
from ccrouter.dialects.openai_members import bad, choice, flag, freeform_tool, function_tool, take, web_search_tool
from ccrouter.jsontypes import JsonObject


class Function(msgspec.Struct):
    name: str = ""
    description: str | None = None
    parameters: Any = None
    strict: bool | None = None


class Custom(msgspec.Struct):
    name: str = ""
    description: str = ""
    format: JsonObject | None = None

    @property
    def grammar(self) -> object:
        """The grammar, as this API nests it."""
        return (self.format or {}).get("grammar")


class Tool(msgspec.Struct):
    type: str = "function"
    function: Function | None = None
    custom: Custom | None = None


class WebSearch(msgspec.Struct):
    user_location: JsonObject | None = None
    search_context_size: str | None = None


_tools: msgspec.json.Decoder[list[Tool]] = msgspec.json.Decoder(list[Tool])
_functions = msgspec.json.Decoder(list[Function])
_web_search = msgspec.json.Decoder(WebSearch)
_choice: msgspec.json.Decoder[str | JsonObject] = msgspec.json.Decoder(str | dict[str, Any])


class Toolset:
    """Reads the tools into a draft. `customs` are the names of those that take free text; `is_legacy` if the client
    speaks of functions, and knows no more than one call an answer.
    """

    def __init__(self, asked: Mapping[str, msgspec.Raw], draft: Draft) -> None:
        self.customs: set[str] = set()
        self.is_legacy = False
        self._asked = asked
        self._draft = draft
        self._tools: list[tuple[JsonObject, str]] = []
        self._read_tools()
        self._read_functions()
        self._read_web_search()
        self._read_choice()
        if self._tools:
            draft.members["tools"] = [tool for tool, _ in self._tools]
            for number, (_, path) in enumerate(self._tools):
                draft.mark(f"tools[{number}]", path)

    def _read_tools(self) -> None:
        tools = take(self._asked, "tools", _tools) or []
        for place, tool in enumerate(tools):
            path = f"tools[{place}]"
            if tool.type == "function" and tool.function is not None:
                self._add(tool.function, path, f"{path}.function")
            elif tool.type == "custom" and tool.custom is not None:
                custom = tool.custom
                if not custom.name:
                    raise bad(f"{path}.custom.name", "required")
                self.customs.add(custom.name)
                self._tools.append((freeform_tool(custom.name, custom.description, custom.grammar), path))
                if custom.grammar:
                    self._draft.lose(f"{path}.custom.format", "the grammar is asked for in words", "approximated")
            elif tool.type in {"function", "custom"}:
                raise bad(f"{path}.{tool.type}", "required")
            else:
                self._draft.lose(path, f"a tool of type `{tool.type}` is the provider's own: not sent")

    def _add(self, function: Function, path: str, within: str) -> None:
        tool = function_tool(
            function.name, function.description, function.parameters, strict=function.strict, path=within
        )
        self._tools.append((tool, path))

    def _read_functions(self) -> None:
        functions = take(self._asked, "functions", _functions)
        self.is_legacy = bool(functions) and not self._tools
        for place, function in enumerate(functions or ()):
            self._add(function, f"functions[{place}]", f"functions[{place}]")

    def _read_web_search(self) -> None:
        options = take(self._asked, "web_search_options", _web_search)
        if options is not None:
            self._tools.append((web_search_tool(options.user_location, None), "web_search_options"))
            if options.search_context_size:
                self._draft.lose("web_search_options.search_context_size", "not known to other searches", "hint")

    def _read_choice(self) -> None:
        parallel = take(self._asked, "parallel_tool_calls", flag)
        member = "function_call" if self.is_legacy else "tool_choice"
        kind, name = self._chosen(take(self._asked, member, _choice), member)
        told = choice(kind, name=name, parallel=False if self.is_legacy else parallel, has_tools=bool(self._tools))
        if told is not None:
            self._draft.members["tool_choice"] = told
            self._draft.mark("tool_choice", member)
            self._draft.mark("tool_choice.disable_parallel_tool_use", "parallel_tool_calls")

    def _chosen(self, asked: str | JsonObject | None, path: str) -> tuple[str, str]:
        """The kind of choice, and the tool where one is chosen."""
        if asked is None:
            return "", ""
        if isinstance(asked, str):
            if asked not in {"auto", "none", "required"}:
                raise bad(path, f"must be auto, none, required or a tool, not {asked!r}")
            return asked, ""
        if asked.get("type") == "allowed_tools":
            return self._allowed(asked.get("allowed_tools"), f"{path}.allowed_tools"), ""
        named = asked.get(str(asked.get("type", ""))) or asked
        name = named.get("name") if isinstance(named, dict) else None
        if not isinstance(name, str) or name not in {tool["name"] for tool, _ in self._tools}:
            raise bad(path, f"there is no tool {name!r} in the request")
        return "tool", name

    def _allowed(self, asked: object, path: str) -> str:
        """Leaves the allowed tools only: nothing else can be called then."""
        listed = asked.get("tools") if isinstance(asked, dict) else None
        if not isinstance(asked, dict) or not isinstance(listed, list):
            raise bad(f"{path}.tools", "required")
        names = set()
        for entry in listed:
            inner = entry.get(str(entry.get("type", ""))) if isinstance(entry, dict) else None
            if isinstance(inner, dict) and isinstance(inner.get("name"), str):
                names.add(inner["name"])
        self._tools = [(tool, where) for tool, where in self._tools if tool["name"] in names]
        return "required" if asked.get("mode") == "required" else "auto"
