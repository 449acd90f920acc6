"""A line of the log, as a person reads it: in words, in one line, with the colour of its level on a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime

from ccrouter.cli.terminal import harmless
from ccrouter.jsontypes import JsonObject
from ccrouter.logs.reading import RANKS, told_by

_NAMES = {rank: name for name, rank in RANKS.items()}
_COLOURS = {"trace": "\033[2m", "debug": "\033[2m", "warn": "\033[33m", "error": "\033[31m", "fatal": "\033[31m"}
#: Of a line about an exchange, what is told in words.
_TOLD = frozenset({
    "level", "time", "msg", "reqId", "path", "status", "asked", "route", "reason", "response", "session", "streamed",
    "bytes", "tokens", "ttftMs", "totalMs", "stopReason", "upstreamId", "client", "error", "attempts", "resumed",
    "losses",
})  # fmt: skip


def line_shower() -> Callable[[bytes], str]:
    """What writes a line for a person. Colours only where they are seen."""
    is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.name != "nt"
    today = datetime.now().astimezone().date()

    def shown(line: bytes) -> str:
        told = told_by(line)
        level = _NAMES.get(told.get("level", 30), str(told.get("level")))
        when = _moment(told.get("time"))
        time_of_day = "" if when is None else when.strftime("%H:%M:%S")
        date = "" if when is None or when.date() == today else when.strftime("%Y-%m-%d ")
        mark = f"{level:<5}"
        if is_coloured and level in _COLOURS:
            mark = f"{_COLOURS[level]}{mark}\033[0m"
        text = "  ".join(filter(None, _words(told))).replace("  \n", "\n").replace("\n", "\n      ")
        return f"{date}{time_of_day:<8} {mark} {harmless(text)}"

    return shown


def _words(told: JsonObject) -> list[str]:
    try:
        return list(_exchange(told) if told.get("msg") == "exchange" else _event(told))
    except (AttributeError, KeyError, TypeError, ValueError):  # a line that another program wrote
        return list(_event(told))


def _exchange(told: JsonObject) -> Iterator[str]:
    """An exchange in a line: status, route, from which model to which, tokens, time, id; and what went wrong."""
    answered = told.get("response") or {}
    model = ",".join(str(answered[name]) for name in ("provider", "model") if answered.get(name))
    asked = str(told.get("asked") or "")
    yield str(told.get("status", ""))
    yield str(told.get("route") or "")
    yield f"{asked} → {model}" if asked and model and asked != model else asked or model
    tokens = told.get("tokens") or {}
    if any(tokens.values()):
        read = sum(tokens.get(name, 0) for name in ("input", "cacheRead", "cacheWrite"))
        share = f" ({100 * tokens['cacheRead'] / read:.0f} % cached)" if read and tokens.get("cacheRead") else ""
        yield f"{read} in{share}, {tokens.get('output', 0)} out"
    if told.get("totalMs") is not None:
        first = f", first {_duration(told['ttftMs'])}" if told.get("ttftMs") is not None else ""
        yield f"{_duration(told['totalMs'])}{first}"
    if len(told.get("attempts") or ()) > 1:
        yield f"{len(told['attempts'])} attempts"
    if told.get("losses"):
        yield ", ".join(f"{count} {fate}" for fate, count in told["losses"].items())
    yield str(told.get("reqId") or "")
    if told.get("error"):
        yield f"\n{told['error']}"
    yield from _rest(told, _TOLD)


def _event(told: JsonObject) -> Iterator[str]:
    yield str(told.get("msg", ""))
    yield from _rest(told, frozenset({"level", "time", "msg"}))


def _rest(told: JsonObject, but: frozenset[str]) -> Iterator[str]:
    for name, fact in told.items():
        if name not in but and fact not in (None, "", [], {}):
            text = fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)
            yield f"\n{text.rstrip()}" if "\n" in text else f"{name}={text}"


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone()
    except ValueError:
        return None


def _duration(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"
