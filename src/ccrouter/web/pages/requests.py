"""Requests: every request that was recorded, the newest first, and those under way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

from ccrouter.jsontypes import JsonObject
from ccrouter.store.filters import Filters, Status
from ccrouter.web.page import Page, View
from ccrouter.web.parts.records import consult
from ccrouter.web.parts.spans import SPANS, since_of

if TYPE_CHECKING:
    from ccrouter.store.reports import Reports

#: What an address can ask for, beside `since` and where a page begins.
_WORDS = ("model", "provider", "route", "session", "project", "client", "status", "search")
_STATES = ("ok", "failed")
_LIMIT = 50
#: What is offered to choose from: names that were used of late, the dearest first.
_OFFERED = ("model", "provider", "route", "project", "client")
_OFFERED_SINCE = timedelta(days=30)
_MOST_OFFERED = 100


def read(view: View) -> JsonObject:
    """The facts of this page."""
    asked = {name: text for name in (*_WORDS, "since") if (text := view.query.get(name, "").strip())}
    if asked.get("status") not in _STATES:
        asked.pop("status", None)
    if since_of(asked, view.now) is None:
        asked.pop("since", None)
    cursor = view.query.get("before", "")
    cursor = cursor if cursor.isascii() and cursor.isdigit() and len(cursor) <= 20 else ""
    return {
        "filters": dict(asked),
        "before": cursor or None,
        "live": [] if cursor else [one for one in view.live if _fits(one, asked)],
        "spans": [one.name for one in SPANS],
        **consult(
            view,
            lambda reports: {
                **reports.requests(_filters(asked, view), _LIMIT, cursor or None),
                "offered": {name: _offered(reports, name, view) for name in _OFFERED},
            },
            {"items": [], "next": None, "total": None, "offered": {name: [] for name in _OFFERED}},
        ),
    }


PAGE = Page("/ui/requests", "Requests", "requests.html", read, twin="/api/requests")


def _filters(asked: dict[str, str], view: View) -> Filters:
    return Filters(
        since=since_of(asked, view.now),
        model=asked.get("model", ""),
        provider=asked.get("provider", ""),
        route=asked.get("route", ""),
        session=asked.get("session", ""),
        project=asked.get("project", ""),
        client=asked.get("client", ""),
        status=cast("Status", asked.get("status", "")),
        search=asked.get("search", ""),
    )


def _offered(reports: Reports, name: str, view: View) -> list[str]:
    rows = reports.usage(name, since=view.now - _OFFERED_SINCE)  # type: ignore[arg-type] # five of By
    return [row["name"] for row in rows[:_MOST_OFFERED] if row["name"]]


def _fits(live: JsonObject, asked: dict[str, str]) -> bool:
    """True if a request under way is not another than what is asked for. What it is not known to be it may yet be."""
    if "status" in asked or "project" in asked:
        return False
    for name, member in (("model", "sent"), ("provider", "provider"), ("route", "route"), ("session", "session")):
        if name in asked and live.get(member) not in (None, asked[name]):
            return False
    return "client" not in asked or live.get("client") == asked["client"]
