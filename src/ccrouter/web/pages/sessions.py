"""Sessions: the conversations, and what they cost."""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import Page, View


def read(view: View) -> JsonObject:
    """The facts of this page."""
    return {}


PAGE = Page("/ui/sessions", "Sessions", "sessions.html", read, twin="/api/sessions")
