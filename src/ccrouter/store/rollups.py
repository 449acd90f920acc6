"""What is added up as exchanges are written, so that no report has to go through all of them.

By minute for two days, and by hour and by day for as long as records are kept: requests, tokens and costs by what they
are filtered by (`rollups`) and by model and provider alone (`flows`), and latencies. By session for all of its time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from ccrouter.store.histogram import bucket_of
from ccrouter.store.rows import SHIFT, Row

MINUTE, HOUR, DAY = 60, 3600, 86400
SPANS = (MINUTE, HOUR, DAY)
#: For how long minutes are kept, in seconds.
MINUTES_KEPT = 2 * DAY

SUMS = "requests, input, output, cache_read, cache_write, cache_write_1h, thinking, usd, unpriced"
_ADDED = ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS.split(", "))

_ROLLUP = (
    f"INSERT INTO rollups (span, at, model, provider, route, project, client, is_failed, {SUMS}) "  # noqa: S608 - constants
    f"VALUES ({', '.join('?' * 17)}) ON CONFLICT DO UPDATE SET {_ADDED}"
)
_FLOW = (
    f"INSERT INTO flows (span, at, model, provider, is_failed, {SUMS}) "  # noqa: S608 - constants
    f"VALUES ({', '.join('?' * 14)}) ON CONFLICT DO UPDATE SET {_ADDED}"
)
_SESSION_MODEL = (
    f"INSERT INTO session_models (session, model, provider, route, is_failed, {SUMS}) "  # noqa: S608 - constants
    f"VALUES ({', '.join('?' * 14)}) ON CONFLICT DO UPDATE SET {_ADDED}"
)
_LATENCY = (
    "INSERT INTO latencies (span, at, model, provider, bucket, first, total) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET first = first + excluded.first, total = total + excluded.total"
)
_SESSION = (
    "UPDATE sessions SET project = CASE WHEN ?2 > 0 THEN ?2 ELSE project END, "
    "client = CASE WHEN ?3 > 0 THEN ?3 ELSE client END, began = min(began, ?4), ended = max(ended, ?5), "
    "requests = requests + ?6, failed = failed + ?7, input = input + ?8, output = output + ?9, "
    "cache_read = cache_read + ?10, cache_write = cache_write + ?11, cache_write_1h = cache_write_1h + ?12, "
    "thinking = thinking + ?13, usd = usd + ?14, unpriced = unpriced + ?15, breaks = breaks + ?16 WHERE n = ?1"
)
_AGENT = (
    "INSERT INTO agents (session, agent, kind, began, ended) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
    "began = min(began, excluded.began), ended = max(ended, excluded.ended), "
    "kind = CASE WHEN excluded.kind > 0 THEN excluded.kind ELSE kind END"
)

Key = tuple[int, ...]
Figures = tuple[int, int, int, int, int, int, int, float, int]


class Sums:
    """What one batch adds. `add` for each exchange, then `write` in the transaction that writes their rows."""

    def __init__(self) -> None:
        self._rollups: dict[Key, list[float]] = {}
        self._by_session: dict[Key, list[float]] = {}
        self._latencies: dict[Key, list[int]] = {}
        self._sessions: dict[int, list[Any]] = {}
        self._agents: dict[tuple[int, str], list[int]] = {}

    def add(self, row: Row, values: list[Any]) -> None:
        """Count an exchange: `values` as those of the row, with all numbers in place."""
        (_, status, _, _, model, _, provider, route, _, _, session, agent, kind, _, project, client) = values[:16]
        is_failed = 1 if status >= 400 else 0
        at, began, ended = row.at, row.n >> SHIFT, row.ended
        usd, ttft = values[30], values[32]
        figures: Figures = (1, *values[24:30], usd or 0.0, 1 if usd is None else 0)
        _add(self._rollups, (at, model, provider, route, project, client, is_failed), figures)
        if not is_failed:
            self._note_latency(at, model, provider, ttft, values[33])
        if not session:
            return
        _add(self._by_session, (session, model, provider, route, is_failed), figures)
        self._note_session(session, project, client, began, ended)
        sums = self._sessions[session]
        sums[4] += 1
        sums[5] += is_failed
        for place, figure in enumerate(figures[1:], 6):
            sums[place] += figure
        sums[14] += row.is_break
        if agent:
            known = self._agents.setdefault((session, agent), [kind, began, ended])
            known[0] = kind or known[0]
            known[1], known[2] = min(known[1], began), max(known[2], ended)

    def _note_latency(self, at: int, model: int, provider: int, ttft: float | None, total: float) -> None:
        key = (at, model, provider, bucket_of(total))
        counts = self._latencies.get(key)
        if counts is None:
            counts = self._latencies[key] = [0, 0]
        counts[1] += 1
        if ttft is not None:
            counts = self._latencies.setdefault((at, model, provider, bucket_of(ttft)), [0, 0])
            counts[0] += 1

    def _note_session(self, session: int, project: int, client: int, began: int, ended: int) -> None:
        sums = self._sessions.get(session)
        if sums is None:
            self._sessions[session] = [project, client, began, ended, *[0] * 11]
            return
        sums[0], sums[1] = project or sums[0], client or sums[1]
        sums[2], sums[3] = min(sums[2], began), max(sums[3], ended)

    def write(self, connection: sqlite3.Connection) -> None:
        """Add everything to what the file has. Raises sqlite3.Error."""
        flows: dict[Key, list[float]] = {}
        for (at, model, provider, *_, is_failed), figures in self._rollups.items():
            _add(flows, (at, model, provider, is_failed), figures)
        connection.executemany(_ROLLUP, _spread(self._rollups, SPANS))
        connection.executemany(_FLOW, _spread(flows, SPANS))
        connection.executemany(_LATENCY, _spread(self._latencies, SPANS))
        if self._sessions:
            connection.executemany(_SESSION, ((session, *sums) for session, sums in self._sessions.items()))
            connection.executemany(_SESSION_MODEL, ((*key, *figures) for key, figures in self._by_session.items()))
            connection.executemany(_AGENT, ((*key, *known) for key, known in self._agents.items()))


def _add(sums: dict[Key, list[float]], key: Key, figures: Iterable[float]) -> None:
    known = sums.get(key)
    if known is None:
        sums[key] = list(figures)
        return
    for place, figure in enumerate(figures):
        known[place] += figure


def _spread(sums: dict[Key, list[Any]], spans: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """The rows of each span: those of the longer ones are sums of those that are given."""
    rows: list[tuple[Any, ...]] = []
    for span in spans:
        longer: dict[Key, list[Any]] = {}
        for (at, *key), figures in sums.items():
            _add(longer, (at // span * span, *key), figures)
        rows += [(span, *key, *figures) for key, figures in longer.items()]
        sums = longer
    return rows
