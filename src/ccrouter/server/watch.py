"""Puts in force what was edited, by itself. Looks at files at an interval, and knows nothing of what is in them.

An edit counts once two looks on end have found the same: a file that is still being written is not judged. It is tried
once, whatever comes of it, until the files are others again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ccrouter.server.edition import Outcome
from ccrouter.server.editions import Editions
from ccrouter.server.sources import Look

#: Seconds between two looks.
INTERVAL = 1.0
#: Looks before a reload is tried again that failed for another reason than the files.
_LOOKS_OF_PATIENCE = 30


class Watch:
    """Looks after `editions`. `pause` waits for seconds between two looks."""

    def __init__(
        self,
        editions: Editions,
        *,
        interval: float = INTERVAL,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._editions = editions
        self._interval = interval
        self._pause = pause
        self._unsettled: Look | None = None
        self._patience = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._pause(self._interval)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - one look that fails is not the end of all
                self._editions.complain(error)

    async def look(self) -> Outcome | None:
        """One look: what came of the reload that it led to, None if it led to none."""
        config, _ = self._editions.in_force
        if not config.auto_reload:
            self._unsettled = None
            return None
        if self._patience:
            self._patience -= 1
            if not self._patience:
                return await self._reload()
        found = await asyncio.to_thread(self._editions.sources.look)
        if found == self._editions.sources.seen:
            self._unsettled = None
            return None
        if found != self._unsettled:
            self._unsettled = found
            return None
        return await self._reload()

    async def _reload(self) -> Outcome:
        self._unsettled = None
        outcome = await self._editions.reload_quietly()
        self._patience = _LOOKS_OF_PATIENCE if outcome == "failed" else 0
        return outcome
