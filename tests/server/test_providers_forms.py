"""The buttons of the page of providers: what is bad is forgotten, and a test asks the provider, bounded and judged."""

from __future__ import annotations

import asyncio
import json

import pytest

from ccrouter.certify.quick import MOST_REQUESTS, PROBES
from ccrouter.compliance.policy import Policy
from ccrouter.routing.failures import Failure
from tests.gateway.conftest import running
from tests.server.conftest import JSON, KEY, UPSTREAM_KEY, Recorder, call, settings
from tests.upstream import Gate, Reply, Upstream, anthropic_wire, json_reply, sse_reply
from tests.web.conftest import HOST, Browser, Document


def answering(request) -> Reply:
    """A model that answers everything, with a word of the question, and calls the tool that it is given."""
    asked = request.json()
    if asked.get("stream"):
        return sse_reply(anthropic_wire.message_stream("ok"))
    return json_reply(anthropic_wire.message_json("ok"))


async def over(router) -> dict:
    """The facts of the test, once it has ended."""
    async with asyncio.timeout(10):
        await router.app.examiner._task
    facts = await router.app.examiner.last()
    assert facts is not None
    return facts


def break_it(router) -> None:
    target = router.app.edition.gateway.catalog.resolve("p,m1")
    key = target.provider.pool[0]
    for _ in range(5):
        router.app.health.begin(target, key)
        router.app.health.end(target, key, Failure("connect"))
    assert router.app.health.is_open(target)


async def test_asking_again_forgets_what_is_bad(tmp_path, upstream: Upstream):
    """The button of a model makes it well, says so on the page, and leaves other models alone."""
    async with running(settings(upstream), tmp_path) as router:
        break_it(router)
        browser = Browser(router.app)
        assert "passed over" in Document((await browser.get("/ui/providers")).raw.decode()).content
        answer = await browser.post("/ui/providers", {"do": "reset", "provider": "p", "model": "m1"})
        assert answer.status == 200
        content = Document(answer.raw.decode()).content
        assert "What was bad of m1 at p is forgotten" in content
        assert router.app.health.known_targets() == []


@pytest.mark.parametrize(("fields", "status"), [
    ({"do": "reset", "provider": "nobody"}, 404),
    ({"do": "reset", "provider": "p", "model": "nothing"}, 404),
    ({"do": "test", "provider": "nobody", "model": "m1"}, 404),
    ({"do": "test", "provider": "p", "model": " "}, 400),
])  # fmt: skip
async def test_what_there_is_not_is_said(tmp_path, upstream: Upstream, fields, status):
    """The page comes again, with the words and the status; nothing was asked."""
    async with running(settings(upstream), tmp_path) as router:
        answer = await Browser(router.app).post("/ui/providers", fields)
        assert answer.status == status
        document = Document(answer.raw.decode())
        assert [one for one in document.of("p") if one.get("role") == "alert"]
        assert upstream.requests == []
        assert router.app.examiner.here() is None


async def test_another_site_cannot_ask(tmp_path, upstream: Upstream):
    """A form of another page is refused: a test costs money."""
    async with running(settings(upstream), tmp_path) as router:
        elsewhere = {"origin": "http://elsewhere.example", "sec-fetch-site": "cross-site"}
        fields = {"do": "test", "provider": "p", "model": "m1"}
        assert (await Browser(router.app).post("/ui/providers", fields, elsewhere)).status == 403
        assert upstream.requests == []


async def test_a_test_asks_and_tells(tmp_path, upstream: Upstream):
    """It asks the model with the provider's own key, in the background; the page and its twin tell each question's
    result and what was spent; health and records hear nothing of it."""
    upstream.always(answering)
    async with running(settings(upstream), tmp_path) as router:
        browser = Browser(router.app)
        answer = await browser.post("/ui/providers", {"do": "test", "provider": "P", "model": "m1"})
        assert (answer.status, answer.headers["location"]) == (303, "/ui/providers#test")
        facts = await over(router)
        assert (facts["state"], facts["provider"], facts["model"], facts["error"]) == ("done", "p", "m1", None)
        assert [one["name"] for one in facts["probes"]] == [one.name for one in PROBES]
        assert facts["probes"][0]["verdict"] == "pass"
        assert facts["spent"]["requests"] == len(upstream.requests) <= MOST_REQUESTS
        assert facts["spent"]["tokens"] > 0
        assert {one.headers["x-api-key"] for one in upstream.requests} == {UPSTREAM_KEY}
        assert {one.json()["model"] for one in upstream.requests} == {"m1"}
        told = (await call(router.app, "GET", "/api/providers")).json
        assert told["test"] == facts
        content = Document((await browser.get("/ui/providers")).raw.decode()).content
        assert "Test of p over" in content
        assert router.app.exchanges.last() is None
        assert router.app.health.known_targets() == []


