"""The log of exchanges: what stands in it, what never does, and that it costs no request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccrouter.server.log import ExchangeLog
from tests.gateway.conftest import provider, running
from tests.upstream import Upstream, anthropic_wire, chat_wire, json_reply


async def _exchange(upstream: Upstream, tmp_path: Path, log: ExchangeLog, *replies, **body) -> list[dict]:
    """The lines that one exchange, whatever its end, leaves in the log file."""
    config = {
        "APIKEY": "router-key-123456",
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "openai,m1"},
        "fallback": {"default": ["anthropic,m2"]},
    }
    upstream.reply(*replies)
    async with running(config, tmp_path, log=log) as router:
        await router.ask({"x-api-key": "router-key-123456"}, **body)
    log.close()
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


async def test_the_facts_of_an_exchange(upstream: Upstream, tmp_path):
    """One JSON line: status, the three models, route and reason, tokens with cached ones apart, times, losses; with
    `response.provider` and `response.model`, which programs look for; and nothing of content or keys.
    """
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 20}}
    answer = json_reply(chat_wire.chat_json("the answer", usage=usage, model="gpt-answered"))
    body = {"model": "claude-x", "messages": [{"role": "user", "content": "a private matter"}], "top_k": 5}
    (line,) = await _exchange(upstream, tmp_path, ExchangeLog(tmp_path / "log", "info"), answer, **body)
    assert line["level"] == 30
    assert line["status"] == 200
    assert line["asked"] == "claude-x"
    assert line["route"] == "default"
    assert line["reason"] == "default: no other rule applies"
    assert line["response"] == {"provider": "openai", "model": "gpt-answered"}
    assert line["tokens"] == {"input": 80, "output": 7, "cacheRead": 20, "cacheWrite": 0}
    assert line["stopReason"] == "end_turn"
    assert 0 < line["ttftMs"] <= line["totalMs"]
    assert line["losses"] == {"dropped": 1}
    written = (tmp_path / "log").read_text()
    for private in ("a private matter", "the answer", "router-key", "upstream-secret"):
        assert private not in written


async def test_the_attempts(upstream: Upstream, tmp_path):
    """After a fallback the line names every target that was tried, with which key, after which pause, why the first
    failed, and who answered.
    """
    failed = json_reply(chat_wire.error_json("busy, come back"), 503)
    answered = json_reply(anthropic_wire.message_json("ok", model="claude-answered"))
    (line,) = await _exchange(upstream, tmp_path, ExchangeLog(tmp_path / "log", "info"), failed, answered)
    assert [attempt["target"] for attempt in line["attempts"]] == ["openai,m1", "anthropic,m2"]
    assert "busy, come back" in line["attempts"][0]["failure"]
    assert [attempt["kind"] for attempt in line["attempts"]] == ["overloaded", ""]
    assert [attempt["key"] for attempt in line["attempts"]] == ["key", "key"]
    assert [attempt["waitedMs"] for attempt in line["attempts"]] == [0.0, 0.0]
    assert line["attempts"][1]["failure"] == ""
    assert line["response"] == {"provider": "anthropic", "model": "claude-answered"}
    assert line["status"] == 200


@pytest.mark.parametrize("size", [100, 600_000])
async def test_a_provider_that_quotes(size, upstream: Upstream, tmp_path):
    """What a provider's error quotes of the conversation is in no line, however long the conversation and the words."""
    secret = "the merger is announced on Monday"
    said = json_reply(chat_wire.error_json(f"cannot read '{secret}' " + "because " * 100), 400)
    messages = [{"role": "user", "content": f"{'x' * size} {secret}"}]
    (line,) = await _exchange(upstream, tmp_path, ExchangeLog(tmp_path / "log", "info"), said, messages=messages)
    assert line["status"] == 400
    assert "merger" not in json.dumps(line)
    assert ("cannot read" in line["error"]) == (size < 500_000)
    assert len(line["error"]) < 500


@pytest.mark.parametrize(("level", "lines"), [("warn", 1), ("fatal", 0)])
async def test_levels(level, lines, upstream: Upstream, tmp_path):
    """A failed exchange is a warning: there at `warn`, not at `fatal`."""
    refused = json_reply(chat_wire.error_json("no such thing"), 400)
    told = await _exchange(upstream, tmp_path, ExchangeLog(tmp_path / "log", level), refused)
    assert len(told) == lines
    assert all(line["status"] == 400 and "no such thing" in line["error"] for line in told)


async def test_a_success_is_no_warning(upstream: Upstream, tmp_path):
    """At `warn` a good exchange leaves no line."""
    answer = json_reply(chat_wire.chat_json("ok"))
    assert await _exchange(upstream, tmp_path, ExchangeLog(tmp_path / "log", "warn"), answer) == []


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="a file on a full disk, which not every system has")
async def test_a_log_that_cannot_be_written(upstream: Upstream, tmp_path, capsys):
    """A full disk costs log lines and no request, and is said once."""
    config = {"Providers": [provider(upstream, "openai")], "Router": {"default": "openai,m1"}}
    upstream.always(json_reply(chat_wire.chat_json("ok")))
    log = ExchangeLog(FULL, "info")
    async with running(config, tmp_path, log=log) as router:
        assert [(await router.ask())[0] for _ in range(3)] == [200, 200, 200]
    log.close()
    assert capsys.readouterr().err.count("/dev/full cannot be written") == 1
