"""The built-in provider: the whole path without a provider, never mistaken for a real answer, never chosen over a real one."""

from __future__ import annotations

import json

from tests.gateway.conftest import provider, running, text_of
from tests.upstream import Upstream, anthropic_wire, json_reply

TOOLS = [
    {
        "name": "Bash",
        "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
    {
        "name": "Read",
        "input_schema": {"type": "object", "properties": {"file_path": {"type": "string"}}, "required": ["file_path"]},
    },
]


async def test_answers_without_any_provider(tmp_path):
    """With an empty config a streamed request is answered by a scripted text that says what it is."""
    async with running({}, tmp_path) as router:
        events = await router.stream(model="claude-opus-5-5")
        assert "[dry-run]" in text_of(events)
        assert events[-1] == {"type": "message_stop"}
        assert events[0]["message"]["model"] == "claude-opus-5-5"
        status, headers, raw = await router.ask(model="claude-opus-5-5")
        assert status == 200
        assert json.loads(raw)["stop_reason"] == "end_turn"
        assert headers["x-ccr-model"].startswith("dry-run,")


async def test_calls_one_tool_once(tmp_path):
    """Offered tools, it calls one that only reads; when the result comes back it ends the turn."""
    async with running({}, tmp_path) as router:
        status, _, raw = await router.ask(tools=TOOLS)
        message = json.loads(raw)
        assert status == 200
        call = message["content"][-1]
        assert (call["type"], call["name"], message["stop_reason"]) == ("tool_use", "Read", "tool_use")
        assert set(call["input"]) == {"file_path"}
        history = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "x"}]},
        ]
        _, _, raw = await router.ask(tools=TOOLS, messages=history)
        assert json.loads(raw)["stop_reason"] == "end_turn"


async def test_structured_output(tmp_path):
    """Asked for JSON by a schema (Claude Code's titles), it answers JSON that fits."""
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    async with running({}, tmp_path) as router:
        _, _, raw = await router.ask(output_config={"format": {"type": "json_schema", "schema": schema}})
    assert set(json.loads(json.loads(raw)["content"][0]["text"])) == {"title"}


async def test_not_chosen_once_a_provider_is_configured(tmp_path, upstream: Upstream):
    """With a real provider it serves only who names it."""
    upstream.always(json_reply(anthropic_wire.message_json("real")))
    config = {"Providers": [provider(upstream, "anthropic")], "Router": {"default": "anthropic,m1"}}
    async with running(config, tmp_path) as router:
        assert b"real" in (await router.ask(model="anything"))[2]
        assert b"[dry-run]" in (await router.ask(model="dry-run,x"))[2]
    assert len(upstream.requests) == 1
