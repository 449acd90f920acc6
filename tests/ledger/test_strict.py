"""`fidelity: strict`: what would lose something is refused before anything is sent, by name, or goes to who loses nothing."""

from __future__ import annotations

import json

import pytest

from tests.gateway.conftest import provider, running, text_of
from tests.ledger.conftest import CHATTER
from tests.server.conftest import call
from tests.upstream import Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

LOSSY = {"top_k": 5, "stop_sequences": list("abcdef")}


def config(upstream: Upstream, *, fallback: bool = False, router: dict | None = None, **more) -> dict:
    return {
        "Providers": [{**provider(upstream, "openai"), **more}, provider(upstream, "anthropic")],
        "Router": {"default": "openai,m1", "background": "openai,m2", **(router or {})},
        **({"fallback": {"default": ["anthropic,m2"]}} if fallback else {}),
    }


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_provider_that_may_lose_nothing(upstream: Upstream, tmp_path, streamed):
    """The request is a 400 that names each path, what would be lost of it and how; nothing was sent."""
    async with running(config(upstream, fidelity="strict"), tmp_path) as router:
        status, headers, raw = await router.ask(stream=streamed, **LOSSY, **CHATTER)
        facts = (await call(router.app, "GET", f"/api/exchanges/{headers['request-id']}")).json
    assert status == 400
    error = json.loads(raw)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"] == (
        "openai,m1 cannot be asked for all of this, and provider openai demands `fidelity: strict`:\n"
        "top_k: the model takes none (dropped)\n"
        "stop_sequences: only the first 4 of 6 sent (approximated)"
    )
    assert error["details"] == {"lost": ["top_k", "stop_sequences"]}
    assert upstream.requests == []
    assert facts["losses"] == {"approximated": 1, "dropped": 1}
    assert facts["attempts"][0]["failure"] == error["message"]


async def test_hints_are_not_minded(upstream: Upstream, tmp_path):
    """What Claude Code sends with every turn goes through: nothing of it is a loss."""
    upstream.reply(json_reply(chat_wire.chat_json("Hi")))
    async with running(config(upstream, fidelity="strict"), tmp_path) as router:
        status, headers, _ = await router.ask(**CHATTER)
    assert (status, headers["x-ccr-losses"]) == (200, "0")


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_next_target_loses_nothing(upstream: Upstream, tmp_path, streamed):
    """With a fallback the request goes there, whole, and the client sees no more of it than the answer."""
    upstream.reply(
        sse_reply(anthropic_wire.message_stream("whole")) if streamed else json_reply(anthropic_wire.message_json("x"))
    )
    async with running(config(upstream, fallback=True, fidelity="strict"), tmp_path) as router:
        if streamed:
            assert text_of(await router.stream(**LOSSY)) == "whole"
        else:
            assert (await router.ask(**LOSSY))[0] == 200
    (received,) = upstream.requests
    assert received.path == "/v1/messages"
    assert received.json()["top_k"] == 5


ROUTES = [
    ({"default": "strict"}, "claude-x", 400),
    ({"default": "strict"}, "claude-3-haiku", 200),
    ({"*": "strict"}, "claude-3-haiku", 400),
    ({"*": "strict", "background": "any"}, "claude-3-haiku", 200),
    ({"explicit": "strict"}, "openai,m2", 400),
    ({"explicit": "strict"}, "claude-x", 200),
]


@pytest.mark.parametrize(("demands", "model", "expected"), ROUTES)
async def test_a_route_that_may_lose_nothing(upstream: Upstream, tmp_path, demands, model, expected):
    """A route's demand holds for what it serves, by its name; `*` is every route that is not named."""
    if expected == 200:
        upstream.reply(json_reply(chat_wire.chat_json("Hi")))
    async with running(config(upstream, router={"fidelity": demands}), tmp_path) as router:
        status, _, raw = await router.ask(model=model, **LOSSY)
    assert status == expected
    assert len(upstream.requests) == (status == 200)
    if status == 400:
        assert "and the route demands `fidelity: strict`" in json.loads(raw)["error"]["message"]


async def test_a_member_that_the_provider_refuses_is_not_given_up(upstream: Upstream, tmp_path):
    """Where the provider answers that it does not take a member, the request is refused rather than sent without it; so
    is the next one, which is not even tried.
    """
    upstream.reply(json_reply(chat_wire.error_json("Unsupported parameter: 'temperature'"), status=400))
    async with running(config(upstream, fidelity="strict"), tmp_path) as router:
        for _ in range(2):
            status, _, raw = await router.ask(temperature=0.5)
            assert status == 400
            assert "temperature: the provider refuses temperature; sent without" in json.loads(raw)["error"]["message"]
    assert len(upstream.requests) == 1


async def test_a_long_list_is_cut(upstream: Upstream, tmp_path):
    """Losses of one kind are named once with their number; the message stays readable."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "ErUB"}
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "b"}]},
    ]
    async with running(config(upstream, fidelity="strict"), tmp_path) as router:
        status, _, raw = await router.ask(messages=turns * 40 + turns[:1])
        many = {f"invented_{number}": 1 for number in range(30)}
        _, _, other = await router.ask(**many)
    assert status == 400
    message = json.loads(raw)["error"]["message"]
    assert message.count("\n") == 1
    assert "messages[].content[] (40 times): thinking of another maker not sent (dropped)" in message
    assert json.loads(other)["error"]["message"].endswith("\nand 10 more")
