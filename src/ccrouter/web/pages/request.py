"""Request: one request from its arrival to its end."""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import Page, View


def read(view: View) -> JsonObject:
    """The facts of this page."""
    return {}


PAGE = Page("/ui/requests/{id}", "Request", "request.html", read, twin="/api/requests/{id}", is_listed=False, section="/ui/requests")
