"""Who is drilled: the router itself, in this process, on a real socket. A test may drill somebody else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import uvicorn

from ccrouter.config.schema import Config
from ccrouter.drill.server import HOST
from ccrouter.server.app import App
from ccrouter.server.run import settings_of

#: Pauses between attempts take this share of their time in truth.
HASTE = 1 / 50


class Running(Protocol):
    """A router at a place. `asked` tells the targets of the last exchange, in order; None if it does not know."""

    place: tuple[str, int]

    def asked(self) -> list[str] | None: ...


class Subject(Protocol):
    """A router that can be started."""

    def running(self, config: Config) -> AbstractAsyncContextManager[Running]:
        """While open, it runs by `config`."""


class OwnRouter:
    """The router, without a log: a defect is told on stderr. `folder` is its home, where it finds nothing."""

    def __init__(self, folder: Path) -> None:
        self._environ = {"HOME": str(folder), "USERPROFILE": str(folder)}

    @contextlib.asynccontextmanager
    async def running(self, config: Config) -> AsyncIterator[Running]:
        haste = _Haste()
        app = App(config, environ=self._environ, clock=haste.now, wait=haste.wait)
        listener = socket.create_server((HOST, 0))
        settings = settings_of(app)
        settings.timeout_graceful_shutdown = 1
        server = _Server(settings)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.begun(serving)
            yield _Own(app, (HOST, listener.getsockname()[1]))
        finally:
            await _undisturbed(server.end(serving))
            listener.close()


class _Own:
    def __init__(self, app: App, place: tuple[str, int]) -> None:
        self.place = place
        self._app = app

    def asked(self) -> list[str] | None:
        last = self._app.exchanges.last()
        return None if last is None else [attempt["target"] for attempt in last["attempts"]]


class _Server(uvicorn.Server):
    """Signals are the drill's, not the server's: Ctrl-C ends all of it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._has_begun = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._has_begun.set()

    async def begun(self, serving: asyncio.Task[None]) -> None:
        """Returns once it serves. Raises what `serving` failed with."""
        waiting = asyncio.create_task(self._has_begun.wait())
        try:
            await asyncio.wait({waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if serving.done():
            serving.result()

    async def end(self, serving: asyncio.Task[None]) -> None:
        """Ends it. Told so before it has begun, it would leave open what it began with."""
        await self.begun(serving)
        self.should_exit = True
        await serving


async def _undisturbed(ending: Coroutine[None, None, None]) -> None:
    """After the call it is done, also where whoever asks for it is cancelled meanwhile."""
    task = asyncio.create_task(ending)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


class _Haste:
    """Time that passes faster while somebody pauses, for everybody who goes by it."""

    def __init__(self) -> None:
        self._gained = 0.0

    def now(self) -> float:
        return time.monotonic() + self._gained

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds * HASTE)
        self._gained += seconds * (1 - HASTE)
