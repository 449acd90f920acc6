"""What every strict Chat server checks of a request, and what clients check of a Messages stream: as assertions."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ccrouter.messages.events import MessageEvent, render
from ccrouter.messages.fold import Fold
from ccrouter.messages.grammar import Grammar
from ccrouter.sse import SseReader

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_request(body: dict[str, Any]) -> None:
    """`body` is a Chat request that no server can refuse for its form."""
    messages = body["messages"]
    assert messages
    open_calls: list[str] = []
    previous = ""
    for message in messages:
        role, content = message["role"], message["content"]
        assert role in {"system", "developer", "user", "assistant", "tool"}
        if role == "tool":
            assert open_calls, "a tool message answers a call"
            assert message["tool_call_id"] == open_calls.pop(0), "results come in the order of their calls"
            assert content
        else:
            assert not open_calls, f"call {open_calls} is answered before anything else is said"
            if role in {"user", "assistant"}:
                assert role != previous, f"no two {role} messages side by side"
        if role == "assistant":
            calls = message.get("tool_calls", [])
            assert content or calls, "an assistant message is not empty"
            open_calls = [call["id"] for call in calls]
            assert len(set(open_calls)) == len(open_calls)
            for call in calls:
                assert call["type"] == "function"
                assert _NAME.fullmatch(call["function"]["name"])
                msgspec.json.decode(call["function"]["arguments"], type=dict)
        else:
            assert content, f"{role} is not empty"
        if isinstance(content, list):
            for part in content:
                assert part["type"] in {"text", "image_url", "file"}
                assert part.get("text") != ""
        previous = role
    assert not open_calls, "every call is answered"
    names = [tool["function"]["name"] for tool in body.get("tools", []) if tool["type"] == "function"]
    assert all(_NAME.fullmatch(name) for name in names)
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        assert choice["function"]["name"] in names
    if choice is not None:
        assert body["tools"]


def check_events(events: list[MessageEvent]) -> None:
    """`events`, as bytes on the wire, keep the law of event order, with indexes without a gap and one block open."""
    grammar = Grammar()
    sse = SseReader()
    for event in events:
        for sent in sse.feed(render(event)):
            data = msgspec.json.decode(sent.data)
            assert sent.event.decode() == data["type"]
            if data["type"] == "content_block_start":
                assert data["index"] == grammar.blocks
                assert not grammar.open
            grammar.step(data["type"], data.get("index"))


def folded(events: list[MessageEvent]) -> Any:
    """The whole message of the events."""
    fold = Fold()
    for event in events:
        fold.feed(event)
    return msgspec.to_builtins(fold.close())
