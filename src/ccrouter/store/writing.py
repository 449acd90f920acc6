"""Rows into the file: a batch in one short transaction, numbers for names looked up once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ccrouter.store.rollups import Sums
from ccrouter.store.rows import ATTEMPT_COLUMNS, COLUMNS, NAMED, SESSION, SHIFT, Row

_MOST_KNOWN = 20_000
#: Texts that a table of them has at most: they are the clients' and the providers' to choose, stay for good, and who
#: reads the records has all of them in memory. What comes later is one of `_OTHERS`.
_MOST_TEXTS = 50_000
_OTHERS = "(others)"
#: Seconds after which sessions are looked up anew: one that has ended long ago may have been removed meanwhile.
_SESSIONS_KNOWN_FOR = 3600.0

_EXCHANGE = f"INSERT INTO exchanges ({COLUMNS}) VALUES ({', '.join('?' * 41)})"  # noqa: S608 - constants
_ATTEMPT = f"INSERT INTO attempts ({ATTEMPT_COLUMNS}) VALUES ({', '.join('?' * 18)})"  # noqa: S608 - constants
_DETAIL = "INSERT INTO details (n, shape, price, body) VALUES (?, ?, ?, ?)"
_CONTENT = "INSERT INTO contents (n, kind, request, answer, is_cut) VALUES (?, ?, ?, ?, ?)"
_THREAD = (
    "INSERT INTO threads (key, body, at) VALUES (?, ?, ?) "
    "ON CONFLICT DO UPDATE SET body = excluded.body, at = excluded.at"
)
_COUNT = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value"
_NOTHING: Mapping[str, int] = {}


class Numbers:
    """The numbers of texts in one table, looked up and given out. What a transaction gave out counts if it is
    committed: after one that was not, `forget`. `others` stands for all beyond _MOST_TEXTS; None: there are never many.
    """

    def __init__(self, table: str, column: str, others: str | None = _OTHERS) -> None:
        self._find = f"SELECT n FROM {table} WHERE {column} = ?"  # noqa: S608 - constants
        self._add = f"INSERT INTO {table} ({column}) VALUES (?)"  # noqa: S608 - constants
        self._remove = f"DELETE FROM {table} WHERE n = ?"  # noqa: S608 - constants
        self._others = others
        self.known: dict[str, int] = {"": 0}

    def number(self, connection: sqlite3.Connection, text: str) -> int:
        """The number of `text`, a new one if it had none; 0 for "". Raises sqlite3.Error."""
        found = connection.execute(self._find, (text,)).fetchone()
        number = int(found[0]) if found else self._give(connection, text)
        self.known[text] = number
        return number

    def _give(self, connection: sqlite3.Connection, text: str) -> int:
        number = int(connection.execute(self._add, (text,)).lastrowid or 0)
        if number <= _MOST_TEXTS or self._others is None or text == self._others:
            return number
        connection.execute(self._remove, (number,))
        return self.number(connection, self._others)

    def forget(self) -> None:
        """What is known is looked up anew."""
        self.known = {"": 0}

    def bound(self) -> None:
        """Forget if too much is known: names are the clients', and there may be any number of them."""
        if len(self.known) > _MOST_KNOWN:
            self.forget()


class Writing:
    """Writes to one open file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._names = Numbers("names", "text")
        self._shapes = Numbers("shapes", "body", "{}")
        self._prices = Numbers("shapes", "body", None)
        self._sessions: dict[str, int] = {"": 0}
        self._sessions_since = time.monotonic()

    def write(
        self, rows: Iterable[Row], threads: Mapping[str, tuple[bytes, int]], counts: Mapping[str, int] = _NOTHING
    ) -> None:
        """All rows, the threads' states and what is counted more are in the file after the call, or nothing is. Raises
        sqlite3.Error.
        """
        connection = self._connection
        self._names.bound()
        self._shapes.bound()
        self._prices.bound()
        now = time.monotonic()
        if len(self._sessions) > _MOST_KNOWN or now - self._sessions_since > _SESSIONS_KNOWN_FOR:
            self._sessions, self._sessions_since = {"": 0}, now
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._write_rows(rows)
            if threads:
                connection.executemany(_THREAD, ((key, body, at) for key, (body, at) in threads.items()))
            connection.executemany(_COUNT, ((name, count) for name, count in counts.items() if count))
            connection.execute("COMMIT")
        except BaseException:
            self._names.forget()
            self._shapes.forget()
            self._prices.forget()
            self._sessions = {"": 0}
            if connection.in_transaction:
                connection.rollback()
            raise

    def _write_rows(self, rows: Iterable[Row]) -> None:
        sums = Sums()
        exchanges: list[tuple[Any, ...]] = []
        attempts: list[tuple[Any, ...]] = []
        details: list[tuple[Any, ...]] = []
        contents: list[tuple[Any, ...]] = []
        for row in rows:
            values = self._numbered(row)
            exchanges.append((row.n, row.id, *values))
            sums.add(row, values)
            for place, target, key, kind, *rest in row.attempts:
                attempts.append((row.n, place, self._name(target), self._name(key), self._name(kind), *rest))
            details.append((row.n, self._shape(row.shape), self._price(row.price), row.detail))
            if (said := row.content) is not None:
                contents.append((row.n, said.kind, said.request, said.answer, int(said.is_cut)))
        connection = self._connection
        connection.executemany(_EXCHANGE, exchanges)
        connection.executemany(_ATTEMPT, attempts)
        connection.executemany(_DETAIL, details)
        if contents:
            connection.executemany(_CONTENT, contents)
        sums.write(connection)

    def _numbered(self, row: Row) -> list[Any]:
        values, known = list(row.values), self._names.known
        for place in NAMED:
            text = values[place]
            number = known.get(text)
            values[place] = self._names.number(self._connection, text) if number is None else number
        session = self._sessions.get(row.session)
        values[SESSION] = self._session(row, values) if session is None else session
        return values

    def _name(self, text: str) -> int:
        number = self._names.known.get(text)
        return self._names.number(self._connection, text) if number is None else number

    def _shape(self, body: str) -> int:
        number = self._shapes.known.get(body)
        return self._shapes.number(self._connection, body) if number is None else number

    def _price(self, body: str) -> int:
        number = self._prices.known.get(body)
        return self._prices.number(self._connection, body) if number is None else number

    def _session(self, row: Row, values: list[Any]) -> int:
        """The number of a session; the sums of one that is new are added with those of the batch."""
        found = self._connection.execute("SELECT n FROM sessions WHERE id = ?", (row.session,)).fetchone()
        if found is None:
            made = self._connection.execute(
                "INSERT INTO sessions VALUES (NULL, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
                (row.session, values[14], values[15], row.n >> SHIFT, row.ended),
            )
            number = int(made.lastrowid or 0)
        else:
            number = int(found[0])
        self._sessions[row.session] = number
        return number
