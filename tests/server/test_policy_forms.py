"""The page of the policy: what is in force, what was denied, the audit log, and simulations; as a page and as JSON."""

from __future__ import annotations

import json
import shutil
import time

import pytest

from ccrouter.audit.trail import AuditTrail
from ccrouter.compliance.document import read_policy
from ccrouter.server import simulation
from tests.gateway.conftest import running
from tests.server.conftest import JSON, UPSTREAM_KEY, call, settings
from tests.store.seed import seed
from tests.upstream import Upstream
from tests.web.conftest import Browser, Document

PASTED_KEY = "sk-pasted-key-1234567890abcdef"
OTHER = {
    "Providers": [
        {"name": "cheap", "api_base_url": "https://cheap.example/v1/messages", "api_key": PASTED_KEY, "models": ["c"]}
    ],
    "Router": {"default": "cheap,c"},
    "prices": {"cheap,c": {"input": 0.1, "output": 0.2, "cacheRead": 0.01, "cacheWrite5m": 0.1, "cacheWrite1h": 0.1}},
}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "records.db"
    seed(path, now=time.time())
    return path


@pytest.fixture
def records(seeded, tmp_path):
    """A file of records of the test's own."""
    for one in seeded.parent.iterdir():
        shutil.copy(one, tmp_path)
    return tmp_path / seeded.name


async def simulate(router, body) -> tuple[int, dict]:
    answer = await call(router.app, "POST", "/api/policy/simulate", JSON, json.dumps(body).encode())
    return answer.status, answer.json


async def test_by_json(tmp_path, upstream: Upstream, records):
    """POST /api/policy/simulate tells who would be blocked and who sent elsewhere, and what that would cost; nothing is
    changed, and nothing is sent."""
    async with running(settings(upstream), tmp_path, records=records) as router:
        before = (tmp_path / "config.json").read_bytes()
        status, told = await simulate(router, {"policy": "anthropic-only", "since": "all"})
        assert status == 200
        assert told["counts"]["blocked"] > 10
        assert told["policy"]["name"] == "anthropic-only"
        assert told["refusals"]
        assert sum(one["requests"] for one in told["groups"]["blocked"]) == told["counts"]["blocked"]
        status, told = await simulate(router, {"config": OTHER, "since": "all"})
        assert status == 200
        assert told["counts"]["rerouted"] > 10
        assert told["cost"]["difference"] < 0
        assert told["cost"]["unknown"] > 0
        assert {one["to"] for one in told["groups"]["rerouted"]} == {"cheap,c"}
        assert told["notRecorded"] == 0
        assert (tmp_path / "config.json").read_bytes() == before
        assert upstream.requests == []
        assert router.app.in_force[1].name == "none"


async def test_the_range(tmp_path, upstream: Upstream, records):
    """Only requests of the asked time are looked at, and no more than there may be."""
    async with running(settings(upstream), tmp_path, records=records) as router:
        _, told = await simulate(router, {"since": "all"})
        everything = told["considered"]
        _, told = await simulate(router, {"since": "1h"})
        assert 0 < told["considered"] < everything
        last_hour = told["considered"]
        _, told = await simulate(router, {"since": "all", "until": told["first"]})
        assert told["considered"] == everything - last_hour
        _, told = await simulate(router, {"since": "2099-01-01T00:00:00Z"})
        assert (told["considered"], told["cost"]["difference"]) == (0, None)


async def test_a_bound(tmp_path, upstream: Upstream, records, monkeypatch):
    """With more requests than may be, the newest are looked at, and that is said."""
    monkeypatch.setattr(simulation, "MOST", 7)
    async with running(settings(upstream), tmp_path, records=records) as router:
        _, told = await simulate(router, {"since": "all"})
    assert told["isCut"] is True
    assert told["considered"] <= 7
    assert told["notRecorded"] is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"policy": "nothing-like-it"}, "policy must be one of"),
        ({"policy": {"name": "mine", "hosts": {"alowed": []}}}, "alowed"),
        ({"policy": '{"name": "x", }{'}, "cannot be used"),
        ({"policy": 5}, "a name or a document"),
        ({"config": {"Router": {"default": "nobody,m"}}}, "nobody"),
        ({"config": "{"}, "ends too early"),
        ({"config": []}, "an object, or its text"),
        ({"since": "yesterday"}, "since must be one of"),
        ({"sinec": "1h"}, "there is no 'sinec'"),
    ],
)
async def test_what_cannot_be_simulated(tmp_path, upstream: Upstream, records, body, words):
    """What cannot be read is a 400 that says what is wrong, by its place."""
    async with running(settings(upstream), tmp_path, records=records) as router:
        status, told = await simulate(router, body)
    assert status == 400
    assert words in json.dumps(told)


async def test_without_records(tmp_path, upstream: Upstream):
    """Where nothing is recorded the page says so, and a simulation is a 409."""
    async with running(settings(upstream), tmp_path) as router:
        assert (await simulate(router, {}))[0] == 409
        document = Document((await Browser(router.app).get("/ui/policy")).raw.decode())
    assert "there is nothing to simulate with" in document.content


