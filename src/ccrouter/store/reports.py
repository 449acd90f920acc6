"""What the records tell, as plain values that are JSON: for pages, their twins under /api/, and commands.

Times are ISO 8601 in UTC, durations milliseconds, money US dollars; what is not known is None, never 0. Every method
may block, on the disk: call them in a thread. All of them see an empty file where there is none yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import WireUsage
from ccrouter.routing.facts import RequestFacts
from ccrouter.store.content import read_kept
from ccrouter.store.conversations import FindWindow, find_session, find_sessions
from ccrouter.store.filters import Filters
from ccrouter.store.migrations import VERSION
from ccrouter.store.pages import SELECT, count, find_page, read_cursor
from ccrouter.store.pool import Pool, Reading
from ccrouter.store.retention import room_of
from ccrouter.store.rows import SHIFT, FactsDetail
from ccrouter.store.shown import ATTEMPT_COLUMNS, attempt_facts, detail_facts, row_facts, timestamp
from ccrouter.store.statusline import glance_at
from ccrouter.store.sums import By, overview, usage

#: What the newest exchange is asked for by.
LAST = "last"
_MOST = 500
#: Recorded decisions that are read at once.
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for a request, and by which facts; `facts` are without the conversation. `targets` are those
    that were tried, in their order, `provider` and `sent` what the last of them was asked for.
    """

    id: str
    began: str
    path: str
    facts: RequestFacts
    estimate: int | None
    route: str
    reason: str
    policy: str
    fidelity: str
    targets: tuple[str, ...]
    provider: str
    sent: str
    status: int
    usage: WireUsage
    usd: float | None
    session: str


