"""Connections for reading, handed out one to a question and taken back: as many as there are questions at once."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ccrouter.store.database import StoreUnusable, open_for_reading, place_of

#: Connections that are kept for the next question.
_KEPT = 4


@dataclass(slots=True)
class Reading:
    """An open file, and what its numbers stand for, as far as it was read."""

    connection: sqlite3.Connection
    place: tuple[int, int] | None
    names: dict[int, str] = field(default_factory=lambda: {0: ""})

    def learn_names(self) -> None:
        """After the call `names` has all that there are. Raises sqlite3.Error."""
        self.names.update(self.connection.execute("SELECT n, text FROM names WHERE n > ?", (max(self.names),)))

    def number_of(self, name: str) -> int:
        """The number of a name; -1, which no row has, if there is none. Raises sqlite3.Error."""
        found = self.connection.execute("SELECT n FROM names WHERE text = ?", (name,)).fetchone()
        return -1 if found is None else int(found[0])


class Pool:
    """Connections to the file at `path`, which may come, go and be another one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[Reading] = []

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reading]:
        """A connection for the block alone, in which all is seen as of one moment. Raises StoreUnusable."""
        one = self._take()
        try:
            one.connection.execute("BEGIN")
            one.learn_names()
            yield one
            one.connection.execute("COMMIT")
        except sqlite3.Error as error:
            one.connection.close()
            raise StoreUnusable(f"the records in {self.path} cannot be read: {error}") from error
        except BaseException:
            one.connection.close()
            raise
        if len(self._idle) < _KEPT:
            self._idle.append(one)
        else:
            one.connection.close()

    def close(self) -> None:
        """After the call nothing is open that is not in use."""
        while self._idle:
            self._idle.pop().connection.close()

    def _take(self) -> Reading:
        place = place_of(self.path)
        while self._idle:
            one = self._idle.pop()
            if one.place == place:
                return one
            one.connection.close()
        connection = open_for_reading(self.path)
        is_real = bool(connection.execute("PRAGMA database_list").fetchone()[2])
        return Reading(connection, place if is_real else None)  # what is empty now is soon filled
