"""Filters that change the blocks of an answer: what they have in common, so that what comes out is well formed. Pure.

A filter says which blocks begin and end; the numbers are given here, one after the other, as every client expects them.
Blocks that a filter does not touch may interleave as they did before.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Delta,
    MessageDelta,
    MessageEvent,
    StartBlock,
)


class BlockFilter:
    """Passes everything. A subclass changes what `start`, `delta`, `stop` and `ending` do, by means of `begin`, `add`
    and `end`; what these do comes out of the call in their order. A block that comes in is known by its number, one
    that goes out by whatever key it was begun with.
    """

    def __init__(self) -> None:
        self._out: list[MessageEvent] = []
        self._numbers: dict[Hashable, int] = {}
        self._next = 0

    def __call__(self, events: Iterable[MessageEvent]) -> list[MessageEvent]:
        """The events to send instead of `events`."""
        out: list[MessageEvent] = []
        self._out = out
        for event in events:
            if isinstance(event, BlockDelta):
                self.delta(event.index, event.delta)
            elif isinstance(event, BlockStart):
                self.start(event.index, event.content_block)
            elif isinstance(event, BlockStop):
                self.stop(event.index)
            elif isinstance(event, MessageDelta):
                out.append(self.ending(event))
            else:
                out.append(event)
        return out

    # -- what a subclass changes -----------------------------------------------------------------------------------

    def start(self, index: int, block: StartBlock) -> None:
        """A block begins."""
        self.begin(index, block)

    def delta(self, index: int, delta: Delta) -> None:
        """A piece of an open block."""
        self.add(index, delta)

    def stop(self, index: int) -> None:
        """A block ends."""
        self.end(index)

    def ending(self, event: MessageDelta) -> MessageDelta:
        """The message's last word; every block has ended."""
        return event

    # -- what it does so by ----------------------------------------------------------------------------------------

    def begin(self, key: Hashable, block: StartBlock) -> None:
        """Begin a block."""
        self._numbers[key] = self._next
        self._out.append(BlockStart(self._next, block))
        self._next += 1

    def add(self, key: Hashable, delta: Delta) -> None:
        """Add a piece to a block that was begun."""
        self._out.append(BlockDelta(self._numbers[key], delta))

    def end(self, key: Hashable) -> None:
        """End a block that was begun."""
        self._out.append(BlockStop(self._numbers.pop(key)))
