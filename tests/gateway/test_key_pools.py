"""Several keys of one provider through the whole router: which one is asked, which rests, and what the client sees."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from tests.gateway.conftest import Router, provider, running
from tests.gateway.patience import Patience
from tests.upstream import Reply, Stall, Upstream, anthropic_wire, json_reply, sse_reply
from tests.upstream.server import Received

ONE, TWO, THREE = (f"sk-pool-{name}-upstream-secret-0123456789" for name in ("one", "two", "three"))
ANSWER = json_reply(anthropic_wire.message_json("answered"))


def limited(retry_after: str = "") -> Reply:
    headers = {"retry-after": retry_after} if retry_after else {}
    return json_reply(anthropic_wire.error_json("rate_limit_error", "slow down"), status=429, headers=headers)


def refused() -> Reply:
    return json_reply(anthropic_wire.error_json("authentication_error", "invalid x-api-key"), status=401)


@pytest.fixture
def patience() -> Patience:
    return Patience()


def pool(upstream: Upstream, *keys: object, **more: object) -> dict:
    """A configuration with one provider and these keys."""
    return {
        "Providers": [provider(upstream, "anthropic", api_key=list(keys))],
        "Router": {"default": "anthropic,m1"},
        "retry": {"again": 2, "waitSeconds": 10},
        **more,
    }


def asked(upstream: Upstream) -> list[str]:
    """The keys of the requests, in order, by their names."""
    names = {ONE: "one", TWO: "two", THREE: "three"}
    return [names[received.headers["x-api-key"]] for received in upstream.requests]


def session(name: str) -> dict[str, str]:
    return {"x-claude-code-session-id": name}


async def targets(router: Router) -> dict:
    async with router.client.get(f"{router.url}/api/health/targets") as response:
        assert response.status == 200
        return await response.json()


async def keys(router: Router) -> list[dict]:
    return (await targets(router))["providers"][0]["keys"]


async def test_the_second_key_is_used_at_once(upstream, tmp_path: Path, patience) -> None:
    """The first key's 429 is unseen: the second answers without a pause; the first rests, and comes back."""
    settings = pool(upstream, {"key": ONE, "priority": 0}, {"key": TWO, "priority": 1})
    upstream.reply(limited("30"), ANSWER, ANSWER, ANSWER)
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        status, headers, _ = await router.ask()
        assert (status, headers["x-ccr-attempts"], patience.waits) == (200, "2", [])
        await router.ask()
        first, second = await keys(router)
        assert (first["state"], second["state"]) == ("resting", "ready")
        assert [(rest["model"], rest["toldByProvider"]) for rest in first["rests"]] == [("m1", True)]
        assert 28 < first["rests"][0]["secondsLeft"] <= 30
        patience.let_pass(31)
        await router.ask()
        assert (await keys(router))[0]["state"] == "ready"
    assert asked(upstream) == ["one", "two", "two", "one"]


async def test_all_rest_and_the_earliest_is_waited_for(upstream, tmp_path: Path, patience) -> None:
    """Where the first of them is back within the request's budget it is waited for, no longer and no shorter."""
    settings = pool(upstream, {"key": ONE, "priority": 0}, {"key": TWO, "priority": 1})
    upstream.reply(limited("8"), limited("4"), ANSWER)
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        status, headers, _ = await router.ask()
    assert (status, headers["x-ccr-attempts"]) == (200, "3")
    assert sum(patience.waits) == pytest.approx(4, abs=0.1)
    assert asked(upstream) == ["one", "two", "two"]


async def test_all_rest_for_long_and_the_client_is_told(upstream, tmp_path: Path, patience) -> None:
    """A 429 with the seconds to the first that is back; further requests ask nobody until then."""
    settings = pool(upstream, {"key": ONE, "priority": 0}, {"key": TWO, "priority": 1})
    upstream.reply(limited("60"), limited("40"), ANSWER)
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        status, _, _ = await router.ask()
        assert status == 429
        patience.let_pass(10)
        status, headers, raw = await router.ask()
        assert (status, headers["retry-after"]) == (429, "30")
        assert "every key of anthropic rests for m1" in json.loads(raw)["error"]["message"]
        assert len(upstream.requests) == 2
        patience.let_pass(31)
        assert (await router.ask())[0] == 200
    assert asked(upstream) == ["one", "two", "two"]
    assert patience.waits == []


async def test_a_refused_key_is_disabled_and_its_requests_answered(upstream, tmp_path: Path, patience) -> None:
    """Nobody notices a wrong key where there is another, but who looks; and it is asked no more."""
    settings = pool(upstream, {"key": ONE, "label": "old", "priority": 0}, {"key": TWO, "label": "new", "priority": 1})
    upstream.reply(refused(), ANSWER, ANSWER)
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        assert [(await router.ask())[0] for _ in range(2)] == [200, 200]
        told = await keys(router)
        assert [(one["label"], one["state"]) for one in told] == [("old", "disabled"), ("new", "ready")]
        assert told[0]["reason"] == "the provider refused it (401)"
    assert asked(upstream) == ["one", "two", "two"]


async def test_a_lone_refused_key_is_asked_all_the_same(upstream, tmp_path: Path, patience) -> None:
    """Mending it at the provider is enough: the next request asks again, and an answer enables it."""
    upstream.reply(refused(), ANSWER)
    async with running(pool(upstream, ONE), tmp_path, clock=patience.clock, wait=patience.wait) as router:
        status, headers, _ = await router.ask()
        assert (status, headers["x-should-retry"]) == (401, "false")
        assert (await router.ask())[0] == 200
        assert (await keys(router))[0]["state"] == "ready"


