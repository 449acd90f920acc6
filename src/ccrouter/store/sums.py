"""What was added up, by time and by name: usage, and the overview. Reads no exchanges, but for those of one session."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ccrouter.jsontypes import JsonObject
from ccrouter.store.filters import Filters, Part, cover
from ccrouter.store.histogram import percentile
from ccrouter.store.pages import session_number
from ccrouter.store.pool import Reading
from ccrouter.store.rollups import DAY, HOUR, MINUTE, MINUTES_KEPT
from ccrouter.store.rows import SHIFT
from ccrouter.store.shown import SUM_COLUMNS, sums_facts, timestamp

By = Literal["day", "hour", "model", "provider", "project", "session", "route", "client"]
_NAMED = ("model", "provider", "project", "route", "client")
#: What `flows` knows; whatever else is asked for is in `rollups`.
_OF_FLOWS = frozenset({"model", "provider", "day", "hour"})
#: The most names that are listed, those that cost most.
_MOST_NAMES = 1000
#: The most points of a series.
_MOST_POINTS = 2000
#: As SUM_COLUMNS, of `exchanges`.
_OF_EXCHANGES = (
    "count(*), sum(status >= 400), sum(input), sum(output), sum(cache_read), sum(cache_write), sum(cache_write_1h), "
    "sum(thinking), total(usd), sum(usd IS NULL)"
)
_OF_SESSIONS = "requests, failed, input, output, cache_read, cache_write, cache_write_1h, thinking, usd, unpriced"

Sums = Sequence[Any]
Latencies = dict[int, int]


def usage(reading: Reading, by: By, filters: Filters, now: float, offset: int = 0) -> list[JsonObject]:
    """What was used, by days or hours in their order, by names the dearest first. Days begin `offset` seconds before
    those of UTC.
    """
    is_timed = by in {"day", "hour"}
    if by == "session" and not filters.session:
        rows = _by_session(reading, filters)
    elif filters.session:
        rows = _within_session(reading, by, filters, offset)
    else:
        parts = cover(filters.since, filters.until, now)
        if is_timed:
            parts = _in_spans(parts, DAY if by == "day" and not offset else HOUR)
        group = {"day": f"(at + {int(offset)}) / {DAY}", "hour": f"at / {HOUR}"}.get(by, by)
        rows = _added_up(reading, by, group, parts, filters)
    if is_timed:
        return [
            {"name": _moment(by, key), **sums_facts(sums)} for key, *sums in sorted(rows, key=lambda row: int(row[0]))
        ]
    rows.sort(key=lambda row: (-(row[9] or 0), -(row[1] or 0), str(row[0])))
    return [{"name": _name(reading, by, key), **sums_facts(sums)} for key, *sums in rows[:_MOST_NAMES]]


def overview(reading: Reading, since: datetime, until: datetime, step: int, now: float) -> JsonObject:
    """Everything of the time from `since` to `until`, and of each `step` of seconds in it, widened to whole steps."""
    span = _span_of(step, since, now)
    step = max(step // span * span, span)
    low = int(since.timestamp()) // step * step
    high = -(-int(until.timestamp()) // step) * step
    if (high - low) // step > _MOST_POINTS:
        low = high - step * _MOST_POINTS
    filters = Filters(since=datetime.fromtimestamp(low, UTC), until=datetime.fromtimestamp(high, UTC))
    parts = cover(filters.since, filters.until, now)
    by_model, by_provider = _latencies(reading, parts, "model"), _latencies(reading, parts, "provider")
    totals = _added_up(reading, "model", "1", parts, filters)
    return {
        "since": timestamp(low * 1000),
        "until": timestamp(high * 1000),
        "step": step,
        "totals": sums_facts(totals[0][1:] if totals else (0,) * 10) | _percentiles(*_merged(by_model.values())),
        "series": _series(reading, span, step, low, high),
        "models": _with_percentiles(reading, "model", filters, now, by_model),
        "providers": _with_percentiles(reading, "provider", filters, now, by_provider),
    }


# -- sums --------------------------------------------------------------------------------------------------------------


def _added_up(reading: Reading, by: str, group: str, parts: Sequence[Part], filters: Filters) -> list[Sums]:
    """The group's key and SUM_COLUMNS for each group. A select for each part, so that each goes by the key."""
    terms, values = _terms(reading, filters)
    asked = {by, *(name for name in _NAMED if getattr(filters, name))}
    table = "flows" if asked <= _OF_FLOWS else "rollups"
    merged: dict[Any, Sums] = {}
    for span, low, high in parts:
        for key, *sums in reading.connection.execute(
            f"SELECT {group}, {SUM_COLUMNS} FROM {table} WHERE span = ? AND at >= ? AND at < ?{terms} GROUP BY 1",  # noqa: S608 - constants
            (span, low, high, *values),
        ):
            known = merged.get(key)
            merged[key] = sums if known is None else [a + b for a, b in zip(known, sums, strict=True)]
    return [(key, *sums) for key, sums in merged.items()]


