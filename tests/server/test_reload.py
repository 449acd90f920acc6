"""Reload: everything at once or nothing, and nobody who is being served notices."""

from __future__ import annotations

import asyncio
import json

import pytest

from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.load import load
from ccrouter.config.schema import Config
from ccrouter.errors import ConfigError, RouterError
from ccrouter.secret import Secret
from ccrouter.server.log import ExchangeLog
from ccrouter.server.reload import keep_listening
from ccrouter.upstream.client import UpstreamClient
from tests.gateway.conftest import events_of, running, text_of
from tests.server.conftest import JSON, KEY, Recorder, call, settings
from tests.upstream import Gate, Reply, Upstream, anthropic_wire, json_reply

GOOD = {"model": "any", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
FIRST = Policy(name="first", source="preset first", digest="1" * 64)
SECOND = Policy(name="second", source="preset second", digest="2" * 64)


class Files:
    """What a reload reads: the file of the test, and a policy that it may change."""

    def __init__(self, tmp_path) -> None:
        self.path = tmp_path / "config.json"
        self.policy = NO_POLICY

    def __call__(self, _in_force: Policy) -> tuple[Config, Policy]:
        return load(self.path, {}), self.policy

    def write(self, config) -> None:
        self.path.write_text(json.dumps(config))


async def restart(router, headers=JSON):
    return await call(router.app, "POST", "/api/restart", headers)


async def test_what_the_files_say_is_in_force(tmp_path, upstream: Upstream, recorder):
    """After POST /api/restart requests go by the new file: providers, routes, key; and the audit knows."""
    files = Files(tmp_path)
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with running(settings(upstream), tmp_path, reload=files, auditor=recorder) as router:
        client = router.app.edition.lease.client
        files.write(settings(upstream, APIKEY=KEY, Router={"default": "p,m2"}))
        answer = await restart(router)
        assert answer.status == 200
        assert answer.json["success"] is True
        assert answer.json["message"] == "Service restart initiated"
        assert answer.json["config"]["digest"] == router.app.edition.config.digest
        assert "notes" not in answer.json
        assert (await router.ask())[0] == 401
        assert (await router.ask({"x-api-key": KEY}))[0] == 200
        assert json.loads(upstream.requests[-1].body)["model"] == "m2"
        assert router.app.edition.lease.client is client
    (line,) = recorder.of("reload")
    assert line == {"policy": "", "config": line["config"], "result": "ok"}
    assert line["config"] == answer.json["config"]["digest"]
    assert recorder.of("policy") == []


async def test_a_refused_file_changes_nothing(tmp_path, upstream: Upstream, recorder):
    """A file with something wrong is a 400 with the reasons, without secrets; what was in force stays so."""
    files = Files(tmp_path)
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with running(settings(upstream), tmp_path, reload=files, auditor=recorder) as router:
        before = router.app.edition
        for broken in ("{ broken", json.dumps(settings(upstream, PORT="many", Router={"default": "nowhere,m"}))):
            files.path.write_text(broken)
            answer = await restart(router)
            assert answer.status == 400
            assert answer.json["error"]["type"] == "invalid_request_error"
            assert answer.json["error"]["details"]["problems"]
            assert router.app.edition is before
            assert (await router.ask())[0] == 200
        assert "nowhere" in answer.message
        assert "PORT" in answer.message
    assert [line["result"] for line in recorder.of("reload")] == ["refused", "refused"]


async def test_a_new_policy_has_a_client_of_its_own(tmp_path, upstream: Upstream, recorder, monkeypatch):
    """With another policy the upstream client is another; a request under way ends on the old one, which is closed
    after the last of them, and not before."""
    files = Files(tmp_path)
    closings, close = [], UpstreamClient.close

    async def closing(self):
        closings.append(self)
        await close(self)

    monkeypatch.setattr(UpstreamClient, "close", closing)
    gate = asyncio.Event()
    frames = anthropic_wire.message_stream("Hello there, this is some text")
    upstream.reply(Reply(200, {"content-type": "text/event-stream"}, (*frames[:4], Gate(gate), *frames[4:])))
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with running(settings(upstream), tmp_path, policy=FIRST, reload=files, auditor=recorder) as router:
        old = router.app.edition.lease
        async with router.client.post(f"{router.url}/v1/messages", json={**GOOD, "stream": True}) as response:
            got = await asyncio.wait_for(response.content.readany(), 5)
            files.policy = SECOND
            assert (await restart(router)).json["policy"]["name"] == "second"
            assert router.app.edition.lease is not old
            assert (await router.ask())[0] == 200
            assert not old.is_closed
            assert closings == []
            gate.set()
            got += await response.read()
        assert text_of(events_of(got)) == "Hello there, this is some text"
        await asyncio.wait_for(old._closing, 5)
        assert old.is_closed
        assert closings == [old.client]
        assert (await router.ask())[0] == 200
    assert [line["policy"] for line in recorder.of("policy")] == [SECOND.digest]


async def test_an_audit_that_cannot_be_written_stops_a_reload(tmp_path, upstream: Upstream, recorder):
    """What has to be recorded and cannot be does not happen: 503, and the old configuration stays."""
    files = Files(tmp_path)
    async with running(settings(upstream), tmp_path, reload=files, auditor=recorder) as router:
        before = router.app.edition
        recorder.failure = RouterError("the disk is full")
        files.write(settings(upstream, Router={"default": "p,m2"}))
        answer = await restart(router)
        assert answer.status == 503
        assert "audit" in answer.message
        assert router.app.edition is before


async def test_a_reload_is_on_record_as_it_was(tmp_path, upstream: Upstream):
    """The record of a reload is the last thing that can fail before it takes effect: it never says of one that did not that
    it did, though the line of the new policy cannot be written any more.
    """

    class Filling(Recorder):
        def record(self, kind, facts):
            super().record(kind, facts)
            if kind == "reload":
                self.failure = RouterError("the disk is full")

    files, filling = Files(tmp_path), Filling()
    async with running(settings(upstream), tmp_path, policy=FIRST, reload=files, auditor=filling) as router:
        files.policy = SECOND
        answer = await restart(router)
        assert (answer.status, answer.json["policy"]["name"]) == (200, "second")
        assert router.app.edition.policy == SECOND
    (line,) = filling.of("reload")
    assert (line["result"], line["policy"]) == ("ok", SECOND.digest)


async def test_without_the_means_to_reload(tmp_path, upstream: Upstream):
    """A process that was not told how to reload says so."""
    async with running(settings(upstream), tmp_path) as router:
        assert (await restart(router)).status == 501


async def test_a_defect_in_loading_changes_nothing(tmp_path, upstream: Upstream, capsys):
    """Even what nobody foresaw leaves the old configuration in force, and the next reload possible."""
    config = settings(upstream)

    def reload(_in_force):
        raise ZeroDivisionError("unforeseen")

    async with running(config, tmp_path, reload=reload) as router:
        before = router.app.edition
        answer = await restart(router)
        assert answer.status == 500
        assert "unforeseen" not in answer.raw.decode()
        assert router.app.edition is before
        assert (await restart(router)).status == 500
    assert "unforeseen" in capsys.readouterr().err


async def test_what_a_process_cannot_change_is_said(tmp_path, upstream: Upstream):
    """Another port or address cannot be taken on by a process that listens: it is said, and goes on as it was."""
    files = Files(tmp_path)
    async with running(settings(upstream, PORT=3456), tmp_path, reload=files) as router:
        files.write(settings(upstream, PORT=4567, LOG=False))
        notes = (await restart(router)).json["notes"]
        assert len(notes) == 2
        assert "PORT 4567 takes effect at the next start" in notes[1] or "PORT 4567" in notes[0]
        assert router.app.edition.config.port == 3456


def test_nobody_is_let_in_by_a_reload():
    """A file that is fine for loopback is refused by a process that listens elsewhere: without a key, or where the
    policy wants loopback alone."""
    outside = Config(host="0.0.0.0", api_key=Secret(KEY))
    with pytest.raises(ConfigError, match=r"listens on 0\.0\.0\.0"):
        keep_listening(Config(), NO_POLICY, outside)
    kept, notes = keep_listening(Config(api_key=Secret(KEY)), NO_POLICY, outside)
    assert kept.host == "0.0.0.0"
    assert notes
    strict = Policy(name="s", source="s", loopback_only=True)
    with pytest.raises(ConfigError, match="loopbackOnly"):
        keep_listening(Config(api_key=Secret(KEY)), strict, outside)
    assert keep_listening(Config(), strict, Config())[1] == ()


async def test_reloads_at_once(tmp_path, upstream: Upstream):
    """Reloads come one after the other, and the last content of the file is what is in force."""
    files = Files(tmp_path)
    async with running(settings(upstream), tmp_path, reload=files) as router:
        files.write(settings(upstream, Router={"default": "p,m2"}))
        answers = await asyncio.gather(*(restart(router) for _ in range(8)))
        assert {answer.status for answer in answers} == {200}
        assert str(router.app.edition.config.router.routes["default"]) == "p,m2"


async def test_a_reload_takes_back_what_was_changed_in_memory(tmp_path, upstream: Upstream):
    """Providers that were added in memory last until the next reload."""
    files = Files(tmp_path)
    provider = {"name": "q", "type": "anthropic", "baseUrl": upstream.url, "apiKey": "k" * 9, "models": ["n"]}
    async with running(settings(upstream), tmp_path, reload=files) as router:
        assert (await call(router.app, "POST", "/providers", JSON, json.dumps(provider).encode())).status == 200
        assert (await restart(router)).status == 200
        assert (await call(router.app, "GET", "/providers/q")).status == 404


async def test_the_level_of_the_log(tmp_path, upstream: Upstream):
    """LOG_LEVEL takes effect with the reload; the reload and its refusal are lines of the log."""
    files = Files(tmp_path)
    path = tmp_path / "log.jsonl"
    log = ExchangeLog(path, "info")
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with running(settings(upstream), tmp_path, reload=files, log=log) as router:
        files.write(settings(upstream, LOG_LEVEL="warn"))
        await restart(router)
        await router.ask()
        files.write(settings(upstream, PORT="many"))
        await restart(router)
    log.close()
    assert [json.loads(line)["msg"] for line in path.read_text().splitlines()] == ["reload refused"]


async def test_a_quiet_reload(tmp_path, upstream: Upstream, capsys):
    """`reload_soon`, which a signal asks for, reloads in a task of its own; a refusal is said on stderr without a log."""
    files = Files(tmp_path)
    async with running(settings(upstream), tmp_path, reload=files) as router:
        before = router.app.edition
        router.app.editions.reload_soon()
        await router.app.editions._reloading
        assert router.app.edition is not before
        files.policy = None
        files.path.write_text("{ broken")
        router.app.editions.reload_soon()
        await router.app.editions._reloading
    assert "the reload was refused" in capsys.readouterr().err


async def test_a_reload_is_told_what_is_in_force(tmp_path, upstream: Upstream):
    """Each reload is told the policy that is in force, which one that was read and then refused never was."""
    told = []
    config = settings(upstream)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    strict = Policy(name="s", source="s", digest="3" * 64, client_key_length=16)
    answers = [FIRST, strict, FIRST]

    def reload(in_force):
        told.append(in_force)
        return load(path, {}), answers.pop(0)

    async with running(config, tmp_path, reload=reload) as router:
        statuses = [(await restart(router)).status for _ in range(3)]
    assert (statuses[0], statuses[1] >= 400, statuses[2]) == (200, True, 200)
    assert told == [NO_POLICY, FIRST, FIRST]
