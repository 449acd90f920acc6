"""docs/reference/http.md against the table of routes."""

from __future__ import annotations

import re
from pathlib import Path

from ccrouter.server.routes import ROUTES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http.md"


def documented(text: str) -> list[tuple[str, str, str]]:
    """(method, path, access) of every row of the page's table, in order."""
    return re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \| (\w+) \| \S", text, re.MULTILINE)


def test_every_route_is_documented_with_its_access():
    """The page's table is the router's: the same routes in the same order, each with its access."""
    served = [(row.methods[0], row.path.replace(":path", ""), row.access.value) for row in ROUTES]
    assert documented(PAGE.read_text(encoding="utf-8")) == served


def test_head_is_answered_wherever_get_is():
    """As the page says."""
    assert all(row.methods in {("GET", "HEAD"), ("POST",), ("PUT",), ("PATCH",), ("DELETE",)} for row in ROUTES)
