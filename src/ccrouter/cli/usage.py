"""`ccr usage`: what was asked, and what it cost, from the records on disk. Reads only; no router need run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from ccrouter.cli.period import HELP, iso, local, moment_of
from ccrouter.cli.terminal import harmless, note, say
from ccrouter.cli.usage_figures import KINDS, Figures, by_day, by_hour, dearest_first, figures_of, filled, total_of

if TYPE_CHECKING:
    from ccrouter.jsontypes import JsonObject
    from ccrouter.store.reports import Reports
    from ccrouter.store.sums import By

_BY = ("day", "hour", "model", "provider", "project", "session", "route", "client")
_SINCE = {"hour": "24h"}
_STEPS = {"day": timedelta(days=1), "hour": timedelta(hours=1)}
#: A spreadsheet would take a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _moment(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    try:
        return None if text is None else moment_of(text, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option("--by", type=click.Choice(_BY), default="day", show_default=True, help="What each row is about.")
@click.option("--since", callback=_moment, metavar="TIME", help=f"From when on: {HELP}. Default: 30d, by hour 24h.")
@click.option("--until", callback=_moment, metavar="TIME", help="Up to when; likewise. Default: now.")
@click.option("--model", metavar="NAME", help="Only what this model was asked (the one that was sent).")
@click.option("--provider", metavar="NAME", help="Only what this provider was asked.")
@click.option("--project", metavar="NAME", help="Only this project, by its folder in Claude Code's own.")
@click.option("--session", metavar="ID", help="Only this session.")
@click.option("--route", metavar="NAME", help="Only this route.")
@click.option("--client", metavar="NAME", help="Only this client.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
@click.option("--csv", "as_csv", is_flag=True, help="Print lines of comma-separated values instead.")
def command(
    by: By,
    since: datetime | None,
    until: datetime | None,
    *,
    as_json: bool,
    as_csv: bool,
    **filters: str | None,
) -> int:
    """Show requests, tokens and costs: by day, hour, model, provider, project, session, route or client.

    A cost that is not known is said to be unknown, is in no sum, and `unpriced` counts the requests that
    it concerns. Days and hours are those of this machine's zone.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    now = datetime.now(UTC)
    since = since or moment_of(_SINCE.get(by, "30d"), now)
    until = until or now
    if since >= until:
        raise click.UsageError("--since must be before --until")
    wanted = {name: text for name, text in filters.items() if text}
    rows = _rows(by, since, until, wanted)
    if as_json:
        say(harmless(json.dumps(_as_json(by, since, until, rows), indent=2, ensure_ascii=False)))
    elif as_csv:
        say(harmless(_as_csv(by, rows)))
    else:
        _show(by, since, until, rows, is_narrowed=bool(wanted))
    return 0


def _rows(by: By, since: datetime, until: datetime, wanted: dict[str, str]) -> list[Figures]:
    """Raises StoreUnusable if the records cannot be read."""
    from ccrouter.store.filters import Filters

    filters = Filters(**wanted)  # type: ignore[arg-type] # none of them is a time or a status, see the options
    # Days are put together here, of hours: the file has those of UTC, and summer time makes some longer than others.
    told = _reports().usage("hour" if by == "day" else by, since, until, filters=filters)
    if by == "day":
        return by_day(told)
    return by_hour(told) if by == "hour" else dearest_first(figures_of(told))


def _reports() -> Reports:
    from ccrouter.service.private import router_folder
    from ccrouter.store.database import FILE
    from ccrouter.store.reports import Reports

    return Reports(router_folder() / FILE)


def _show(by: str, since: datetime, until: datetime, rows: Sequence[Figures], *, is_narrowed: bool) -> None:
    from ccrouter.cli.usage_table import fill, show, summary

    span = f"{local(since):%Y-%m-%d %H:%M} to {local(until):%Y-%m-%d %H:%M}"
    if not rows:
        _show_none(by, span, is_narrowed=is_narrowed)
        return
    total = total_of(rows)
    say(fill(f"{span} · {summary(total)}"))
    say()
    show(by, filled(rows, _STEPS[by]) if by in _STEPS else rows, total)


def _show_none(by: str, span: str, *, is_narrowed: bool) -> None:
    # More may be there than was asked for: who reads "nothing" looks for the fault in the router.
    if is_narrowed:
        say(f"Nothing of that kind was recorded from {span}.")
        note("  hint: names must be written in full; `ccr usage --by model` (or provider, project ...) lists them")
    elif by == "session":
        say(f"No session was recorded from {span}.")
        note("  hint: Claude Code names its sessions, other clients may not: `ccr usage --by client` has them all")
    else:
        say(f"Nothing was recorded from {span}.")
        note("  hint: the router writes what it serves into records.db, unless `record.enabled` is false in the config")


def _as_json(by: str, since: datetime, until: datetime, rows: Sequence[Figures]) -> JsonObject:
    return {
        "by": by,
        "since": iso(since),
        "until": iso(until),
        "rows": [row.as_json() for row in rows],
        "total": {key: value for key, value in total_of(rows).as_json().items() if key != "name"},
    }


def _as_csv(by: str, rows: Sequence[Figures]) -> str:
    """A cost that is not known is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([by, "requests", "failed", *KINDS, "cacheShare", "costUsd", "requestsOfUnknownCost"])
    for row in rows:
        share, usd = row.cache_share, row.known_usd
        name = f"'{row.name}" if row.name.startswith(_FORMULA) else row.name
        figures = (row.tokens[kind] for kind in KINDS)
        told = ("" if share is None else f"{share:.4f}", "" if usd is None else f"{usd:.6f}", row.unknown)
        writer.writerow([name, row.requests, row.failed, *figures, *told])
    return text.getvalue().rstrip("\n")
