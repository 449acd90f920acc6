"""Sessions: the conversations, the last one first, and what they cost."""

from __future__ import annotations

import re
from datetime import timedelta

from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import Page, View
from ccrouter.web.parts.records import consult
from ccrouter.web.parts.spans import SPANS, since_of

_LIMIT = 50
_CURSOR = re.compile(r"[0-9]{1,18}-[0-9]{1,18}")
_OFFERED_SINCE = timedelta(days=90)
_MOST_OFFERED = 100


def read(view: View) -> JsonObject:
    """The facts of this page."""
    asked = {name: text for name in ("search", "project", "since") if (text := view.query.get(name, "").strip())}
    since = since_of(asked, view.now)
    if since is None:
        asked.pop("since", None)
    cursor = view.query.get("before", "")
    cursor = cursor if _CURSOR.fullmatch(cursor) else ""
    return {
        "filters": dict(asked),
        "before": cursor or None,
        "spans": [one.name for one in SPANS],
        **consult(
            view,
            lambda reports: {
                **reports.sessions(
                    since=since,
                    project=asked.get("project", ""),
                    search=asked.get("search", ""),
                    limit=_LIMIT,
                    before=cursor or None,
                ),
                "projects": [
                    row["name"]
                    for row in reports.usage("project", since=view.now - _OFFERED_SINCE)[:_MOST_OFFERED]
                    if row["name"]
                ],
            },
            {"items": [], "next": None, "projects": []},
        ),
    }


PAGE = Page("/ui/sessions", "Sessions", "sessions.html", read, twin="/api/sessions")
