"""What waits to be recorded: a bounded queue that gives up detail before it gives up a record. No I/O."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from ccrouter.gateway.record import Exchange, PromptNote

#: Exchanges that may wait; from these shares of them on contents and prompts, and then ledgers and facts, are given up.
MOST = 20_000
_WITHOUT_CONTENT = 0.25
_WITHOUT_DETAIL = 0.5
#: Bytes of prompts and of contents that may wait.
MOST_BYTES = 64 * 1024 * 1024
#: From this many bytes on nobody waits for more to come.
_PRESSING = MOST_BYTES // 4


@dataclass(slots=True)
class Shed:
    """How many of each kind were given up."""

    prompts: int = 0
    contents: int = 0
    details: int = 0
    exchanges: int = 0


@dataclass(slots=True)
class Mark:
    """Stands in the queue: `is_past` is set once everything before it was dealt with, `is_written` if it is on disk."""

    is_past: threading.Event = field(default_factory=threading.Event)
    is_written: bool = False


class Backlog:
    """Filled by one thread and emptied by another. Adding never blocks, and costs the same whatever waits."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._items: deque[Exchange | PromptNote | Mark] = deque()
        self._most, self._most_bytes = most, most_bytes
        self._without_content, self._without_detail = int(most * _WITHOUT_CONTENT), int(most * _WITHOUT_DETAIL)
        # Each of the two is changed by one thread alone: no lock.
        self._bytes_added = self._bytes_taken = 0
        self._is_awake = False
        self.shed = Shed()
        self.wake = threading.Event()
        self.hurry = threading.Event()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def held(self) -> int:
        """Bytes of prompts and contents that wait."""
        return self._bytes_added - self._bytes_taken

    def add(self, exchange: Exchange) -> None:
        """Let the exchange wait; it belongs to the queue now. Where much waits already, a part of it is given up."""
        waiting = len(self._items)
        if waiting >= self._without_content:
            self._lighten(exchange, waiting)
            if waiting >= self._most:
                self.shed.exchanges += 1
                return
        content = exchange.content
        if content is not None:
            size = len(content.request) + content.size
            if self.held + size > self._most_bytes:
                exchange.content = None
                self.shed.contents += 1
            else:
                self._bytes_added += size
        self._put(exchange)

    def add_prompt(self, note: PromptNote) -> None:
        """Let the note wait; it loses what it holds where too much waits already."""
        size = size_of(note)
        if len(self._items) >= self._without_content or self.held + size > self._most_bytes:
            note.asked = note.sent = None
            self.shed.prompts += 1
            return
        self._bytes_added += size
        self._put(note)
        if self.held > _PRESSING:
            self.hurry.set()

    def add_mark(self, mark: Mark) -> None:
        """Let the mark wait, behind everything that was added before."""
        self._put(mark)
        self.hurry.set()

    def _put(self, item: Exchange | PromptNote | Mark) -> None:
        self._items.append(item)
        if not self._is_awake:
            self._is_awake = True
            self.wake.set()

    def _lighten(self, exchange: Exchange, waiting: int) -> None:
        if exchange.content is not None:
            exchange.content = None
            self.shed.contents += 1
        if waiting >= self._without_detail:
            exchange.losses, exchange.kept, exchange.mapped = (), frozenset(), frozenset()
            exchange.facts = None
            self.shed.details += 1

    # -- the other side ----------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """After the call the next addition wakes whoever waits."""
        self.wake.clear()
        self._is_awake = False

    def take(self) -> Exchange | PromptNote | Mark | None:
        """What has waited longest; None if nothing does. A note's bytes are the caller's to `release`."""
        try:
            return self._items.popleft()
        except IndexError:
            return None

    def release(self, size: int) -> None:
        """So many bytes of what was taken are held no more."""
        self._bytes_taken += size


def size_of(note: PromptNote) -> int:
    """The bytes that a note holds on to."""
    asked = 0 if note.asked is None else sum(map(len, note.asked.values()))
    return asked + (0 if note.sent is None else len(note.sent))
