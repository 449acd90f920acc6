"""What an exchange is written down with where its way was not straight: whose tokens, whose price, whose times."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from tests.gateway.conftest import provider, running
from tests.gateway.test_image_agent import HISTORY, LOOK, TOOLS, Minds
from tests.gateway.test_image_agent import config as sighted_config
from tests.upstream import Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

ONE = {"input": 1.0, "output": 1.0, "cacheRead": 1.0, "cacheWrite5m": 1.0, "cacheWrite1h": 1.0}


@asynccontextmanager
async def recording(config, tmp_path):
    """A router that records, and what gives the row of its last exchange."""
    async with running(config, tmp_path, {"HOME": str(tmp_path)}, records=tmp_path / "records.db") as router:

        def last():
            assert router.app.recorder.flush(10)
            return router.app.reports.last()

        yield router, last


def priced(times: float) -> dict:
    return {name: figure * times for name, figure in ONE.items()}


async def test_what_a_viewer_costs_is_known(upstream: Upstream, tmp_path):
    """Rounds of the model that answers and what the viewer said are all paid for, each at its own price."""
    first = chat_wire.chat_json(None, None, (LOOK,))
    upstream.always(Minds(json_reply(first), json_reply(chat_wire.chat_json("Red."))))
    prices = {"deepseek,deepseek-chat": priced(10), "seeing,eyes": priced(10_000)}
    async with recording({**sighted_config(upstream), "prices": prices}, tmp_path) as (router, last):
        status, _, raw = await router.ask(messages=HISTORY, tools=TOOLS)
        assert status == 200, raw
        told = last()
    answering, looking = told["attempts"]
    assert sum(looking["tokens"].values()) == 25 + 12
    one_round = sum(answering["tokens"].values()) / 2
    assert told["cost"]["usd"] == pytest.approx(37 / 100 + one_round * 2 / 100_000)


async def test_times_of_a_look_are_its_own(upstream: Upstream, tmp_path):
    """What the viewer was sent was sent while it was asked, and not when the other model went on."""
    first = chat_wire.chat_json(None, None, (LOOK,))
    upstream.always(Minds(json_reply(first), json_reply(chat_wire.chat_json("Red."))))
    async with recording(sighted_config(upstream), tmp_path) as (router, last):
        await router.ask(messages=HISTORY, tools=TOOLS)
        answering, looking = last()["attempts"]
    assert answering["beganMs"] <= answering["sentMs"] <= looking["beganMs"]
    assert looking["beganMs"] <= looking["sentMs"] <= looking["headersMs"] <= looking["endedMs"]
    assert looking["endedMs"] <= answering["headersMs"] <= answering["endedMs"]


@pytest.mark.parametrize("resumes", [False, True])
async def test_a_failure_is_paid_to_whom_it_was_asked(resumes, upstream: Upstream, tmp_path):
    """Input that the first target told of, before it failed, is not reckoned at the price of the second, who failed
    without a word.
    """
    begun = anthropic_wire.message_stream("Hello")[:1]
    failed = json_reply({"error": {"message": "broken"}}, status=500)

    def answer(received):
        return sse_reply(begun) if received.path == "/v1/messages" else failed

    upstream.always(answer)
    prices = {"anthropic,m1": priced(10_000), "openai,m1": priced(70_000)}
    config = {
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "anthropic,m1"},
        "fallback": {"default": ["openai,m1"]},
        "prices": prices,
        "resume": resumes,
    }
    async with recording(config, tmp_path) as (router, last):
        status, _, _raw = await router.ask(stream=True)
        told = last()
    assert status >= 500
    first, second = told["attempts"]
    assert second["tokens"] is None
    assert told["cost"]["usd"] == pytest.approx(sum(first["tokens"].values()) / 100)


async def test_an_answer_that_broke_off_is_not_free(upstream: Upstream, tmp_path):
    """A stream that breaks off in its text, before its provider told of any use, has cost nobody knows how much."""
    begun = chat_wire.chat_stream("Hello world, how are you", size=3)
    upstream.reply(sse_reply(begun[:4]))
    config = {
        "Providers": [provider(upstream, "openai")],
        "Router": {"default": "openai,m1"},
        "prices": {"openai,m1": priced(1)},
    }
    async with recording(config, tmp_path) as (router, last):
        _, _, raw = await router.ask(stream=True)
        assert b"text_delta" in raw
        assert b'"error"' in raw
        told = last()
    assert told["status"] >= 400
    assert told["cost"]["usd"] is None
    assert told["attempts"][0]["tokens"] is None


async def test_a_refusal_costs_nothing(upstream: Upstream, tmp_path):
    """A request that its provider refused has cost nothing: that is known."""
    upstream.reply(json_reply({"error": {"message": "no"}}, status=400))
    config = {"Providers": [provider(upstream, "openai")], "Router": {"default": "openai,m1"}}
    async with recording(config, tmp_path) as (router, last):
        await router.ask()
        assert last()["cost"]["usd"] == 0.0


@pytest.mark.parametrize("body", [b"{", b'{"model": 1}', b'{"messages": 3}'])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_request_that_cannot_be_read_has_a_size(path, body, upstream: Upstream, tmp_path):
    """How long a request was that could not be read is known all the same."""
    config = {"Providers": [provider(upstream, "openai")], "Router": {"default": "openai,m1"}}
    async with recording(config, tmp_path) as (router, last):
        async with router.client.post(router.url + path, data=body) as response:
            assert response.status == 400
        told = last()
    assert told["bytes"] == len(body)


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_empty_answer_is_whose_it_was(streamed, upstream: Upstream, tmp_path):
    """Where the first target answered without a word and the second one failed, the first one's is the answer: the
    headers and the record say so.
    """
    made = (anthropic_wire.message_stream if streamed else anthropic_wire.message_json)(None, model="silent-1")
    silent = sse_reply(made) if streamed else json_reply(made)
    failed = json_reply({"error": {"message": "broken"}}, status=500)
    upstream.always(lambda received: silent if received.path == "/v1/messages" else failed)
    config = {
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "anthropic,m1"},
        "fallback": {"default": ["openai,m2"]},
    }
    async with recording(config, tmp_path) as (router, last):
        status, headers, raw = await router.ask(stream=streamed)
        assert status == 200, raw
        told = last()
    assert headers["x-ccr-model"] == "anthropic,m1"
    assert (told["provider"], told["sent"], told["answered"]) == ("anthropic", "m1", "silent-1")
    assert (told["stopReason"], told["error"]) == ("end_turn", None)


async def test_who_failed_did_not_answer(upstream: Upstream, tmp_path):
    """A model that began and failed before its first word is not told as the one that answered."""
    begun = sse_reply(anthropic_wire.message_stream("Hello", model="began-1")[:1])
    failed = json_reply({"error": {"message": "broken"}}, status=500)
    upstream.always(lambda received: begun if received.path == "/v1/messages" else failed)
    config = {
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "anthropic,m1"},
        "fallback": {"default": ["openai,m2"]},
    }
    async with recording(config, tmp_path) as (router, last):
        await router.ask(stream=True)
        told = last()
    assert (told["provider"], told["answered"], told["ttftMs"]) == ("openai", None, None)