def _terms(reading: Reading, filters: Filters, names: Sequence[str] = _NAMED) -> tuple[str, list[Any]]:
    """What `filters` asks of rows that are added up, behind a first condition, and its values."""
    terms, values = [], []
    for name in names:
        if wanted := getattr(filters, name):
            terms.append(f" AND {name} = ?")
            values.append(reading.number_of(wanted))
    if filters.status:
        terms.append(" AND is_failed = " + ("1" if filters.status == "failed" else "0"))
    return "".join(terms), values


def _within_session(reading: Reading, by: str, filters: Filters, offset: int) -> list[Sums]:
    """As `_added_up`, of one session: of its exchanges, by their index."""
    terms, values = _terms(reading, filters)
    terms = terms.replace("is_failed = 1", "status >= 400").replace("is_failed = 0", "status < 400")
    seconds = f"((n >> {SHIFT}) / 1000"
    group = {
        "day": f"{seconds} + {int(offset)}) / {DAY}",
        "hour": f"{seconds}) / {HOUR}",
        "session": "(SELECT id FROM sessions s WHERE s.n = session)",
    }.get(by, by)
    return reading.connection.execute(
        f"SELECT {group}, {_OF_EXCHANGES} FROM exchanges "  # noqa: S608 - constants
        f"WHERE session = ? AND +n >= ? AND +n < ?{terms} GROUP BY 1",
        (session_number(reading, filters.session), filters.lowest, filters.highest, *values),
    ).fetchall()


def _by_session(reading: Reading, filters: Filters) -> list[Sums]:
    """As `_added_up`, by session. Those that were all within the time have their sums; of the others, which go over one
    of its ends, the exchanges are added up.
    """
    own, values = _terms(reading, Filters(project=filters.project, client=filters.client), ("project", "client"))
    low, high = filters.lowest >> SHIFT, filters.highest >> SHIFT
    time = "ended >= ? AND began < ? AND "
    inner = (low, high, low, high, *values)
    terms, chosen = _terms(reading, filters, ("model", "provider", "route"))
    if terms:
        rows = reading.connection.execute(
            f"SELECT s.id, {_of_models(SUM_COLUMNS)} FROM session_models m JOIN sessions s ON s.n = m.session "  # noqa: S608 - constants
            f"WHERE {time}began >= ? AND ended < ?{own}{terms.replace('AND ', 'AND m.')} GROUP BY m.session",
            (*inner, *chosen),
        ).fetchall()
    else:
        rows = reading.connection.execute(
            f"SELECT id, {_OF_SESSIONS} FROM sessions WHERE {time}began >= ? AND ended < ?{own}",  # noqa: S608 - constants
            inner,
        ).fetchall()
    across = reading.connection.execute(
        f"SELECT id FROM sessions WHERE {time}(began < ? OR ended >= ?){own}",  # noqa: S608 - constants
        inner,
    ).fetchall()
    for (session,) in across:
        one = Filters(
            filters.since, filters.until, filters.model, filters.provider, filters.route, session, status=filters.status
        )
        rows += _within_session(reading, "session", one, 0)
    return rows


