"""The life of a serving process: when it is ready, what its signals mean, how it ends. Serves nothing itself.

The end, after a first SIGTERM or SIGINT: nobody new is let in, connections without a request are closed, answers under
way may go on for `drainSeconds`. What is left then, or at a second signal, is told that the router was stopped: a
stream by an `error` event, after which clients ask again, everything else by a 503.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Literal, Protocol

import uvicorn

from ccrouter.server.app import App
from ccrouter.server.watch import Watch

#: Seconds that answers which are cut off have to say so.
LAST_WORDS = 1.0
_TICK = 0.05


class Notices(Protocol):
    """Whoever started the process, and wants to know how it is. None of these fails."""

    #: Seconds within which it wants to hear of us each time; None: it does not ask.
    patience: float | None

    def ready(self, status: str) -> None:
        """Requests are being answered."""

    def reloading(self) -> None:
        """A reload has begun; `ready` tells that it is over."""

    def stopping(self, status: str) -> None:
        """The end has begun."""

    def alive(self) -> None:
        """The event loop turns."""


class Silence:
    """Nobody wants to know."""

    patience: float | None = None

    def ready(self, status: str) -> None:
        pass

    def reloading(self) -> None:
        pass

    def stopping(self, status: str) -> None:
        pass

    def alive(self) -> None:
        pass


class Server(uvicorn.Server):
    """Serves `app`. `on_ready` is called once requests are answered, `on_ending` when the end begins, with the seconds
    that answers under way still have; `place` is where we listen, for people.
    """

    def __init__(  # noqa: PLR0913 - what a process has one of, by name
        self,
        config: uvicorn.Config,
        *,
        app: App,
        place: str,
        on_ready: Callable[[], None],
        on_ending: Callable[[float], None],
        notices: Notices,
    ) -> None:
        super().__init__(config)
        self._app = app
        self._place = place
        self._on_ready = on_ready
        self._on_ending = on_ending
        self._notices = notices
        self._watching: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if not self.started:
            return
        gc.collect()
        gc.freeze()  # what is here now stays: the collector need not look at it again
        gc.set_threshold(10_000, 20, 50)  # an exchange makes thousands of objects, and hardly a cycle
        self._on_ready()
        self._notices.ready(self._status())
        editions = self._app.editions
        editions.observe = self._note_reload
        if editions.can_reload and self._app.board.is_first:
            self._watching = asyncio.create_task(Watch(editions).run())
        if self._notices.patience is not None:
            self._beating = asyncio.create_task(self._beat(self._notices.patience / 2))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but a second signal counts whichever it is, and who is cut off is told, and has the time to
        hear it.
        """
        if self._watching is not None:
            self._watching.cancel()
        seconds = self._app.in_force[0].drain_seconds
        self._on_ending(seconds)
        self._notices.stopping(f"ending; answers under way have {seconds:g} s")
        for server in self.servers:
            server.close()
        for one in sockets or []:
            one.close()
        await asyncio.sleep(_TICK)  # what is in the kernel's buffers has been sent to us: it is answered
        await self._drain(seconds)
        await self._cut_off()
        await self.lifespan.shutdown()
        if self._beating is not None:
            self._beating.cancel()

    async def _drain(self, seconds: float) -> None:
        """After the call no request is under way, or their time is up, or a second signal came."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        state = self.server_state
        while not self.force_exit:
            for connection in list(state.connections):
                connection.shutdown()  # one without a request is closed, any other says so in its answer
            if not (state.connections or state.tasks) or loop.time() >= deadline:
                return
            await asyncio.sleep(min(_TICK, max(0.0, deadline - loop.time())))

    async def _cut_off(self) -> None:
        """After the call no connection is open. Clients that read have heard why."""
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_WORDS)
        state, loop = self.server_state, asyncio.get_running_loop()
        for connection in list(state.connections):
            connection.transport.close()  # after what is in its buffer
        deadline = loop.time() + LAST_WORDS
        while state.connections and loop.time() < deadline:  # noqa: ASYNC110 - uvicorn's set tells nobody
            await asyncio.sleep(_TICK)
        for connection in list(state.connections):
            connection.transport.abort()  # it does not read

    async def _beat(self, seconds: float) -> None:
        while True:
            self._notices.alive()
            await asyncio.sleep(seconds)

    def _status(self) -> str:
        last = self._app.editions.last
        return f"serving at {self._place}" + ("" if last.state == "ok" else f"; the last reload was {last.state}")

    def _note_reload(self, moment: Literal["begin", "end"]) -> None:
        if moment == "begin":
            self._notices.reloading()
        else:
            self._notices.ready(self._status())

    # -- signals ---------------------------------------------------------------------------------------------------

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first asks for the end, any further one for the end at once."""
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but the signal is not raised again afterwards: an asked-for end is an exit code of 0. Signals
        that come when everything is said change nothing any more.
        """
        ours = [signal.SIGINT, signal.SIGTERM]
        if sys.platform == "win32":
            ours.append(signal.SIGBREAK)
        for number in ours:
            signal.signal(number, self.handle_exit)
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:  # nohup asks for that
            signal.signal(hangup, self._hangup_action())
            ours.append(hangup)
        try:
            yield
        finally:
            for number in ours:
                signal.signal(number, signal.SIG_IGN)

    def _hangup_action(self) -> Callable[[int, FrameType | None], None]:
        """What SIGHUP means: the end, if it came because our terminal is gone; else that we are to reload."""
        loop, had_terminal = asyncio.get_running_loop(), has_terminal()

        def hang_up(number: int, frame: FrameType | None) -> None:
            if had_terminal and not has_terminal():
                self.handle_exit(number, frame)
            elif not self.should_exit:
                loop.call_soon_threadsafe(self._app.editions.reload_soon)

        return hang_up


def has_terminal() -> bool:
    """True if a terminal controls this process."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
