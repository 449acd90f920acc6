"""Routes: which route leads where, and what a request would do."""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import Page, View


def read(view: View) -> JsonObject:
    """The facts of this page."""
    return {}


PAGE = Page("/ui/routes", "Routes", "routes.html", read, twin="/api/routes")
