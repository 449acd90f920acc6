"""Items that neither Messages nor its clients know, told in words: what a provider's own tools did. Pure.

They come only where somebody asked the provider for such tools (`extra_body`). Nothing of them is lost in silence: what
is not told here is bookkeeping, listed as such.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ccrouter.jsontypes import JsonObject

#: Tell a reader nothing: lists of tools on offer, the provider's own state, answers to what only it asked.
BOOKKEEPING = frozenset(
    {
        "mcp_list_tools", "additional_tools", "tool_search_call", "tool_search_output", "compaction",
        "configuration_update", "item_reference", "mcp_approval_response",
    }
)  # fmt: skip
#: Members of an item that are about the item and not about what was done.
_ABOUT = frozenset({"id", "type", "status", "call_id", "created_by", "agent", "caller", "container_id", "environment"})
_MOST = 4000  # characters of one member


def words_of(item: JsonObject) -> str:
    """What the item tells, as a paragraph; "" for bookkeeping."""
    kind = str(item.get("type") or "")
    if not kind or kind in BOOKKEEPING:
        return ""
    match kind:
        case "image_generation_call":
            prompt = item.get("revised_prompt")
            return "[An image was made, which cannot be shown here" + (f": {prompt}]" if prompt else ".]")
        case "mcp_call":
            return _call(f"{item.get('server_label')}/{item.get('name')}", item.get("arguments"), *_outcome(item))
        case "mcp_approval_request":
            what = f"{item.get('server_label')}/{item.get('name')}"
            return f"[Asks whether it may call {what}: {_short(item.get('arguments'))}]"
        case "code_interpreter_call":
            return _call("code_interpreter", item.get("code"), *_outcome(item))
        case "custom_tool_call":
            return _call(str(item.get("name")), item.get("input"), *_outcome(item))
        case _ if kind.endswith(("_output", "_result")):
            return f"[Result: {_short(item.get('output') or item.get('result') or _rest(item))}]"
        case _:
            return _call(kind.removesuffix("_call"), _rest(item))


def query_of(item: JsonObject) -> tuple[str, list[str]]:
    """What a web search looked for ("" where it opened a page), and the pages that the item itself names."""
    action = item.get("action")
    if not isinstance(action, dict):
        return "", []
    queries = action.get("queries")
    words = action.get("query") or (queries[0] if isinstance(queries, list) and queries else "")
    sources = action.get("sources")
    pages = [source.get("url") for source in sources if isinstance(source, dict)] if isinstance(sources, list) else []
    pages.append(action.get("url"))
    return str(words or ""), [page for page in pages if isinstance(page, str) and page]


def _call(name: str, given: Any, *outcome: str) -> str:
    called = f"[Called {name}: {_short(given)}]" if given else f"[Called {name}]"
    return "\n".join([called, *(f"[Result: {what}]" for what in outcome)])


def _outcome(item: JsonObject) -> list[str]:
    """What came of a call, where the item says so."""
    found = item.get("error") or item.get("output")
    if found:
        return [_short(found)]
    outputs = item.get("outputs")
    if not isinstance(outputs, list):
        return []
    return [_short(part.get("logs") or part.get("url") or part) for part in outputs if isinstance(part, dict)]


def _rest(item: JsonObject) -> JsonObject:
    return {name: value for name, value in item.items() if name not in _ABOUT and value is not None}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _MOST else text[:_MOST] + " …"
