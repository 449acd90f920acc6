"""The client's side of the connection: leaving, waiting, reading slowly."""

from __future__ import annotations

import asyncio
import gc

import pytest

from ccrouter.messages.events import Ping, render
from ccrouter.server.respond import SILENCE_LIMIT, HttpReply, Pulse
from tests.gateway.conftest import events_of, text_of
from tests.upstream import Gate, Reply, Stall, Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

MODELS = {"anthropic": "anthropic,m1", "openai": "openai,m1"}


def frames(dialect, text="Hello there, this is some text", **more):
    return (anthropic_wire.message_stream if dialect == "anthropic" else chat_wire.chat_stream)(text, **more)


@pytest.mark.parametrize("stage", ["before headers", "before content", "mid-stream", "unstreamed"])
async def test_client_leaving_cancels_upstream(router, upstream: Upstream, dialect, stage):
    """When the client hangs up, the upstream's connection is closed at once, at every stage; the next request is served."""
    steps = {"mid-stream": (*frames(dialect)[:4], Stall())}.get(stage, (Stall(),))
    reached = asyncio.Event()

    async def brain(received):
        reached.set()
        if stage in {"before headers", "unstreamed"}:
            await received.closed.wait()
        return Reply(200, {"content-type": "text/event-stream"}, steps)

    upstream.reply(brain)
    body = {"model": MODELS[dialect], "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    asking = asyncio.create_task(
        router.client.post(f"{router.url}/v1/messages", json={**body, "stream": stage != "unstreamed"})
    )
    await asyncio.wait_for(reached.wait(), 5)
    if stage == "mid-stream":
        response = await asyncio.wait_for(asking, 5)
        await response.content.readany()
        response.close()
    else:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await asyncio.wait_for(upstream.requests[0].closed.wait(), 1)
    upstream.reply(
        json_reply(anthropic_wire.message_json("next") if dialect == "anthropic" else chat_wire.chat_json("next"))
    )
    status, _, _ = await router.ask(model=MODELS[dialect])
    assert status == 200


async def test_many_exchanges_leave_no_tasks(router, upstream: Upstream, dialect):
    """After a hundred exchanges, no task of theirs is left."""
    upstream.always(sse_reply(frames(dialect, "Hi")))
    await router.stream(model=MODELS[dialect])
    before = len(asyncio.all_tasks())
    for _ in range(100):
        await router.stream(model=MODELS[dialect])
    gc.collect()
    assert len(asyncio.all_tasks()) <= before


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


async def test_silence_is_filled_with_pings():
    """A stream that is silent for the limit gets headers and a ping; one that is not, or has ended, gets none."""
    sent, clock = [], Clock()

    async def send(message):
        sent.append(message)

    pulse = Pulse(clock)
    reply = HttpReply(send, pulse, {"request-id": "r"}, clock)
    reply.expect_stream({"x-ccr-route": "default"})
    clock.now += SILENCE_LIMIT - 1
    pulse.beat()
    await asyncio.sleep(0)
    assert sent == []
    clock.now += 1
    pulse.beat()
    await asyncio.sleep(0)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (b"x-ccr-route", b"default") in sent[0]["headers"]
    assert sent[1]["body"] == render(Ping())
    assert reply.has_begun
    assert not reply.is_committed
    pulse.beat()
    await asyncio.sleep(0)
    assert len(sent) == 2
    await reply.end()
    clock.now += 2 * SILENCE_LIMIT
    pulse.beat()
    await asyncio.sleep(0)
    assert len(sent) == 3


async def test_a_failure_after_a_ping_is_an_error_event(router, upstream: Upstream, dialect, monkeypatch):
    """Once headers have gone out for a keep-alive, a failure is an error event, and nothing but pings comes before it."""
    monkeypatch.setattr("ccrouter.server.respond.SILENCE_LIMIT", 0.0)
    gate = asyncio.Event()

    async def brain(_received):
        await gate.wait()
        return Reply(529, {}, (b"busy",))

    upstream.reply(brain)
    body = {"model": MODELS[dialect], "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "x"}]}
    asking = asyncio.create_task(router.client.post(f"{router.url}/v1/messages", json=body))
    await upstream.request(1)
    router.app._pulse.beat()
    response = await asyncio.wait_for(asking, 5)  # headers are here, and the provider has said nothing yet
    assert response.status == 200
    gate.set()
    events = events_of(await response.read())
    assert {event["type"] for event in events[:-1]} == {"ping"}
    assert events[-1]["type"] == "error"
    assert events[-1]["error"]["type"] == "overloaded_error"


async def test_an_early_frame_is_not_held_for_a_later_one(router, upstream: Upstream, dialect):
    """Each delta reaches the client when it arrives, not when the next one does."""
    gate = asyncio.Event()
    whole = frames(dialect)
    upstream.reply(Reply(200, {"content-type": "text/event-stream"}, (*whole[:4], Gate(gate), *whole[4:])))
    body = {"model": MODELS[dialect], "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "x"}]}
    async with router.client.post(f"{router.url}/v1/messages", json=body) as response:
        first = b""
        while b"text_delta" not in first:
            first += await asyncio.wait_for(response.content.readany(), 5)
        gate.set()
        rest = await response.read()
    assert text_of(events_of(first + rest)) == "Hello there, this is some text"
