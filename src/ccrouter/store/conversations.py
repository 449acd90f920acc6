"""Sessions, their turns, and the agents in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ccrouter.errors import ClientError
from ccrouter.jsontypes import JsonObject
from ccrouter.store.pages import SELECT
from ccrouter.store.pool import Reading
from ccrouter.store.shown import cache_share, row_facts, sum_of_costs, timestamp, tokens_facts

#: How many tokens a model of a provider's can read; None if that is not known.
FindWindow = Callable[[str, str], int | None]

_COLUMNS = (
    "n, id, project, client, began, ended, requests, failed, input, output, cache_read, cache_write, cache_write_1h, "
    "thinking, usd, unpriced, breaks"
)
#: The most turns of one session that are shown, the last ones.
MOST_TURNS = 1000


def find_sessions(  # noqa: PLR0913 - what can be asked for, all but the first by name
    reading: Reading,
    *,
    since: datetime | None,
    until: datetime | None,
    project: str,
    search: str,
    limit: int,
    before: str | None,
) -> tuple[list[JsonObject], str | None]:
    """Those that went on after `since` and began before `until`, the last one first, and where the next page begins."""
    terms: list[str] = ["1"]
    values: list[Any] = []
    if since is not None:
        terms.append("ended >= ?")
        values.append(int(since.timestamp() * 1000))
    if until is not None:
        terms.append("began < ?")
        values.append(int(until.timestamp() * 1000))
    if project:
        terms.append("project = ?")
        values.append(reading.number_of(project))
    if search:
        lower = search.lower()
        numbers = [n for n, name in reading.names.items() if n and lower in name.lower()][:200]
        terms.append(f"(id LIKE ? ESCAPE '!' OR project IN ({', '.join('?' * len(numbers))}))")
        values += ["%" + lower.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%", *numbers]
    if before:
        terms.append("(ended, n) < (?, ?)")
        values += _read_cursor(before)
    rows = reading.connection.execute(
        f"SELECT {_COLUMNS} FROM sessions WHERE {' AND '.join(terms)} ORDER BY ended DESC, n DESC LIMIT ?",  # noqa: S608 - constants
        (*values, limit + 1),
    ).fetchall()
    shown = rows[:limit]
    following = f"{shown[-1][5]}-{shown[-1][0]}" if len(rows) > limit else None
    return [session_facts(reading, row) for row in shown], following


def find_session(reading: Reading, session: str, window_of: FindWindow | None) -> JsonObject | None:
    """One session with its turns in their order, and its agents; None if there is none of that id."""
    row = reading.connection.execute(f"SELECT {_COLUMNS} FROM sessions WHERE id = ?", (session,)).fetchone()  # noqa: S608 - constants
    if row is None:
        return None
    rows = reading.connection.execute(
        f"{SELECT} WHERE e.session = ? ORDER BY e.n DESC LIMIT ?", (row[0], MOST_TURNS)
    ).fetchall()
    turns = [row_facts(one, reading.names) for one in reversed(rows)]
    for turn in turns:
        turn["verdict"] = turn["cacheBreak"]
        turn["contextWindow"] = (
            window_of(turn["provider"], turn["sent"]) if window_of and turn["provider"] and turn["sent"] else None
        )
    return session_facts(reading, row) | {"turns": turns, "agents": _agents(reading, row[0], turns)}


def session_facts(reading: Reading, row: Any) -> JsonObject:
    """One session, of its columns."""
    number, id_, project, client, began, ended, requests, failed, *tokens, usd, unpriced, breaks = row
    models = reading.connection.execute(
        "SELECT DISTINCT model FROM session_models WHERE session = ? AND model > 0", (number,)
    )
    agents = reading.connection.execute("SELECT count(*) FROM agents WHERE session = ?", (number,)).fetchone()[0]
    return {
        "session": id_,
        "project": reading.names[project] or None,
        "client": reading.names[client] or None,
        "began": timestamp(began),
        "ended": timestamp(ended),
        "requests": requests,
        "failed": failed,
        "models": sorted(reading.names[model] for (model,) in models),
        "tokens": tokens_facts(tokens),
        "cacheShare": cache_share(tokens[0], tokens[2], tokens[3]),
        "cost": {"usd": sum_of_costs(usd, requests, unpriced), "unknown": unpriced},
        "cacheBreaks": breaks,
        "agents": agents,
    }


def _read_cursor(before: str) -> tuple[int, int]:
    ended, _, number = before.partition("-")
    if not (ended.isdecimal() and number.isdecimal()) or len(before) > 40:
        raise ClientError("before: is not what an earlier page said to be next")
    return int(ended), int(number)


def _agents(reading: Reading, session: int, turns: list[JsonObject]) -> list[JsonObject]:
    """The agents in the order in which they began. Which agent began which, requests do not tell."""
    rows = reading.connection.execute(
        "SELECT agent, kind, began, ended FROM agents WHERE session = ? ORDER BY began", (session,)
    )
    agents = []
    for agent, kind, began, ended in rows:
        own = [turn for turn in turns if turn["agent"] == agent]
        known = [turn["cost"]["usd"] for turn in own if turn["cost"]["usd"] is not None]
        unknown = len(own) - len(known)
        agents.append(
            {
                "agent": agent,
                "agentType": reading.names[kind] or None,
                "parent": None,
                "requests": len(own),
                "failed": sum(turn["status"] >= 400 for turn in own),
                "cost": {"usd": sum_of_costs(sum(known), len(own), unknown), "unknown": unknown},
                "models": sorted({turn["sent"] for turn in own if turn["sent"]}),
                "began": timestamp(began),
                "ended": timestamp(ended),
            }
        )
    return agents
