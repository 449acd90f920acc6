"""One request for each field of the Messages API, to find out what a dialect makes of it. Data only.

Every probe has a place (`at`) and, where a value can be recognised, a `marker` that is found in what goes out if the
field does. Where none can be (a flag, a word), `plain` is the request without the field: what goes out must differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ccrouter.jsontypes import JsonObject

#: Stands for the signature that the target itself would have made.
OWN = "own-signature"
FOREIGN = "ccr1:openai_chat:bm9ib2R5:"  # of a provider called "nobody"

_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_TOOL = {"name": "weather", "description": "Tells it", "input_schema": _SCHEMA}
_HI: JsonObject = {"role": "user", "content": "hi"}
_CALL: JsonObject = {"type": "tool_use", "id": "toolu_mk01", "name": "weather", "input": {"city": "mkparis"}}
_PIXEL = "aVZCT1J3MGtta3BpeGVs"

#: What every probe asks besides its own field.
BASE: JsonObject = {"model": "asked", "max_tokens": 5000, "stream": True, "messages": [_HI]}


@dataclass(frozen=True, slots=True)
class Probe:
    """`members` over BASE are the request, `plain` over BASE the same without the field. `by_silence` says that saying
    nothing may mean the same.
    """

    at: str
    what: str = ""
    members: JsonObject = field(default_factory=dict)
    marker: str = ""
    plain: JsonObject = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    by_silence: bool = False


def _member(name: str, value: Any, marker: str = "", what: str = "", *, by_silence: bool = False) -> Probe:
    """A member of the top level, or of an object there: "thinking.display"."""
    outer, _, inner = name.partition(".")
    return Probe(name, what, {outer: {inner: value} if inner else value}, marker, by_silence=by_silence)


def _in(block: JsonObject, name: str, marker: str = "", what: str = "", role: str = "user") -> Probe:
    """A field of a block in a turn; without a marker, the plain request has the block without it."""
    without = {key: value for key, value in block.items() if key != name}
    return Probe(
        f"messages[0].content[0].{name}" if name else "messages[0].content[0]",
        what,
        {"messages": [{"role": role, "content": [block]}, *([_HI] if role == "assistant" else [])]},
        marker,
        {} if marker or not name else {"messages": [{"role": role, "content": [without]}]},
    )


def _past(block: JsonObject, name: str = "", marker: str = "", what: str = "", *, with_call: bool = False) -> Probe:
    """A field of a block in an earlier answer, or (`name` "") the whole block."""
    answer = [block, _CALL] if with_call else [block]
    after: JsonObject = {"role": "user", "content": [_result("fine")]} if with_call else _HI
    messages = [_HI, {"role": "assistant", "content": answer}, after]
    without = {key: value for key, value in block.items() if key != name}
    plain = [_HI, {"role": "assistant", "content": [without, *answer[1:]]}, after]
    path = f"messages[1].content[0].{name}" if name else "messages[1].content[0]"
    tools = {"tools": [_TOOL]} if with_call else {}
    return Probe(path, what, {"messages": messages, **tools}, marker, {"messages": plain, **tools} if name else {})


def _result(content: Any, **more: Any) -> JsonObject:
    return {"type": "tool_result", "tool_use_id": "toolu_mk01", "content": content, **more}


def _called(result: JsonObject, name: str, marker: str = "", what: str = "") -> Probe:
    """A field of a tool result; `name` may lead into its first inner block."""

    def request(block: JsonObject) -> JsonObject:
        turns = [_HI, {"role": "assistant", "content": [_CALL]}, {"role": "user", "content": [block]}]
        return {"messages": turns, "tools": [_TOOL]}

    plain = {key: value for key, value in result.items() if key != name}
    return Probe(f"messages[2].content[0].{name}", what, request(result), marker, {} if marker else request(plain))


def _tool(name: str, value: Any, marker: str = "", what: str = "") -> Probe:
    """A member of a client tool."""
    return Probe(f"tools[0].{name}", what, {"tools": [{**_TOOL, name: value}]}, marker, {"tools": [_TOOL]})


def _server_tool(kind: str, name: str, **more: Any) -> Probe:
    return Probe("tools[0].type", f"`{kind}`", {"tools": [{"type": kind, "name": name, **more}]})


def _search(name: str, value: Any, marker: str = "") -> Probe:
    plain = {"type": "web_search_20250305", "name": "web_search"}
    return Probe(f"tools[0].{name}", "of a web search", {"tools": [{**plain, name: value}]}, marker, {"tools": [plain]})


def _choice(choice: JsonObject, at: str = "tool_choice.type", what: str = "", *, by_silence: bool = False) -> Probe:
    """A form of tool_choice, with a tool to choose."""
    other = {**_TOOL, "name": "clock"}
    plain: JsonObject = {"tools": [_TOOL, other]}
    if at == "tool_choice.disable_parallel_tool_use":
        plain["tool_choice"] = {"type": "auto"}
    return Probe(
        at, what or f"`{choice['type']}`", {"tools": [_TOOL, other], "tool_choice": choice}, "", plain,
        by_silence=by_silence,
    )  # fmt: skip


def _image(source: JsonObject) -> JsonObject:
    return {"type": "image", "source": source}


def _document(source: JsonObject, **more: Any) -> JsonObject:
    return {"type": "document", "source": source, **more}


_BASE64 = {"type": "base64", "media_type": "image/png", "data": _PIXEL}
_PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi1ta3BkZg"}
_BY_URL = {"type": "url", "url": "https://example.test/mkpicture.png"}
_PDF_URL = {"type": "url", "url": "https://example.test/mkpaper.pdf"}
_TEXT_FILE = {"type": "text", "media_type": "text/plain", "data": "mkplaintext"}
_PIECES = {"type": "content", "content": [{"type": "text", "text": "mkpiece"}]}
_FILE = {"type": "file", "file_id": "file_mkfile"}
_MARK = {"type": "ephemeral"}
_FOUND: JsonObject = {
    "type": "search_result",
    "source": "https://example.test/mksource",
    "title": "mktitle",
    "content": [{"type": "text", "text": "mkfound"}],
}
_PAGE = {
    "type": "web_search_result",
    "url": "https://example.test/mkurl",
    "title": "mkhit",
    "encrypted_content": "mkenc",
}
_PLACES = [{"type": "char_location", "cited_text": "mkcited", "document_index": 0, "document_title": None}]
_JSON_FORMAT = {"type": "json_schema", "schema": {"type": "object", "properties": {"mkfield": {"type": "string"}}}}
_LOCATION = {"type": "approximate", "city": "mkcity", "country": "FR"}
_EDITS = {"edits": [{"type": "clear_tool_uses_20250919"}]}
_KEEP = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
_BILLING: JsonObject = {"type": "text", "text": "x-anthropic-billing-header: mkbilling"}

_WHOLE = (
    Probe("model", "the target's name for it", {}, "mkmodel"),
    _member("max_tokens", 4321, "4321"),
    _member("stream", value=False, what="`false`"),
    _member("temperature", 0.37, "0.37"),
    _member("top_p", 0.83, "0.83"),
    _member("top_k", 7, "7"),
    _member("stop_sequences", ["mkstop"], "mkstop", "one"),
    _member("stop_sequences", [f"mkstop{n}" for n in range(9)], "mkstop8", "nine"),
    _member("metadata.user_id", "mkuser", "mkuser"),
    _member("service_tier", "standard_only"),
    _member("speed", "fast"),
    _member("cache_control", _MARK),
    _member("context_management", _KEEP, "clear_thinking", "that keeps everything"),
    _member("context_management", _EDITS, "clear_tool_uses", "that clears"),
    _member("container", "container_mkbox", "container_mkbox"),
    _member("mcp_servers", [{"type": "url", "name": "mkserver", "url": "https://example.test/mcp"}], "mkserver"),
    _member("inference_geo", "mkgeo", "mkgeo"),
    _member("safeguards", [{"type": "mkguard"}], "mkguard"),
    _member("betas", ["mkbeta-2025-01-01"], "mkbeta-2025-01-01"),
    _member("a_member_nobody_knows", "mkunknown", "mkunknown"),
    Probe("headers.anthropic-beta", "", {}, "mkbeta-2025-02-02", {}, {"anthropic-beta": "mkbeta-2025-02-02"}),
)
_THINKING = (
    _member("thinking.type", "disabled", what="`disabled`", by_silence=True),
    _member("thinking.type", "adaptive", what="`adaptive`", by_silence=True),
    Probe("thinking.type", "`enabled`", {"thinking": {"type": "enabled", "budget_tokens": 3333}}),
    Probe("thinking.budget_tokens", "", {"thinking": {"type": "enabled", "budget_tokens": 3333}}, "3333"),
    Probe(
        "thinking.display", "`omitted`", {"thinking": {"type": "adaptive", "display": "omitted"}}, "",
        {"thinking": {"type": "adaptive"}},
    ),
    *(
        Probe(
            "output_config.effort", f"`{word}`", {"thinking": {"type": "adaptive"}, "output_config": {"effort": word}},
            f'"{word}"', {"thinking": {"type": "adaptive"}},
        )
        for word in ("low", "high", "max")
    ),
    Probe("output_config.effort", "`high`, without thinking", {"output_config": {"effort": "high"}}, '"high"'),
    _member("output_config.format", _JSON_FORMAT, "mkfield"),
    _member("output_config.task_budget", {"type": "tokens", "total": 7777}, "7777"),
)  # fmt: skip
_TURNS = (
    _member("system", "mksystem", "mksystem", "a string"),
    Probe("system[0].text", "", {"system": [{"type": "text", "text": "mksystem"}]}, "mksystem"),
    Probe(
        "system[0].cache_control", "", {"system": [{"type": "text", "text": "s", "cache_control": _MARK}]}, "ephemeral"
    ),
    Probe("system[0]", "Claude Code's attribution", {"system": [_BILLING, {"type": "text", "text": "s"}]}, "mkbilling"),
    Probe("messages[0].content", "a string", {"messages": [{"role": "user", "content": "mkstring"}]}, "mkstring"),
    Probe(
        "messages[1].role", "`system`, amid the conversation",
        {"messages": [_HI, {"role": "system", "content": "mkmidway"}, _HI]}, "mkmidway", {"messages": [_HI, _HI]},
    ),
    Probe(
        "messages[1].output_config.effort", "of a system turn",
        {
            "thinking": {"type": "adaptive"},
            "messages": [_HI, {"role": "system", "content": "so", "output_config": {"effort": "low"}}, _HI],
        },
        '"low"',
    ),
    Probe(
        "messages[1].content", "a last turn of the assistant (prefill)",
        {"messages": [_HI, {"role": "assistant", "content": "mkprefill"}]}, "mkprefill",
    ),
)  # fmt: skip
_CONTENT = (
    _in({"type": "text", "text": "mktext"}, "text", "mktext"),
    _in({"type": "text", "text": "t", "cache_control": _MARK}, "cache_control", "ephemeral", "of a text"),
    _past({"type": "text", "text": "t", "citations": _PLACES}, "citations", "mkcited", "of an earlier answer"),
    _in({"type": "text", "text": "t", "mkfield": 1}, "mkfield", "mkfield", "a field that no text has"),
    _in(_image(_BASE64), "source.data", _PIXEL, "image as base64"),
    _in(_image(_BASE64), "source.media_type", "image/png", "image as base64"),
    _in(_image(_BY_URL), "source.url", "mkpicture", "image by URL"),
    _in(_image(_FILE), "source.file_id", "file_mkfile", "image in Anthropic's files"),
    _in({**_image(_BASE64), "cache_control": _MARK}, "cache_control", "ephemeral", "of an image"),
    _in(_document(_PDF), "source.data", "JVBERi1ta3BkZg", "PDF as base64"),
    _in(_document(_PDF_URL), "source.url", "mkpaper", "PDF by URL"),
    _in(_document(_FILE), "source.file_id", "file_mkfile", "document in Anthropic's files"),
    _in(_document(_TEXT_FILE), "source.data", "mkplaintext", "document of plain text"),
    _in(_document(_PIECES), "source.content", "mkpiece", "document of blocks"),
    _in(_document(_TEXT_FILE, title="mktitle"), "title", "mktitle", "of a text document"),
    _in(_document(_TEXT_FILE, context="mkcontext"), "context", "mkcontext", "of a text document"),
    _in(_document(_PDF, title="mktitle"), "title", "mktitle", "of a PDF"),
    _in(_document(_PDF, context="mkcontext"), "context", "mkcontext", "of a PDF"),
    _in(_document(_TEXT_FILE, citations={"enabled": True}), "citations", what="of a document"),
    _in(_FOUND, "content", "mkfound", "search result"),
    _in(_FOUND, "source", "mksource", "search result"),
    _in(_FOUND, "title", "mktitle", "search result"),
    _in({**_FOUND, "citations": {"enabled": True}}, "citations", what="of a search result"),
    _in({"type": "container_upload", "file_id": "file_mkfile"}, "file_id", "file_mkfile", "container upload"),
    _in({"type": "mkblock", "text": "mktext"}, "", "mkblock", "a block that nobody knows"),
)
_CALLS = (
    *(
        _called(_result("fine"), "tool_use_id", "toolu_mk01"),
        _called(_result("mkresult"), "content", "mkresult", "a string"),
        _called(_result([{"type": "text", "text": "mkresult"}]), "content[0].text", "mkresult"),
        _called(_result("no such file", is_error=True), "is_error"),
        _called(_result([_image(_BASE64)]), "content[0].source", _PIXEL, "image"),
        _called(_result([_document(_PDF)]), "content[0].source", "JVBERi1ta3BkZg", "PDF"),
        _called(_result([_FOUND]), "content[0].content", "mkfound", "search result"),
        _called(_result([{"type": "tool_reference", "tool_name": "mkloaded"}]), "content[0].tool_name", "mkloaded"),
        _called(_result("r", cache_control=_MARK), "cache_control", "ephemeral", "of a tool result"),
    ),
    *(
        Probe(
            f"messages[1].content[0].{name}", what,
            {
                "messages": [_HI, {"role": "assistant", "content": [{**_CALL, **more}]},
                             {"role": "user", "content": [_result("fine")]}],
                "tools": [_TOOL],
            },
            marker,
        )
        for name, what, more, marker in (
            ("id", "of a tool call", {}, "toolu_mk01"),
            ("name", "of a tool call", {}, "weather"),
            ("input", "of a tool call", {}, "mkparis"),
            ("cache_control", "of a tool call", {"cache_control": _MARK}, "ephemeral"),
            ("caller", "another tool's code", {"caller": {"type": "mkcaller"}}, "mkcaller"),
        )
    ),
)  # fmt: skip
_HISTORY = (
    _past({"type": "thinking", "thinking": "mkthought", "signature": OWN}, "thinking", "mkthought",
          "the target's own", with_call=True),
    _past({"type": "thinking", "thinking": "mkthought", "signature": OWN}, "signature", "", "the target's own",
          with_call=True),
    _past({"type": "thinking", "thinking": "mkthought", "signature": FOREIGN}, "thinking", "mkthought",
          "another provider's"),
    _past({"type": "redacted_thinking", "data": "mkredacted"}, "data", "mkredacted"),
    _past({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "mkquery"}}, "",
          "mkquery", "`server_tool_use`"),
    _past({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [_PAGE]}, "content[0].url",
          "mkurl", "`web_search_tool_result`"),
    _past({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [_PAGE]}, "content[0].title",
          "mkhit", "`web_search_tool_result`"),
    _past({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [_PAGE]},
          "content[0].encrypted_content", "mkenc", "`web_search_tool_result`"),
    _past({"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1",
           "content": {"type": "code_execution_result", "stdout": "mkstdout", "stderr": "", "return_code": 0,
                       "content": []}}, "content", "mkstdout", "`code_execution_tool_result`"),
    _past({"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "mkmcp", "server_name": "s", "input": {}}, "", "mkmcp",
          "`mcp_tool_use`"),
    _past({"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": False,
           "content": [{"type": "text", "text": "mkmcpresult"}]}, "content", "mkmcpresult", "`mcp_tool_result`"),
    _past({"type": "compaction", "content": "mkcompacted"}, "content", "mkcompacted", "`compaction`"),
)  # fmt: skip
_TOOLS = (
    _tool("name", "mktool", "mktool"),
    _tool("name", "mk/tool " + "x" * 70, "xxxxxxxx", "longer than 64, odd characters"),
    _tool("description", "mkdescription", "mkdescription"),
    _tool("input_schema", {"type": "object", "properties": {"mkfield": {"type": "string"}}}, "mkfield"),
    _tool(
        "input_schema",
        {"type": "object", "properties": {"a": {"type": "number", "exclusiveMinimum": 4.25}}},
        "4.25",
        "with rare keywords",
    ),
    Probe(  # which says nothing to a model
        "tools[0].input_schema", "with `$schema`",
        {"tools": [{**_TOOL, "input_schema": {**_SCHEMA, "$schema": "mkdraft"}}]}, by_silence=True,
    ),
    Probe("tools[0].type", "`custom`", {"tools": [{**_TOOL, "type": "custom"}]}, "weather"),
    _tool("strict", value=True),
    _tool("input_examples", [{"city": "mkexample"}], "mkexample"),
    _tool("defer_loading", value=True),
    _tool("cache_control", _MARK, "ephemeral"),
    _tool("eager_input_streaming", value=True),
    _tool("allowed_callers", ["mkcaller"], "mkcaller"),
    _tool("a_member_nobody_knows", "mkunknown", "mkunknown"),
    _server_tool("web_search_20250305", "web_search"),
    _search("max_uses", 8),
    _search("allowed_domains", ["mkdomain.test"], "mkdomain.test"),
    _search("blocked_domains", ["mkdomain.test"], "mkdomain.test"),
    _search("user_location", _LOCATION, "mkcity"),
    _server_tool("web_fetch_20250910", "web_fetch"),
    _server_tool("code_execution_20250825", "code_execution"),
    _server_tool("bash_20250124", "bash"),
    _server_tool("text_editor_20250728", "str_replace_based_edit_tool"),
    _server_tool("computer_20250124", "computer", display_width_px=800, display_height_px=600),
    _server_tool("memory_20250818", "memory"),
    _server_tool("tool_search_tool_regex_20251119", "tool_search_tool_regex"),
    Probe("tools[0]", "`mcp_toolset`", {"tools": [{"type": "mcp_toolset", "mcp_server_name": "mkmcp"}]}, "mkmcp"),
    Probe(
        "tools[0]", "`DeferredToolPlaceholder`",
        {"tools": [{**_TOOL, "name": "DeferredToolPlaceholder", "defer_loading": True}, _TOOL]},
        "DeferredToolPlaceholder",
    ),
    _choice({"type": "auto"}, by_silence=True),
    _choice({"type": "any"}),
    _choice({"type": "none"}),
    _choice({"type": "tool", "name": "clock"}),
    _choice({"type": "tool", "name": "clock"}, "tool_choice.name", "of the tool"),
    _choice({"type": "auto", "disable_parallel_tool_use": True}, "tool_choice.disable_parallel_tool_use", " "),
)  # fmt: skip

PROBES: Mapping[str, tuple[Probe, ...]] = {
    "The request": _WHOLE,
    "Thinking and form": _THINKING,
    "System and turns": _TURNS,
    "Text, images and documents": _CONTENT,
    "Tool calls and results": _CALLS,
    "Earlier answers": _HISTORY,
    "Tools and their choice": _TOOLS,
}
