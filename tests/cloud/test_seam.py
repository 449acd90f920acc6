"""The way out for the vendors' libraries, from their threads."""

from __future__ import annotations

import asyncio

import pytest

from ccrouter.config.schema import Endpoint, Provider
from ccrouter.errors import UpstreamUnreachable
from ccrouter.upstream.credentials.seam import Errand, Fetched, Seam

PROVIDER = Provider("vertex", (Endpoint("anthropic", "http://127.0.0.1:9/", "vertex"),))
ERRAND = Errand("GET", "http://127.0.0.1:9/token", {}, b"")


async def test_closed_amid_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seam that is closed just as a thread has handed over its errand does not leave that thread waiting for ever."""

    async def never(_provider: Provider, _errand: Errand) -> Fetched:
        await asyncio.Event().wait()
        raise AssertionError

    seam = Seam(PROVIDER, never)
    hand_over = asyncio.run_coroutine_threadsafe
    handed = []

    def hand_over_and_close(*args):
        handed.append(hand_over(*args))
        seam.close()  # the thread that closes was faster than the one that asks
        return handed[0]

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", hand_over_and_close)
    try:
        async with asyncio.timeout(10):
            with pytest.raises(UpstreamUnreachable, match="the router was stopped"):
                await asyncio.to_thread(seam.send, ERRAND)
    finally:
        handed[0].cancel()
