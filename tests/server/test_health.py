"""`/api/health/…`: what is told of targets and keys, to whom, and forgetting it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from ccrouter.config.schema import ModelRef
from ccrouter.routing.failures import Failure
from tests.gateway.conftest import running
from tests.server.conftest import JSON, KEY, UPSTREAM_KEY, call, settings
from tests.upstream import Upstream

SECOND_KEY = "sk-upstream-second-0123456789"


class Clock:
    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


def several(up: Upstream) -> dict:
    """Two providers, one of them with two keys of its own limits; targets in routes, fallbacks, aliases."""
    keys = [
        {"key": "${FIRST}", "label": "first", "requestsPerMinute": 2, "concurrent": 3},
        {"key": SECOND_KEY, "weight": 2, "priority": 1, "tokensPerMinute": 100},
    ]
    url = f"{up.url}/v1/messages"
    return {
        "Providers": [
            {"name": "p", "api_base_url": url, "api_key": keys, "models": ["m1", "m2", "m3"]},
            {"name": "Q", "api_base_url": url, "api_key": UPSTREAM_KEY, "models": ["n"]},
        ],
        "Router": {"default": ["p,m1", "p,m2"], "think": "p,m1", "models": {"claude-x*": "Q,n"}},
        "retry": {"again": 0, "openAfter": 2, "openSeconds": 20},
    }


ENVIRON = {"FIRST": UPSTREAM_KEY}


async def told(router, path: str = "/api/health/targets") -> dict:
    answer = await call(router.app, "GET", path)
    assert answer.status == 200
    return answer.json


async def reset(router, what: object, headers=JSON):
    return await call(router.app, "POST", "/api/health/reset", headers, json.dumps(what).encode())


def fail(router, name: str, model: str, failure: Failure, key: int = 0, times: int = 1) -> None:
    app = router.app
    target = app.edition.gateway.catalog.target(ModelRef(name, model))
    for _ in range(times):
        app.health.begin(target, target.provider.pool[key])
        app.health.end(target, target.provider.pool[key], failure)


def target_of(answer: dict, model: str) -> dict:
    return next(one for one in answer["targets"] if one["model"] == model)


async def test_everything_that_is_well(tmp_path, upstream: Upstream):
    """Every target that the router names, once, in its order; every key with what the config says of it, and no secret."""
    async with running(several(upstream), tmp_path, ENVIRON) as router:
        answer = await told(router)
    assert [(one["provider"], one["model"]) for one in answer["targets"]] == [("p", "m1"), ("Q", "n"), ("p", "m2")]
    assert all((one["state"], one["failures"], one["lastFailure"]) == ("well", 0, None) for one in answer["targets"])
    assert [one["name"] for one in answer["providers"]] == ["p", "Q"]
    first, second = answer["providers"][0]["keys"]
    assert first == {
        "label": "first", "source": "${FIRST}", "state": "ready", "reason": None, "weight": 1.0, "priority": 0,
        "limits": {
            "requestsPerMinute": {"limit": 2, "used": 0},
            "tokensPerMinute": None,
            "concurrent": {"limit": 3, "used": 0},
        },
        "secondsLeft": None, "until": None, "rests": [], "quota": None,
    }  # fmt: skip
    assert (second["label"], second["source"], second["weight"], second["priority"]) == (
        "key 2",
        "the config file",
        2,
        1,
    )
    assert answer["retry"] == {"again": 0, "waitSeconds": 10.0, "attempts": 10, "openAfter": 2, "openSeconds": 20.0}
    assert answer["inWork"]["requests"] == 0
    text = json.dumps(answer)
    assert UPSTREAM_KEY not in text
    assert SECOND_KEY not in text


async def test_states_of_a_target(tmp_path, upstream: Upstream):
    """Failing, open with the seconds left, and being tried; times of the calendar agree with the seconds."""
    clock = Clock()
    async with running(several(upstream), tmp_path, ENVIRON, clock=clock) as router:
        fail(router, "p", "m1", Failure("first_byte"))
        clock.now += 7
        one = target_of(await told(router), "m1")
        assert (one["state"], one["failures"], one["secondsLeft"], one["until"]) == ("failing", 1, None, None)
        assert (one["lastFailure"]["kind"], one["lastFailure"]["secondsAgo"]) == ("first_byte", 7.0)

        fail(router, "p", "m1", Failure("connect"))
        clock.now += 5
        answer = await told(router)
        one = target_of(answer, "m1")
        assert (one["state"], one["failures"], one["secondsLeft"]) == ("open", 2, 15.0)
        at = datetime.fromisoformat(answer["at"])
        assert datetime.fromisoformat(one["until"]) - at == timedelta(seconds=15)
        assert at - datetime.fromisoformat(one["lastFailure"]["at"]) == timedelta(seconds=5)

        clock.now += 15
        one = target_of(await told(router), "m1")
        assert (one["state"], one["secondsLeft"]) == ("trying", None)


async def test_targets_that_were_asked_for_by_name(tmp_path, upstream: Upstream):
    """What no route names and has failed is told, too."""
    async with running(several(upstream), tmp_path, ENVIRON) as router:
        fail(router, "p", "m3", Failure("server", 500))
        assert target_of(await told(router), "m3")["lastFailure"]["kind"] == "server"


async def test_states_of_a_key(tmp_path, upstream: Upstream):
    """Limited, resting and disabled, each with its reason; disabled before all others."""
    clock = Clock()
    async with running(several(upstream), tmp_path, ENVIRON, clock=clock) as router:

        async def first() -> dict:
            return (await told(router))["providers"][0]["keys"][0]

        fail(router, "p", "m1", Failure("request", 400), times=2)
        one = await first()
        assert (one["state"], one["reason"], one["secondsLeft"]) == ("limited", "2 requests a minute are used up", 60.0)
        assert one["limits"]["requestsPerMinute"] == {"limit": 2, "used": 2}

        fail(router, "p", "m2", Failure("rate_limit", 429, 30.0))
        fail(router, "p", "m1", Failure("quota", 402))
        clock.now += 10
        one = await first()
        assert (one["state"], one["reason"]) == ("resting", "the account's credit or quota is used up")
        assert [(rest["model"], rest["secondsLeft"], rest["toldByProvider"]) for rest in one["rests"]] == [
            ("m1", 290.0, False),
            ("m2", 20.0, True),
        ]
        fail(router, "p", "m1", Failure("key", 401))
        one = await first()
        assert (one["state"], one["reason"]) == ("disabled", "the provider refused it (401)")
        clock.now += 300
        one = await first()
        assert (one["state"], one["rests"], one["limits"]["requestsPerMinute"]["used"]) == ("disabled", [], 0)


async def test_looking_changes_nothing(tmp_path, upstream: Upstream):
    """However often somebody looks, it leaves no trace."""
    async with running(several(upstream), tmp_path, ENVIRON) as router:
        before = await told(router)
        for _ in range(10):
            await told(router)
        after = await told(router)
        assert {**before, "at": ""} == {**after, "at": ""}
        health, provider = router.app.health, router.app.edition.config.providers[0]
        assert [health.key_state("p", key.id) for key in provider.pool] == [None, None]


async def spoil(router) -> None:
    for name, model in (("p", "m1"), ("p", "m2"), ("Q", "n")):
        fail(router, name, model, Failure("connect"), times=2)
    fail(router, "p", "m1", Failure("rate_limit", 0, 99.0))
    fail(router, "p", "m1", Failure("key", 0), key=1)


async def states(router) -> tuple[list[str], list[str]]:
    answer = await told(router)
    return [one["state"] for one in answer["targets"]], [key["state"] for key in answer["providers"][0]["keys"]]


@pytest.mark.parametrize(
    ("what", "targets", "keys"),
    [
        ({"provider": "p", "model": "m1"}, ["well", "open", "open"], ["limited", "disabled"]),
        ({"provider": "P", "model": "M1"}, ["well", "open", "open"], ["limited", "disabled"]),
        ({"provider": "q"}, ["open", "well", "open"], ["resting", "disabled"]),
        ({"provider": "p", "model": None}, ["well", "open", "well"], ["limited", "ready"]),
        ({}, ["well", "well", "well"], ["limited", "ready"]),
        (None, ["well", "well", "well"], ["limited", "ready"]),
    ],
)
async def test_reset(tmp_path, upstream: Upstream, what, targets, keys):
    """Of a target, of a provider, of all; names in any case; the body may be missing; limits stay used."""
    async with running(several(upstream), tmp_path, ENVIRON) as router:
        await spoil(router)
        assert await states(router) == (["open", "open", "open"], ["resting", "disabled"])
        body = b"" if what is None else json.dumps(what).encode()
        answer = await call(router.app, "POST", "/api/health/reset", JSON, body)
        assert (answer.status, answer.json["success"]) == (200, True)
        assert await states(router) == (targets, keys)


@pytest.mark.parametrize(
    ("what", "status", "words"),
    [
        ({"provider": "nobody"}, 404, "'nobody' is not configured"),
        ({"provider": "p", "model": "m9"}, 404, "model 'm9' at p"),
        ({"model": "m1"}, 400, "name both"),
        ({"provider": "p", "key": "x"}, 400, "'key' is not known here"),
        ({"provider": 7}, 400, "provider: must be a name"),
        ({"provider": " "}, 400, "provider: must be a name"),
        ({"provider": "p", "model": ["m1"]}, 400, "model: must be a name"),
        ([], 400, "must be a JSON object"),
    ],
)
async def test_a_reset_of_what_is_not_there(tmp_path, upstream: Upstream, what, status, words):
    """It is told in the form of all errors, and nothing is reset."""
    async with running(several(upstream), tmp_path, ENVIRON) as router:
        await spoil(router)
        answer = await reset(router, what)
        assert (answer.status, answer.json["type"]) == (status, "error")
        assert words in answer.message
        assert await states(router) == (["open", "open", "open"], ["resting", "disabled"])


async def test_a_reset_is_in_the_log(tmp_path, upstream: Upstream):
    """Who looks later why a target was asked again finds it."""
    lines: list[tuple[str, str, dict]] = []
    async with running(several(upstream), tmp_path, ENVIRON) as router:
        router.app.voice.event = lambda level, message, **facts: lines.append((level, message, facts))
        await reset(router, {"provider": "q", "model": "n"})
    (level, message, facts) = lines[-1]
    assert (level, message) == ("info", "health was reset")
    assert (facts["provider"], facts["model"]) == ("Q", "n")


async def test_it_is_management(tmp_path, upstream: Upstream):
    """From this machine and with the key only, and a browser's form changes nothing."""
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        for method, path in (("GET", "/api/health/targets"), ("POST", "/api/health/reset")):
            body = b"{}" if method == "POST" else b""
            assert (await call(router.app, method, path, JSON, body)).status == 401
            keyed = {**JSON, "x-api-key": KEY}
            assert (await call(router.app, method, path, keyed, body, peer="10.0.0.9")).status == 403
            assert (await call(router.app, method, path, keyed, body)).status == 200
        form = {"x-api-key": KEY, "content-type": "text/plain"}
        assert (await call(router.app, "POST", "/api/health/reset", form, b"{}")).status == 415
        assert (await call(router.app, "POST", "/api/health/targets", {"x-api-key": KEY}, b"")).status == 405
