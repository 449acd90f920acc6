"""What was added up, by time and by name: usage, and the overview. Reads rollups alone, never the exchanges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ccrouter.jsontypes import JsonObject
from ccrouter.store.filters import Filters, Part, cover
from ccrouter.store.histogram import percentile
from ccrouter.store.pages import session_number
from ccrouter.store.pool import Reading
from ccrouter.store.rollups import DAY, HOUR, MINUTE, MINUTES_KEPT
from ccrouter.store.shown import SUM_COLUMNS, sums_facts, timestamp

By = Literal["day", "hour", "model", "provider", "project", "session", "route", "client"]
_NAMED = ("model", "provider", "project", "route", "client")
#: The most names that are listed, those that cost most; the rest is summed up under none.
_MOST_NAMES = 1000
#: The most points of a series.
_MOST_POINTS = 2000

Latencies = dict[int, int]


def usage(reading: Reading, by: By, filters: Filters, now: float, offset: int = 0) -> list[JsonObject]:
    """What was used, by days or hours in their order, by names the dearest first. Days begin `offset` seconds before
    those of UTC.
    """
    is_timed = by in {"day", "hour"}
    least = MINUTE
    if by == "session" or filters.session:
        table, least = "session_rollups JOIN sessions s ON s.n = session", HOUR
    else:
        table = "rollups"
    parts = cover(filters.since, filters.until, now, least)
    if is_timed:
        parts = _in_spans(parts, DAY if by == "day" and not offset else HOUR)
    group = {
        "day": f"(at + {int(offset)}) / {DAY}",
        "hour": f"at / {HOUR}",
        "session": "s.id",
    }.get(by) or _column(by, table)
    rows = _select_sums(reading, table, group, parts, filters)
    if is_timed:
        return [{"name": _moment(by, key), **sums_facts(sums)} for key, *sums in sorted(rows)]
    rows.sort(key=lambda row: (-(row[9] or 0), -(row[1] or 0), str(row[0])))
    return [{"name": _name(reading, by, key), **sums_facts(sums)} for key, *sums in rows[:_MOST_NAMES]]


def overview(reading: Reading, since: datetime, until: datetime, step: int, now: float) -> JsonObject:
    """Everything of the time from `since` to `until`, and of each `step` of seconds in it, widened to whole steps."""
    span = _span_of(step, since, now)
    step = max(step, span)
    low = int(since.timestamp()) // step * step
    high = -(-int(until.timestamp()) // step) * step
    if (high - low) // step > _MOST_POINTS:
        low = high - step * _MOST_POINTS
    series = _series(reading, span, step, low, high)
    filters = Filters(since=datetime.fromtimestamp(low, UTC), until=datetime.fromtimestamp(high, UTC))
    parts = cover(filters.since, filters.until, now)
    totals = _select_sums(reading, "rollups", "1", parts, filters)
    latencies = _latencies(reading, parts, "0")
    by_model, by_provider = _latencies(reading, parts, "model"), _latencies(reading, parts, "provider")
    return {
        "since": timestamp(low * 1000),
        "until": timestamp(high * 1000),
        "step": step,
        "totals": sums_facts(totals[0][1:] if totals else (0,) * 10) | _percentiles(*latencies.get(0, ({}, {}))),
        "series": series,
        "models": _with_percentiles(reading, "model", filters, now, by_model),
        "providers": _with_percentiles(reading, "provider", filters, now, by_provider),
    }


def _with_percentiles(
    reading: Reading, by: By, filters: Filters, now: float, latencies: dict[int, tuple[Latencies, Latencies]]
) -> list[JsonObject]:
    named = {_name(reading, by, key): counts for key, counts in latencies.items()}
    return [one | _percentiles(*named.get(one["name"], ({}, {}))) for one in usage(reading, by, filters, now)]


def _percentiles(first: Latencies, total: Latencies) -> JsonObject:
    return {
        "ttft": {"p50": percentile(first, 0.5), "p95": percentile(first, 0.95)},
        "total": {"p50": percentile(total, 0.5), "p95": percentile(total, 0.95)},
    }


def _series(reading: Reading, span: int, step: int, low: int, high: int) -> list[JsonObject]:
    parts: list[Part] = [(span, low, high)]
    sums = {key: row for key, *row in _select_sums(reading, "rollups", f"at / {step}", parts, Filters())}
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


def _column(by: str, table: str) -> str:
    return f"s.{by}" if by in {"project", "client"} and table != "rollups" else by


def _select_sums(reading: Reading, table: str, group: str, parts: Sequence[Part], filters: Filters) -> list[Any]:
    """The group's key and SUM_COLUMNS for each group. A select for each part, so that each goes by the key."""
    terms, values = [], []
    for name in _NAMED:
        if wanted := getattr(filters, name):
            terms.append(f" AND {_column(name, table)} = ?")
            values.append(reading.number_of(wanted))
    if filters.session:
        terms.append(" AND session = ?")
        values.append(session_number(reading, filters.session))
    if filters.status:
        terms.append(" AND is_failed = " + ("1" if filters.status == "failed" else "0"))
    merged: dict[Any, list[Any]] = {}
    columns = SUM_COLUMNS if table == "rollups" else _qualified(SUM_COLUMNS)
    for span, low, high in parts:
        for key, *sums in reading.connection.execute(
            f"SELECT {group}, {columns} FROM {table} "  # noqa: S608 - constants
            f"WHERE span = ? AND at >= ? AND at < ?{''.join(terms)} GROUP BY 1",
            (span, low, high, *values),
        ):
            known = merged.get(key)
            merged[key] = sums if known is None else [a + b for a, b in zip(known, sums, strict=True)]
    return [(key, *sums) for key, sums in merged.items()]


def _qualified(columns: str) -> str:
    """The columns as those of `session_rollups`: `sessions` has some of the same names."""
    return columns.replace("sum(", "sum(session_rollups.").replace("* requests", "* session_rollups.requests")


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


def _name(reading: Reading, by: str, key: Any) -> str | None:
    return (key if by == "session" else reading.names.get(key, "")) or None


def _moment(by: str, key: int) -> str:
    if by == "day":
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=key)).date().isoformat()
    return timestamp(key * HOUR * 1000)
