"""Silence: a provider that thinks for minutes is waited for, one that is dead is told as dead, whatever was sent meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from ccrouter.server import respond
from ccrouter.server.respond import SILENCE_LIMIT
from tests.gateway.conftest import events_of, provider, running, text_of
from tests.streams.conftest import LIMIT
from tests.upstream import Gate, Reply, Stall, Upstream, anthropic_wire, chat_wire, json_reply

MODELS = {"anthropic": "anthropic,m1", "openai": "openai,m1"}
_STREAM = {"content-type": "text/event-stream"}


class Clock:
    """The router's own; that of the event loop, and with it the limits of waiting, is the real one."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def frames(dialect: str, text: str = "Hello there, this is some text"):
    return (anthropic_wire.message_stream if dialect == "anthropic" else chat_wire.chat_stream)(text)


def config(upstream: Upstream, **limits) -> dict:
    return {
        "Providers": [
            provider(upstream, "anthropic", timeouts=limits),
            provider(upstream, "openai", timeouts=limits),
        ],
        "Router": {"default": "anthropic,m1"},
    }


def asking(router, dialect: str, **more):
    body = {"model": MODELS[dialect], "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "x"}]}
    return router.client.post(f"{router.url}/v1/messages", json={**body, **more})


@pytest.mark.parametrize("when", ["before headers", "before content", "mid-stream"])
async def test_a_dead_provider_under_keep_alives(upstream: Upstream, tmp_path, dialect, when, monkeypatch):
    """Keep-alives go out all the time, and the provider is told as dead all the same: they are no sign of its life."""
    monkeypatch.setattr(respond, "SILENCE_LIMIT", 0.0)
    steps = {"before headers": None, "before content": (), "mid-stream": tuple(frames(dialect)[:4])}[when]

    async def brain(received):
        if steps is None:
            await received.closed.wait()
        return Reply(200, _STREAM, (*(steps or ()), Stall()))

    upstream.always(brain)
    told = b""
    async with running(config(upstream, firstByte=0.4, idle=0.4), tmp_path) as router, asyncio.timeout(LIMIT):
        post = asyncio.create_task(asking(router, dialect)._coro)
        await upstream.request()
        while not post.done():  # the first keep-alive brings the headers
            router.app._pulse.beat()
            await asyncio.sleep(0)
        response = await post
        while chunk := await response.content.readany():
            told += chunk
            router.app._pulse.beat()
        response.close()
        await upstream.requests[0].closed.wait()
    events = events_of(told)
    assert events[-1]["type"] == "error"
    assert ("timeouts.idle" if when == "mid-stream" else "timeouts.firstByte") in events[-1]["error"]["message"]
    assert [event["type"] for event in events].count("ping") > 10
    assert not any(event["type"] == "message_stop" for event in events)


async def test_minutes_of_prefill(upstream: Upstream, tmp_path, dialect):
    """A model that reads for ten minutes before its first token: a keep-alive every fifteen seconds, and then the answer."""
    clock, gate = Clock(), asyncio.Event()
    upstream.reply(Reply(200, _STREAM, (Gate(gate), *frames(dialect))))
    async with running(config(upstream), tmp_path, clock=clock) as router, asyncio.timeout(LIMIT):
        post = asyncio.create_task(asking(router, dialect)._coro)
        await upstream.request()
        told = b""
        for number in range(1, 41):
            clock.now += SILENCE_LIMIT
            router.app._pulse.beat()
            response = await post
            while told.count(b"event: ping") < number:
                told += await response.content.readany()
            router.app._pulse.beat()  # not yet due again
        gate.set()
        told += await response.content.read()
    events = events_of(told)
    assert [event["type"] for event in events[:40]] == ["ping"] * 40
    assert text_of(events) == "Hello there, this is some text"
    assert events[-1]["type"] == "message_stop"
    assert sum(event["type"] == "ping" for event in events) <= 41  # and the provider's own


async def test_a_pause_in_the_middle(upstream: Upstream, tmp_path, dialect):
    """A model that falls silent for minutes in the middle of its answer: the keep-alives stand between whole events."""
    clock, gate = Clock(), asyncio.Event()
    whole = frames(dialect)
    upstream.reply(Reply(200, _STREAM, (*whole[:4], Gate(gate), *whole[4:])))
    async with running(config(upstream), tmp_path, clock=clock) as router, asyncio.timeout(LIMIT):
        response = await asking(router, dialect)
        told = b""
        while b"text_delta" not in told:
            told += await response.content.readany()
        before = told.count(b"event: ping")
        for number in range(1, 21):
            clock.now += SILENCE_LIMIT
            router.app._pulse.beat()
            while told.count(b"event: ping") < before + number:
                told += await response.content.readany()
        gate.set()
        told += await response.content.read()
    events = events_of(told)
    assert text_of(events) == "Hello there, this is some text"
    assert events[-1]["type"] == "message_stop"


async def test_a_keep_alive_is_not_content(upstream: Upstream, tmp_path, dialect, monkeypatch):
    """After keep-alives have gone out the next provider may still answer, in the same stream, unseen."""
    monkeypatch.setattr(respond, "SILENCE_LIMIT", 0.0)
    gate = asyncio.Event()
    other = "openai" if dialect == "anthropic" else "anthropic"

    async def busy(_received):
        await gate.wait()
        return json_reply({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, 529)

    upstream.reply(busy, Reply(200, _STREAM, tuple(frames(other, "from the second"))))
    settings = config(upstream) | {"fallback": {"default": [MODELS[other]]}}
    settings["Router"]["default"] = MODELS[dialect]
    async with running(settings, tmp_path) as router, asyncio.timeout(LIMIT):
        post = asyncio.create_task(asking(router, dialect, model="any")._coro)
        await upstream.request()
        while not post.done():
            router.app._pulse.beat()
            await asyncio.sleep(0)
        gate.set()
        events = events_of(await (await post).read())
    assert text_of(events) == "from the second"
    assert events[0]["type"] == "ping"
    assert events[-1]["type"] == "message_stop"
    assert len(upstream.requests) == 2
