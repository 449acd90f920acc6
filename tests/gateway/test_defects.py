"""Defects of our own: the client gets an error in its form, the log the trace, and the next request an answer."""

from __future__ import annotations

import json

from ccrouter.gateway import pipeline
from ccrouter.server.log import ExchangeLog
from tests.gateway.conftest import provider, running
from tests.upstream import Upstream, anthropic_wire, chat_wire, json_reply, sse_reply


async def test_an_unexpected_exception(upstream: Upstream, tmp_path, monkeypatch):
    """A bug is a 500 in the Messages form that names the request; its trace is in the log, without keys; nothing hangs."""
    config = {"Providers": [provider(upstream, "anthropic")], "Router": {"default": "anthropic,m1"}}
    log = ExchangeLog(tmp_path / "log", "info")

    def explode(*_arguments):
        raise ZeroDivisionError("sk-anthropic-upstream-secret-0123456789")

    async with running(config, tmp_path, log=log) as router:
        with monkeypatch.context() as patch:
            patch.setattr(pipeline, "choose", explode)
            for path in ("/v1/messages", "/v1/messages/count_tokens"):
                body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
                async with router.client.post(router.url + path, json=body) as response:
                    answer = await response.json()
                assert response.status == 500
                assert answer["type"] == "error"
                assert response.headers["request-id"] in answer["error"]["message"]
                assert "Zero" not in json.dumps(answer)
        upstream.reply(json_reply(anthropic_wire.message_json("next")))
        assert (await router.ask())[0] == 200
    log.close()
    defects = [line for line in map(json.loads, (tmp_path / "log").read_text().splitlines()) if "trace" in line]
    assert ["ZeroDivisionError" in line["trace"] for line in defects] == [True, True]
    written = (tmp_path / "log").read_text()
    assert "sk-anthropic-upstream-secret" not in written


async def test_connections_are_used_again(router, upstream: Upstream, dialect):
    """After a finished stream the upstream's connection serves the next request."""
    for text in ("one", "two", "three"):
        wire = anthropic_wire.message_stream if dialect == "anthropic" else chat_wire.chat_stream
        upstream.reply(sse_reply(wire(text)))
        await router.stream(model=f"{dialect},m1")
    assert upstream.connections == 1
