"""One credential that runs out: fetched once for all who wait, and renewed before its time by a task of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ccrouter.errors import RouterError

T = TypeVar("T")

#: Renewed so many seconds before its end, or at half its life if that is shorter. Google's metadata server gives out
#: the old token until five minutes before its end (cloud.google.com/compute/docs/access/authenticate-workloads).
MARGIN = 300.0
#: Never sooner than that, whatever a server says of a token's life.
LEAST_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """A credential that is good now, and for at least `lasts` seconds from now; None: for ever."""

    value: T
    lasts: float | None


@dataclass(frozen=True, slots=True)
class _Held(Generic[T]):
    value: T
    until: float | None


class Keeper(Generic[T]):
    """Keeps what `load` gives. `load` raises RouterError for whatever goes wrong.

    `now` is the time of day in seconds, as credentials run out while a machine sleeps; `pause` waits so many seconds.
    A credential that nobody has used since it was loaded is not renewed: the next one to ask waits for a new one.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Loaded[T]]],
        now: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._load = load
        self._now = now
        self._pause = pause
        self._held: _Held[T] | None = None
        self._flight: asyncio.Task[_Held[T]] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._is_used = False

    async def get(self) -> T:
        """The credential: at once if there is one, else after it was loaded. Raises what `load` raises."""
        held = self._held
        if held is None or (held.until is not None and self._now() >= held.until):
            held = await asyncio.shield(self._loading())
        self._is_used = True
        return held.value

    def drop_if(self, is_refused: Callable[[T], bool]) -> bool:
        """The credential was refused by who should take it: if it is that one, it is not given out again.

        True if it was that one.
        """
        if self._held is None or not is_refused(self._held.value):
            return False
        self._held = None
        return True

    def close(self) -> None:
        """Nothing is loaded any more. Whoever waits is cancelled."""
        for task in (self._flight, self._renewal):
            if task is not None:
                task.cancel()

    def _loading(self) -> asyncio.Task[_Held[T]]:
        """The one load that is under way, begun if there is none."""
        if self._flight is None or self._flight.done():
            self._flight = asyncio.create_task(self._fetch())
            self._flight.add_done_callback(_note)
        return self._flight

    async def _fetch(self) -> _Held[T]:
        loaded = await self._load()
        until = None if loaded.lasts is None else self._now() + loaded.lasts
        self._held = held = _Held(loaded.value, until)
        self._is_used = False
        if until is not None and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._renew())
        return held

    async def _renew(self) -> None:
        """Renews for as long as it is used. What fails is tried again, ever sooner, until the credential's end."""
        while self._held is not None and self._held.until is not None:
            left = self._held.until - self._now()
            if left <= 0:
                return  # the next one to ask loads it, and is told what is wrong
            await self._pause(max(LEAST_PAUSE, left - min(MARGIN, left / 2)))
            if not self._is_used:
                return
            try:
                await self._loading()
            except RouterError:
                continue


def _note(task: asyncio.Task[_Held[T]]) -> None:
    """Its failure is told to whoever waited; if nobody did, that is no defect."""
    if not task.cancelled():
        task.exception()
