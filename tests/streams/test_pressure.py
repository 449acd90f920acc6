"""Back-pressure: what a slow client does not read is not fetched from the provider, and not held."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from tests.gateway.conftest import provider, running
from tests.streams.conftest import LIMIT, connected, request_bytes
from tests.upstream import Upstream, anthropic_wire, chat_wire, sse_reply

_PIECE = "x" * 65_536
_PIECES = 1_700
OFFERED = len(_PIECE) * _PIECES
#: What is under way at most: the system's buffers of two connections (up to 6 MB to take in and 4 MB to send each, on
#: Linux) and ours (some hundred KB). A fifth of what is offered, whatever the client has read.
UNDER_WAY = 24 * 1024 * 1024
#: Of that only ours are memory of this process; the provider's script and the client are in it too.
HELD = 8 * 1024 * 1024

#: Who is asked, by which path: identity of both dialects, and translations from and to each.
ROADS = {
    "Messages to itself": ("/v1/messages", "anthropic,m1"),
    "chat to Messages": ("/v1/messages", "openai,m1"),
    "chat to itself": ("/v1/chat/completions", "openai,m1"),
    "Messages to chat": ("/v1/chat/completions", "anthropic,m1"),
}


def offered(model: str):
    """More than 100 MB, in frames that are all the same one: the script itself is small."""
    if model == "openai,m1":
        head, *_, stop, usage, done = chat_wire.chat_stream(["x", _PIECE, "x"])
        return sse_reply([head, *[chat_wire.chunk({"content": _PIECE})] * _PIECES, stop, usage, done])
    frames = anthropic_wire.message_stream([_PIECE], pings=False)
    at = next(number for number, frame in enumerate(frames) if _PIECE.encode() in frame)
    return sse_reply([*frames[:at], *[frames[at]] * _PIECES, *frames[at + 1 :]])


async def settle(router, received) -> None:
    """Return when nothing has moved for a while: for twenty answers of the router to somebody else."""
    before, still = -1, 0
    while still < 20:
        async with router.client.get(f"{router.url}/health") as answer:
            await answer.read()
        still, before = (still + 1 if received.written == before else 0), received.written


@pytest.mark.parametrize("road", ROADS)
async def test_a_client_that_sips(upstream: Upstream, tmp_path, road):
    """A client reads 1 KB at a time of an answer of 100 MB: what the provider got rid of stays a fifth of it, and what
    this process holds a few megabytes. When the client leaves, the provider learns of it.
    """
    path, model = ROADS[road]
    config = {
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "anthropic,m1"},
    }
    upstream.reply(offered(model))
    loop = asyncio.get_running_loop()
    async with running(config, tmp_path) as router, asyncio.timeout(LIMIT):
        async with connected(router, buffer=8_192) as line:
            await loop.sock_sendall(line, request_bytes(path, model=model, stream=True))
            received = await upstream.request()
            await settle(router, received)
            tracemalloc.start()
            try:
                read = 0
                while read < 256 * 1024:
                    sip = await loop.sock_recv(line, 1_024)
                    assert sip
                    read += len(sip)
                    assert received.written - read < UNDER_WAY
                await settle(router, received)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert received.written - read < UNDER_WAY < OFFERED / 4
            assert not received.done.is_set()
            assert peak < HELD
        await received.closed.wait()


async def test_a_crowd_of_clients_that_do_not_read(upstream: Upstream, tmp_path):
    """Thirty answers of 100 MB to clients that read nothing take less than two megabytes each, and hold up nobody else."""
    config = {"Providers": [provider(upstream, "openai")], "Router": {"default": "openai,m1"}}
    upstream.always(offered("openai,m1"))
    loop = asyncio.get_running_loop()
    tracemalloc.start()
    try:
        async with running(config, tmp_path) as router, asyncio.timeout(2 * LIMIT):
            lines = [connected(router, buffer=8_192) for _ in range(30)]
            for number, line in enumerate(lines, 1):
                await loop.sock_sendall(await line.__aenter__(), request_bytes(model="any", stream=True))
                received = await upstream.request(number)
            await settle(router, received)
            held, _ = tracemalloc.get_traced_memory()
            assert held < 30 * 2 * 1024 * 1024
            assert not any(one.done.is_set() for one in upstream.requests)
            for line in lines:
                await line.__aexit__(None, None, None)
            for one in upstream.requests:
                await one.closed.wait()
    finally:
        tracemalloc.stop()
