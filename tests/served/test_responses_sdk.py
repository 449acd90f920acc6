"""The official OpenAI client as oracle: responses over providers of every dialect."""

from __future__ import annotations

import json

import openai
import pytest

from tests.served.wires import CALLS, WIRES, unfinished
from tests.upstream import Upstream, json_reply, sse_reply

TOOLS = [
    {
        "type": "function",
        "name": name,
        "description": "d",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
        "strict": False,
    }
    for name in ("Read", "List")
]


def ask(dialect, **more):
    return {
        "model": f"{dialect},m1",
        "max_output_tokens": 500,
        "instructions": "be brief",
        "input": "Hi",
        "tools": TOOLS,
        "reasoning": {"effort": "high", "summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        **more,
    }


def check(response, dialect):
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call", "function_call"]
    assert response.output[0].summary[0].text == "hmm"
    assert response.output[0].encrypted_content
    assert response.output_text == "Hi 🙂"
    calls = [(item.call_id, item.name, json.loads(item.arguments)) for item in response.output[2:]]
    assert [call[1:] for call in calls] == [call[1:] for call in CALLS]
    if dialect != "gemini":  # whose ids are the router's
        assert [call[0] for call in calls] == [call[0] for call in CALLS]
    assert response.status == "completed"
    assert response.model == f"{dialect},m1"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (25, 12)


@pytest.mark.parametrize("split", [None, "bytes", 5])
async def test_streamed(client, upstream: Upstream, dialect, split):
    """The SDK's stream helper, which refuses events out of order, folds ours into the answer that the provider gave."""
    upstream.reply(sse_reply(WIRES[dialect].stream("Hi 🙂", "hmm", CALLS), split=split))
    async with client.responses.stream(**ask(dialect)) as stream:
        kinds = [event.type async for event in stream]
        answer = await stream.get_final_response()
    check(answer, dialect)
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert "response.reasoning_summary_text.delta" in kinds
    assert "response.function_call_arguments.done" in kinds


async def test_whole(client, upstream: Upstream, dialect):
    """`create` gives the same, unstreamed."""
    upstream.reply(json_reply(WIRES[dialect].whole("Hi 🙂", "hmm", CALLS)))
    check(await client.responses.create(**ask(dialect)), dialect)


async def test_the_other_form_than_asked(client, upstream: Upstream, dialect):
    """A provider that streams where it should not, and the reverse: the client gets what it asked for."""
    wire = WIRES[dialect]
    upstream.reply(sse_reply(wire.stream("Hi 🙂", "hmm", CALLS)), json_reply(wire.whole("Hi 🙂", "hmm", CALLS)))
    check(await client.responses.create(**ask(dialect)), dialect)
    async with client.responses.stream(**ask(dialect)) as stream:
        check(await stream.get_final_response(), dialect)


async def test_a_loop_with_tools(client, upstream: Upstream, dialect):
    """The output items, sent back with their results, reach the provider in its own words, its own reasoning too."""
    wire = WIRES[dialect]
    upstream.reply(json_reply(wire.whole("Hi 🙂", "hmm", CALLS)), json_reply(wire.whole("done")))
    answer = await client.responses.create(**ask(dialect))
    items = [item.model_dump(exclude_none=True) for item in answer.output]
    results = [
        {"type": "function_call_output", "call_id": item.call_id, "output": f"R{number}"}
        for number, item in enumerate(answer.output[2:])
    ]
    last = await client.responses.create(**ask(dialect, input=[{"role": "user", "content": "Hi"}, *items, *results]))
    assert last.output_text == "done"
    sent = upstream.requests[1].body.decode()
    assert sent.index("R0") < sent.index("R1")
    if dialect == "anthropic":
        turns = json.loads(sent)["messages"]
        assert turns[1]["content"][0] == {
            "type": "thinking",
            "thinking": "hmm",
            "signature": "EqQBCkYIARgCIkAn-signature",
        }
        assert [block["tool_use_id"] for block in turns[2]["content"]] == ["call_1", "call_2"]
    elif dialect == "responses":
        assert "gAAAAABo-sealed-reasoning==" in sent


async def test_errors_are_the_sdks_own_classes(client, upstream: Upstream, dialect):
    """Statuses come out as the SDK's exceptions, with the provider's words."""
    for status, kind in (
        (400, openai.BadRequestError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ):
        upstream.reply(json_reply(WIRES[dialect].error("some words"), status=status))
        with pytest.raises(kind, match="some words") as raised:
            await client.responses.create(**ask(dialect))
        assert raised.value.status_code == status


async def test_an_error_midway_raises(client, upstream: Upstream, dialect):
    """A stream that breaks is `response.failed`, and raises in the SDK for who does not look at events."""
    upstream.reply(sse_reply([*unfinished(dialect), WIRES[dialect].midway]))
    stream = await client.responses.create(**ask(dialect), stream=True)
    kinds: list[str] = []

    async def listen():
        async for event in stream:
            kinds.append(event.type)  # noqa: PERF401 - what came before the failure counts

    with pytest.raises(openai.APIError, match="busy"):
        await listen()
    assert kinds[-1] == "response.failed"
    assert "response.completed" not in kinds


async def test_structured_text(client, upstream: Upstream, dialect):
    """`text.format` with a schema reaches the provider."""
    upstream.reply(json_reply(WIRES[dialect].whole('{"n": 7}')))
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    answer = await client.responses.create(
        model=f"{dialect},m1",
        input="a number",
        text={"format": {"type": "json_schema", "name": "Number", "schema": schema, "strict": True}},
    )
    assert json.loads(answer.output_text) == {"n": 7}
    assert '"integer"' in upstream.requests[0].body.decode().replace("INTEGER", "integer")


async def test_codex(client, upstream: Upstream):
    """A session as Codex runs it: free-form and OpenAI's own tools, namespaces, a cache key; calls come back as the items
    that it knows, and are understood when they come again.
    """
    calls = [
        ("call_1", "apply_patch", {"input": "*** Begin Patch"}),
        ("call_2", "local_shell", {"command": ["ls", "-l"]}),
        ("call_3", "mcp__docs__find", {"q": "x"}),
    ]
    wire = WIRES["anthropic"]
    upstream.reply(sse_reply(wire.stream("I look.", "hmm", calls)), json_reply(wire.whole("done")))
    grammar = {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch"'}
    asked = {
        "model": "gpt-5.5-codex",
        "instructions": "You are Codex.",
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "sandboxed"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "list"}]},
        ],
        "tools": [
            {"type": "custom", "name": "apply_patch", "description": "edits", "format": grammar},
            {"type": "local_shell"},
            {"type": "web_search", "external_web_access": False},
            {
                "type": "namespace",
                "name": "mcp__docs",
                "description": "docs",
                "tools": [{"type": "function", "name": "find", "parameters": {"type": "object", "properties": {}}}],
            },
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199-session",
    }
    async with client.responses.stream(**asked) as stream:
        events = [event async for event in stream]
    output = [event.item.model_dump(exclude_none=True) for event in events if event.type == "response.output_item.done"]
    assert [item["type"] for item in output] == [
        "reasoning", "message", "custom_tool_call", "local_shell_call", "function_call",
    ]  # fmt: skip
    assert output[2]["input"] == "*** Begin Patch"
    assert output[3]["action"]["command"] == ["ls", "-l"]
    assert (output[4]["namespace"], output[4]["name"]) == ("mcp__docs", "find")
    results = [
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "patched"},
        {"type": "function_call_output", "call_id": "call_2", "output": "a b"},
        {"type": "function_call_output", "call_id": "call_3", "output": [{"type": "input_text", "text": "found"}]},
    ]
    await client.responses.create(**{**asked, "input": [*asked["input"], *output, *results]})
    sent = upstream.requests[1].json()
    assert [block["text"] for block in sent["system"]] == ["You are Codex.", "sandboxed"]
    assert [block["type"] for block in sent["messages"][1]["content"]] == ["thinking", "text", *["tool_use"] * 3]
    assert [block["input"] for block in sent["messages"][1]["content"][2:]] == [call[2] for call in calls]
    assert [block["content"] for block in sent["messages"][2]["content"]] == [
        "patched", "a b", [{"type": "text", "text": "found"}],
    ]  # fmt: skip
    assert sent["metadata"]["user_id"] == "_session_0199-session"
