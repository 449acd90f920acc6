"""Trying a route: what is told is what a real request would meet, and nothing hears of it."""

from __future__ import annotations

import json
from itertools import count

import pytest

from ccrouter.compliance.policy import Policy
from ccrouter.errors import ClientError
from ccrouter.gateway.record import Exchange
from ccrouter.routing.failures import Failure
from tests.gateway.conftest import provider, running
from tests.server.conftest import Recorder
from tests.upstream import Upstream, anthropic_wire, chat_wire, json_reply

SESSION = {"x-claude-code-session-id": "3f0d5c3e-1111-4222-8333-444455556666"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
HELLO = [{"role": "user", "content": "Hello"}]


def config(upstream: Upstream, **more) -> dict:
    return {
        "Providers": [
            provider(upstream, "anthropic"),
            provider(upstream, "openai"),
            provider(upstream, "anthropic", name="eyes"),
        ],
        "Router": {
            "default": "anthropic,m1",
            "background": "openai,m2",
            "think": "openai,m1",
            "longContext": "eyes,m1",
            "image": "eyes,m2",
            "longContextThreshold": 2000,
        },
        "fallback": {"default": ["openai,m2", "eyes,m1"], "think": ["anthropic,m2"]},
        **more,
    }


numbers = count()


async def explain(router, headers=None, **body) -> dict:
    body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": HELLO, **body}
    exchange = Exchange(f"try_{next(numbers)}", "/v1/messages", router.app.now())
    return await router.app.edition.gateway.explain(json.dumps(body).encode(), headers or {}, exchange)


REQUESTS = [
    ({}, {}),
    ({"model": "claude-haiku-4-5"}, {}),
    ({"model": "openai,m2"}, {}),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 4000}, {}),
    ({"messages": [{"role": "user", "content": [IMAGE]}]}, {}),
    ({"messages": [{"role": "user", "content": "word " * 4000}]}, {}),
    ({}, {"x-claude-code-agent-id": "a1", "x-claude-code-request-class": "auxiliary", **SESSION}),
    ({"messages": [{"role": "user", "content": "<CCR-SUBAGENT-MODEL>openai,m1</CCR-SUBAGENT-MODEL>go"}]}, {}),
]


@pytest.mark.parametrize(("body", "headers"), REQUESTS)
async def test_it_is_what_a_real_request_meets(upstream: Upstream, tmp_path, body, headers):
    """Route, reason and target that are told are those that the same request then gets, and what is told to go out has
    as many bytes as what then goes out."""
    async with running(config(upstream), tmp_path) as router:
        told = await explain(router, headers, **body)
        assert upstream.requests == []
        upstream.always(
            lambda request: json_reply(
                chat_wire.chat_json("x") if request.path.endswith("completions") else anthropic_wire.message_json("x")
            )
        )
        asked = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": HELLO, **body}
        status, answered, _ = await router.ask(headers, **asked)
        assert status == 200
        first = min((one for one in told["targets"] if one["turn"]), key=lambda one: one["turn"])
        assert told["result"] == "sent"
        assert told["route"]["name"] == answered["x-ccr-route"]
        assert told["route"]["reason"] == answered["x-ccr-reason"]
        assert f"{first['provider']},{first['model']}" == answered["x-ccr-model"] == told["translation"]["target"]
        assert told["translation"]["bytes"] == len(upstream.requests[0].body)


async def test_nothing_hears_of_it(upstream: Upstream, tmp_path):
    """No provider is asked, no auditor told, nothing recorded, no health and no conversation changed, though the target
    is under a policy."""
    auditor = Recorder()
    policy = Policy(name="p", source="a test", digest="d", allowed_providers=("anthropic", "openai", "eyes"))
    async with running(config(upstream), tmp_path, auditor=auditor, policy=policy) as router:
        app = router.app
        before = app.health.known_targets(), app.health.known_keys(), len(app.editions.usage)
        told = await explain(router, SESSION)
        await explain(router, SESSION, model="bad,one")
        assert told["result"] == "sent"
        assert auditor.lines == []
        assert upstream.requests == []
        assert (app.health.known_targets(), app.health.known_keys(), len(app.editions.usage)) == before
        assert app.exchanges.last() is None
        assert app.exchanges.under_way(app.now()) == []


async def test_what_the_policy_forbids_is_told(upstream: Upstream, tmp_path):
    """A plan with one forbidden target is denied as a real request is: each target has its verdict, and nothing of what
    would be sent is made."""
    policy = Policy(name="p", source="a test", digest="d", allowed_providers=("anthropic", "eyes"))
    async with running(config(upstream), tmp_path, policy=policy) as router:
        told = await explain(router)
        assert told["result"] == "denied"
        assert told["error"]["status"] == 403
        assert told["error"]["rule"]
        assert "openai" in told["error"]["message"]
        assert [bool(one["denied"]) for one in told["targets"]] == [False, True, False]
        assert told["translation"] is None


