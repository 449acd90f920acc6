"""The state that is kept of each conversation between two turns: opaque blobs by key, written with the records."""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable

#: States held in memory, those used last.
_REMEMBERED = 256


class Threads:
    """Reads states from the file, and gathers those that are to be written: `waiting`, with the time (whole seconds
    since 1970) at which each was put. For the recorder's thread alone; where there is no file, memory alone serves.
    """

    def __init__(
        self, connection: Callable[[], sqlite3.Connection | None], now: Callable[[], float] = time.time
    ) -> None:
        self._connection = connection
        self._now = now
        self._own: OrderedDict[str, bytes] = OrderedDict()
        self.waiting: dict[str, tuple[bytes, int]] = {}

    def get(self, key: str) -> bytes | None:
        """The state as it was put last, by whichever process; None if there is none. Raises sqlite3.Error."""
        waiting = self.waiting.get(key)
        if waiting is not None:
            return waiting[0]
        connection = self._connection()
        if connection is None:
            return self._own.get(key)
        row = connection.execute("SELECT body FROM threads WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, key: str, blob: bytes) -> None:
        """After the call `get` gives `blob`; it is in the file with the next records."""
        self.waiting[key] = (blob, int(self._now()))
        self._own[key] = blob
        self._own.move_to_end(key)
        while len(self._own) > _REMEMBERED:
            self._own.popitem(last=False)
