"""The official client as oracle: what it makes of our streams is what they mean."""

from __future__ import annotations

import anthropic
import pytest

from tests.upstream import Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

MODELS = {"anthropic": "anthropic,m1", "openai": "openai,m1"}
TOOL = {
    "name": "Read",
    "description": "d",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
}
CALLS = [("t1", "Read", {"path": "ä 中"}), ("t2", "Read", {"path": "b"})]


def stream_of(dialect, **more):
    if dialect == "anthropic":
        return anthropic_wire.message_stream("Hi 🙂", thinking="hm", tools=CALLS, **more)
    return chat_wire.chat_stream("Hi 🙂", reasoning="hm", tools=CALLS, interleaved=True, **more)


def body_of(dialect):
    if dialect == "anthropic":
        return anthropic_wire.message_json("Hi 🙂", thinking="hm", tools=CALLS)
    return chat_wire.chat_json("Hi 🙂", reasoning="hm", tools=CALLS)


def ask(dialect):
    return {
        "model": MODELS[dialect],
        "max_tokens": 500,
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [TOOL],
    }


@pytest.fixture
async def client(router):
    async with anthropic.AsyncAnthropic(base_url=router.url, api_key="any", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("split", [None, "bytes", 5])
async def test_streamed_and_unstreamed_are_the_same_message(client, upstream: Upstream, dialect, split):
    """The SDK's stream helper and its plain call give the same content, stop reason and usage."""
    upstream.reply(sse_reply(stream_of(dialect), split=split), json_reply(body_of(dialect)))
    async with client.messages.stream(**ask(dialect)) as stream:
        streamed = await stream.get_final_message()
    whole = await client.messages.create(**ask(dialect))
    for message in (streamed, whole):
        assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
        assert message.content[0].thinking == "hm"
        assert message.content[1].text == "Hi 🙂"
        assert [block.input for block in message.content[2:]] == [call[2] for call in CALLS]
        assert [block.id for block in message.content[2:]] == ["t1", "t2"]
        assert message.stop_reason == "tool_use"
        assert message.model == MODELS[dialect]
        assert message.usage.input_tokens > 0
        assert message.usage.output_tokens > 0
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert streamed.usage.input_tokens == whole.usage.input_tokens


async def test_errors_are_the_sdks_own_classes(client, upstream: Upstream, dialect):
    """Statuses come out as the SDK's exceptions, with the provider's words."""
    wire = anthropic_wire if dialect == "anthropic" else chat_wire
    for status, kind in (
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
    ):
        error = wire.error_json("api_error", "some words") if dialect == "anthropic" else wire.error_json("some words")
        upstream.reply(json_reply(error, status=status))
        with pytest.raises(kind, match="some words"):
            await client.messages.create(**ask(dialect))


async def test_error_event_raises(client, upstream: Upstream, dialect):
    """A stream that breaks raises in the SDK; it does not return half a message."""
    upstream.reply(sse_reply(stream_of(dialect), cut_at=5))
    with pytest.raises(anthropic.APIError):
        async with client.messages.stream(**ask(dialect)) as stream:
            await stream.get_final_message()


async def test_count_tokens_and_models(client):
    """The SDK's count_tokens and models.list work."""
    counted = await client.messages.count_tokens(
        model="openai,m1", messages=[{"role": "user", "content": "Hello " * 100}]
    )
    assert 80 < counted.input_tokens < 250
    assert "anthropic,m1" in [model.id async for model in client.models.list()]