async def test_one_at_a_time(tmp_path, upstream: Upstream):
    """While a test is under way, which the page says, another is refused."""
    gate = asyncio.Event()
    upstream.always(Reply(200, {"content-type": "application/json"}, (Gate(gate),)))
    async with running(settings(upstream), tmp_path) as router:
        body = json.dumps({"provider": "p", "model": "m1"}).encode()
        first = await call(router.app, "POST", "/api/providers/test", JSON, body)
        assert (first.status, first.json["test"]["state"]) == (202, "running")
        browser = Browser(router.app)
        assert "Test of p under way" in Document((await browser.get("/ui/providers")).raw.decode()).content
        second = await call(router.app, "POST", "/api/providers/test", JSON, body)
        assert second.status == 409
        assert (await browser.post("/ui/providers", {"do": "test", "provider": "p", "model": "m2"})).status == 409
        gate.set()
        await over(router)


async def test_what_the_policy_forbids_is_not_asked(tmp_path, upstream: Upstream):
    """A test is judged as a request is, and written down: denied it asks nobody; allowed it has its decision and its
    outcome."""
    upstream.always(answering)
    auditor = Recorder()
    policy = Policy(name="t", source="a test", digest="d" * 64, allowed_models=("m1",))
    async with running(settings(upstream), tmp_path, auditor=auditor, policy=policy) as router:
        body = json.dumps({"provider": "p", "model": "m2"}).encode()
        denied = await call(router.app, "POST", "/api/providers/test", JSON, body)
        assert denied.status == 403
        assert upstream.requests == []
        assert [one["result"] for one in auditor.of("denial")] == ["denied"]
        body = json.dumps({"provider": "p", "model": "m1"}).encode()
        assert (await call(router.app, "POST", "/api/providers/test", JSON, body)).status == 202
        await over(router)
        assert [one["targets"] for one in auditor.of("decision")] == [["p,m1"]]
        assert [one["result"] for one in auditor.of("outcome")] == ["answered"]


async def test_a_provider_that_fails_says_why(tmp_path, upstream: Upstream):
    """A refused key ends the test with the provider's words, without the key; a further test may begin."""
    upstream.always(
        json_reply(anthropic_wire.error_json("authentication_error", f"bad key {UPSTREAM_KEY}"), status=401)
    )
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        headers = {**JSON, "x-api-key": KEY}
        body = json.dumps({"provider": "p", "model": "m1"}).encode()
        assert (await call(router.app, "POST", "/api/providers/test", headers, body)).status == 202
        facts = await over(router)
        assert facts["state"] == "failed"
        assert "Invalid API key for provider 'p'" in facts["error"]
        assert "bad key ***" in facts["error"]
        assert UPSTREAM_KEY not in json.dumps(facts)
        assert (await call(router.app, "POST", "/api/providers/test", headers, body)).status == 202
        await over(router)


async def test_a_router_that_stops_ends_its_test(tmp_path, upstream: Upstream):
    """Stopping waits for no provider: the test is given up."""
    gate = asyncio.Event()
    upstream.always(Reply(200, {"content-type": "application/json"}, (Gate(gate),)))
    async with asyncio.timeout(10):
        async with running(settings(upstream), tmp_path) as router:
            await router.app.examiner.begin(router.app.edition, "p", "m1", "req_x")
        facts = router.app.examiner.here()
        assert (facts["state"], facts["error"]) == ("failed", "the router was stopped")


@pytest.mark.parametrize(
    "body", [b"{}", b'{"provider": "p"}', b'{"provider": "p", "model": 5}', b'{"provider": "p", "model": "m1", "x": 1}']
)
async def test_what_names_nobody_is_refused(tmp_path, upstream: Upstream, body):
    """400, with the form that is wanted."""
    async with running(settings(upstream), tmp_path) as router:
        answer = await call(router.app, "POST", "/api/providers/test", JSON, body)
        assert answer.status == 400
        assert '"provider"' in answer.message


async def test_quotas_are_told(tmp_path, upstream: Upstream):
    """What the provider says of its limits, in headers of whatever it answers, is told with the key that it was said to;
    the key itself is not."""
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "30s",
    }
    upstream.always(json_reply(anthropic_wire.message_json("x"), headers=headers))
    async with running(settings(upstream), tmp_path) as router:
        assert (await router.ask(model="p,m1"))[0] == 200
        told = (await call(router.app, "GET", "/api/providers", {"host": HOST})).json
        quota = told["providers"][0]["keys"][0]["quota"]
        assert quota["limits"][0] == {
            "name": "requests", "limit": 60.0, "remaining": 59.0, "usedShare": None,
            "resetsInSeconds": quota["limits"][0]["resetsInSeconds"],
        }  # fmt: skip
        assert 25 < quota["limits"][0]["resetsInSeconds"] <= 30
        assert (await call(router.app, "GET", "/api/health/targets")).json["providers"][0]["keys"][0]["quota"]["limits"]
        assert UPSTREAM_KEY not in json.dumps(told)
