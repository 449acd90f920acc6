"""What is made of a file, and made anew when the file has changed. A change that fails leaves what was there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, TypeVar

from ccrouter.errors import RouterError
from ccrouter.extensions.faults import Journal
from ccrouter.extensions.stamps import Stamp, stamp_of

T = TypeVar("T")


class Hot(Generic[T]):
    """`load` makes it, and raises RouterError if it cannot. `open` it before `current` is asked for."""

    current: T

    def __init__(self, path: Path, load: Callable[[], Awaitable[T]], journal: Journal) -> None:
        self.path = path
        self._load = load
        self._journal = journal
        self._stamp: Stamp = None
        self._loading = asyncio.Lock()

    async def open(self) -> None:
        """Raises what `load` raises."""
        self._stamp = stamp_of(self.path)
        self.current = await self._load()

    async def refresh(self) -> T | None:
        """After the call `current` is made of what the file says now; what was there before, if it was replaced.

        A file that fails is not tried again before it changes again; the log tells.
        """
        if stamp_of(self.path) == self._stamp:
            return None
        async with self._loading:
            stamp = stamp_of(self.path)
            if stamp == self._stamp:  # somebody else has done it meanwhile
                return None
            try:
                new = await self._load()
            except RouterError as error:
                self._stamp = stamp
                self._journal(
                    "error", "custom code was changed and fails; what was there before goes on", file=str(self.path),
                    error=str(error),
                )  # fmt: skip
                return None
            self._stamp = stamp  # not before: whoever is given up amid loading leaves it to the next
            before, self.current = self.current, new
            self._journal("info", "custom code was changed, and is loaded anew", file=str(self.path))
            return before
