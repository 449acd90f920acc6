"""Starts the workers of one service, starts anew those that end, passes on what the service is told, ends with them.

Workers are fresh processes that are handed the listening sockets; this one answers no request itself. If it ends they
do: each sees its connection closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ccrouter.errors import ConfigError, RouterError
from ccrouter.server.lifetime import Notices, has_terminal
from ccrouter.server.run import loop_factory
from ccrouter.server.voice import Voice
from ccrouter.server.workers.audit import AuditDesk
from ccrouter.server.workers.hub import Hub
from ccrouter.server.workers.member import Place
from ccrouter.server.workers.parcel import unpack
from ccrouter.server.workers.wire import Message

#: Seconds that a worker may take from its start until it serves.
START_SECONDS = 60.0
#: A worker that ends within this many seconds of its start is started anew later each time, up to LONGEST_PAUSE.
_SHORT_LIFE = 30.0
_FIRST_PAUSE = 0.25
LONGEST_PAUSE = 30.0
#: Seconds between two looks at whether the workers answer: one that does not for two to three of them is killed.
_LOOK = 10.0
#: Seconds in which a worker ends whose connection is closed, before it is killed: its drain goes before that.
_GRACE = 15.0
#: Seconds beyond the drain after which a worker that was told to end is killed: fewer than `ccr stop` gives this one,
#: whose end a worker that hangs would survive, and hold the port.
_LAST_GRACE = 4.0
#: Of the environment: what is meant for this process by number or by right, and would mislead another.
_OWN = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"})


class NotStarted(RouterError):
    """A worker ended before it served: nothing is served then. It has said why, if the text does not."""


@dataclass(frozen=True, slots=True)
class Task:
    """What there is to do: `count` processes of `command`, each with `sockets` to serve on. `kept` is what each
    begins with, by topic; `desk` writes the audit trail, if one is kept. `drain` gives the seconds that requests
    under way have in the end. `on_ready` is called once all workers are about to serve: what it leaves behind is there
    when the first request is answered; `on_ending` when the end has begun, with those seconds. `notices` is told of
    both, and of reloads.
    """

    count: int
    command: Sequence[str]
    sockets: Sequence[socket.socket]
    kept: dict[str, bytes]
    desk: AuditDesk | None
    voice: Voice
    drain: Callable[[], float]
    on_ready: Callable[[], None]
    on_ending: Callable[[float], None]
    notices: Notices
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


@dataclass(slots=True)
class _Worker:
    number: int
    slot: int
    process: subprocess.Popen[bytes]
    began: float
    gone: asyncio.Event
    deadline: asyncio.TimerHandle
    is_ready: bool = False


class Supervisor:
    """Carries out a Task: `run`. `wait` pauses for seconds before a worker is started anew."""

    def __init__(
        self,
        task: Task,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._task = task
        self._clock = clock
        self._wait = wait
        self._started = datetime.now(UTC)
        self._hub = Hub(
            task.kept,
            said=self._hear,
            stuck=self._end_stuck,
            gone=self._lose,
            quorum=task.count,
            assembled=task.on_ready,
        )
        self._workers: dict[int, _Worker] = {}
        self._last = 0
        self._has_served = False
        self._stopped = asyncio.Event()
        self._failure: RouterError | None = None

    async def run(self) -> None:
        """Serve until `stop`; after the call no worker lives. Raises RouterError if one cannot start: all end then."""
        slots = [asyncio.create_task(self._keep(slot)) for slot in range(self._task.count)]
        beating = [asyncio.create_task(self._beat()), asyncio.create_task(self._look())]
        for slot in slots:
            slot.add_done_callback(self._note_end)
        try:
            await self._stopped.wait()
            await self._end_all(slots)
        finally:
            for one in beating:
                one.cancel()
            self._kill_all()
            self._hub.close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Tell every worker to end: in order the first time, at once the second. No other takes its place."""
        number = signal.SIGINT if self._is_over else signal.SIGTERM  # two of one kind that are pending at once are one
        if not self._is_over:
            self._stopped.set()
            seconds = self._task.drain()
            for one in self._task.sockets:
                one.close()
            self._task.on_ending(seconds)
            self._task.notices.stopping(f"ending; answers under way have {seconds:g} s")
        for worker in list(self._workers.values()):
            self._signal(worker, number)

    @property
    def _is_over(self) -> bool:
        return self._stopped.is_set()

    def reload(self) -> None:
        """Tell one worker to reload, and so all."""
        if not self._hub.wish("reload"):
            self._task.voice.event("warn", "no worker is there to reload")

    # -- one worker ----------------------------------------------------------------------------------------------------

    async def _keep(self, slot: int) -> None:
        """While the service runs, a worker in this slot."""
        pause = 0.0
        while not self._is_over:
            began = self._clock()
            try:
                worker = await self._start(slot)
            except OSError as error:  # no process or no descriptor to be had
                facts: dict[str, object] = {"slot": slot, "error": error.strerror or str(error)}
            else:
                await worker.gone.wait()
                facts = {
                    "pid": worker.process.pid,
                    "slot": slot,
                    "code": worker.process.returncode,
                }
                worker.deadline.cancel()
                del self._workers[worker.number]
            if self._stopped.is_set():
                return
            if not self._has_served:
                told = ", ".join(f"{name} {fact}" for name, fact in facts.items())
                self._fail(NotStarted(f"a worker ended before it served ({told})"))
                return
            is_short = self._clock() - began < _SHORT_LIFE
            pause = min(LONGEST_PAUSE, pause * 2 or _FIRST_PAUSE) if is_short else 0.0
            self._task.voice.note("error", "a worker ended and is started anew", {**facts, "seconds": pause})
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        """A pause, cut short by the end of the service."""
        if not seconds:
            return
        waiting = [asyncio.ensure_future(self._wait(seconds)), asyncio.ensure_future(self._stopped.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()

    async def _start(self, slot: int) -> _Worker:
        self._last += 1
        number = self._last
        place = Place(number, slot, os.getpid(), self._started)
        theirs: list[socket.socket] = []
        board, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        theirs.append(far)
        words = [f"--board={far.fileno()}", f"--place={place}"]
        if self._task.desk is not None:
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            theirs.append(far)
            words.append(f"--audit={far.fileno()}")
            self._task.desk.attend(near)
        shared = [one.fileno() for one in self._task.sockets]
        words.append(f"--sockets={','.join(map(str, shared))}")
        process = self._spawn(words, [*shared, *(one.fileno() for one in theirs)], theirs)
        loop = asyncio.get_running_loop()
        deadline = loop.call_later(START_SECONDS, self._end_stuck, number, "it does not get to serve")
        worker = _Worker(number, slot, process, self._clock(), asyncio.Event(), deadline)
        self._workers[number] = worker
        threading.Thread(target=_await_end, args=(worker, loop), name="ccr-worker", daemon=True).start()
        await self._hub.add(board, number)
        return worker

    def _spawn(
        self, words: Sequence[str], descriptors: Sequence[int], theirs: Sequence[socket.socket]
    ) -> subprocess.Popen[bytes]:
        environ = {name: value for name, value in self._task.environ.items() if name not in _OWN}
        try:
            return subprocess.Popen(  # noqa: S603 - this program itself
                [*self._task.command, *words],
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                env=environ,
                start_new_session=True,  # a terminal's signals are for this process, which passes them on
            )
        finally:
            for one in theirs:
                one.close()

    def _hear(self, number: int, message: Message) -> None:
        worker = self._workers.get(number)
        if worker is None:
            return
        if message.kind == "failed":
            told = unpack(message.body)
            error = NotStarted(told) if isinstance(told, str) else ConfigError(told)
            if not self._has_served:
                self._fail(error)
            else:
                self._task.voice.event("error", "a worker cannot start", pid=worker.process.pid, error=str(error))
            return
        if message.kind == "reloading":
            self._task.notices.reloading()
            return
        worker.is_ready = True
        worker.deadline.cancel()
        if not self._has_served and sum(one.is_ready for one in self._workers.values()) == self._task.count:
            self._has_served = True
        if self._has_served and message.topic:
            self._task.notices.ready(message.topic)

    def _fail(self, error: RouterError) -> None:
        self._failure = self._failure or error
        self.stop()

    def _note_end(self, slot: asyncio.Task[None]) -> None:
        """A slot that is no longer looked after, by a defect of ours, is the end: nobody would start another worker."""
        if not slot.cancelled() and (error := slot.exception()) is not None:
            self._fail(NotStarted(f"a defect of the router: {error!r}"))

    def _end_stuck(self, number: int, why: str) -> None:
        worker = self._workers.get(number)
        if worker is not None:
            self._task.voice.note("error", "a worker is ended", {"pid": worker.process.pid, "why": why})
            self._signal(worker, signal.SIGKILL)

    def _lose(self, number: int) -> None:
        """Its connection is closed: it is about to end, or out of order."""
        worker = self._workers.get(number)
        if worker is not None:
            worker.deadline.cancel()
            loop = asyncio.get_running_loop()
            worker.deadline = loop.call_later(_GRACE, self._end_stuck, number, "it does not get to its end")

    async def _beat(self) -> None:
        """Whoever started the service hears of it as long as this event loop turns."""
        notices = self._task.notices
        while notices.patience is not None:
            notices.alive()
            await asyncio.sleep(notices.patience / 2)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            self._hub.look()

    # -- the end -------------------------------------------------------------------------------------------------------

    async def _end_all(self, slots: Sequence[asyncio.Task[None]]) -> None:
        """Wait until every worker has ended, as long as it may take."""
        _, late = await asyncio.wait(slots, timeout=self._task.drain() + _LAST_GRACE)
        if late:
            self._kill_all()
            await asyncio.wait(late)

    def _kill_all(self) -> None:
        for worker in list(self._workers.values()):
            self._signal(worker, signal.SIGKILL)

    def _signal(self, worker: _Worker, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            worker.process.send_signal(number)  # not sent to a process that was waited for already


def _await_end(worker: _Worker, loop: asyncio.AbstractEventLoop) -> None:
    worker.process.wait()
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(worker.gone.set)


def worker_command(module: str) -> list[str]:
    """How a worker is started: this very Python, with `module` of this program as its main one."""
    return [sys.executable, "-P", "-m", module]


def supervise(task: Task, make: Callable[[Task], Supervisor] = Supervisor) -> None:
    """Serve until SIGTERM or SIGINT, as `run.serve` does with one process; SIGHUP reloads, or ends us if it tells that
    our terminal was closed. After the call no worker lives, and signals that ask for the end are ignored. Raises
    RouterError if a worker cannot start.
    """

    async def run() -> None:
        supervisor, loop, had_terminal = make(task), asyncio.get_running_loop(), has_terminal()

        def hang_up() -> None:
            if had_terminal and not has_terminal():
                supervisor.stop()
            else:
                supervisor.reload()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervisor.stop)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup asks for that
            loop.add_signal_handler(signal.SIGHUP, hang_up)
        await supervisor.run()

    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(run())
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
