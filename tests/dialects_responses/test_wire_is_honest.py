"""The fake Responses upstream is proven honest: the official SDK reads from it what was scripted, over real HTTP."""

from __future__ import annotations

import warnings

import openai
import pytest

from tests.upstream import Upstream, json_reply, responses_wire, sse_reply

CALLS = [("call_1", "Read", {"path": "ä 中"}), ("call_2", "Grep", {"for": "b"})]
SAID = {"text": "Hi 🙂", "thinking": ["First.", "Second."], "tools": CALLS, "usage": {"cached": 5, "reasoning": 3}}
ASK = {"model": "gpt-5.2", "input": "Hi"}


@pytest.fixture
async def upstream():
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def client(upstream: Upstream):
    async with openai.AsyncOpenAI(base_url=f"{upstream.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def check(response) -> None:
    """`response` is what SAID says, and every member of it is of the SDK's own type."""
    with warnings.catch_warnings(record=True) as unlike:  # pydantic warns of members that are not of their type
        warnings.simplefilter("always")
        type(response).model_validate(response.model_dump(by_alias=True, exclude_unset=True))
    assert not unlike
    reasoning, message, *calls = response.output
    assert [part.text for part in reasoning.summary] == SAID["thinking"]
    assert reasoning.encrypted_content == responses_wire.SEALED
    assert message.content[0].text == response.output_text == "Hi 🙂"
    assert [(call.call_id, call.name) for call in calls] == [call[:2] for call in CALLS]
    assert [call.arguments for call in calls] == ['{"path":"ä 中"}', '{"for":"b"}']
    assert response.usage.input_tokens_details.cached_tokens == 5
    assert response.status == "completed"


async def test_unstreamed(client, upstream: Upstream):
    """`create` reads the body."""
    upstream.reply(json_reply(responses_wire.response_json(**SAID)))
    check(await client.responses.create(**ASK))
    assert upstream.requests[0].path == "/v1/responses"


@pytest.mark.parametrize("interleaved", [False, True])
async def test_streamed(client, upstream: Upstream, interleaved):
    """`create` with `stream` reads the events: each is of a type that the SDK knows, numbered without a gap."""
    frames = responses_wire.response_stream(**SAID, interleaved=interleaved)
    upstream.reply(sse_reply(frames, split=7))
    events = [event async for event in await client.responses.create(**ASK, stream=True)]
    assert len(events) == len(frames)
    assert [event.sequence_number for event in events] == list(range(len(frames)))
    for event in events:
        assert type(event).model_validate(event.model_dump(by_alias=True, exclude_unset=True)).type == event.type
        assert type(event).__name__.startswith("Response")
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "Hi 🙂"
    check(events[-1].response)


@pytest.mark.parametrize("interleaved", [False, True])
async def test_stream_helper(client, upstream: Upstream, interleaved):
    """The SDK's `stream` helper, which keeps the order of events by the book, puts the same response together."""
    upstream.reply(sse_reply(responses_wire.response_stream(**SAID, interleaved=interleaved)))
    async with client.responses.stream(**ASK) as stream:
        async for _ in stream:
            pass
        check(await stream.get_final_response())


async def test_other_ends(client, upstream: Upstream):
    """Refusals, cut answers, failures and errors are what the SDK takes them for."""
    upstream.reply(
        json_reply(responses_wire.response_json(refusal="No.")),
        sse_reply(responses_wire.response_stream("Once", status="incomplete", reason="max_output_tokens")),
        sse_reply(responses_wire.response_stream(status="failed", error={"code": "server_error", "message": "died"})),
        json_reply(responses_wire.error_json("no such thing", param="model", code="model_not_found"), 404),
        sse_reply([responses_wire.error_frame("died")]),
    )
    refused = await client.responses.create(**ASK)
    assert refused.output[0].content[0].refusal == "No."
    cut = [event async for event in await client.responses.create(**ASK, stream=True)][-1]
    assert (cut.type, cut.response.incomplete_details.reason) == ("response.incomplete", "max_output_tokens")
    failed = [event async for event in await client.responses.create(**ASK, stream=True)][-1]
    assert (failed.type, failed.response.error.code) == ("response.failed", "server_error")
    with pytest.raises(openai.NotFoundError, match="no such thing"):
        await client.responses.create(**ASK)
    error = [event async for event in await client.responses.create(**ASK, stream=True)][-1]
    assert (error.type, error.code, error.message) == ("error", "server_error", "died")
