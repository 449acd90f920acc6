"""A client that leaves: whatever the router is doing for it ends at once, nothing more is asked, and it is put on record.

What happens before headers, before content, in mid-stream and to unstreamed answers is in tests/gateway/test_connection.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.conftest import events_of, provider, running, text_of
from tests.streams.conftest import LIMIT, connected, request_bytes, until
from tests.upstream import Gate, Reply, Stall, Upstream, anthropic_wire, chat_wire, json_reply

MODELS = {"anthropic": "anthropic,m1", "openai": "openai,m1"}


def whole(dialect: str) -> Reply:
    return json_reply(anthropic_wire.message_json("next") if dialect == "anthropic" else chat_wire.chat_json("next"))


def busy(dialect: str, status: int = 503, **headers: str) -> Reply:
    error = {"type": "overloaded_error", "message": "busy", "code": None}
    body = {"type": "error", "error": error} if dialect == "anthropic" else {"error": error}
    return json_reply(body, status, headers)


def config(upstream: Upstream, dialect: str, **more) -> dict:
    return {"Providers": [provider(upstream, dialect)], "Router": {"default": MODELS[dialect]}, **more}


async def serves_the_next(router, upstream: Upstream, dialect: str) -> None:
    """Somebody else is answered, and is the only one whom the provider heard of after what it knew before."""
    before = len(upstream.requests)
    upstream.always(whole(dialect))
    status, _, raw = await router.ask(model="next")
    assert (status, json.loads(raw)["content"][0]["text"]) == (200, "next")
    assert len(upstream.requests) == before + 1


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_while_its_request_is_read(upstream: Upstream, tmp_path, dialect, log, how):
    """A client that goes away in the middle of its request is told of as gone, and no provider hears of it."""
    loop = asyncio.get_running_loop()
    async with running(config(upstream, dialect), tmp_path, log=log.to_write) as router, asyncio.timeout(LIMIT):
        async with connected(router) as line:
            await loop.sock_sendall(line, request_bytes(model="any", length=100_000))
            async with router.client.get(f"{router.url}/health") as answer:  # by now the beginning has been read
                assert answer.status == 200
            if how == "reset":
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        assert (await log.line())["status"] == 499
        assert upstream.requests == []
        await serves_the_next(router, upstream, dialect)


def syn_sent(port: int) -> int:
    """How many connections of this machine to `port` are being made and have had no answer (proc(5), tcp: state 02)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "02" for row in rows)


