"""What `ccr explain SESSION` shows: how much of each turn's prompt came from a cache, and who broke it where. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ccrouter.cli.explain import Section, dollars, percent, verdict_rows
from ccrouter.jsontypes import JsonObject

#: Turns in a line.
_WIDTH = 60
_BARS = "▁▂▃▄▅▆▇█"
_NONE, _BREAK = "·", "▲"
#: What Claude Code asks beside the conversation itself, by its own word for it.
_BESIDE = frozenset({"auxiliary", "side_reply"})


def session_sections(session: JsonObject) -> Iterator[Section]:
    """A page about one session, as `store.reports.Reports.session` gives its facts."""
    turns: list[JsonObject] = [turn | {"number": number} for number, turn in enumerate(session["turns"], 1)]
    yield Section(f"Session {session['session']}", list(_head(session, turns)))
    agents = {one["agent"]: one for one in session["agents"]}
    for name, own in _lanes(turns, agents):
        yield Section(name, list(_line(own)))
    broken = [turn for turn in turns if turn["verdict"]]
    for turn in broken:
        yield from _break(turn)
    if not broken:
        yield Section("No cache was lost, as far as the providers tell of their caches", style="green")


def _head(session: JsonObject, turns: Sequence[JsonObject]) -> Iterator[tuple[str, str]]:
    for name in ("project", "client"):
        if session[name]:
            yield name, str(session[name])
    yield "time", f"{_clock(session['began'], '%Y-%m-%d %H:%M')} to {_clock(session['ended'], '%Y-%m-%d %H:%M')}"
    failed = f", {session['failed']} failed" if session["failed"] else ""
    shown = f" (the last {len(turns)} are shown)" if len(turns) < session["requests"] else ""
    yield "requests", f"{session['requests']}{failed}{shown}"
    yield "models", ", ".join(session["models"]) or "none"
    cost = session["cost"]
    unpriced = cost["unknown"]
    unknown = f", and {unpriced} request{'' if unpriced == 1 else 's'} whose cost is not known" if unpriced else ""
    yield "cost", "unknown" if cost["usd"] is None else dollars(cost["usd"]) + unknown
    lost = [turn["verdict"] for turn in turns if turn["verdict"] and turn["verdict"]["lostTokens"]]
    told = f"{percent(session['cacheShare'])} of all input came from a cache"
    if lost:
        usd = [one["lostUsd"] for one in lost]
        more = f", {dollars(sum(usd))} more" if None not in usd else ""
        times = "once" if len(lost) == 1 else f"{len(lost)} times"
        told += f"; it was lost {times}: {sum(one['lostTokens'] for one in lost):,} tokens{more}"
    yield "cache", told


def _lanes(turns: Sequence[JsonObject], agents: dict[str, JsonObject]) -> Iterator[tuple[str, list[JsonObject]]]:
    """The conversation itself, what was asked beside it, and each agent's: those that have turns that were answered."""
    lanes: dict[str, list[JsonObject]] = {}
    for turn in turns:
        if turn["agent"]:
            kind = agents.get(turn["agent"], {}).get("agentType")
            name = f"Agent {turn['agent']}{f' ({kind})' if kind else ''}"
        else:
            is_beside = turn["requestClass"] in _BESIDE or (not turn["requestClass"] and turn["route"] == "background")
            name = "Beside the conversation" if is_beside else "Conversation"
        if turn["cacheShare"] is not None:
            lanes.setdefault(name, []).append(turn)
    yield from lanes.items()


def _line(turns: Sequence[JsonObject]) -> Iterator[tuple[str, str]]:
    """The shares as bars, with a mark below each turn whose cache was lost."""
    for start in range(0, len(turns), _WIDTH):
        part = turns[start : start + _WIDTH]
        bars = "".join(_bar(turn["cacheShare"]) for turn in part)
        marks = "".join(_BREAK if _is_break(turn) else " " for turn in part).rstrip()
        first, last = part[0]["number"], part[-1]["number"]
        yield f"turn {first}" if first == last else f"turns {first}–{last}", f"{bars}\n{marks}" if marks else bars


def _bar(share: float | None) -> str:
    return _NONE if share is None else _BARS[min(len(_BARS) - 1, int(share * len(_BARS)))]


def _is_break(turn: JsonObject) -> bool:
    return bool(turn["verdict"] and turn["verdict"]["lostTokens"])


def _break(turn: JsonObject) -> Iterator[Section]:
    where = f"Turn {turn['number']}, {_clock(turn['began'], '%H:%M:%S')}, {turn['id']}"
    is_break = _is_break(turn)
    yield Section(
        f"{_BREAK} {where}" if is_break else where,
        list(verdict_rows(turn["verdict"])),
        style="bold red" if is_break else "bold",
    )


def _clock(moment: str, form: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime(form)