async def test_variables_without_value(tmp_path, upstream: Upstream, records):
    """A pasted configuration may name variables that are not set here: whether they are is no matter, and the value of
    one that is set is in no answer."""
    config = {**OTHER, "Providers": [{**OTHER["Providers"][0], "api_key": "${SET}"}], "APIKEY": "$NOT_SET_ANYWHERE"}
    async with running(settings(upstream), tmp_path, {"SET": "the-value-of-set-1"}, records=records) as router:
        status, told = await simulate(router, {"config": config, "since": "all"})
        assert status == 200, told
        assert "the-value-of-set-1" not in json.dumps(told)


async def test_the_page(tmp_path, upstream: Upstream, records):
    """The form gives the same as a page; what was pasted is in it again but for its secrets, and it is sound."""
    async with running(settings(upstream), tmp_path, records=records) as router:
        fields = {"policy": "present", "config": "document", "configText": json.dumps(OTHER, indent=1), "range": "all"}
        answer = await Browser(router.app).post("/ui/policy/simulate", fields)
        text = answer.raw.decode()
        document = Document(text)
        assert answer.status == 200
        assert document.problems == []
        assert "cheap,c" in document.content
        assert "&#34;cheap&#34;" in text
        assert PASTED_KEY not in text
        assert UPSTREAM_KEY not in text
        answer = await Browser(router.app).post("/ui/policy/simulate", {**fields, "configText": " "})
        assert answer.status == 400
        fields = {
            "policy": "document",
            "policyText": '{"name": "<b>x", "providers": {"alowed": ["<i>"]}}',
            "range": "1h",
        }
        answer = await Browser(router.app).post("/ui/policy/simulate", fields)
        assert answer.status == 400
        document = Document(answer.raw.decode())
        assert document.problems == []
        assert "alowed" in document.content
        assert document.of("b") == document.of("i") == []


async def test_a_policy_in_force(tmp_path, upstream: Upstream, records):
    """The page and its twin tell the policy in force with its rules; a simulation without any is compared with it."""
    policy = read_policy("open", {})
    async with running(settings(upstream), tmp_path, policy=policy, records=records) as router:
        told = (await call(router.app, "GET", "/api/policy/state", {})).json
        assert told["policy"]["name"] == policy.name
        assert told["policy"]["digest"] == policy.digest
        document = Document((await Browser(router.app).get("/ui/policy")).raw.decode())
        assert policy.digest in document.content
        status, told = await simulate(router, {"policy": "none", "since": "all"})
        assert (status, told["policy"]["name"]) == (200, "none")


def audit_in(tmp_path, port: int):
    """Three decisions and a denial, in the folder that a router with this home looks in."""
    folder = tmp_path / ".claude-code-router" / "audit"
    folder.mkdir(parents=True)
    trail = AuditTrail(folder, port, is_required=True)
    for number in range(3):
        trail.record("decision", {"request": f"req_{number}", "policy": "d" * 64, "result": "allowed"})
    facts = {
        "request": "req_9",
        "path": "/api/config",
        "rule": "hosts.allowed",
        "reason": "not that host",
        "result": "denied",
    }
    trail.record("denial", facts)
    trail.close()
    return folder


async def test_the_audit_log(tmp_path, upstream: Upstream):
    """The end of the chain is checked for every page, a denial that is no request's is listed from it, and the button
    proves the whole; where a line was changed both say so, with its place."""
    folder = audit_in(tmp_path, 3456)
    async with running(settings(upstream), tmp_path, {"HOME": str(tmp_path)}) as router:
        browser = Browser(router.app)
        told = (await call(router.app, "GET", "/api/policy/state", {})).json
        (chain,) = told["audit"]["chains"]
        assert (chain["state"], chain["isOurs"], chain["last"]["seq"]) == ("sound", True, 4)
        assert [(one["rule"], one["reason"]) for one in told["denials"]] == [("hosts.allowed", "not that host")]
        document = Document((await browser.post("/ui/policy/prove")).raw.decode())
        assert document.problems == []
        assert "proven 4 lines in 1 file" in document.content
        live = folder / "audit-3456.jsonl"
        content = live.read_bytes()
        live.write_bytes(content.replace(b"req_1", b"req_7"))
        told = (await call(router.app, "GET", "/api/policy/state", {})).json
        assert told["audit"]["chains"][0]["state"] == "broken"
        document = Document((await browser.post("/ui/policy/prove")).raw.decode())
        assert "the line was changed" in document.content
        assert "line 2" in document.content
        live.write_bytes(b"".join(content.splitlines(keepends=True)[:3]))
        told = (await call(router.app, "GET", "/api/policy/state", {})).json
        assert told["audit"]["chains"][0]["break"]["what"] == "lines were cut off the end"
        (folder / "audit-3456.head").unlink()
        told = (await call(router.app, "GET", "/api/policy/state", {})).json
        assert "head file is missing" in told["audit"]["chains"][0]["break"]["what"]