def _of_models(columns: str) -> str:
    """The columns as those of `session_models`: `sessions` has some of the same names."""
    return columns.replace("sum(", "sum(m.").replace("* requests", "* m.requests")


# -- latencies ---------------------------------------------------------------------------------------------------------


def _latencies(reading: Reading, parts: Sequence[Part], group: str) -> dict[int, tuple[Latencies, Latencies]]:
    """The counts by bucket, of first tokens and of whole answers, for each group."""
    found: dict[int, tuple[Latencies, Latencies]] = defaultdict(lambda: (defaultdict(int), defaultdict(int)))
    for span, low, high in parts:
        for key, bucket, first, total in reading.connection.execute(
            f"SELECT {group}, bucket, sum(first), sum(total) FROM latencies "  # noqa: S608 - constants
            "WHERE span = ? AND at >= ? AND at < ? GROUP BY 1, 2",
            (span, low, high),
        ):
            counts = found[key]
            if first:
                counts[0][bucket] += first
            if total:
                counts[1][bucket] += total
    return found


def _merged(groups: Iterable[tuple[Latencies, Latencies]]) -> tuple[Latencies, Latencies]:
    sums: tuple[Latencies, Latencies] = (defaultdict(int), defaultdict(int))
    for group in groups:
        for into, counts in zip(sums, group, strict=True):
            for bucket, count in counts.items():
                into[bucket] += count
    return sums


def _percentiles(first: Latencies, total: Latencies) -> JsonObject:
    return {
        "ttft": {"p50": percentile(first, 0.5), "p95": percentile(first, 0.95)},
        "total": {"p50": percentile(total, 0.5), "p95": percentile(total, 0.95)},
    }


def _with_percentiles(
    reading: Reading, by: By, filters: Filters, now: float, latencies: dict[int, tuple[Latencies, Latencies]]
) -> list[JsonObject]:
    named = {_name(reading, by, key): counts for key, counts in latencies.items()}
    return [one | _percentiles(*named.get(one["name"], ({}, {}))) for one in usage(reading, by, filters, now)]


# -- time --------------------------------------------------------------------------------------------------------------


def _series(reading: Reading, span: int, step: int, low: int, high: int) -> list[JsonObject]:
    parts: list[Part] = [(span, low, high)]
    sums = {key: row for key, *row in _added_up(reading, "hour", f"at / {step}", parts, Filters())}
    latencies = _latencies(reading, parts, f"at / {step}")
    points = []
    for at in range(low, high, step):
        first, total = latencies.get(at // step, ({}, {}))
        points.append(
            {
                "at": timestamp(at * 1000),
                **sums_facts(sums.get(at // step, (0,) * 10)),
                "ttftP50": percentile(first, 0.5),
                "ttftP95": percentile(first, 0.95),
                "totalP50": percentile(total, 0.5),
                "totalP95": percentile(total, 0.95),
            }
        )
    return points


def _span_of(step: int, since: datetime, now: float) -> int:
    if step % DAY == 0:
        return DAY
    if step % HOUR == 0 or since.timestamp() < now - MINUTES_KEPT + HOUR:
        return HOUR
    return MINUTE


def _in_spans(parts: Sequence[Part], longest: int) -> list[Part]:
    """The same time, of spans that are no longer than `longest`."""
    return [(min(span, longest), low, high) for span, low, high in parts]


def _name(reading: Reading, by: str, key: Any) -> str | None:
    return (key if by == "session" else reading.names.get(key, "")) or None


def _moment(by: str, key: int) -> str:
    if by == "day":
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=key)).date().isoformat()
    return timestamp(key * HOUR * 1000)
