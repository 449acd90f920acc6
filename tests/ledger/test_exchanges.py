"""The record of an exchange: its losses in a header of the answer, as counts in the log, and in full on asking."""

from __future__ import annotations

import asyncio
import json

import pytest

from ccrouter.gateway.record import Attempt, Exchange
from ccrouter.server.exchanges import Exchanges
from ccrouter.server.log import ExchangeLog
from tests.gateway.conftest import provider, running
from tests.ledger.conftest import CHATTER
from tests.server.conftest import KEY, call
from tests.upstream import Cut, Reply, Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

LOSSY = {"top_k": 5, "stop_sequences": list("abcdef"), **CHATTER}
SECRET = "a private matter"


@pytest.fixture
async def router(upstream: Upstream, tmp_path):
    config = {
        "Providers": [
            {**provider(upstream, "openai"), "transformer": {"use": [["maxtoken", {"max_tokens": 50}]]}},
            provider(upstream, "anthropic"),
        ],
        "Router": {"default": "openai,m1"},
        "fallback": {"default": ["anthropic,m2"]},
    }
    log = ExchangeLog(tmp_path / "log", "info")
    async with running(config, tmp_path, log=log) as router:
        yield router
    log.close()


async def told(router, name: str):
    return (await call(router.app, "GET", f"/api/exchanges/{name}")).json


def lines(tmp_path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


@pytest.mark.parametrize("streamed", [False, True])
async def test_every_answer_says_how_much_was_lost(router, upstream: Upstream, streamed, tmp_path):
    """The header counts what was dropped and approximated, hints left out; so does the log, by fate."""
    upstream.reply(sse_reply(chat_wire.chat_stream("Hi")) if streamed else json_reply(chat_wire.chat_json("Hi")))
    status, headers, _ = await router.ask(stream=streamed, **LOSSY)
    assert status == 200
    assert headers["x-ccr-losses"] == "2"
    (line,) = lines(tmp_path)
    assert line["losses"] == {"approximated": 1, "dropped": 1}


@pytest.mark.parametrize("streamed", [False, True])
async def test_nothing_lost_is_said_too(router, upstream: Upstream, streamed, tmp_path):
    """0 where all of it went out, hints or not, and on a passthrough; the log line then has no word of it."""
    upstream.reply(
        sse_reply(chat_wire.chat_stream("Hi")) if streamed else json_reply(chat_wire.chat_json("Hi")),
        sse_reply(anthropic_wire.message_stream("x")) if streamed else json_reply(anthropic_wire.message_json("x")),
    )
    for model in ("openai,m1", "anthropic,m1"):
        status, headers, _ = await router.ask(stream=streamed, model=model, **CHATTER)
        assert (status, headers["x-ccr-losses"]) == (200, "0")
    assert not any("losses" in line for line in lines(tmp_path))


async def test_losses_are_those_of_the_target_that_answered(router, upstream: Upstream):
    """After a fallback the header, the record and its ledger are about the second target; the first is an attempt."""
    upstream.reply(Reply(503, {}, (b"busy",)), json_reply(anthropic_wire.message_json("ok")))
    status, headers, _ = await router.ask(**LOSSY)
    assert (status, headers["x-ccr-losses"]) == (200, "0")
    facts = await told(router, headers["request-id"])
    assert (facts["sent"], facts["provider"]) == ("m2", "anthropic")
    assert [one["target"] for one in facts["attempts"]] == ["openai,m1", "anthropic,m2"]
    first, second = facts["attempts"]
    assert "busy" in first["failure"]
    assert (first["kind"], first["status"], first["waitedMs"]) == ("overloaded", 503, 0)
    assert (second["kind"], second["status"], second["failure"]) == (None, None, None)
    assert 0 <= first["beganMs"] <= first["endedMs"] <= second["beganMs"] <= second["endedMs"] <= facts["totalMs"]
    assert "top_k" in facts["ledger"]["kept"]


async def test_a_count_goes_with_its_target(router, upstream: Upstream):
    """Where the first target began to answer and broke off, and the second refused, nobody answered: no count."""
    broken = Reply(200, {"content-type": "text/event-stream"}, (Cut(),))
    upstream.reply(broken, Reply(400, {}, (b"no",)))
    status, headers, _ = await router.ask(stream=True, **LOSSY)
    assert status in {400, 502}
    assert len(upstream.requests) == 2
    assert "x-ccr-losses" not in headers


async def test_an_error_is_no_answer(router, upstream: Upstream):
    """Where nobody answered there is no count in the headers, and what would have been lost can be asked for."""
    upstream.reply(Reply(400, {}, (b"no",)))
    status, headers, _ = await router.ask(**LOSSY)
    assert status == 400
    assert "x-ccr-losses" not in headers
    facts = await told(router, headers["request-id"])
    assert facts["status"] == 400
    assert facts["losses"] == {"approximated": 1, "dropped": 1}


async def test_a_keep_alive_goes_out_without_a_count(router, upstream: Upstream, monkeypatch):
    """An answer that begins with a keep-alive, before anybody has answered, says nothing of losses: who will answer is
    not known by then. `ccr explain` knows.
    """
    monkeypatch.setattr("ccrouter.server.respond.SILENCE_LIMIT", 0.0)
    gate = asyncio.Event()

    async def brain(_received):
        await gate.wait()
        return sse_reply(chat_wire.chat_stream("Hi"))

    upstream.reply(brain)
    body = {"model": "any", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "x"}], "top_k": 5}
    asking = asyncio.create_task(router.client.post(f"{router.url}/v1/messages", json=body))
    await upstream.request(1)
    router.app._pulse.beat()
    response = await asyncio.wait_for(asking, 5)
    assert response.status == 200
    assert "x-ccr-losses" not in response.headers
    gate.set()
    assert b"message_stop" in await response.read()
    assert (await told(router, response.headers["request-id"]))["losses"]["dropped"] == 1


