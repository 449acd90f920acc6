"""Tools by their names and kinds, as every dialect needs to know them. Pure."""

from __future__ import annotations

import hashlib
import re

from ccrouter.messages.request import Tool

#: Claude Code's stand-in for tools not loaded yet; it tells Anthropic's API something, and a model nothing.
DEFERRED_PLACEHOLDER = "DeferredToolPlaceholder"
WEB_SEARCH = "web_search"

_LEGAL = re.compile(r"[A-Za-z0-9_-]+")
_LEGAL_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")


def sent_name(name: str, limit: int, *, is_identifier: bool = False) -> str:
    """`name` if every server takes it; else a name made of it that is legal, no longer than `limit`, always the same
    for the same name, and ends in a digest so that two long names do not become one. `is_identifier` for servers whose
    names begin with a letter or an underscore.
    """
    if len(name) <= limit and (_LEGAL_IDENTIFIER if is_identifier else _LEGAL).fullmatch(name):
        return name
    digest = hashlib.sha1(name.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:8]
    legal = _ILLEGAL.sub("_", name)
    if is_identifier and not _LEGAL_IDENTIFIER.match(legal):
        legal = f"_{legal}"
    return f"{legal[: limit - 9]}_{digest}"


def is_placeholder(tool: Tool) -> bool:
    """True for Claude Code's stand-in, which is not sent."""
    return tool.name == DEFERRED_PLACEHOLDER and bool(tool.defer_loading)


def runs_at_anthropic(tool: Tool) -> bool:
    """True for tools whose definition only Anthropic has: a dated type and no schema of its own."""
    return tool.type not in {None, "", "custom", "function"} and tool.input_schema is None


def is_web_search(tool: Tool) -> bool:
    """True for Anthropic's own web search, of any date."""
    return (tool.type or "").startswith(WEB_SEARCH)