async def test_sessions_stay_with_their_key(upstream, tmp_path: Path) -> None:
    """A session's requests go to one key, whatever others do between; sessions spread over the keys by weight."""
    upstream.always(ANSWER)
    async with running(pool(upstream, {"key": ONE, "weight": 3}, TWO), tmp_path) as router:
        for _ in range(2):
            for n in range(60):
                await router.ask(headers=session(f"session-{n}"))
    first, second = asked(upstream)[:60], asked(upstream)[60:]
    assert first == second
    assert set(first) == {"one", "two"}
    assert Counter(first)["one"] > Counter(first)["two"]


async def test_a_session_leaves_a_dead_key(upstream, tmp_path: Path) -> None:
    """No pin to a key that is refused, and none of its neighbours' sessions move."""

    def brain(received: Received) -> Reply:
        return refused() if received.headers["x-api-key"] == TWO and broken else ANSWER

    upstream.always(brain)
    broken = False
    async with running(pool(upstream, ONE, TWO, THREE), tmp_path) as router:

        async def round_of() -> list[str]:
            served = []
            for n in range(30):
                status, _, _ = await router.ask(headers=session(f"session-{n}"))
                assert status == 200
                served.append(asked(upstream)[-1])
            return served

        before = await round_of()
        broken = True
        after = await round_of()
    assert set(before) == {"one", "two", "three"}
    assert all(now == was for now, was in zip(after, before, strict=True) if was != "two")
    assert "two" not in after


async def test_two_a_minute_the_third_goes_to_the_next_key(upstream, tmp_path: Path, patience) -> None:
    """`requestsPerMinute` of a key holds, and the key is back after a minute."""
    upstream.always(ANSWER)
    settings = pool(upstream, {"key": ONE, "priority": 0, "requestsPerMinute": 2}, {"key": TWO, "priority": 1})
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        for _ in range(3):
            await router.ask()
        first = (await keys(router))[0]
        assert (first["state"], first["reason"]) == ("limited", "2 requests a minute are used up")
        assert first["limits"]["requestsPerMinute"] == {"limit": 2, "used": 2}
        assert 55 < first["secondsLeft"] <= 60
        patience.let_pass(61)
        await router.ask()
    assert asked(upstream) == ["one", "one", "two", "one"]
    assert patience.waits == []


async def test_tokens_a_minute(upstream, tmp_path: Path, patience) -> None:
    """What the provider reports of an answer counts against `tokensPerMinute`."""
    upstream.always(ANSWER)
    settings = pool(upstream, {"key": ONE, "priority": 0, "tokensPerMinute": 30}, {"key": TWO, "priority": 1})
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        for _ in range(2):
            await router.ask()
        used = (await keys(router))[0]["limits"]["tokensPerMinute"]
    assert asked(upstream) == ["one", "two"]
    assert used["limit"] == 30
    assert used["used"] >= 30


async def test_one_at_a_time(upstream, tmp_path: Path) -> None:
    """`concurrent` of a key: while it is at work the next key serves; a client that leaves frees it."""
    settings = pool(upstream, {"key": ONE, "priority": 0, "concurrent": 1}, {"key": TWO, "priority": 1})
    begun = asyncio.Event()

    def hold(_received: Received) -> Reply:
        begun.set()
        return sse_reply(anthropic_wire.message_stream("x")[:4], ending=Stall())

    upstream.reply(hold, ANSWER, ANSWER)
    async with running(settings, tmp_path) as router:
        busy = asyncio.create_task(router.ask(stream=True))
        await asyncio.wait_for(begun.wait(), 5)
        await router.ask()
        assert (await keys(router))[0]["limits"]["concurrent"] == {"limit": 1, "used": 1}
        busy.cancel()
        with pytest.raises(asyncio.CancelledError):
            await busy
        await asyncio.wait_for(upstream.requests[0].closed.wait(), 5)
        assert (await keys(router))[0]["limits"]["concurrent"] == {"limit": 1, "used": 0}
        await router.ask()
    assert asked(upstream) == ["one", "two", "one"]


async def test_a_used_up_account_gives_way(upstream, tmp_path: Path, patience) -> None:
    """OpenAI's and Anthropic's words for an empty purse: the next key at once, and the first is left alone for long."""
    words = "Your credit balance is too low to access the Anthropic API."
    upstream.reply(json_reply(anthropic_wire.error_json("invalid_request_error", words), status=400), ANSWER, ANSWER)
    settings = pool(upstream, {"key": ONE, "priority": 0}, {"key": TWO, "priority": 1})
    async with running(settings, tmp_path, clock=patience.clock, wait=patience.wait) as router:
        assert (await router.ask())[0] == 200
        patience.let_pass(200)
        assert (await router.ask())[0] == 200
        first = (await keys(router))[0]
        assert (first["state"], first["reason"]) == ("resting", "the account's credit or quota is used up")
    assert asked(upstream) == ["one", "two", "two"]


async def test_no_answer_holds_a_key(upstream, tmp_path: Path, patience) -> None:
    """Neither health nor errors show a key of the pool, or what tells them apart."""
    upstream.always(json_reply(anthropic_wire.error_json("authentication_error", f"no {ONE} {TWO}"), status=401))
    async with running(pool(upstream, ONE, TWO), tmp_path, clock=patience.clock, wait=patience.wait) as router:
        _, headers, raw = await router.ask()
        told = json.dumps(await targets(router))
        ids = [one.id for one in router.app.edition.config.providers[0].pool]
    for hidden in (ONE, TWO, *ids):
        assert hidden not in told
        assert hidden not in raw.decode() + repr(headers)
