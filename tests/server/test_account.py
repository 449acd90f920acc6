"""What the audit and the log are told of exchanges, and what happens when they cannot be."""

from __future__ import annotations

import json

import pytest

from ccrouter.compliance.policy import Policy
from ccrouter.errors import RouterError
from ccrouter.server.log import ExchangeLog
from tests.gateway.conftest import running
from tests.server.conftest import KEY, Recorder, call, settings
from tests.upstream import Upstream, anthropic_wire, json_reply, sse_reply

COUNT = "/v1/messages/count_tokens"
STRICT = Policy(name="strict", source="preset strict", digest="d" * 64, allowed_models=("m1",))


async def ask(router, path="/v1/messages", **body):
    asked = {"model": "p,m1", "max_tokens": 9, "messages": [{"role": "user", "content": "words-of-mine"}], **body}
    async with router.client.post(router.url + path, json=asked) as response:
        return response.status, await response.json()


async def test_outcomes(tmp_path, upstream: Upstream, recorder):
    """Each exchange that was decided on has one outcome, whether it was answered or refused by the provider, counted or
    sent; none has content in it."""
    upstream.reply(json_reply(anthropic_wire.message_json("ok")))
    async with running(settings(upstream), tmp_path, policy=STRICT, auditor=recorder) as router:
        assert (await ask(router))[0] == 200
        upstream.reply(json_reply(anthropic_wire.error_json("invalid_request_error", "no such thing"), status=400))
        assert (await ask(router))[0] == 400
        assert (await ask(router, COUNT))[0] == 200
        assert (await ask(router, messages=[]))[0] == 400
    outcomes = recorder.of("outcome")
    assert [line["status"] for line in outcomes] == [200, 400, 200]
    assert [line["path"] for line in outcomes] == ["/v1/messages", "/v1/messages", COUNT]
    requests = [line["request"] for line in recorder.of("decision")]
    assert requests == [line["request"] for line in outcomes]
    assert "words-of-mine" not in json.dumps(recorder.lines)


@pytest.mark.parametrize("path", ["/v1/messages", COUNT])
async def test_what_cannot_be_recorded_is_not_done(tmp_path, upstream: Upstream, recorder, capsys, path):
    """If the decision cannot be recorded the client gets a 503 that says so, and nothing is sent; once it can be again,
    requests are served."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with running(settings(upstream), tmp_path, policy=STRICT, auditor=recorder) as router:
        recorder.failure = RouterError(
            "the audit log /somewhere/audit.jsonl cannot be written: No space left on device"
        )
        status, answer = await ask(router, path)
        assert status == 503
        assert answer["error"]["type"] == "api_error"
        assert "audit log cannot be written" in answer["error"]["message"]
        assert "/somewhere" not in answer["error"]["message"]
        assert upstream.requests == []
        recorder.failure = None
        assert (await ask(router, path))[0] == 200
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("failure", [RouterError("full"), OSError("full"), ValueError("a defect of the auditor")])
async def test_an_outcome_that_cannot_be_recorded_changes_nothing(tmp_path, upstream: Upstream, failure):
    """The answer has been given by then: it stays whole, and the failure is in the log."""

    class Failing(Recorder):
        def record(self, kind, facts):
            if kind == "outcome":
                raise failure
            super().record(kind, facts)

    path = tmp_path / "log.jsonl"
    log = ExchangeLog(path, "info")
    upstream.always(sse_reply(anthropic_wire.message_stream("Hello there")))
    async with running(settings(upstream), tmp_path, auditor=Failing(), log=log) as router:
        events = await router.stream(model="p,m1")
        assert events[-1]["type"] == "message_stop"
    log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["msg"] for line in lines] == ["exchange", "the audit log cannot be written"]


async def test_denials_on_every_endpoint(tmp_path, upstream: Upstream, recorder):
    """A model that the policy does not allow is a 403 that names rule and policy wherever it is asked for, is not
    listed, and is not sent."""
    async with running(settings(upstream), tmp_path, policy=STRICT, auditor=recorder) as router:
        for path in ("/v1/messages", COUNT):
            status, answer = await ask(router, path, model="p,m2")
            assert status == 403, path
            assert answer["error"]["type"] == "permission_error"
            assert "models.allowed" in answer["error"]["message"]
        told = (await call(router.app, "GET", "/v1/models")).json["data"]
        assert {entry["id"] for entry in told} == {"p,m1", "m1"}
        one = await call(router.app, "GET", "/v1/models/p,m2")
        assert one.status == 403
        assert one.json["error"]["type"] == "permission_error"
        assert one.headers["x-should-retry"] == "false"
        assert (await call(router.app, "GET", "/v1/models/p,m1")).status == 200
        assert upstream.requests == []
    assert len(recorder.of("denial")) >= 2


async def test_counts_are_logged_at_debug(tmp_path, upstream: Upstream):
    """A count is a line of level debug; one that failed is a warning like any exchange."""
    for level, expected in (("debug", [20, 40]), ("info", [40])):
        path = tmp_path / f"{level}.jsonl"
        log = ExchangeLog(path, level)
        async with running(settings(upstream), tmp_path, log=log) as router:
            await ask(router, COUNT, model="dry-run,dry-run")
            await ask(router, COUNT, messages=[])
        log.close()
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["level"] for line in lines] == expected
        assert {line["path"] for line in lines} == {COUNT}
        assert lines[-1]["status"] == 400


async def test_errors_of_small_endpoints_hide_secrets(tmp_path, upstream: Upstream):
    """What an endpoint quotes of a request is quoted without the keys that the router knows."""
    async with running(settings(upstream, APIKEY=KEY), tmp_path) as router:
        headers = {"x-api-key": KEY}
        answer = await call(router.app, "GET", f"/v1/models/none,{KEY}", headers)
        assert answer.status == 404
        assert KEY not in answer.raw.decode()
        answer = await call(router.app, "GET", f"/nowhere/{KEY}", headers)
        assert answer.status == 404
        assert KEY not in answer.raw.decode()
