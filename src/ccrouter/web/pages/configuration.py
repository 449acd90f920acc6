"""Config: the configuration file as a form and as text, what is wrong with it, and changes before they are made."""

from __future__ import annotations

from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import Page, View

#: Of a router whose file nobody looked at.
_NO_FILE: JsonObject = {
    "path": "",
    "isFollowed": False,
    "force": {"state": "ok", "at": None, "reason": "", "config": "", "auto": True, "digest": "", "isThis": True}
    | {"isTried": True},
    "policy": None,
    "known": [],
    "saved": None,
    "backups": [],
    "change": None,
    "isLost": False,
    "exists": True,
    "isEmpty": False,
    "digest": "",
    "text": None,
    "why": "nobody has looked at the file",
    "problems": [],
    "warnings": [],
    "literals": [],
    "form": None,
}


def read(view: View) -> JsonObject:
    """The facts of this page."""
    return _NO_FILE | view.file()


PAGE = Page("/ui/config", "Config", "configuration.html", read, twin="/api/config/file")