class Reports:
    """Reads the file at `path`. `window_of` says how many tokens a model can read; `now` is the time of day."""

    def __init__(
        self, path: Path, *, window_of: FindWindow | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.window_of = window_of
        self._pool = Pool(path)
        self._now = now

    def close(self) -> None:
        """After the call no file is open."""
        self._pool.close()

    def requests(self, filters: Filters | None = None, limit: int = 50, before: str | None = None) -> JsonObject:
        """A page of exchanges, the newest first: `items`, `next` (None: this was the last) and `total` (None: not
        counted). A page may have fewer than `limit`, and still a next one. Raises ClientError for a wrong `before`.
        """
        chosen, cursor = filters or Filters(), read_cursor(before)
        with self._pool.reading() as reading:
            rows, following = find_page(reading, chosen, _bounded(limit), cursor)
            return {
                "items": [row_facts(row, reading.names) for row in rows],
                "next": None if following is None else str(following),
                "total": count(reading, chosen) if cursor is None else None,
            }

    def request(self, id: str) -> JsonObject | None:  # noqa: A002 - the protocol's own word
        """Everything about one exchange, by its id or "last"; None if it is not recorded."""
        if id == LAST:
            return self.last()
        with self._pool.reading() as reading:
            row = reading.connection.execute(f"{SELECT} WHERE e.id = ?", (id,)).fetchone()
            return None if row is None else _whole(reading, row)

    def last(self) -> JsonObject | None:
        """Everything about the exchange that began last; None if there is none."""
        with self._pool.reading() as reading:
            row = reading.connection.execute(f"{SELECT} ORDER BY e.n DESC LIMIT 1").fetchone()
            return None if row is None else _whole(reading, row)

    def sessions(  # noqa: PLR0913 - what can be asked for, all by name
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        project: str = "",
        search: str = "",
        limit: int = 50,
        before: str | None = None,
    ) -> JsonObject:
        """A page of sessions, the last one first, as `requests`."""
        with self._pool.reading() as reading:
            items, following = find_sessions(
                reading,
                since=since,
                until=until,
                project=project,
                search=search,
                limit=_bounded(limit),
                before=before,
            )
            return {"items": items, "next": following}

    def session(self, id: str) -> JsonObject | None:  # noqa: A002 - as above
        """A session with its turns and agents; None if there is none of that id."""
        with self._pool.reading() as reading:
            return find_session(reading, id, self.window_of)

    def statusline(self, id: str) -> JsonObject:  # noqa: A002 - as above
        """The sums of a session and the last turn of its main conversation, each None if there is none: quickly."""
        with self._pool.reading() as reading:
            return glance_at(reading, id, self.window_of)

    def usage(
        self,
        by: By,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        filters: Filters | None = None,
        offset: int = 0,
    ) -> list[JsonObject]:
        """What was used, by `by`. The time is widened to whole minutes, to whole hours where it is more than two days
        ago and for sessions. Days begin `offset` seconds before those of UTC.
        """
        chosen = filters or Filters()
        if since is not None or until is not None:
            chosen = replace(chosen, since=since, until=until)
        with self._pool.reading() as reading:
            return usage(reading, by, chosen, self._now(), offset)

    def overview(self, since: datetime, until: datetime | None = None, step: int = 3600) -> JsonObject:
        """Sums, latencies and their course from `since` to `until` (None: now), a point every `step` seconds; and by
        model and provider.
        """
        with self._pool.reading() as reading:
            now = self._now()
            end = datetime.fromtimestamp(now, UTC) if until is None else until
            return overview(reading, since, end, max(step, 60), now)

    def denials(self, since: datetime | None = None, limit: int = 50) -> list[JsonObject]:
        """What a policy refused, the newest first."""
        with self._pool.reading() as reading:
            refused = [n for n, name in reading.names.items() if name.startswith("denied")]
            if not refused:
                return []
            rows = reading.connection.execute(
                f"{SELECT} WHERE e.status = 403 AND e.policy IN ({', '.join('?' * len(refused))}) AND +e.n >= ? "
                "ORDER BY e.n DESC LIMIT ?",
                (*refused, Filters(since=since).lowest, _bounded(limit)),
            )
            return [row_facts(row, reading.names) for row in rows]

    def decisions(self, since: datetime | None = None, limit: int = 10_000) -> Iterator[Decision]:
        """What was decided, the newest first, as far as its facts were recorded: at most `limit`."""
        low, high = Filters(since=since).lowest, Filters().highest
        left = limit
        while left > 0:
            with self._pool.reading() as reading:
                rows = reading.connection.execute(
                    f"{SELECT} WHERE e.n >= ? AND e.n < ? ORDER BY e.n DESC LIMIT ?", (low, high, min(left, _CHUNK))
                ).fetchall()
                chunk = [one for row in rows if (one := _decision(reading, row)) is not None]
            if not rows:
                return
            high = rows[-1][0]
            left -= len(rows)
            yield from chunk

    def state(self) -> JsonObject:
        """The file itself: how large, how many rows, from when to when, and what was not recorded."""
        with self._pool.reading() as reading:
            one = reading.connection.execute
            oldest, newest = one("SELECT (SELECT min(n) FROM exchanges), (SELECT max(n) FROM exchanges)").fetchone()
            hour = 0 if oldest is None else (oldest >> SHIFT) // 3_600_000 * 3600
            rows = one("SELECT sum(requests) FROM flows WHERE span = 3600 AND at >= ?", (hour,)).fetchone()[0]
            counts = dict(one("SELECT name, value FROM meta").fetchall())
            return {
                "path": str(self.path),
                "bytes": room_of(reading.connection) if self.path.exists() else 0,
                "rows": rows or 0,
                "oldest": None if oldest is None else timestamp(oldest >> SHIFT),
                "newest": None if newest is None else timestamp(newest >> SHIFT),
                "shed": {name: counts.get(name, 0) for name in ("prompts", "contents", "details", "exchanges")},
                "faults": counts.get("faults", 0),
                "version": VERSION,
            }


def _bounded(limit: int) -> int:
    return max(1, min(limit, _MOST))


def _whole(reading: Reading, row: Any) -> JsonObject:
    connection, n = reading.connection, row[0]
    facts = row_facts(row, reading.names)
    attempts = connection.execute(
        f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE exchange = ? ORDER BY place",  # noqa: S608 - constants
        (n,),
    ).fetchall()
    detail = connection.execute(
        "SELECT d.body, s.body, p.body FROM details d LEFT JOIN shapes s ON s.n = d.shape "
        "LEFT JOIN shapes p ON p.n = d.price WHERE d.n = ?",
        (n,),
    ).fetchone()
    said = connection.execute("SELECT kind, request, answer, is_cut FROM contents WHERE n = ?", (n,)).fetchone()
    return (
        facts
        | detail_facts(detail, n >> SHIFT, facts)
        | {
            "route": {"name": facts["route"] or "", "reason": facts["reason"] or ""},
            "attempts": [attempt_facts(one, reading.names) for one in attempts],
            "upstreamAttempts": sum(1 for one in attempts if one[8]),
            "content": None
            if said is None
            else {
                "kind": said[0],
                "request": read_kept(said[1]),
                "answer": read_kept(said[2]),
                "isCut": bool(said[3]),
            },
        }
    )


def _decision(reading: Reading, row: Any) -> Decision | None:
    facts = row_facts(row, reading.names)
    body = reading.connection.execute("SELECT body FROM details WHERE n = ?", (row[0],)).fetchone()
    detail = None if body is None else msgspec.json.decode(body[0])
    if not detail or "facts" not in detail:
        return None
    seen = msgspec.convert(detail["facts"], FactsDetail)
    targets = reading.connection.execute("SELECT target FROM attempts WHERE exchange = ? ORDER BY place", (row[0],))
    tokens = facts["tokens"]
    return Decision(
        id=facts["id"],
        began=facts["began"],
        path=facts["path"],
        facts=RequestFacts(
            asked=facts["asked"],
            session_id=facts["session"] or "",
            agent_id=facts["agent"] or "",
            agent_type=facts["agentType"] or "",
            request_class=facts["requestClass"] or "",
            **msgspec.structs.asdict(seen),
        ),
        estimate=facts["estimate"],
        route=facts["route"] or "",
        reason=facts["reason"] or "",
        policy=facts["policy"] or "",
        fidelity=detail.get("fidelity", "any"),
        targets=tuple(reading.names[target] for (target,) in targets),
        provider=facts["provider"] or "",
        sent=facts["sent"] or "",
        status=facts["status"],
        usage=WireUsage(tokens["input"], tokens["cacheWrite"], tokens["cacheRead"], tokens["output"]),
        usd=facts["cost"]["usd"],
        session=facts["session"] or "",
    )
