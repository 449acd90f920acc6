"""Policy: the policy in force, its denials, and the audit."""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import Page, View


def read(view: View) -> JsonObject:
    """The facts of this page."""
    return {}


PAGE = Page("/ui/policy", "Policy", "policy.html", read, twin="/api/policy/state")
