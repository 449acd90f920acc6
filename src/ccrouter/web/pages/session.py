"""Session: one conversation, turn by turn."""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import Page, View


def read(view: View) -> JsonObject:
    """The facts of this page."""
    return {}


PAGE = Page("/ui/sessions/{id}", "Session", "session.html", read, twin="/api/sessions/{id}", is_listed=False, section="/ui/sessions")
