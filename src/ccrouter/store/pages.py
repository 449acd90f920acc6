"""A page of exchanges, newest first, found without going through all of them.

What is added up says in which hours there are any of the wanted ones: only those are looked into. Where that does not
help, as with a search, a page is given up after some time and says where the next one begins.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ccrouter.errors import ClientError
from ccrouter.store.filters import Filters
from ccrouter.store.pool import Reading
from ccrouter.store.rollups import HOUR
from ccrouter.store.rows import SHIFT
from ccrouter.store.shown import ROW_COLUMNS

#: Seconds after which a page is as full as it is.
_PATIENCE = 0.06
#: Of an hour's rows, how many are taken to be looked at before the next hours are added to them.
_AT_ONCE = 2_000
_MOST_NAMES = 200
#: The most that is counted one by one.
_MOST_COUNTED = 5_000

_BY_NAME = (
    ("model", "model"),
    ("provider", "provider"),
    ("route", "route"),
    ("project", "project"),
    ("client", "client"),
)
SELECT = f"SELECT {ROW_COLUMNS} FROM exchanges e LEFT JOIN sessions s ON s.n = e.session"  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Conditions:
    """What rows have to fulfil: `summed` can be asked of rollups too, `others` of the rows alone. `index` names what
    finds the rows without a search through time.
    """

    summed: tuple[str, ...] = ()
    summed_values: tuple[Any, ...] = ()
    others: tuple[str, ...] = ()
    other_values: tuple[Any, ...] = ()
    is_indexed: bool = False

    @property
    def is_none(self) -> bool:
        """True if every exchange fulfils them."""
        return not self.summed and not self.others


def read_cursor(before: str | None) -> int | None:
    """The number that a page is to be below. Raises ClientError (400) for what no page has told."""
    if not before:
        return None
    if not before.isascii() or not before.isdigit() or len(before) > 20:
        raise ClientError("before: is not what an earlier page said to be next")
    return int(before)


def read_conditions(reading: Reading, filters: Filters) -> Conditions:
    """What `filters` asks for beside the time."""
    summed, values = [], []
    for name, column in _BY_NAME:
        if wanted := getattr(filters, name):
            summed.append(f"{column} = ?")
            values.append(reading.number_of(wanted))
    others: list[str] = []
    other_values: list[Any] = []
    is_indexed = False
    if filters.session:
        others.append("e.session = ?")
        other_values.append(session_number(reading, filters.session))
        is_indexed = True
    if filters.search and not is_indexed:
        condition, found, is_indexed = _search(reading, filters.search)
        others.append(condition)
        other_values += found
    elif filters.search:
        others.append("e.id >= ? AND e.id < ?")
        other_values += _range(filters.search)
    if filters.status:
        others.append("e.status >= 400" if filters.status == "failed" else "e.status < 400")
    return Conditions(tuple(summed), tuple(values), tuple(others), tuple(other_values), is_indexed)


def session_number(reading: Reading, session: str) -> int:
    """The number of a session; -1, which no row has, if there is none."""
    found = reading.connection.execute("SELECT n FROM sessions WHERE id = ?", (session,)).fetchone()
    return -1 if found is None else int(found[0])


def find_page(
    reading: Reading, filters: Filters, limit: int, before: int | None
) -> tuple[list[Sequence[Any]], int | None]:
    """At most `limit` rows of ROW_COLUMNS, and the number that the next page is below, None if this is the last."""
    conditions = read_conditions(reading, filters)
    low = filters.lowest
    high = filters.highest if before is None else min(before, filters.highest)
    if conditions.is_none or conditions.is_indexed:
        rows = _select(reading, conditions, low, high, limit + 1)
        return (rows[:limit], rows[limit - 1][0]) if len(rows) > limit else (rows, None)
    rows = []
    give_up = time.monotonic() + _PATIENCE
    for first, last in _windows(reading, filters, conditions, low, high):
        found = _select(reading, conditions, max(low, first), min(high, last), limit + 1 - len(rows))
        rows += found
        if len(rows) > limit:
            return rows[:limit], rows[limit - 1][0]
        if time.monotonic() > give_up:
            return rows, max(low, first)
    return rows, None


def count(reading: Reading, filters: Filters) -> int | None:
    """How many there are; None where that would take long."""
    conditions = read_conditions(reading, filters)
    if filters.since is None and filters.until is None and not (filters.session or filters.search):
        where, values = _summed(filters, conditions)
        told = reading.connection.execute(
            f"SELECT sum(requests) FROM rollups WHERE span = 86400{where}",  # noqa: S608 - constants
            values,
        )
        return int(told.fetchone()[0] or 0)
    if not (conditions.is_none or conditions.is_indexed):
        return None
    where = _where(conditions)
    found = reading.connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM exchanges e WHERE {where} LIMIT {_MOST_COUNTED + 1})",  # noqa: S608 - constants
        (filters.lowest, filters.highest, *conditions.summed_values, *conditions.other_values),
    ).fetchone()[0]
    return None if found > _MOST_COUNTED else int(found)


def _select(reading: Reading, conditions: Conditions, low: int, high: int, limit: int) -> list[Sequence[Any]]:
    where = _where(conditions)
    return reading.connection.execute(
        f"{SELECT} WHERE {where} ORDER BY e.n DESC LIMIT ?",
        (low, high, *conditions.summed_values, *conditions.other_values, limit),
    ).fetchall()


def _where(conditions: Conditions) -> str:
    # The plus keeps SQLite from going by the time where a session or an id leads to fewer rows.
    n = "+e.n" if conditions.is_indexed else "e.n"
    terms = [f"{n} >= ? AND {n} < ?", *(f"e.{one}" for one in conditions.summed), *conditions.others]
    return " AND ".join(terms)


def _summed(filters: Filters, conditions: Conditions) -> tuple[str, tuple[Any, ...]]:
    """What is asked of rollups, behind a first condition."""
    terms = list(conditions.summed)
    if filters.status:
        terms.append("is_failed = 1" if filters.status == "failed" else "is_failed = 0")
    return "".join(f" AND {one}" for one in terms), conditions.summed_values


def _windows(
    reading: Reading, filters: Filters, conditions: Conditions, low: int, high: int
) -> Iterator[tuple[int, int]]:
    """Ranges of numbers, the latest first, outside of which there is no row that fulfils the conditions."""
    where, values = _summed(filters, conditions)
    hours = reading.connection.execute(
        "SELECT at, sum(requests) FROM rollups WHERE span = ? AND at >= ? AND at <= ?"  # noqa: S608 - constants
        f"{where} GROUP BY at ORDER BY at DESC",
        (HOUR, (low >> SHIFT) // 1000 - HOUR, min((high >> SHIFT) // 1000, 1 << 40), *values),
    )
    first = last = gathered = 0
    for at, requests in hours:
        if last and (gathered + requests > _AT_ONCE or first != at + HOUR):
            yield _numbers(first, last)
            last = gathered = 0
        last = last or at + HOUR
        first = at
        gathered += requests
    if last:
        yield _numbers(first, last)


def _numbers(first: int, last: int) -> tuple[int, int]:
    return (first * 1000) << SHIFT, (last * 1000) << SHIFT


def _search(reading: Reading, text: str) -> tuple[str, list[Any], bool]:
    """What to ask of rows, its values, and whether an index finds them."""
    by_id = _range(text)
    connection = reading.connection
    if connection.execute("SELECT 1 FROM exchanges WHERE id >= ? AND id < ? LIMIT 1", by_id).fetchone():
        return "e.id >= ? AND e.id < ?", by_id, True
    sessions = connection.execute("SELECT n FROM sessions WHERE id >= ? AND id < ? LIMIT ?", (*by_id, _MOST_NAMES))
    numbers = [number for (number,) in sessions]
    if numbers:
        return f"e.session IN ({_marks(numbers)})", numbers, True
    lower = text.lower()
    names = [n for n, name in reading.names.items() if n and lower in name.lower()][:_MOST_NAMES]
    marks = _marks(names)
    columns = ("e.model", "e.asked", "e.answered")
    return "(" + " OR ".join(f"{one} IN ({marks})" for one in columns) + ")", names * len(columns), False


def _range(text: str) -> list[Any]:
    """The least text that begins with `text`, and the least that is greater than all of those."""
    following = ord(text[-1]) + 1
    if 0xD800 <= following <= 0xDFFF:  # halves of pairs, which no text in the file has
        following = 0xE000
    return [text, text[:-1] + chr(min(following, 0x10FFFF))]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
