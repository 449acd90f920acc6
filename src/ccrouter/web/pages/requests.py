"""Requests: every request that was recorded, and those under way."""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import Page, View


def read(view: View) -> JsonObject:
    """The facts of this page."""
    return {}


PAGE = Page("/ui/requests", "Requests", "requests.html", read, twin="/api/requests")
