"""The limits of an attempt's time, with a clock that the tests move: which one ends it, and what its words say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from ccrouter.config.schema import Endpoint, Provider, Timeouts
from ccrouter.errors import UpstreamUnreachable
from ccrouter.upstream.client import UpstreamClient
from tests.upstream import Gate, Reply, Stall, Upstream

SSE = {"content-type": "text/event-stream"}
PROVIDER = Provider("slow", (), timeouts=Timeouts(connect=5, first_byte=100, idle=50))


class Clock:
    """The event loop's clock, which can be put forward."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._true = loop.time
        self._ahead = 0.0

    def __call__(self) -> float:
        return self._true() + self._ahead

    async def forward(self, seconds: float) -> None:
        """Put it forward, and let everything that is due by then happen."""
        self._ahead += seconds
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def clock() -> AsyncIterator[Clock]:
    loop = asyncio.get_running_loop()
    clock = Clock(loop)
    loop.time = clock
    yield clock
    del loop.time


@pytest.fixture
async def client(clock) -> AsyncIterator[UpstreamClient]:
    client = UpstreamClient()
    yield client
    await client.close()


async def begin(client: UpstreamClient, upstream: Upstream, **limits: float | None):
    endpoint = Endpoint("anthropic", f"{upstream.url}/v1/messages")
    provider = replace(PROVIDER, endpoints=(endpoint,), timeouts=replace(PROVIDER.timeouts, **limits))
    return await client.send(provider, endpoint, {}, json.dumps({"model": "m"}).encode())


@pytest.mark.parametrize(("limits", "kind", "after", "key"), [
    ({}, "first_byte", 101, "100 s (timeouts.firstByte"),
    ({"first_byte": 20.0}, "first_byte", 21, "20 s (timeouts.firstByte"),
    ({"total": 30.0}, "total", 31, "30 s (timeouts.total"),
])  # fmt: skip
@pytest.mark.parametrize("has_headers", [True, False])
async def test_before_the_first_byte(client, clock, upstream, limits, kind, after, key, has_headers):
    """Until the body begins, headers or not, the first-byte limit holds, once; or the total one if it is the shorter."""
    upstream.reply(Reply(200, SSE, (Stall(),)) if has_headers else _never)

    async def read():
        response = await begin(client, upstream, **limits)
        try:
            await response.read()
        finally:
            response.close()

    reading = asyncio.create_task(read())
    await upstream.request(1)
    await clock.forward(after - 2)
    assert not reading.done()
    await clock.forward(3)
    with pytest.raises(UpstreamUnreachable) as caught:
        await reading
    assert caught.value.kind == kind
    assert key in str(caught.value)


async def _never(received):
    await received.closed.wait()


@pytest.mark.parametrize(("limits", "kind", "after"), [
    ({}, "idle", 51),
    ({"idle": 200.0}, "idle", 201),
    ({"total": 30.0}, "total", 31),
    ({"idle": 200.0, "total": 150.0}, "total", 151),
])  # fmt: skip
async def test_in_the_middle(client, clock, upstream, limits, kind, after):
    """After the first byte silence is bounded by the idle limit, and all of it by the total one."""
    upstream.reply(Reply(200, SSE, (b": begun\n\n", Stall())))
    response = await begin(client, upstream, **limits)
    assert await response.read()
    reading = asyncio.create_task(response.read())
    await clock.forward(0)
    await clock.forward(after - 2)
    assert not reading.done()
    await clock.forward(3)
    with pytest.raises(UpstreamUnreachable) as caught:
        await reading
    assert caught.value.kind == kind
    assert f"timeouts.{kind}" in str(caught.value)
    response.close()


async def test_signs_of_life(client, clock, upstream):
    """Comments keep an upstream alive as long as they come, and the total limit ends it all the same, to the moment."""
    gates = [asyncio.Event() for _ in range(6)]
    steps = [step for gate in gates for step in (b": alive\n\n", Gate(gate))]
    upstream.reply(Reply(200, SSE, steps))
    response = await begin(client, upstream, total=200.0)
    for gate in gates[:4]:
        assert await response.read() == b": alive\n\n"
        await clock.forward(45)
        gate.set()
    assert await response.read()
    await clock.forward(25)
    with pytest.raises(UpstreamUnreachable) as caught:
        await response.read()
    assert caught.value.kind == "total"
    response.close()


@pytest.mark.parametrize("idle", [50.0, 200.0])
async def test_a_slow_client_is_not_the_upstreams_silence(client, clock, upstream, idle):
    """While nobody takes what has come, nothing runs out: the bytes are all there, however long it took."""
    size, pieces = 64 * 1024, 200
    upstream.reply(Reply(200, SSE, [b"x" * size] * pieces))
    response = await begin(client, upstream, idle=idle)
    got = len(await response.read())
    for _ in range(5):
        await clock.forward(idle * 3)
        got += len(await response.read())
    while chunk := await response.read():
        got += len(chunk)
    assert got == size * pieces
    response.close()
