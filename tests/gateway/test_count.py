"""Counting tokens: Anthropic's own count where the request would go to Anthropic, an estimate everywhere else."""

from __future__ import annotations

import pytest

from tests.gateway.conftest import provider, running
from tests.upstream import Reply, Upstream, json_reply

ASKED = {"model": "claude-x", "messages": [{"role": "user", "content": "Hello " * 100}]}


async def count(router) -> int:
    async with router.client.post(f"{router.url}/v1/messages/count_tokens", json=ASKED) as response:
        assert response.status == 200
        return (await response.json())["input_tokens"]


@pytest.fixture
async def first_party(upstream: Upstream, tmp_path):
    """A router whose provider is known as Anthropic itself."""
    config = {
        "Providers": [provider(upstream, "anthropic", profile="anthropic")],
        "Router": {"default": "anthropic,m1"},
    }
    async with running(config, tmp_path) as router:
        yield router


async def test_anthropic_counts(first_party, upstream: Upstream):
    """The count is Anthropic's, of the routed model; nothing that only a message has is sent."""
    upstream.reply(json_reply({"input_tokens": 4711}))
    assert await count(first_party) == 4711
    sent = upstream.requests[0]
    assert sent.path == "/v1/messages/count_tokens"
    assert sent.json() == {**ASKED, "model": "m1"}


@pytest.mark.parametrize("reply", [Reply(500), Reply(404), json_reply({"surprise": 1}), Reply(200)])
async def test_estimated_where_it_cannot(first_party, upstream: Upstream, reply):
    """A failing count is an estimate, not an error."""
    upstream.reply(reply)
    assert 80 < await count(first_party) < 250
