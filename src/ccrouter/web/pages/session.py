"""Session: one conversation, turn by turn: who answered and why, what it cost, where its cache broke and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ccrouter.gateway.record import CLIENT_GONE
from ccrouter.jsontypes import JsonObject
from ccrouter.web.page import NotFound, Page, View
from ccrouter.web.parts.breaks import breaks, is_break
from ccrouter.web.parts.records import added, consult
from ccrouter.web.parts.story import tried, why

if TYPE_CHECKING:
    from ccrouter.store.reports import Reports

#: A session that somebody may still be at.
_RECENT = timedelta(minutes=15)
#: The page of a longer one is too much to be sent every two seconds.
_MOST_LIVE = 300
_FAILED = 400
#: Of turns in which something failed, the last ones that are told in words.
_MOST_FAILURES = 50
#: What Claude Code asks beside the conversation itself, by its own word for it.
_SIDE = frozenset({"auxiliary", "side_reply"})
#: The threads of a session.
_LANES = ("main", "agent", "side")


def read(view: View) -> JsonObject:
    """The facts of this page. Raises NotFound for a session that is not recorded."""
    wanted = view.params.get("id", "")
    found = consult(view, lambda reports: _recorded(reports, wanted), {"session": None, "failures": []})
    session = found["session"]
    if session is None:
        if found["records"]["state"] == "kept":
            raise NotFound(f"No session {wanted} is recorded. It may be older than what is kept.")
        return {"id": wanted, **found}
    turns, agents = session.pop("turns"), session.pop("agents")
    for number, turn in enumerate(turns, session["requests"] - len(turns) + 1):
        turn["turn"] = number
        turn["lane"] = _lane(turn)
        turn["why"] = why(turn["route"], turn["reason"])
    found_breaks = breaks(turns)
    return {
        "id": wanted,
        **found,
        "isRecent": len(turns) <= _MOST_LIVE and view.now - datetime.fromisoformat(session["ended"]) < _RECENT,
        "turns": turns,
        "turnOf": {turn["id"]: turn["turn"] for turn in turns},
        "breaks": found_breaks,
        "markOf": {one["id"]: one["number"] for one in found_breaks},
        "lost": _lost(found_breaks),
        "lanes": [lane for lane in _LANES if any(turn["lane"] == lane for turn in turns)],
        "course": [_point(turn) for turn in turns],
        "threads": {"main": _thread(turns, "main"), "side": _thread(turns, "side"), "agents": agents},
    }


PAGE = Page(
    "/ui/sessions/{id}",
    "Session",
    "session.html",
    read,
    twin="/api/sessions/{id}",
    is_listed=False,
    section="/ui/sessions",
)


def _recorded(reports: Reports, wanted: str) -> JsonObject:
    """The session, and what went wrong in it: how each attempt failed is told of single requests alone."""
    session = reports.session(wanted)
    failures: list[JsonObject] = [
        {"id": turn["id"], "began": turn["began"], "status": turn["status"]}
        for turn in (session["turns"] if session else ())
        if turn["failedAttempts"] or turn["status"] >= _FAILED
    ][-_MOST_FAILURES:]
    for failure in failures:
        whole = reports.request(failure["id"])
        failure["words"] = [] if whole is None else _what_failed(whole)
    return {"session": session, "failures": failures}


def _what_failed(request: JsonObject) -> list[str]:
    words = [*tried(request, request["attempts"])]
    if request["error"] and request["status"] >= _FAILED and request["status"] != CLIENT_GONE:
        words.append(f"The client got an error ({request['status']}): {request['error']}")
    return words or [f"The client got an error ({request['status']})."]


def _lane(turn: JsonObject) -> str:
    """Whether it belongs to the conversation itself ("main"), to an agent, or was asked beside it ("side")."""
    if turn["agent"]:
        return "agent"
    is_beside = turn["requestClass"] in _SIDE or (turn["requestClass"] is None and turn["route"] == "background")
    return "side" if is_beside else "main"


def _point(turn: JsonObject) -> JsonObject:
    """What is drawn of a turn: each thread of the conversation has a line of its own, as each has its own context."""
    context, share = turn["contextTokens"] or None, turn["cacheShare"]
    point: JsonObject = {"turn": turn["turn"], "id": turn["id"], "usd": turn["cost"]["usd"]}
    for lane in _LANES:
        is_own = turn["lane"] == lane
        point[f"{lane}Context"], point[f"{lane}Share"] = (context, share) if is_own else (None, None)
    point["window"] = turn["contextWindow"] if turn["lane"] == "main" else None
    return point


def _thread(turns: Sequence[JsonObject], lane: str) -> JsonObject:
    own = [turn for turn in turns if turn["lane"] == lane]
    rows = [_as_usage(turn) for turn in own]
    return {**added(rows), "models": sorted({turn["sent"] for turn in own if turn["sent"]})}


def _as_usage(turn: JsonObject) -> JsonObject:
    usd = turn["cost"]["usd"]
    return {"requests": 1, "failed": int(turn["status"] >= _FAILED), "cost": {"usd": usd, "unknown": int(usd is None)}}


def _lost(found: Sequence[JsonObject]) -> JsonObject:
    """What all breaks came to; the cost is None if none of theirs is known."""
    known = [one["lostUsd"] for one in found if one["lostUsd"] is not None]
    return {
        "breaks": sum(map(is_break, found)),
        "tokens": sum(one["lostTokens"] for one in found),
        "usd": sum(known) if known or not found else None,
        "unknown": len(found) - len(known),
    }
