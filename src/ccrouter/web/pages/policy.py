"""Policy: what is in force, what it denied, how far the audit log is unbroken; and what another one would have done."""

from __future__ import annotations

from ccrouter.compliance.document import PRESETS
from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import Page, View
from ccrouter.web.parts.rules import told_policy

_MOST_DENIALS = 50
_NO_AUDIT: JsonObject = {"isKept": False, "folder": "", "chains": [], "denials": [], "fault": None}

#: What can be simulated with, and over which time, as the form names it.
POLICIES: tuple[tuple[str, str], ...] = (
    ("present", "the policy in force"),
    ("none", "no policy"),
    *((name, f"preset {name}") for name in PRESETS),
    ("document", "the document below"),
)
RANGES: tuple[tuple[str, str], ...] = (
    ("1h", "the last hour"),
    ("24h", "the last 24 hours"),
    ("7d", "the last 7 days"),
    ("30d", "the last 30 days"),
    ("all", "everything that is recorded"),
)


def read(view: View) -> JsonObject:
    """The facts of this page."""
    audit = _NO_AUDIT | view.audit()
    recorded = [] if view.reports is None else [_denial(row) for row in view.reports.denials(limit=_MOST_DENIALS)]
    return {
        "policy": told_policy(view.policy),
        "presets": list(PRESETS),
        "policyFile": str(view.folder / "policy.json"),
        "isRecorded": view.reports is not None,
        "denials": _merged(recorded, [_audited(one) for one in audit["denials"]]),
        "audit": {name: value for name, value in audit.items() if name != "denials"},
        "policies": [{"name": name, "title": title} for name, title in POLICIES],
        "ranges": [{"name": name, "title": title} for name, title in RANGES],
    }


PAGE = Page("/ui/policy", "Policy", "policy.html", read, twin="/api/policy/state")


def _denial(row: JsonObject) -> JsonObject:
    """A denied request, as the records have it."""
    return {
        "request": row["id"],
        "isRecorded": True,
        "at": row["began"],
        "rule": str(row["policy"] or "").removeprefix("denied:").strip(),
        "asked": row["asked"] or None,
        "target": row["provider"],
        "route": row["route"],
        "session": row["session"],
        "reason": row["error"] or row["reason"],
    }


def _audited(line: JsonObject) -> JsonObject:
    """A denial, as the audit log has it: also of what is no request to a model."""
    return {
        "request": line["request"],
        "isRecorded": False,
        "at": line["time"],
        "rule": line["rule"] or "",
        "asked": line["asked"] or None,
        "target": line["target"] or None,
        "route": line["route"] or line["path"],
        "session": line["session"] or None,
        "reason": line["reason"],
    }


def _merged(recorded: list[JsonObject], audited: list[JsonObject]) -> list[JsonObject]:
    known = {one["request"] for one in recorded}
    found = [*recorded, *(one for one in audited if one["request"] not in known)]
    return sorted(found, key=lambda one: str(one["at"]), reverse=True)[:_MOST_DENIALS]