async def test_the_ledger_is_told(upstream: Upstream, tmp_path):
    """What a translation drops, maps and keeps is told of the first target, by its path."""
    async with running(config(upstream), tmp_path) as router:
        told = (await explain(router, model="openai,m1", top_k=5, system="Be kind"))["translation"]
        assert (told["dialect"], told["model"]) == ("openai_chat", "m1")
        assert ("top_k", "dropped") in {(one["path"], one["fate"]) for one in told["losses"]}
        assert "max_tokens" in {*told["kept"], *told["mapped"]}
        own = (await explain(router))["translation"]
        assert own["losses"] == []


async def test_a_strict_route_says_what_would_be_lost(upstream: Upstream, tmp_path):
    """Where nothing may be lost the request is refused, and the ledger says over what."""
    strict = config(upstream)
    strict["Router"]["fidelity"] = {"*": "strict"}
    async with running(strict, tmp_path) as router:
        told = await explain(router, model="openai,m1", top_k=5)
        assert (told["result"], told["error"]["status"]) == ("refused", 400)
        assert [one["path"] for one in told["translation"]["losses"]] == ["top_k"]
        assert told["translation"]["bytes"] is None


async def test_health_and_keys_are_told(upstream: Upstream, tmp_path):
    """A target that is passed over comes last and says so; each target tells the key that it would be asked with."""
    async with running(config(upstream), tmp_path) as router:
        health = router.app.health
        target = router.app.edition.gateway.catalog.resolve("anthropic,m1")
        for _ in range(health.retries.open_after):
            key = target.provider.pool[0]
            health.begin(target, key)
            health.end(target, key, Failure("connect"))
        told = (await explain(router))["targets"]
        assert [(one["provider"], one["role"], one["turn"]) for one in told] == [
            ("anthropic", "first", 3), ("openai", "fallback", 1), ("eyes", "fallback", 2),
        ]  # fmt: skip
        assert [one["passedOver"] for one in told] == [True, False, False]
        assert all(one["key"]["label"] for one in told)


async def test_facts_are_told(upstream: Upstream, tmp_path):
    """What the request says of itself, and its length, with no word of what was said in it."""
    async with running(config(upstream), tmp_path) as router:
        secret = "the words of the user"
        told = await explain(
            router,
            {**SESSION, "x-claude-code-agent-id": "a1", "x-claude-code-agent-type": "Explore"},
            messages=[{"role": "user", "content": secret}],
            thinking={"type": "adaptive"},
            output_config={"effort": "high"},
            stream=True,
        )
        facts = told["facts"]
        assert facts["agent"] == "a1"
        assert (facts["agentType"], facts["requestClass"], facts["thinking"], facts["effort"]) == (
            "Explore", "subagent", "adaptive", "high",
        )  # fmt: skip
        assert (facts["streamed"], facts["turns"], facts["newImage"]) == (True, 1, False)
        assert 0 < told["tokens"]["estimate"] < 100
        assert told["tokens"]["longContextAbove"] == 2000
        assert secret not in json.dumps(told)


@pytest.mark.parametrize("body", [b"", b"{", b'{"model": 5}', b'{"messages": []}', b"[]"])
async def test_what_cannot_be_read_is_an_error(upstream: Upstream, tmp_path, body):
    """As for a real request: ClientError, and no decision."""
    async with running(config(upstream), tmp_path) as router:
        with pytest.raises(ClientError):
            await router.app.edition.gateway.explain(body, {}, Exchange("try", "/v1/messages", 0.0))


async def test_what_nobody_serves_is_told(upstream: Upstream, tmp_path):
    """A model of a provider that is not configured is refused with the words that the client would get."""
    async with running(config(upstream), tmp_path) as router:
        told = await explain(router, model="nobody,m1")
        assert (told["result"], told["error"]["status"], told["route"]) == ("refused", 404, None)
        assert "nobody" in told["error"]["message"]
        assert told["facts"]["asked"] == "nobody,m1"


async def test_what_cannot_be_read_later_is_told(upstream: Upstream, tmp_path):
    """A turn that only a rule looks into, and that cannot be read, refuses the request in words: everything that is
    known is told, and what is not is null."""
    async with running(config(upstream), tmp_path) as router:
        turns = [{"role": "system", "content": "x", "output_config": 5}, *HELLO]
        told = await explain(router, messages=turns, thinking={"type": "adaptive"})
        assert (told["result"], told["error"]["status"]) == ("refused", 400)
        assert "messages[0]" in told["error"]["message"]
        assert {"facts", "tokens", "route", "targets", "viewer", "translation"} <= told.keys()
