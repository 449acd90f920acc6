"""The official OpenAI client as oracle: chat completions over providers of every dialect."""

from __future__ import annotations

import json

import openai
import pytest

from tests.served.wires import CALLS, WIRES, unfinished
from tests.upstream import Upstream, json_reply, sse_reply

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "d",
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
        },
    }
    for name in ("Read", "List")
]


def ask(dialect, **more):
    return {
        "model": f"{dialect},m1",
        "max_completion_tokens": 500,
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "Hi"}],
        "tools": TOOLS,
        **more,
    }


def check(message, finish, model, dialect):
    assert message.content == "Hi 🙂"
    calls = [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls]
    assert [call[1:] for call in calls] == [call[1:] for call in CALLS]
    if dialect != "gemini":  # whose ids are the router's
        assert [call[0] for call in calls] == [call[0] for call in CALLS]
    assert finish == "tool_calls"
    assert model == f"{dialect},m1"


@pytest.mark.parametrize("split", [None, "bytes", 5])
async def test_streamed(client, upstream: Upstream, dialect, split):
    """The SDK's stream helper folds our chunks into the answer that the provider gave: text, parallel calls, finish,
    usage, the asked model; thinking comes as `reasoning_content`.
    """
    upstream.reply(sse_reply(WIRES[dialect].stream("Hi 🙂", "hmm", CALLS), split=split))
    async with client.chat.completions.stream(**ask(dialect), stream_options={"include_usage": True}) as stream:
        async for _ in stream:
            pass
        answer = await stream.get_final_completion()
    check(answer.choices[0].message, answer.choices[0].finish_reason, answer.model, dialect)
    assert answer.usage.completion_tokens == 12
    assert answer.usage.prompt_tokens == 25
    if dialect != "openai":
        assert answer.choices[0].message.reasoning_content == "hmm"


async def test_whole(client, upstream: Upstream, dialect):
    """`create` gives the same, unstreamed."""
    upstream.reply(json_reply(WIRES[dialect].whole("Hi 🙂", "hmm", CALLS)))
    answer = await client.chat.completions.create(**ask(dialect))
    check(answer.choices[0].message, answer.choices[0].finish_reason, answer.model, dialect)
    assert answer.usage.total_tokens == 37


async def test_the_other_form_than_asked(client, upstream: Upstream, dialect):
    """A provider that streams where it should not, and the reverse: the client gets what it asked for."""
    wire = WIRES[dialect]
    upstream.reply(sse_reply(wire.stream("Hi 🙂", "hmm", CALLS)), json_reply(wire.whole("Hi 🙂", "hmm", CALLS)))
    answer = await client.chat.completions.create(**ask(dialect))
    check(answer.choices[0].message, answer.choices[0].finish_reason, answer.model, dialect)
    stream = await client.chat.completions.create(**ask(dialect), stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hi 🙂"
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_a_loop_with_tools(client, upstream: Upstream, dialect):
    """What the client sends back on the next turn reaches the provider in its own words: every call with its result, and
    the thinking to the provider that made it.
    """
    wire = WIRES[dialect]
    upstream.reply(json_reply(wire.whole("Hi 🙂", "hmm", CALLS)), json_reply(wire.whole("done")))
    answer = await client.chat.completions.create(**ask(dialect))
    message = answer.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"R{n}"} for n, call in enumerate(message.tool_calls)
    ]
    history = [*ask(dialect)["messages"], message.model_dump(exclude_none=True), *results]
    last = await client.chat.completions.create(**ask(dialect, messages=history))
    assert last.choices[0].message.content == "done"
    sent = upstream.requests[1].body.decode()
    assert sent.index("R0") < sent.index("R1")
    if dialect == "anthropic":
        turns = json.loads(sent)["messages"]
        assert turns[1]["content"][0] == {
            "type": "thinking",
            "thinking": "hmm",
            "signature": "EqQBCkYIARgCIkAn-signature",
        }
        assert [block["type"] for block in turns[1]["content"]] == ["thinking", "text", "tool_use", "tool_use"]
        assert [block["tool_use_id"] for block in turns[2]["content"]] == ["call_1", "call_2"]
    elif dialect == "responses":
        assert "gAAAAABo-sealed-reasoning==" in sent


async def test_errors_are_the_sdks_own_classes(client, upstream: Upstream, dialect):
    """Statuses come out as the SDK's exceptions, with the provider's words, and with codes to decide by."""
    for status, kind, code in (
        (400, openai.BadRequestError, None),
        (401, openai.AuthenticationError, "invalid_api_key"),
        (429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, openai.InternalServerError, "server_error"),
    ):
        upstream.reply(json_reply({"error": {"message": "some words"}}, status=status))
        with pytest.raises(kind, match="some words") as raised:
            await client.chat.completions.create(**ask(dialect))
        assert raised.value.code == code
        assert raised.value.request_id


async def test_an_error_midway_raises(client, upstream: Upstream, dialect):
    """A stream that breaks raises in the SDK; it does not return half an answer."""
    upstream.reply(sse_reply([*unfinished(dialect), WIRES[dialect].midway]))
    stream = await client.chat.completions.create(**ask(dialect), stream=True)
    finishes: list[str | None] = []

    async def listen():
        async for chunk in stream:
            finishes.extend(choice.finish_reason for choice in chunk.choices)

    with pytest.raises(openai.APIError, match="busy"):
        await listen()
    assert finishes
    assert not any(finishes)


async def test_parse(client, upstream: Upstream, dialect):
    """A format that is a JSON schema reaches the provider, and the SDK parses the answer."""
    upstream.reply(json_reply(WIRES[dialect].whole('{"n": 7}')))
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    answer = await client.chat.completions.create(
        model=f"{dialect},m1",
        messages=[{"role": "user", "content": "a number"}],
        response_format={"type": "json_schema", "json_schema": {"name": "Number", "schema": schema, "strict": True}},
    )
    assert json.loads(answer.choices[0].message.content) == {"n": 7}
    assert '"integer"' in upstream.requests[0].body.decode().replace("INTEGER", "integer")


async def test_models(client, router):
    """The SDK lists models, and finds one by a name with a comma in it; with and without /v1 in the base URL."""
    listed = {model.id: model async for model in client.models.list()}
    assert "anthropic,m1" in listed
    assert listed["gemini,m2"].owned_by == "gemini"
    assert (await client.models.retrieve("openai,m1")).id == "openai,m1"
    async with openai.AsyncOpenAI(base_url=router.url, api_key="any") as bare:
        assert "anthropic,m1" in {model.id async for model in bare.models.list()}
