"""The whole router between the official Messages client and a scripted Responses upstream."""

from __future__ import annotations

import json

import anthropic
import pytest

from tests.dialects_responses.law import check_request
from tests.gateway.conftest import running
from tests.upstream import Upstream, json_reply, responses_wire, sse_reply

TOOL = {
    "name": "Read",
    "description": "d",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
}
CALLS = [("call_1", "Read", {"path": "ä 中"}), ("call_2", "Read", {"path": "b"})]
ASK = {"model": "openai,gpt-5.2", "max_tokens": 500, "tools": [TOOL], "thinking": {"type": "adaptive"}}
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture
async def upstream():
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def router(upstream: Upstream, tmp_path):
    server = {
        "name": "openai",
        "api_base_url": f"{upstream.url}/v1/responses",
        "api_key": "sk-upstream-secret-0123456789",
        "models": ["gpt-5.2"],
    }
    async with running({"Providers": [server], "Router": {"default": "openai,gpt-5.2"}}, tmp_path) as router:
        yield router


@pytest.fixture
async def client(router):
    async with anthropic.AsyncAnthropic(base_url=router.url, api_key="any", max_retries=0) as client:
        yield client


async def streamed(client, **asked):
    async with client.messages.stream(**{**ASK, "messages": HI, **asked}) as stream:
        return await stream.get_final_message()


@pytest.mark.parametrize("split", [None, "bytes", 5])
async def test_streamed_and_unstreamed_are_the_same_message(client, upstream: Upstream, split):
    """The SDK's stream helper and its plain call give the same content, stop reason and usage."""
    said = {"text": "Hi 🙂", "thinking": ["One.", "Two."], "tools": CALLS, "usage": {"cached": 5}}
    upstream.reply(
        sse_reply(responses_wire.response_stream(**said, interleaved=True), split=split),
        json_reply(responses_wire.response_json(**said)),
    )
    for message in (await streamed(client), await client.messages.create(**ASK, messages=HI)):
        assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
        assert message.content[0].thinking == "One.\n\nTwo."
        assert message.content[1].text == "Hi 🙂"
        assert [(block.id, block.input) for block in message.content[2:]] == [(call[0], call[2]) for call in CALLS]
        assert message.stop_reason == "tool_use"
        assert message.model == "openai,gpt-5.2"
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (20, 5)
    for received in upstream.requests:
        assert received.path == "/v1/responses"
        assert received.headers["authorization"] == "Bearer sk-upstream-secret-0123456789"
        check_request(received.json())


async def test_a_tool_loop_replays_reasoning(client, upstream: Upstream):
    """Over three turns the provider gets all of its sealed reasoning back, each item before the call it led to."""
    for number in range(3):
        calls = [(f"call_{number}", "Read", {})] if number < 2 else []
        thought = f"Thought {number}."
        upstream.reply(sse_reply(responses_wire.response_stream(None if calls else "Done.", thought, calls)))
    messages = list(HI)
    for number in range(3):
        message = await streamed(client, messages=messages)
        messages.append({"role": "assistant", "content": [block.model_dump() for block in message.content]})
        result = {"type": "tool_result", "tool_use_id": f"call_{number}", "content": "ok"}
        messages.append({"role": "user", "content": [result]})
    assert message.content[-1].text == "Done."
    last = upstream.requests[-1].json()
    check_request(last)
    kinds = [item["type"] for item in last["input"]]
    assert kinds == ["message", *["reasoning", "function_call", "function_call_output"] * 2]
    assert [item["summary"][0]["text"] for item in last["input"] if item["type"] == "reasoning"] == [
        "Thought 0.",
        "Thought 1.",
    ]
    assert all(item.get("encrypted_content", responses_wire.SEALED) == responses_wire.SEALED for item in last["input"])


async def test_an_organisation_that_is_not_verified(client, upstream: Upstream):
    """A refused summary is asked for once; the client sees the answer, and the next request does without at once."""
    words = "Your organization must be verified to generate reasoning summaries."
    upstream.reply(
        json_reply(responses_wire.error_json(words, param="reasoning.summary"), 400),
        sse_reply(responses_wire.response_stream("Hi")),
        sse_reply(responses_wire.response_stream("Again")),
    )
    assert (await streamed(client)).content[0].text == "Hi"
    assert (await streamed(client)).content[0].text == "Again"
    first, second, third = (received.json() for received in upstream.requests)
    assert first["reasoning"] == {"summary": "auto"}
    assert "reasoning" not in second
    assert "reasoning" not in third


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "died"}}, "api_error"),
        ({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow down"}}, "rate_limit_error"),
        ({"status": None}, "api_error"),
    ],
)
async def test_a_failure_after_the_first_words(router, upstream: Upstream, end, kind):
    """A stream that has begun ends in an error event of the mapped type, never in an end of the turn."""
    upstream.reply(sse_reply(responses_wire.response_stream("Once upon", **end)))
    events = await router.stream(**ASK, messages=HI)
    assert events[-1]["type"] == "error"
    assert events[-1]["error"]["type"] == kind
    assert "message_stop" not in [event["type"] for event in events]


async def test_a_failure_before_the_first_words(router, upstream: Upstream):
    """A failure that comes alone inside a 200 is an HTTP error."""
    upstream.always(
        sse_reply(responses_wire.response_stream(status="failed", error={"code": "invalid_prompt", "message": "no"}))
    )
    status, _, raw = await router.ask(**ASK, messages=HI, stream=True)
    assert status == 400
    assert json.loads(raw)["error"]["type"] == "invalid_request_error"
