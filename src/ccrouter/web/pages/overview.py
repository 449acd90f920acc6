"""Overview: what is under way, what was spent, how well the cache and the providers do, over a time; and what runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from ccrouter.compliance.policy import Policy
from ccrouter.jsontypes import JsonObject
from ccrouter.loopback import is_loopback
from ccrouter.web.page import Page, View
from ccrouter.web.parts.address import address_of
from ccrouter.web.parts.records import added, consult
from ccrouter.web.parts.spans import Span, midnight, span_of, told

if TYPE_CHECKING:
    from ccrouter.store.reports import Reports


def read(view: View) -> JsonObject:
    """The facts of this page."""
    config, span = view.config, span_of(view.query)
    return {
        "router": _process(view),
        "policy": _policy_in_brief(view.policy),
        "warnings": [{"place": one.path, "message": one.message, "hint": one.hint} for one in config.warnings],
        "range": told(span, view.now),
        "live": list(view.live),
        **consult(view, lambda reports: _recorded(reports, view, span), dict(_NOTHING)),
    }


PAGE = Page("/ui/", "Overview", "overview.html", read, twin="/api/overview")

_NOTHING: JsonObject = {"today": None, "totals": None, "series": [], "models": [], "providers": []}


def _recorded(reports: Reports, view: View, span: Span) -> JsonObject:
    found = reports.overview(view.now - timedelta(seconds=span.seconds), view.now, span.step)
    return {
        "today": added(reports.usage("provider", since=midnight(view.now))),
        "totals": _rated(found["totals"]),
        "series": _rates(found["series"]),
        "models": _rates(found["models"]),
        "providers": _rates(found["providers"]),
    }


def _rates(rows: Sequence[JsonObject]) -> list[JsonObject]:
    return [_rated(row) for row in rows]


def _rated(row: JsonObject) -> JsonObject:
    """With the share of requests that failed, None of none."""
    return {**row, "errorRate": row["failed"] / row["requests"] if row["requests"] else None}


def _policy_in_brief(policy: Policy) -> JsonObject | None:
    if not policy.is_in_force:
        return None
    return {"name": policy.name, "source": policy.source, "isPinned": policy.is_pinned}


def _process(view: View) -> JsonObject:
    config = view.config
    return {
        "version": view.version,
        "pid": view.pid,
        "address": address_of(config),
        "audience": "this machine only" if is_loopback(config.host) else f"every machine that reaches {config.host}",
        "key": "asked of every client" if config.api_key else "none asked",
        "since": view.started.isoformat(timespec="seconds"),
        "config": str(config.path) if config.path else "",
        "digest": config.digest,
    }
