"""Logs: the lines of a log file, by level, request, session and text; its files; and the level that is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime

from ccrouter.config.schema import Config
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.logs.reading import RANKS
from ccrouter.web.page import Page, View

#: Lines that one page shows, of those that can be asked for, and characters of one fact of a line.
_CHOICES = (100, 300, 1000)
_LONGEST = 8000
_MOST_FACTS = 60
_NAMES = {rank: name for name, rank in RANKS.items()}
#: Facts of a line that the page has a place for, and those that every line has.
_PLACED = frozenset({"level", "time", "msg", "reqId", "session", "pid", "hostname"})


def read(view: View) -> JsonObject:
    """The facts of this page. Raises NotFound for a file that there is not, and for what cannot be asked."""
    query = {**view.query}
    query["lines"] = query.get("lines") or str(_CHOICES[0])
    found = view.logs(query)
    lines = [_line(one) for one in found.get("lines", ())]
    asked = {name: query.get(name, "") for name in ("file", "level", "request", "session", "search", "since")}
    return {
        "kept": found.get("current") is not None,
        "config": _settings(view.config),
        "level": found.get("level"),
        "levels": list(RANKS),
        "file": found.get("file"),
        "current": found.get("current"),
        "files": found.get("files", []),
        "lines": lines,
        "before": found.get("before"),
        "isOlder": bool(query.get("before")),
        "asked": {**asked, "lines": query["lines"]},
        "isFiltered": any(value for name, value in asked.items() if name != "file"),
        "choices": list(_CHOICES),
    }


PAGE = Page("/ui/logs", "Logs", "logs.html", read, twin="/api/logs/lines")


def _settings(config: Config) -> JsonObject:
    return {"log": config.log, "megabytes": config.log_files.megabytes, "keep": config.log_files.keep}


def _line(told: Mapping[str, Json]) -> JsonObject:
    """One line of the log. Its other facts are told line by line: a page's facts hold no ends of lines."""
    level, time = told.get("level"), told.get("time")
    rank = level if isinstance(level, int) else RANKS["info"]
    facts = [(name, value) for name, value in _flat(told) if name not in _PLACED and value not in (None, "", [], {})]
    return {
        "time": time if isinstance(time, str) and _is_time(time) else None,
        "rank": rank,
        "level": _NAMES.get(rank, str(rank)),
        "message": _short(told.get("msg", "")),
        "request": _word(told.get("reqId")),
        "session": _word(told.get("session")),
        "facts": [{"name": name[:100], "lines": _short(value).split("\n")} for name, value in facts[:_MOST_FACTS]],
    }


def _flat(told: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """Every fact, those within an object under both their names."""
    for name, value in told.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", one) for inner, one in value.items())
        else:
            yield name, value


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _word(value: Json) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
