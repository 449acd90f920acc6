"""Logs: the log."""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import Page, View


def read(view: View) -> JsonObject:
    """The facts of this page."""
    return {}


PAGE = Page("/ui/logs", "Logs", "logs.html", read, twin="/api/logs/lines")