async def test_the_facts_in_full(router, upstream: Upstream):
    """What was asked, sent and answered, where and why, with which transforms, what became of everything, what it cost
    and how long it took: all of it, and nothing of what was said.
    """
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 20}}
    upstream.reply(json_reply(chat_wire.chat_json("the answer", usage=usage, model="gpt-answered")))
    body = {**LOSSY, "messages": [{"role": "user", "content": SECRET}]}
    _, headers, _ = await router.ask(model="claude-x", **body)
    facts = await told(router, headers["request-id"])
    assert facts["id"] == headers["request-id"]
    assert (facts["asked"], facts["sent"], facts["answered"]) == ("claude-x", "m1", "gpt-answered")
    assert facts["provider"] == "openai"
    assert facts["route"] == {"name": "default", "reason": "default: no other rule applies"}
    assert facts["transforms"] == ["maxtoken"]
    assert facts["status"] == 200
    assert facts["stopReason"] == "end_turn"
    assert facts["tokens"] == {"input": 80, "output": 7, "cacheRead": 20, "cacheWrite": 0}
    assert 0 < facts["ttftMs"] <= facts["totalMs"]
    assert facts["began"] <= facts["ended"]
    ledger = facts["ledger"]
    assert {"path": "top_k", "what": "the model takes none", "fate": "dropped", "count": 1, "places": ["top_k"]} in (
        ledger["losses"]
    )
    assert {one["fate"] for one in ledger["losses"]} == {"dropped", "approximated", "hint"}
    assert {"max_tokens", "stop_sequences", "tools[].name"} <= set(ledger["mapped"])
    assert {"stream", "messages[].content"} <= set(ledger["kept"])
    for private in (SECRET, "the answer", "user_of_the_machine", "upstream-secret"):
        assert private not in json.dumps(facts)


async def test_the_last_one(router, upstream: Upstream):
    """`last` is the exchange that ended last, failed ones too; counting tokens is none."""
    upstream.reply(json_reply(chat_wire.chat_json("one")))
    _, first, _ = await router.ask()
    assert (await told(router, "last"))["id"] == first["request-id"]
    _, second, _ = await router.ask(messages=[])
    async with router.client.post(
        f"{router.url}/v1/messages/count_tokens", json={"model": "m", "messages": [{"role": "user", "content": "x"}]}
    ) as response:
        assert response.status == 200
    facts = await told(router, "last")
    assert facts["id"] == second["request-id"]
    assert facts["status"] == 400
    assert facts["sent"] is None


async def test_unknown_ids(router):
    """An id that is not remembered is a 404 that says how long memory goes back; so is `last` without any."""
    answer = await call(router.app, "GET", "/api/exchanges/req_nothing")
    assert answer.status == 404
    assert answer.message.startswith("none of that id is recorded, nor is it one of the last 1000 since")
    answer = await call(router.app, "GET", "/api/exchanges/last")
    assert (answer.status, answer.message.startswith("there was none")) == (404, True)


async def test_only_for_management(upstream: Upstream, tmp_path):
    """What others asked is for whoever manages the router: it takes the key where there is one."""
    config = {"APIKEY": KEY, "Providers": [provider(upstream, "openai")], "Router": {"default": "openai,m1"}}
    async with running(config, tmp_path) as router:
        assert (await call(router.app, "GET", "/api/exchanges/last")).status == 401
        assert (await call(router.app, "GET", "/api/exchanges/last", {"x-api-key": KEY})).status == 404


def exchange(number: int) -> Exchange:
    return Exchange(f"req_{number}", "/v1/messages", 0.0, attempts=[Attempt("p,m", 0.0)])


def test_memory_is_bounded():
    """The oldest exchange goes when one more than the capacity has come."""
    exchanges = Exchanges(capacity=3)
    for number in range(5):
        exchanges.note(exchange(number))
    assert [exchanges.find(f"req_{number}") is not None for number in range(5)] == [False, False, True, True, True]
    last = exchanges.last()
    assert last is not None
    assert last["id"] == "req_4"
