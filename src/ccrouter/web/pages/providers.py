"""Providers: providers, their targets and keys, and how they are."""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import Page, View


def read(view: View) -> JsonObject:
    """The facts of this page."""
    return {}


PAGE = Page("/ui/providers", "Providers", "providers.html", read, twin="/api/providers")
