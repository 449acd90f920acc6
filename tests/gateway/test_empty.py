"""Answers that say nothing: asked for again elsewhere, and delivered as they are where nobody has more to say."""

from __future__ import annotations

import json

import pytest

from tests.gateway.conftest import provider, running, text_of
from tests.upstream import Upstream, anthropic_wire, chat_wire, json_reply, responses_wire, sse_reply

CHAT = {"model": "claude-x", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
async def router(upstream: Upstream, tmp_path):
    config = {
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "anthropic,m1"},
        "fallback": {"default": ["openai,m2"]},
    }
    async with running(config, tmp_path) as router:
        yield router


def empty(streamed, stop_reason: str = "end_turn"):
    if streamed:
        return sse_reply(anthropic_wire.message_stream(stop_reason=stop_reason))
    return json_reply(anthropic_wire.message_json(stop_reason=stop_reason))


def chat(streamed, text):
    return sse_reply(chat_wire.chat_stream(text)) if streamed else json_reply(chat_wire.chat_json(text))


@pytest.mark.parametrize("streamed", [True, False])
async def test_another_target_has_more_to_say(router, upstream: Upstream, streamed):
    """An empty end_turn is no answer as long as another target is left."""
    upstream.reply(empty(streamed), chat(streamed, "from the second"))
    if streamed:
        assert text_of(await router.stream(model="claude-x")) == "from the second"
    else:
        _, _, raw = await router.ask(model="claude-x")
        assert json.loads(raw)["content"][0]["text"] == "from the second"
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("streamed", [True, False])
async def test_nobody_says_more(router, upstream: Upstream, streamed):
    """If every target has nothing to say, the first one's answer is given, as it is."""
    upstream.reply(empty(streamed), chat(streamed, ""))
    status, _, raw = await router.ask(model="claude-x", stream=streamed)
    assert status == 200
    assert b"end_turn" in raw
    assert b"error" not in raw
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "stop_sequence", "pause_turn"])
async def test_other_endings_may_be_empty(router, upstream: Upstream, streamed, reason):
    """An answer that ended for a reason of its own is one, empty or not."""
    upstream.reply(empty(streamed, reason))
    status, _, raw = await router.ask(model="claude-x", stream=streamed)
    assert status == 200
    assert reason.encode() in raw
    assert len(upstream.requests) == 1


async def test_a_probe_of_one_token(router, upstream: Upstream):
    """A model that thinks may say nothing within one token: that is its answer."""
    upstream.reply(empty(streamed=False))
    status, _, _ = await router.ask(model="claude-x", max_tokens=1)
    assert (status, len(upstream.requests)) == (200, 1)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("form", ["/v1/chat/completions", "/v1/responses"])
async def test_what_passes_may_be_empty_too(upstream: Upstream, tmp_path, streamed, form):
    """The same holds for answers that pass untouched to a client of the provider's own API."""
    paths = {"/v1/chat/completions": "openai", "/v1/responses": "responses"}
    config = {
        "Providers": [
            {**provider(upstream, "openai"), "name": name, "protocol": paths[form], "api_base_url": upstream.url + form}
            for name in ("one", "two")
        ],
        "Router": {"default": "one,m1"},
        "fallback": {"default": ["two,m1"]},
    }

    def said(text):
        if form == "/v1/chat/completions":
            return chat(streamed, text)
        frames = responses_wire.response_stream(text)
        return sse_reply(frames) if streamed else json_reply(responses_wire.response_json(text))

    asked = {**CHAT, "stream": streamed} if "chat" in form else {"model": "claude-x", "input": "Hi", "stream": streamed}
    upstream.reply(said(None), said("more"), said(None), said(None))
    async with running(config, tmp_path) as router:
        for expected in (True, False):
            async with router.client.post(router.url + form, json=asked) as response:
                assert response.status == 200
                assert (b"more" in await response.read()) == expected
    assert len(upstream.requests) == 4
