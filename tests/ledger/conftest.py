"""Fixtures of the ledger's tests: the scripted upstream, and `ccr` in a scratch home."""

from __future__ import annotations

import json
from typing import Any

from ccrouter.dialects.registry import DIALECTS
from ccrouter.messages.request import MessagesRequest
from tests.cli.conftest import ccr, port
from tests.dialects.casefile import make_target
from tests.gateway.conftest import upstream

__all__ = ["ccr", "port", "upstream"]

HI = {"role": "user", "content": "Hi"}
CALL = {"type": "tool_use", "id": "t1", "name": "Read", "input": {}}
#: What Claude Code sends on every turn and no other provider has a use for.
CHATTER = {
    "metadata": {"user_id": "user_of_the_machine"},
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=1"},
        {"type": "text", "text": "You are", "cache_control": {"type": "ephemeral"}},
    ],
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "thinking": {"type": "adaptive", "display": "updates"},
    "safeguards": [{"type": "dangerous_tool_use"}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]}],
    "tools": [
        {"name": "Read", "input_schema": {"type": "object", "properties": {}}, "defer_loading": True},
        {"name": "DeferredToolPlaceholder", "input_schema": {"type": "object"}, "defer_loading": True},
    ],
}


def request_of(**members: Any) -> MessagesRequest:
    body = {"model": "asked", "max_tokens": 1000, "messages": [HI], **members}
    return MessagesRequest.read(json.dumps(body).encode())


def encoded(target: str = "local m1", headers: dict[str, str] | None = None, **members: Any):
    """What the Chat dialect sends to a target, as tests/dialects/casefile.py names it."""
    return DIALECTS["openai_chat"].encode(request_of(**members), make_target(target), headers or {})