@contextlib.asynccontextmanager
async def deaf() -> AsyncIterator[socket.socket]:
    """A listener that the system makes no more connections to: its queue is full, and nobody takes from it."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        listener.setblocking(False)  # noqa: FBT003 - as below
        address = listener.getsockname()
        pending = []
        while not syn_sent(address[1]):
            line = waiting.enter_context(socket.socket())
            line.setblocking(False)  # noqa: FBT003 - its name says what is set
            pending.append(asyncio.ensure_future(loop.sock_connect(line, address)))
            await asyncio.sleep(0)
        for one in pending:
            one.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        yield listener


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the system's table of connections")
async def test_while_a_connection_is_made(upstream: Upstream, tmp_path, dialect, log):
    """A provider that does not take the connection: the attempt ends with its client, long before its time-out."""
    async with deaf() as listener:
        settings = config(upstream, dialect, retry={"again": 2})
        port = listener.getsockname()[1]
        url = settings["Providers"][0]["api_base_url"]
        hanging = {
            **settings["Providers"][0],
            "name": "hanging",
            "api_base_url": url.replace(str(upstream.port), f"{port}"),
        }
        settings["Providers"].append(hanging)
        async with running(settings, tmp_path, log=log.to_write) as router, asyncio.timeout(LIMIT):
            before = syn_sent(port)
            asking = asyncio.create_task(router.ask(model="hanging,m1", stream=True))
            await until(lambda: syn_sent(port) > before)
            asking.cancel()
            await until(lambda: syn_sent(port) == before)
            line = await log.line()
            assert (line["status"], "attempts" in line) == (499, False)
            await serves_the_next(router, upstream, dialect)


async def test_while_a_connection_is_secured(upstream: Upstream, tmp_path, dialect, log):
    """A provider that takes the connection and never answers the TLS greeting sees it closed when the client leaves."""
    greeted, gone = asyncio.Event(), asyncio.Event()
    lines = 0

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal lines
        lines += 1
        assert (await reader.readexactly(1)) == b"\x16"  # a handshake
        greeted.set()
        with contextlib.suppress(ConnectionResetError):
            while await reader.read(65_536):
                pass
        gone.set()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as mute:
        port = mute.sockets[0].getsockname()[1]
        settings = config(upstream, dialect)
        url = (
            settings["Providers"][0]["api_base_url"]
            .replace("http://", "https://")
            .replace(str(upstream.port), f"{port}")
        )
        settings["Providers"].append({**settings["Providers"][0], "name": "mute", "api_base_url": url})
        async with running(settings, tmp_path, log=log.to_write) as router, asyncio.timeout(LIMIT):
            asking = asyncio.create_task(router.ask(model="mute,m1"))
            await greeted.wait()
            asking.cancel()
            await gone.wait()
            assert (await log.line())["status"] == 499
            assert lines == 1
            await serves_the_next(router, upstream, dialect)


class Patience:
    """`wait` of an App: a pause begins, and ends when it is cancelled or let end."""

    def __init__(self) -> None:
        self.began, self.ended, self.over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.seconds: list[float] = []

    async def wait(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.began.set()
        try:
            await self.over.wait()
        finally:
            self.ended.set()


@pytest.mark.parametrize("streamed", [True, False])
async def test_between_two_attempts(upstream: Upstream, tmp_path, dialect, log, streamed):
    """The pause before another attempt ends with the client, and that attempt is never made."""
    patience = Patience()
    upstream.always(busy(dialect))
    settings = config(upstream, dialect, retry={"again": 2})
    async with (
        running(settings, tmp_path, log=log.to_write, wait=patience.wait) as router,
        asyncio.timeout(LIMIT),
    ):
        asking = asyncio.create_task(router.ask(model="any", stream=streamed))
        await patience.began.wait()
        asking.cancel()
        await patience.ended.wait()
        assert (await log.line())["status"] == 499
        assert len(upstream.requests) == 1
        await serves_the_next(router, upstream, dialect)


async def test_while_a_key_rests(upstream: Upstream, tmp_path, dialect, log):
    """A provider has said when its key may be used again. Who waits for that and leaves is no longer waited for."""
    patience = Patience()
    now = 1000.0
    upstream.reply(busy(dialect, 429, **{"retry-after": "5"}))
    settings = config(upstream, dialect, retry={"again": 0})
    async with (
        running(settings, tmp_path, log=log.to_write, wait=patience.wait, clock=lambda: now) as router,
        asyncio.timeout(LIMIT),
    ):
        assert (await router.ask(model="any"))[0] == 429
        asking = asyncio.create_task(router.ask(model="any", stream=True))
        await patience.began.wait()
        assert patience.seconds == [pytest.approx(5.0)]
        asking.cancel()
        await patience.ended.wait()
        assert (await log.line(2))["status"] == 499
        assert len(upstream.requests) == 1
        now += 6
        await serves_the_next(router, upstream, dialect)


async def test_in_the_middle_of_an_unstreamed_answer(upstream: Upstream, tmp_path, dialect, log):
    """Half of a body is here and its client leaves: the rest is not waited for."""
    [body] = whole(dialect).steps
    assert isinstance(body, bytes)
    upstream.reply(Reply(200, {"content-type": "application/json"}, (body[:40], Stall()), "length", len(body)))
    async with running(config(upstream, dialect), tmp_path, log=log.to_write) as router, asyncio.timeout(LIMIT):
        asking = asyncio.create_task(router.ask(model="any"))
        await until(lambda: upstream.requests and upstream.requests[0].written > 40)
        asking.cancel()
        await upstream.requests[0].closed.wait()
        assert (await log.line())["status"] == 499
        await serves_the_next(router, upstream, dialect)


async def test_one_leaves_and_the_others_stay(upstream: Upstream, tmp_path, dialect, log):
    """Of twenty streams under way every other one is left: those end at the provider, the rest run to their end."""
    frames = (anthropic_wire.message_stream if dialect == "anthropic" else chat_wire.chat_stream)(
        "Hello there, all of you"
    )
    gate = asyncio.Event()

    upstream.always(Reply(200, {"content-type": "text/event-stream"}, (*frames[:4], Gate(gate), *frames[4:])))
    body = {"model": "any", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "x"}]}
    async with running(config(upstream, dialect), tmp_path, log=log.to_write) as router, asyncio.timeout(LIMIT):
        streams = []
        for _ in range(20):
            response = await router.client.post(f"{router.url}/v1/messages", json=body)
            streams.append((response, await response.content.readany()))
        for response, _ in streams[::2]:
            response.close()
        await until(lambda: sum(received.closed.is_set() for received in upstream.requests) == 10)
        gate.set()
        for response, first in streams[1::2]:
            events = events_of(first + await response.read())
            assert text_of(events) == "Hello there, all of you"
            assert events[-1]["type"] == "message_stop"
        await until(lambda: len(log.lines) == 20)
        assert sorted(line["status"] for line in log.lines) == [200] * 10 + [499] * 10
