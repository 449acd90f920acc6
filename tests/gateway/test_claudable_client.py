"""Claudable's adapter, as it is, through the router: it gets the dialect that it reads; nobody else does."""

from __future__ import annotations

import json

from tests.gateway.conftest import events_of
from tests.upstream import Upstream, anthropic_wire, chat_wire, sse_reply

HEADERS = {"user-agent": "python-httpx/0.27.0", "accept": "*/*", "x-api-key": "K", "authorization": "Bearer K"}


def body(model, history=()):
    return {
        "model": model,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Build a page"}]}, *history],
        "system": [{"type": "text", "text": "You are Claudable"}],
        "stream": True,
        "metadata": {"user_id": "project_p1_session_s1"},
    }


async def ask(router, sent, headers=HEADERS):
    """As the adapter: no anthropic-version, its own content-type."""
    async with router.client.post(
        f"{router.url}/v1/messages", data=json.dumps(sent), headers={**headers, "content-type": "application/json"}
    ) as response:
        raw = await response.read()
        assert response.status == 200, raw
        return events_of(raw)


def stream_of(dialect, text, **more):
    return (anthropic_wire.message_stream if dialect == "anthropic" else chat_wire.chat_stream)(text, **more)


async def test_it_gets_output_text_and_tools(router, upstream: Upstream, dialect):
    """Text comes as output_text, thinking not at all, calls as ever; the provider was offered the adapter's tools."""
    more = {"thinking": "hm"} if dialect == "anthropic" else {"reasoning": "hm"}
    upstream.reply(
        sse_reply(stream_of(dialect, "Hi", tools=[("t1", "Write", {"file_path": "a", "content": "b"})], **more))
    )
    events = await ask(router, body(f"{dialect},m1"))
    starts = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert starts == ["output_text", "tool_use"]
    deltas = [event["delta"]["type"] for event in events if event["type"] == "content_block_delta"]
    assert set(deltas) == {"output_text_delta", "input_json_delta"}
    assert [event["index"] for event in events if event["type"] == "content_block_start"] == [0, 1]
    assert isinstance(next(event for event in events if event["type"] == "message_delta")["usage"], dict)
    sent = upstream.requests[0].json()
    names = [tool.get("name") or tool["function"]["name"] for tool in sent["tools"]]
    assert names == ["Read", "Write", "Edit", "LS", "Glob", "Grep", "Bash"]


async def test_its_history_is_repaired(router, upstream: Upstream, dialect):
    """Empty assistant turns and one user turn per tool result become what strict providers accept."""
    history = [
        {"role": "assistant", "content": []},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "a", "name": "Read", "input": {"file_path": "x"}},
            {"type": "tool_use", "id": "b", "name": "Read", "input": {"file_path": "y"}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "", "is_error": False}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b", "content": "text", "is_error": False}]},
    ]  # fmt: skip
    upstream.reply(sse_reply(stream_of(dialect, "Hi")))
    await ask(router, body(f"{dialect},m1", history))
    roles = [message["role"] for message in upstream.requests[0].json()["messages"]]
    expected = (
        ["user", "assistant", "user"] if dialect == "anthropic" else ["system", "user", "assistant", "tool", "tool"]
    )
    assert roles == expected


async def test_leaked_calls_become_calls(router, upstream: Upstream, dialect):
    """A call that a Qwen model wrote as text reaches the adapter as a tool_use, with stop_reason tool_use."""
    leaked = "I will look.\n<tool_call>\n<function=Read>\n<parameter=file_path>\nsrc/a.py\n</parameter>\n</function>\n</tool_call>"
    upstream.reply(sse_reply(stream_of(dialect, leaked)))
    events = await ask(router, body(f"{dialect},m1"))
    call = next(
        e["content_block"]
        for e in events
        if e["type"] == "content_block_start" and e["content_block"]["type"] == "tool_use"
    )
    assert call["name"] == "Read"
    arguments = "".join(e["delta"].get("partial_json", "") for e in events if e["type"] == "content_block_delta")
    assert json.loads(arguments) == {"file_path": "src/a.py"}
    assert next(e for e in events if e["type"] == "message_delta")["delta"]["stop_reason"] == "tool_use"
    text = "".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta")
    assert text.strip() == "I will look."


async def test_a_corrected_client_and_others_get_the_standard(router, upstream: Upstream, dialect):
    """With `x-ccr-client: standard`, with another user agent or with tools of its own, a client gets standard blocks."""
    upstream.always(sse_reply(stream_of(dialect, "Hi")))
    for headers in ({**HEADERS, "x-ccr-client": "standard"}, {**HEADERS, "user-agent": "claude-cli/2.1"}):
        events = await ask(router, body(f"{dialect},m1"), headers)
        assert "output_text" not in json.dumps(events)
    assert "tools" not in upstream.requests[0].json()
