"""What is too old, or more than there may be, goes: a little at a time, so that nobody waits for it."""

from __future__ import annotations

import sqlite3
import time

from ccrouter.config.schema import RecordKeeping
from ccrouter.store.rollups import DAY, MINUTES_KEPT, SPANS
from ccrouter.store.rows import SHIFT

#: Rows that one transaction removes, and the pages that one step gives back to the disk.
_ROWS = 500
_PAGES = 256
#: Seconds that one step may take, and for how long after the last one all is taken to be in order.
_STEP = 0.05
_PAUSE = 60
#: Of the room there may be: down to this share of it the oldest go once there is more.
_ROOM_LEFT = 0.95
_MEGABYTE = 1024 * 1024
#: The state that is not a conversation's and never too old: what all others are hashed with.
_LASTING = "salt"
#: Tables whose rows go with an exchange's.
_WITH_IT = (("attempts", "exchange"), ("details", "n"), ("contents", "n"), ("exchanges", "n"))


def clear_some(connection: sqlite3.Connection, keeping: RecordKeeping, now: float) -> bool:
    """A step of some 50 ms. True if nothing is left to do, or another process sees to it. Raises sqlite3.Error."""
    if not _take_turn(connection, int(now)):
        return True
    give_up = time.monotonic() + _STEP
    while _remove_some(connection, keeping, now):
        if time.monotonic() >= give_up:
            return False
    _set(connection, "cleared", int(now))
    return True


def room_of(connection: sqlite3.Connection) -> int:
    """The bytes that are in use. Raises sqlite3.Error."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _take_turn(connection: sqlite3.Connection, now: int) -> bool:
    row = connection.execute("SELECT value FROM meta WHERE name = 'cleared'").fetchone()
    return row is None or not 0 <= now - row[0] < _PAUSE


def _set(connection: sqlite3.Connection, name: str, value: int) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def _remove_some(connection: sqlite3.Connection, keeping: RecordKeeping, now: float) -> bool:
    """True if anything was removed."""
    oldest = now - keeping.days * DAY
    before = int(oldest * 1000) << SHIFT
    return (
        _remove_exchanges(connection, "n < ?", before)
        or _remove_contents(connection, int((now - keeping.content_days * DAY) * 1000) << SHIFT)
        or _remove_sums(connection, int(oldest), int(now) - MINUTES_KEPT)
        or _remove_sessions(connection, int(oldest * 1000))
        or _make_room(connection, keeping.megabytes * _MEGABYTE)
        or _give_back(connection)
    )


def _remove_exchanges(connection: sqlite3.Connection, which: str, *values: int) -> bool:
    last = connection.execute(
        f"SELECT max(n) FROM (SELECT n FROM exchanges WHERE {which} ORDER BY n LIMIT {_ROWS})",  # noqa: S608 - constants
        values,
    ).fetchone()[0]
    if last is None:
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table, column in _WITH_IT:
            connection.execute(f"DELETE FROM {table} WHERE {column} <= ?", (last,))  # noqa: S608 - constants
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return True


def _remove_contents(connection: sqlite3.Connection, before: int) -> bool:
    chosen = f"SELECT n FROM contents WHERE n < ? ORDER BY n LIMIT {_ROWS // 10}"  # noqa: S608 - constants
    done = connection.execute(f"DELETE FROM contents WHERE n IN ({chosen})", (before,))  # noqa: S608 - constants
    return done.rowcount > 0


def _remove_sums(connection: sqlite3.Connection, oldest: int, oldest_minute: int) -> bool:
    removed = 0
    for table in ("rollups", "flows", "latencies"):
        for span in SPANS:
            before = oldest_minute if span == SPANS[0] else oldest // span * span
            at = connection.execute(f"SELECT min(at) FROM {table} WHERE span = ?", (span,)).fetchone()[0]  # noqa: S608 - constants
            if at is not None and at < before:
                done = connection.execute(f"DELETE FROM {table} WHERE span = ? AND at = ?", (span, at))  # noqa: S608 - constants
                removed += done.rowcount
    return removed > 0


def _remove_sessions(connection: sqlite3.Connection, before: int) -> bool:
    chosen = connection.execute(f"SELECT n FROM sessions WHERE ended < ? LIMIT {_ROWS}", (before,)).fetchall()  # noqa: S608 - constants
    if chosen:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for table, column in (("session_models", "session"), ("agents", "session"), ("sessions", "n")):
                connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", chosen)  # noqa: S608 - constants
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise
    stale = connection.execute(
        f"DELETE FROM threads WHERE key IN (SELECT key FROM threads WHERE at < ? AND key <> ? LIMIT {_ROWS})",  # noqa: S608 - constants
        (before // 1000, _LASTING),
    )
    return bool(chosen) or stale.rowcount > 0


def _remove_threads(connection: sqlite3.Connection) -> bool:
    chosen = f"SELECT key FROM threads WHERE key <> ? ORDER BY at LIMIT {_ROWS // 10}"  # noqa: S608 - constants
    return connection.execute(f"DELETE FROM threads WHERE key IN ({chosen})", (_LASTING,)).rowcount > 0  # noqa: S608 - constants


def _make_room(connection: sqlite3.Connection, most: int) -> bool:
    room = room_of(connection)
    is_going_on = connection.execute("SELECT value FROM meta WHERE name = 'making_room'").fetchone()
    if room <= (most * _ROOM_LEFT if is_going_on else most):
        if is_going_on:
            connection.execute("DELETE FROM meta WHERE name = 'making_room'")
        return False
    if not is_going_on:
        _set(connection, "making_room", 1)
    # The states of conversations too, which may be the larger part: whoever comes with ever new ones makes many.
    # A list: both take part.
    return any([_remove_exchanges(connection, "1"), _remove_threads(connection)])


def _give_back(connection: sqlite3.Connection) -> bool:
    free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    if free < _PAGES:  # the next rows will fill them
        return False
    connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
    left: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return left < free
