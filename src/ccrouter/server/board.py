"""What processes that serve as one tell each other: the seam. A router that is one process tells nobody (`ALONE`).

What a topic's messages mean is known to who publishes and subscribes (unison.py); how they travel, to `workers`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

#: Told who published (the number of a process, never used twice) and what.
Apply: TypeAlias = Callable[[int, bytes], None]
#: Gives the answer to what another process asks; at once, if it is to be in order with what is published.
Give: TypeAlias = Callable[[bytes], bytes | Awaitable[bytes]]


class Board(Protocol):
    """Where a process of the service tells the others something, and hears what they tell.

    Everybody hears one process's messages in the order in which it published them. `pid` is the process that the user
    knows the service by, `started` when that one began, `number` this very process's.
    """

    pid: int
    started: datetime
    number: int

    @property
    def kept(self) -> Mapping[str, bytes]:
        """What this process began with, by topic (`ask`)."""

    @property
    def is_shared(self) -> bool:
        """False if nobody else is there, ever: what would be told need not be put together then."""

    @property
    def is_first(self) -> bool:
        """True in one process of the service: there happens what is to happen once, such as watching files."""

    def publish(self, topic: str, body: bytes) -> None:
        """Tell the others. Never waits."""

    def subscribe(self, topic: str, apply: Apply) -> None:
        """From now on `apply` is called with what others publish on `topic`."""

    def answer(self, topic: str, give: Give) -> None:
        """From now on `give` answers what others ask on `topic`."""

    def resemble(self, topic: str, give: Callable[[], bytes], take: Callable[[bytes], None]) -> None:
        """What a process that joins later is to know of `topic`: `give` gives it there, and `take` takes it here."""

    def on_departure(self, gone: Callable[[int], None]) -> None:
        """From now on `gone` is told of every process that has ended."""

    def on_wish(self, wish: str, grant: Callable[[], None]) -> None:
        """From now on `grant` is called when the service is told to do `wish` ("reload"), here and nowhere else."""

    async def ask(self, topic: str, body: bytes, seconds: float, *, keep: bool = False) -> list[bytes | None]:
        """What all others answer, in no order; None for each that did not within `seconds`, or ended meanwhile.

        With `keep`, `body` is also what a process that starts later begins with, and who does not answer is ended: it
        would go on by something else.
        """

    @property
    def turn(self) -> AbstractAsyncContextManager[None]:
        """While open nobody else has the turn, in any process, and none joins: what is in force may be changed. May be
        opened any number of times.
        """

    async def begin(self) -> None:
        """After the call what the others know is known here, and what they tell is heard."""

    async def close(self) -> None:
        """After the call nobody is told or heard any more."""


class Alone:
    """The board of a service that is one process."""

    number = 0

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.started = datetime.now(UTC)
        self._changing = asyncio.Lock()

    @property
    def kept(self) -> Mapping[str, bytes]:
        return {}

    @property
    def is_shared(self) -> bool:
        return False

    @property
    def is_first(self) -> bool:
        return True

    def publish(self, topic: str, body: bytes) -> None:
        """There is nobody."""

    def subscribe(self, topic: str, apply: Apply) -> None:
        """Nobody publishes."""

    def answer(self, topic: str, give: Give) -> None:
        """Nobody asks."""

    def resemble(self, topic: str, give: Callable[[], bytes], take: Callable[[bytes], None]) -> None:
        """Nobody joins."""

    def on_departure(self, gone: Callable[[int], None]) -> None:
        """Nobody leaves."""

    def on_wish(self, wish: str, grant: Callable[[], None]) -> None:
        """What one process is told to do comes as a signal."""

    async def ask(self, topic: str, body: bytes, seconds: float, *, keep: bool = False) -> list[bytes | None]:  # noqa: ARG002 - as the protocol has it
        return []

    @property
    def turn(self) -> AbstractAsyncContextManager[None]:
        return self._changing

    async def begin(self) -> None:
        """There is nobody to join."""

    async def close(self) -> None:
        """There is nobody to leave."""
