"""Falling back: to the next target before the first content, invisibly; never after it."""

from __future__ import annotations

import json

import pytest

from tests.gateway.conftest import events_of, provider, running, text_of
from tests.upstream import Cut, Reply, Upstream, anthropic_wire, chat_wire, json_reply, sse_reply


@pytest.fixture
async def router(upstream: Upstream, tmp_path):
    config = {
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "anthropic,m1"},
        "fallback": {"default": ["openai,m2", "anthropic,m2"]},
    }
    async with running(config, tmp_path) as router:
        yield router


FIRST_FAILURES = [
    json_reply(anthropic_wire.error_json("rate_limit_error", "slow down"), status=429),
    json_reply(anthropic_wire.error_json("overloaded_error", "busy"), status=529),
    sse_reply([anthropic_wire.error_frame("overloaded_error", "busy")]),
    Reply(200, {"content-type": "text/event-stream"}, (anthropic_wire.message_stream("x")[0], Cut())),
    Reply(200, {"content-type": "text/event-stream"}, ()),
    Reply(500, {}, (b"oops",)),
]


@pytest.mark.parametrize("failure", FIRST_FAILURES)
async def test_next_target_answers_unseen(router, upstream: Upstream, failure):
    """Whatever goes wrong before content, the client sees the second provider's answer and nothing of the first's."""
    upstream.reply(failure, sse_reply(chat_wire.chat_stream("from the second")))
    events = await router.stream(model="claude-x")
    assert text_of(events) == "from the second"
    assert [event["type"] for event in events].count("message_start") == 1
    second = upstream.requests[1]
    assert second.path == "/v1/chat/completions"
    assert second.json()["model"] == "m2"
    assert second.headers["authorization"] == "Bearer sk-openai-upstream-secret-0123456789"
    assert "x-api-key" not in second.headers


async def test_each_attempt_is_made_from_the_original(router, upstream: Upstream):
    """Back at a Messages provider after a chat attempt, the request is the client's again, thinking and all."""
    upstream.reply(
        Reply(500, {}, (b"one",)), Reply(500, {}, (b"two",)), sse_reply(anthropic_wire.message_stream("third"))
    )
    thinking = {"type": "enabled", "budget_tokens": 1024}
    assert text_of(await router.stream(model="claude-x", thinking=thinking, novel={"kept": 1})) == "third"
    first, _, third = (received.json() for received in upstream.requests)
    assert third == {**first, "model": "m2"}
    assert third["thinking"] == thinking
    assert third["novel"] == {"kept": 1}


@pytest.mark.parametrize("streamed", [True, False])
async def test_all_fail_the_first_error_is_told(router, upstream: Upstream, streamed):
    """When every target fails, the client hears of the first failure: it is the route's own."""
    upstream.reply(
        json_reply(anthropic_wire.error_json("overloaded_error", "the first"), status=529),
        json_reply(chat_wire.error_json("the second"), status=500),
        json_reply(anthropic_wire.error_json("api_error", "the third"), status=500),
    )
    status, _, raw = await router.ask(model="claude-x", stream=streamed)
    assert status == 529
    assert json.loads(raw)["error"]["message"] == "the first"
    assert len(upstream.requests) == 3


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_the_clients_own_errors_stay(router, upstream: Upstream, status):
    """An error in the request itself is not carried around to other providers."""
    upstream.reply(json_reply(anthropic_wire.error_json("invalid_request_error", "your fault"), status=status))
    got, _, _ = await router.ask(model="claude-x")
    assert got == status
    assert len(upstream.requests) == 1


async def test_never_after_content(router, upstream: Upstream):
    """After the first content a failure is an error event; no second provider is asked."""
    upstream.reply(sse_reply(anthropic_wire.message_stream("Hello there")[:4], ending=Cut()))
    events = await router.stream(model="claude-x")
    assert events[-1]["type"] == "error"
    assert len(upstream.requests) == 1


async def test_content_one_dialect_cannot_carry(upstream: Upstream, tmp_path):
    """Content that the first target's dialect cannot carry goes to a target whose dialect can."""
    config = {
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "openai,m1"},
        "fallback": {"default": ["anthropic,m1"]},
    }
    upstream.reply(json_reply(anthropic_wire.message_json("carried")))
    messages = [{"role": "user", "content": [{"type": "hologram", "data": "x"}]}]
    async with running(config, tmp_path) as router:
        status, _, raw = await router.ask(model="claude-x", messages=messages)
        assert status == 200
        assert b"carried" in raw
    assert [received.path for received in upstream.requests] == ["/v1/messages"]


TOO_LONG = json_reply(
    anthropic_wire.error_json("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), status=400
)


async def test_what_is_too_long_goes_to_the_long_route(upstream: Upstream, tmp_path):
    """A request that does not fit the model of its route is asked of the route for long contexts, before any fallback,
    and the client is told who answered.
    """
    config = {
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "anthropic,m1", "longContext": "openai,m2"},
        "fallback": {"default": ["anthropic,m2"]},
    }
    async with running(config, tmp_path) as router:
        upstream.reply(TOO_LONG, sse_reply(chat_wire.chat_stream("from the long one")))
        status, headers, raw = await router.ask(model="claude-x", stream=True)
        assert status == 200
        assert text_of(events_of(raw)) == "from the long one"
        assert headers["x-ccr-model"] == "openai,m2"
        assert headers["x-ccr-attempts"] == "2"
        assert upstream.requests[1].json()["model"] == "m2"


async def test_too_long_everywhere_is_told_as_such(upstream: Upstream, tmp_path):
    """When nobody has room the client hears the words that make it compact the conversation, and nothing is repeated."""
    config = {
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "anthropic,m1", "longContext": "openai,m2"},
        "retry": {"again": 2},
    }
    async with running(config, tmp_path) as router:
        upstream.reply(TOO_LONG, json_reply(chat_wire.error_json("context_length_exceeded"), status=400))
        status, _, raw = await router.ask(model="claude-x", stream=True)
        assert status == 400
        assert "prompt is too long: 210000 tokens > 200000 maximum" in json.loads(raw)["error"]["message"]
        assert len(upstream.requests) == 2
