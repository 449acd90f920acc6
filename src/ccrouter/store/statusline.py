"""What the line below Claude Code's prompt tells of a session: its sums, and the last turn of its main conversation.

Asked for several times a second: two look-ups by index, whatever the file holds.
"""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.store.conversations import FindWindow
from ccrouter.store.pool import Reading
from ccrouter.store.shown import ROW_COLUMNS, row_facts, sums_facts

_SUMS = (
    "SELECT n, requests, failed, input, output, cache_read, cache_write, cache_write_1h, thinking, usd, unpriced "
    "FROM sessions WHERE id = ?"
)
# Not what is asked on the side, by agents and for titles and the like: the line is about what the user talks to.
_LAST = (
    f"SELECT {ROW_COLUMNS} FROM exchanges e JOIN sessions s ON s.n = e.session "  # noqa: S608 - constants
    "WHERE e.session = ?1 AND e.session > 0 AND e.status < 400 "  # the index is one of sessions above 0
    "AND e.agent IS NULL AND e.class IN (0, ?2) AND e.route <> ?3 ORDER BY e.n DESC LIMIT 1"
)


def glance_at(reading: Reading, session: str, window_of: FindWindow | None = None) -> JsonObject:
    """`session`, its sums, and `last`, that turn as every report has it, with its model's window; each None if there
    is none. Raises sqlite3.Error.
    """
    connection = reading.connection
    found = connection.execute(_SUMS, (session,)).fetchone() if session else None
    if found is None:
        return {"session": None, "last": None}
    chosen = (found[0], reading.number_of("main"), reading.number_of("background"))
    row = connection.execute(_LAST, chosen).fetchone()
    last = None if row is None else row_facts(row, reading.names)
    if last is not None:
        is_named = window_of and last["provider"] and last["sent"]
        last["contextWindow"] = window_of(last["provider"], last["sent"]) if window_of and is_named else None
    return {"session": sums_facts(found[1:]), "last": last}
