"""Blocks that only Anthropic's servers make, told in words to those who know none of them. Pure."""

from __future__ import annotations

import msgspec

from ccrouter.dialects.base import Loss
from ccrouter.messages.request import Block

#: Begins Claude Code's attribution block. It varies with every request, means nothing to other providers, and in front
#: of everything else it would spoil their prefix caches.
BILLING_PREFIX = "x-anthropic-billing-header:"

#: Blocks that are text, or stand for nothing else: as words they lose nothing.
AS_TEXT = frozenset({"tool_reference", "compaction"})
#: Calls that Anthropic's servers made themselves, and their results: history, told in words.
_SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})
_SERVER_RESULTS = frozenset(
    {
        "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result", "mcp_tool_result",
        "bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_search_tool_result",
    }
)  # fmt: skip


def words_of(block: Block) -> str | None:
    """What `block` says, in words; None for a block that is not of this kind. "" where there is nothing to say."""
    match block.type:
        case "tool_reference":
            return f"Tool loaded: {block.tool_name}"
        case "compaction":
            return block.content if isinstance(block.content, str) else ""
        case kind if kind in _SERVER_CALLS:
            return f"[Called {block.name}: {bytes(block.input).decode() or '{}'}]"
        case kind if kind in _SERVER_RESULTS:
            return _result(block)
    return None


def losses_in_words(block: Block, path: str) -> list[Loss]:
    """What the words for the block at `path` say less than the block itself."""
    if block.type in AS_TEXT:
        return []
    losses = [Loss(path, f"{block.type} told in words", "approximated")]
    inner = block.content if isinstance(block.content, list) else []
    if any(len(one.encrypted_content) > len('""') for one in inner):
        losses.append(Loss(f"{path}.content[].encrypted_content", "sealed by Anthropic: nobody else can read it"))
    return losses


def _result(block: Block) -> str:
    content = block.content
    if isinstance(content, list):
        lines = [_result_line(inner) for inner in content]
        return "[Result:\n" + "\n".join(filter(None, lines)) + "]"
    text = content if isinstance(content, str) else msgspec.json.encode(content or {}).decode()
    return f"[Result: {text}]"


def _result_line(block: Block) -> str:
    if block.text:
        return block.text
    if block.url:
        return f"- {block.title or block.url}: {block.url}"
    return block.tool_name or ""
