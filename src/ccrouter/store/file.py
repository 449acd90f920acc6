"""The file that one recorder writes to: opened when it is needed, given up and opened anew after a fault."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ccrouter.config.schema import RecordKeeping
from ccrouter.store.database import StoreUnusable, is_broken, open_for_writing, place_of, put_aside
from ccrouter.store.retention import clear_some
from ccrouter.store.rows import Row
from ccrouter.store.writing import Writing

#: Seconds between two tries to write what could not be written, and between two looks at whether the file is in place.
_PAUSE = 1.0
#: Rows that wait for a disk that cannot be written; of more than that the oldest are lost.
_MOST_WAITING = 20_000
#: For how long a writer waits for another one, in milliseconds.
_PATIENCE = 2000
#: For how long after a fault the next one is counted, but not told again.
_QUIET = 60.0
#: What is the fault of a row, and not of the disk: twice the same, no text, too large a number.
_OF_A_ROW = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    UnicodeError,
    OverflowError,
)


class RecordFile:
    """Writes rows to the file at `path`. For one thread alone. `keeping` says what is kept for how long."""

    def __init__(
        self, path: Path, keeping: RecordKeeping, tell: Callable[[str], None], now: Callable[[], float]
    ) -> None:
        self.path = path
        self.keeping = keeping
        self.lost = 0
        self.faults = 0
        self._tell = tell
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._writing: Writing | None = None
        self._place: tuple[int, int] | None = None
        self._looked = self._next_try = self._quiet_until = 0.0
        self._is_failing = False
        self._has_told_of_row = False
        self._told_counts: dict[str, int] = {}

    def connection(self) -> sqlite3.Connection | None:
        """The open file; None if it cannot be opened now, which was told."""
        now = time.monotonic()
        if self._connection is not None and now - self._looked >= _PAUSE:
            self._looked = now
            if place_of(self.path) != self._place:  # removed, or another one put in its place
                self.close()
        if self._connection is None and now >= self._next_try:
            try:
                self._open()
            except (sqlite3.Error, OSError, StoreUnusable) as error:
                self._fail(error)
        return self._connection

    def write(self, rows: list[Row], threads: Mapping[str, tuple[bytes, int]], shed: Mapping[str, int]) -> bool:
        """True if all of it is in the file now; else the caller keeps it for the next try, as much as may be kept.
        `shed` counts what was given up since the start: the file has the sums of all processes.
        """
        if self.connection() is None or self._writing is None:
            self._bound(rows)
            return False
        try:
            self._writing.write(rows, threads, self._since_told(shed))
        except _OF_A_ROW:
            return self._write_singly(rows)
        except sqlite3.Error as error:
            self._fail(error)
            self._bound(rows)
            return False
        self._told_counts = self._counts(shed)
        self._recover()
        return True

    def _counts(self, shed: Mapping[str, int]) -> dict[str, int]:
        return {**shed, "exchanges": shed["exchanges"] + self.lost, "faults": self.faults}

    def _since_told(self, shed: Mapping[str, int]) -> dict[str, int]:
        return {name: count - self._told_counts.get(name, 0) for name, count in self._counts(shed).items()}

    def clear_away(self) -> bool:
        """A step of clearing away what is too old or too much; True if there is nothing left to do for now."""
        if not self.keeping.enabled and self._connection is None and not self.path.exists():
            return True  # where nothing is kept, no file is made for it
        connection = self.connection()
        if connection is None:
            return True
        try:
            return clear_some(connection, self.keeping, self._now())
        except sqlite3.Error as error:
            self._fail(error)
            return True

    def seconds_to_wait(self) -> float:
        """Until it is worth trying again."""
        return max(0.05, self._next_try - time.monotonic())

    def close(self) -> None:
        """After the call the file is let go of; whoever needs it opens it anew."""
        connection, self._connection, self._writing = self._connection, None, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                self._fail(error)

    def _open(self) -> None:
        self._connection = open_for_writing(self.path, self._tell, _PATIENCE)
        self._writing = Writing(self._connection)
        self._place, self._looked = place_of(self.path), time.monotonic()

    def _write_singly(self, rows: list[Row]) -> bool:
        """Each row for itself, where one of them cannot be written: two of one number or one id, or what is no text.
        Those are lost, the others are not. As `write`.
        """
        while rows and self._writing is not None:
            row = rows[0]
            try:
                self._writing.write([row], {})
            except _OF_A_ROW as error:
                if not self._is_renumbered(row):
                    self.lost += 1
                    self._tell_of_row(error)
            except sqlite3.Error as error:
                self._fail(error)
                return False
            del rows[0]
        return True

    def _is_renumbered(self, row: Row) -> bool:
        """True if the row could be written under another number."""
        assert self._writing is not None  # as checked by the caller
        row.n += 1 << 10
        try:
            self._writing.write([row], {})
        except _OF_A_ROW:
            return False
        return True

    def _tell_of_row(self, error: Exception) -> None:
        if not isinstance(error, sqlite3.IntegrityError) and not self._has_told_of_row:
            self._has_told_of_row = True
            self._tell(f"a record cannot be written, and is lost: {error}")

    def _bound(self, rows: list[Row]) -> None:
        surplus = len(rows) - _MOST_WAITING
        if surplus > 0:
            del rows[:surplus]
            self.lost += surplus

    def _fail(self, error: Exception) -> None:
        self.faults += 1
        now = time.monotonic()
        self._next_try = now + _PAUSE
        connection, self._connection, self._writing = self._connection, None, None
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error) and is_broken(error) and place_of(self.path) == self._place:
            aside = put_aside(self.path)
            self._tell(f"the records in {self.path} are damaged ({error}): put aside as {aside.name}")
        if not self._is_failing:
            self._is_failing = True
            if now >= self._quiet_until:
                self._tell(f"the records in {self.path} cannot be written: {error}")

    def _recover(self) -> None:
        if self._is_failing:
            self._is_failing = False
            if time.monotonic() >= self._quiet_until:
                self._tell(f"the records in {self.path} can be written again; {self.lost} were lost")
            self._quiet_until = time.monotonic() + _QUIET  # a disk at its limit comes and goes
