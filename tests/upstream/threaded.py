"""The scripted upstream with a synchronous face: its own loop in its own thread, for tests that drive subprocesses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.upstream.reply import Reply
from tests.upstream.server import Brain, Received, Upstream

T = TypeVar("T")


class ThreadedUpstream:
    """`with ThreadedUpstream() as up`: the interface of `Upstream`, callable from any thread.

    Reply functions run in the server's thread. Waits take a limit in seconds and raise TimeoutError.
    """

    def __init__(self, port: int = 0) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstream", daemon=True)
        self._port = port

    @property
    def url(self) -> str:
        return self._upstream.url

    @property
    def port(self) -> int:
        return self._upstream.port

    @property
    def requests(self) -> list[Received]:
        return self._upstream.requests

    @property
    def connections(self) -> int:
        return self._upstream.connections

    @property
    def failures(self) -> list[BaseException]:
        return self._upstream.failures

    def reply(self, *replies: Reply | Brain) -> None:
        self._upstream.reply(*replies)

    def always(self, reply: Reply | Brain) -> None:
        self._upstream.always(reply)

    def event(self) -> asyncio.Event:
        """An event for a `Gate`; set it with `set`."""
        return asyncio.Event()

    def set(self, event: asyncio.Event) -> None:
        self._loop.call_soon_threadsafe(event.set)

    def request(self, number: int = 1, seconds: float = 30) -> Received:
        """The number-th request (from 1), waited for."""
        return self._wait(self._upstream.request(number), seconds)

    def wait(self, event: asyncio.Event, seconds: float = 30) -> None:
        """Return when the event (`received.closed`, `received.done`) is set."""
        self._wait(event.wait(), seconds)

    def _wait(self, awaited: Coroutine[Any, Any, T], seconds: float) -> T:
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(awaited, seconds), self._loop).result()

    def __enter__(self) -> Self:
        self._thread.start()

        async def opened() -> Upstream:
            return await Upstream(self._port).__aenter__()

        self._upstream = self._wait(opened(), 10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._wait(self._upstream.__aexit__(kind, exc, trace), 10)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
