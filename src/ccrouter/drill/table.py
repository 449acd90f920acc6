"""What came of a drill, as a person reads it and as a program does. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal

from ccrouter.drill.course import Findings, Outcome
from ccrouter.drill.faults import Form
from ccrouter.drill.setting import Drilled
from ccrouter.drill.verdict import Saw
from ccrouter.jsontypes import JsonObject

#: Raised when a name in the JSON changes its meaning or is gone; more names do not raise it.
FORMAT = 1

#: What `paint` is told of a word: a heading, one of the four, or that it is what must not be.
Word = Literal["title", "answered", "safe error", "misled", "hung", "bad"]
#: Makes a word look like what it means, without changing its width: `paint(text, word)`.
Paint = Callable[[str, Word], str]

_SAWS: tuple[Saw, ...] = ("answered", "safe error", "misled", "hung")
_FORMS: tuple[Form, ...] = ("streamed", "unstreamed")
_NAME, _WHOM, _CELL = 19, 6, 26
_MOST_LETTERS = 7
_MOST_COMPLAINTS = 12
_LONGEST = 300
_LOST = "a whole answer did not arrive"


def lines_of(findings: Findings, paint: Paint) -> Iterator[str]:
    """The survival table of every route, then what went wrong, then the sum. Only what went wrong takes lines of more
    than 80 columns.
    """
    for route, outcomes in groupby(findings.outcomes, lambda outcome: outcome.run.route):
        yield from _route(route, list(outcomes), paint)
        yield ""
    yield from _complaints(findings, paint)
    yield _sum(findings)


def _route(route: Drilled, outcomes: Sequence[Outcome], paint: Paint) -> Iterator[str]:
    yield paint(_plain(f"Route {route.name}")[:80], "title")
    usual = {str(target) for target in route.plan.targets}
    for target, letter in route.letters.items():
        yield _plain(f"  {letter} = {target}{'' if target in usual else ' (only for what is too long)'}")[:80]
    yield ""
    yield paint(f"{'fault':<{_NAME}}{'whose':<{_WHOM}}{'streamed':<{_CELL + 1}}unstreamed", "title")
    before = ""
    for (name, who), group in groupby(outcomes, lambda outcome: (outcome.run.fault.name, outcome.run.who)):
        runs = list(group)
        cells = [_cell([one for one in runs if one.run.form == form], route.letters, paint) for form in _FORMS]
        shown = name if name != before else ""
        yield f"{shown:<{_NAME}}{who:<{_WHOM}}{cells[0]} {cells[1]}".rstrip()
        before = name


def _cell(outcomes: Sequence[Outcome], letters: Mapping[str, str], paint: Paint) -> str:
    """The worst of what was seen in several scenes, whom was asked then, and for how long at most."""
    if not outcomes:
        return f"{'-':<{_CELL}}"
    worst = max(outcomes, key=_badness)
    asked = "".join(letters.get(target, "?") for target in worst.asked)
    if len(asked) > _MOST_LETTERS:
        asked = asked[: _MOST_LETTERS - 1] + "…"
    seconds = max(outcome.seconds for outcome in outcomes)
    word: Word = "bad" if not worst.is_survived else worst.saw
    return f"{paint(f'{worst.saw:<10}', word)} {asked:<{_MOST_LETTERS}} {seconds:>5.1f} s"


def _badness(outcome: Outcome) -> tuple[int, bool]:
    return _SAWS.index(outcome.saw), not outcome.is_survived


def _complaints(findings: Findings, paint: Paint) -> Iterator[str]:
    bad = [outcome for outcome in findings.outcomes if not outcome.is_survived]
    for outcome in bad[:_MOST_COMPLAINTS]:
        run = outcome.run
        where = f"{run.fault.name}, {run.route.name}, {run.who}, {run.form}, {run.scene}"
        yield f"{paint(outcome.saw.upper(), 'bad')}: {_plain(f'{where}: {_why(outcome)}')}"
    if len(bad) > _MOST_COMPLAINTS:
        yield f"... and {len(bad) - _MOST_COMPLAINTS} more; --only NAME shows one, --json tells all."
    if findings.leaks:
        yield f"{paint('LEAKED', 'bad')}: {findings.leaks} of your secrets went into requests of the drill."
    if bad or findings.leaks:
        yield ""


def _why(outcome: Outcome) -> str:
    why = " ".join(outcome.verdict.why.split())[:_LONGEST]
    return why if outcome.saw != "safe error" else f"{_LOST}: {why}"


def _plain(text: str) -> str:
    """`text` without what could move a cursor or paint: names are the user's, errors the provider's."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _sum(findings: Findings) -> str:
    counts = ", ".join(f"{findings.count(saw)} {saw}" for saw in _SAWS)
    return f"{len(findings.outcomes)} requests: {counts}."


def as_json(findings: Findings, facts: Mapping[str, object]) -> JsonObject:
    """Everything that there is to tell, with `facts` about the drill as a whole."""
    routes = list(_unique(outcome.run.route for outcome in findings.outcomes))
    return {
        "format": FORMAT,
        "ok": findings.is_good,
        **facts,
        "totals": {saw.replace(" ", "_"): findings.count(saw) for saw in _SAWS},
        "leaks": findings.leaks,
        "routes": [{"name": route.name, "targets": list(route.letters)} for route in routes],
        "results": [_result(outcome) for outcome in findings.outcomes],
    }


def _result(outcome: Outcome) -> JsonObject:
    run = outcome.run
    return {
        "route": run.route.name,
        "fault": run.fault.name,
        "sentence": run.fault.sentence,
        "whose": run.who,
        "streamed": run.form == "streamed",
        "request": run.scene,
        "saw": outcome.saw.replace(" ", "_"),
        "why": outcome.verdict.why,
        "ok": outcome.is_survived,
        "seconds": round(outcome.seconds, 3),
        "asked": list(outcome.asked),
    }


def _unique(routes: Iterable[Drilled]) -> Iterator[Drilled]:
    seen: list[Drilled] = []
    for route in routes:
        if not any(route is other for other in seen):
            seen.append(route)
            yield route
