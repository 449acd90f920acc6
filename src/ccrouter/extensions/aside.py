"""Threads for the user's code: what hangs there holds up nobody else. Knows nothing of transforms.

Work is given to a thread as a whole. Where it comes to the user's code it says so (`at_work`), and from then on the
clock runs; a coroutine of the user's is handed back to the event loop, and waited for in the thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from ccrouter.errors import ExtensionError

T = TypeVar("T")

#: Threads that are kept for the next work.
_MOST_IDLE = 8
#: Threads that hang: nobody can end one. More are not risked.
_MOST_LOST = 16
#: How often it is looked, in seconds, whether our own part of the work has come to the user's.
_LOOK = 0.05
#: Seconds that a coroutine has to end after it was cancelled.
_GRACE = 1.0


class TookTooLong(ExtensionError):
    """The user's code was not done in time."""


class _Turn:
    """One piece of work: who is at it, and until when they may be."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.step: tuple[float, float, str] | None = None  # until, limit, what
        self._awaited: concurrent.futures.Future[Any] | None = None
        self._is_given_up = False

    def patience(self) -> float:
        """Seconds until it is worth a look."""
        step = self.step
        return _LOOK if step is None else max(0.0, step[0] - time.monotonic())

    def is_overdue(self) -> bool:
        step = self.step
        return step is not None and time.monotonic() >= step[0]

    def raise_overdue(self) -> None:
        """Raises TookTooLong of whoever is at work."""
        if (step := self.step) is not None:
            raise took_too_long(step[2], step[1])

    def wait(self, awaitable: Awaitable[T], limit: float, what: str) -> T:
        """What `awaitable` gives, carried out by the event loop. To be called in the thread."""

        async def carry_out() -> T:
            try:
                async with asyncio.timeout(limit) as clock:
                    return await awaitable
            except TimeoutError:
                if clock.expired():
                    raise took_too_long(what, limit) from None
                raise

        awaited: concurrent.futures.Future[T] = asyncio.run_coroutine_threadsafe(carry_out(), self.loop)
        self._awaited = awaited
        self.step = (time.monotonic() + limit + _GRACE, limit, what)  # for one that does not let itself be cancelled
        try:
            if self._is_given_up:
                awaited.cancel()
            return awaited.result()
        except concurrent.futures.CancelledError:
            raise ExtensionError(f"{what} was given up: nobody waits for it") from None
        finally:
            self.step = None

    def give_up(self) -> None:
        """Nobody waits for it any more: what the event loop does for it is cancelled."""
        self._is_given_up = True
        if self._awaited is not None:
            self._awaited.cancel()


_turn: contextvars.ContextVar[_Turn] = contextvars.ContextVar("turn")


def took_too_long(what: str, limit: float) -> TookTooLong:
    return TookTooLong(f"{what} took longer than {limit:g} s (`timeoutMs`)")


@contextlib.contextmanager
def at_work(what: str, limit: float) -> Iterator[None]:
    """What is called within is the user's code, called `what` in messages, and has `limit` seconds."""
    turn = _turn.get(None)
    if turn is None:  # nobody waits elsewhere
        yield
        return
    turn.step = (time.monotonic() + limit, limit, what)
    try:
        yield
    finally:
        turn.step = None


def wait_for(awaitable: Awaitable[T], what: str, limit: float) -> T:
    """What `awaitable` gives, from within work of `Aside.carry_out`. Raises TookTooLong."""
    return _turn.get().wait(awaitable, limit, what)


class Aside:
    """The threads. Daemons: a hook that hangs does not keep the process from ending."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._lost = 0
        self._is_closed = False

    async def carry_out(self, work: Callable[[], T]) -> T:
        """`work()`, in a thread. Raises what it raises, and TookTooLong once the user's code in it has had its time:
        then the thread is given up. Raises ExtensionError if too many hang already.
        """
        turn = _Turn(asyncio.get_running_loop())
        done: asyncio.Future[tuple[T | None, BaseException | None]] = turn.loop.create_future()
        worker = self._take()
        context = contextvars.copy_context()
        context.run(_turn.set, turn)
        worker.jobs.put((lambda: context.run(work), done))
        try:
            while not done.done():
                await asyncio.wait([done], timeout=turn.patience())
                if not done.done() and turn.is_overdue():
                    self._lose(worker)
                    turn.raise_overdue()
        except BaseException:
            turn.give_up()
            raise
        result, error = done.result()
        if error is not None:
            raise error
        return result  # type: ignore[return-value] # without an error it is what `work` gave

    def close(self) -> None:
        """Idle threads end now, the others when their work does."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.jobs.put(None)

    def _take(self) -> _Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._lost >= _MOST_LOST:
                raise ExtensionError(f"{_MOST_LOST} calls of custom code hang: mend it and restart the router")
        return _Worker(self._give_back)

    def _lose(self, worker: _Worker) -> None:
        with self._lock:
            if worker not in self._idle:  # else it has just come to its end
                worker.is_lost = True
                self._lost += 1

    def _give_back(self, worker: _Worker) -> bool:
        """True if it is to wait for more work."""
        with self._lock:
            if worker.is_lost:
                self._lost -= 1
                return False
            if self._is_closed or len(self._idle) >= _MOST_IDLE:
                return False
            self._idle.append(worker)
            return True


_Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class _Worker:
    def __init__(self, give_back: Callable[[_Worker], bool]) -> None:
        self.jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self.is_lost = False
        self._give_back = give_back
        threading.Thread(target=self._run, name="ccr-user-code", daemon=True).start()

    def _run(self) -> None:
        while job := self.jobs.get():
            work, done = job
            outcome: tuple[Any, BaseException | None]
            try:
                outcome = (work(), None)
            except BaseException as error:  # noqa: BLE001 - whoever waits for it is told
                outcome = (None, error)
            is_kept = self._give_back(self)
            _settle(done, outcome)
            del job, work, done, outcome  # what an answer was made of is not kept until the next
            if not is_kept:
                return


def _settle(done: asyncio.Future[Any], outcome: tuple[Any, BaseException | None]) -> None:
    def tell() -> None:
        if not done.done():
            done.set_result(outcome)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for it
        done.get_loop().call_soon_threadsafe(tell)
