"""`ccr usage`: what was recorded, added up and shown, with no router running."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ccrouter.cli.period import moment_of
from ccrouter.cli.usage_figures import Figures, by_day, by_hour, filled, total_of
from ccrouter.cli.usage_table import drawn, drawn_bar, layout
from tests.cli.conftest import LIMIT, Ccr
from tests.cli.recorded import at, exchange, record

COST = "$2.00, and 1 request of unknown cost"
NOW = at("2026-11-22T15:30:00")


@pytest.fixture
def days(ccr: Ccr) -> Ccr:
    """Four days: three requests, none, one that failed and one that nobody knows the price of."""
    record(
        ccr.folder,
        [
            (exchange(id="a", at=at("2026-11-01T10:00:00"), session="s-1"), 0.5),
            (
                exchange(id="b", at=at("2026-11-01T10:30:00"), model="=claude", provider="anthropic", session="s-2"),
                1.25,
            ),
            (exchange(id="c", at=at("2026-11-01T23:30:00"), route="think", client="claudable"), 0.25),
            (exchange(id="d", at=at("2026-11-03T12:00:00"), status=529, usage=(0, 0, 0, 0)), 0.0),
            (exchange(id="e", at=at("2026-11-04T12:00:00"), model="mystery", provider="lab"), None),
        ],
    )
    return ccr


def told(ccr: Ccr, *words: str, **environ: str) -> dict:
    done = ccr.run("usage", "--since", "2026-11-01", "--until", "2026-11-05", "--json", *words, **environ)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def brief(found: dict) -> list[tuple]:
    return [
        (row["name"], row["requests"], row["failed"], row["cost"]["usd"], row["cost"]["unknown"])
        for row in found["rows"]
    ]


def test_by_day(days: Ccr) -> None:
    """A row for each day on which something was asked; an unknown cost is null and counted, and in no sum."""
    found = told(days)
    assert (found["by"], found["since"], found["until"]) == (
        "day",
        "2026-11-01T00:00:00.000Z",
        "2026-11-05T00:00:00.000Z",
    )
    assert brief(found) == [
        ("2026-11-01", 3, 0, 2.0, 0),
        ("2026-11-03", 1, 1, 0.0, 0),
        ("2026-11-04", 1, 0, None, 1),
    ]
    assert found["total"]["cost"] == {"usd": 2.0, "unknown": 1}
    assert found["total"]["tokens"] == {
        "input": 400, "output": 200, "cacheRead": 3600, "cacheWrite": 0, "cacheWrite1h": 0, "thinking": 0,
    }  # fmt: skip
    assert found["total"]["cacheShare"] == 0.9


def test_days_are_this_machines(days: Ccr) -> None:
    """What was asked shortly before midnight in UTC is the next day's further east."""
    found = told(days, TZ="Asia/Tokyo")
    assert (found["since"], found["until"]) == ("2026-10-31T15:00:00.000Z", "2026-11-04T15:00:00.000Z")
    assert brief(found)[:2] == [("2026-11-01", 2, 0, 1.75, 0), ("2026-11-02", 1, 0, 0.25, 0)]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("hour", ["2026-11-01 10:00", "2026-11-01 23:00", "2026-11-03 12:00", "2026-11-04 12:00"]),
        ("model", ["=claude", "deepseek-chat", "mystery"]),
        ("provider", ["anthropic", "deepseek", "lab"]),
        ("project", ["-work-shop"]),
        ("session", ["s-2", "s-1"]),
        ("route", ["default", "think"]),
        ("client", ["claude-cli/2.1.330", "claudable"]),
    ],
)
def test_by_anything(days: Ccr, by: str, expected: list[str]) -> None:
    """Times in their order, all else the dearest first; each adds up to the same."""
    found = told(days, "--by", by)
    assert [row["name"] for row in found["rows"]] == expected
    assert (found["total"]["requests"], found["total"]["cost"]) == (5, {"usd": 2.0, "unknown": 1})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model", "deepseek-chat"], 3),
        (["--provider", "lab"], 1),
        (["--route", "think"], 1),
        (["--session", "s-2"], 1),
        (["--client", "claudable"], 1),
        (["--project", "-work-shop"], 5),
        (["--project", "another"], 0),
        (["--provider", "deepseek", "--route", "default"], 2),
    ],
)
def test_filters(days: Ccr, words: list[str], expected: int) -> None:
    """Only what is asked for is counted, and all that is asked for must be so."""
    assert told(days, *words)["total"]["requests"] == expected


def test_csv(days: Ccr) -> None:
    """A line for each row; an unknown cost is an empty cell, and no name a formula."""
    done = days.run("usage", "--since", "2026-11-01", "--by", "model", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["model"] for row in rows] == ["'=claude", "deepseek-chat", "mystery"]
    assert [row["costUsd"] for row in rows] == ["1.250000", "0.750000", ""]
    assert [row["requestsOfUnknownCost"] for row in rows] == ["0", "0", "1"]
    assert rows[0]["cacheShare"] == "0.9000"


def test_in_a_pipe(days: Ccr) -> None:
    """Text in columns without colours or bars; days without requests are there, and have no figures."""
    done = days.run("usage", "--since", "2026-11-01", "--until", "2026-11-05")
    cached = "90 % of what went in came from a cache"
    assert done.stdout.splitlines() == [
        f"2026-11-01 00:00 to 2026-11-05 00:00 · 5 requests, 1 failed · 4.0k tokens in, 200 out · {cached} · {COST}",
        "",
        "day         requests  failed    in  out  cached     cost  unpriced",
        "2026-11-01         3          3.0k  150    90 %    $2.00",
        "2026-11-02",
        "2026-11-03         1       1     0    0            $0.00",
        "2026-11-04         1          1.0k   50    90 %  unknown         1",
        "total              5       1  4.0k  200    90 %    $2.00         1",
    ]


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_at_a_terminal(days: Ccr, columns: int) -> None:
    """No line is wider than the terminal, the dearest day has the longest bar, and what is unknown is called so."""
    ours, theirs = os.openpty()
    command = [*days.command("usage", "--since", "2026-11-01", "--until", "2026-11-05")]
    environ = days.environ | {"COLUMNS": str(columns), "NO_COLOR": "1"}
    with open(ours, "rb", buffering=0, closefd=False) as screen:
        child = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=theirs, cwd=days.home)
        os.close(theirs)
        text = b""
        try:
            while piece := screen.read(65536):
                text += piece
        except OSError:  # how a terminal says that nobody writes to it any more
            pass
        assert child.wait(LIMIT) == 0
    os.close(ours)
    lines = text.decode().replace("\r", "").split("\n")
    assert max(map(len, lines)) <= columns
    assert "unknown" in text.decode()
    bars = {line[:10]: line.count("█") for line in lines if line.startswith("2026-")}
    if columns >= 80:
        assert bars["2026-11-01"] == max(bars.values()) > 0 == bars["2026-11-04"]


def test_nothing_was_recorded(ccr: Ccr) -> None:
    """Without a file, and with an empty time, that is said; the exit code is 0, and no file is made."""
    done = ccr.run("usage")
    assert (done.returncode, done.stdout[:21]) == (0, "Nothing was recorded ")
    assert not ccr.folder.exists()
    assert json.loads(ccr.run("usage", "--json").stdout)["rows"] == []
    assert ccr.run("usage", "--csv").stdout.startswith("day,requests,")


@pytest.mark.parametrize(
    ("words", "told", "hint"),
    [
        (["--by", "session"], "No session was recorded ", "`ccr usage --by client`"),
        (["--model", "no-such-model"], "Nothing of that kind was recorded ", "names must be written in full"),
    ],
)
def test_nothing_of_what_was_asked_for(ccr: Ccr, words: list[str], told: str, hint: str) -> None:
    """Where there may be more than what was asked for, nobody is sent to look for a fault in the router."""
    done = ccr.run("usage", *words)
    assert (done.returncode, done.stdout[: len(told)]) == (0, told)
    assert hint in done.stderr
    assert "record.enabled" not in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--since", "last week"], "'last week' is no time: write 7d"),
        (["--since", "today", "--until", "yesterday"], "--since must be before --until"),
        (["--json", "--csv"], "exclude each other"),
        (["--by", "colour"], "colour"),
    ],
)
def test_what_is_not_understood(ccr: Ccr, words: list[str], expected: str) -> None:
    """Is an error of usage, which says what may be written."""
    done = ccr.run("usage", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr


def test_records_of_another_version(ccr: Ccr) -> None:
    """Are left alone, and that is said."""
    path = record(ccr.folder, [])
    path.write_bytes(path.read_bytes()[:60] + (999).to_bytes(4, "big") + path.read_bytes()[64:])
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    done = ccr.run("usage")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "newer ccr" in done.stderr


# -- times -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", "2026-11-15T15:30:00"),
        ("24h", "2026-11-21T15:30:00"),
        ("90M", "2026-11-22T14:00:00"),
        (" 2w ", "2026-11-08T15:30:00"),
        ("now", "2026-11-22T15:30:00"),
        ("today", "2026-11-21T23:00:00"),
        ("Yesterday", "2026-11-20T23:00:00"),
        ("2026-11-01", "2026-10-31T23:00:00"),
        ("2026-07-01", "2026-06-30T22:00:00"),
        ("2026-11-01T14:30", "2026-11-01T13:30:00"),
        ("2026-11-01 14:30:15", "2026-11-01T13:30:15"),
        ("2026-11-01T14:30Z", "2026-11-01T14:30:00"),
        ("2026-11-01T14:30+05:30", "2026-11-01T09:00:00"),
    ],
)
def test_times(text: str, expected: str) -> None:
    """As people write them; days are those of the zone, by the summer time that holds then."""
    assert moment_of(text, NOW, ZoneInfo("Europe/Berlin")) == at(expected)


@pytest.mark.parametrize(
    "text", ["", "d", "7", "-7d", "7y", "tomorrow", "2026-13-01", "2026-11-31", "999999w", "11/01/2026"]
)
def test_no_times(text: str) -> None:
    """Are none."""
    with pytest.raises(ValueError, match="is no time: write 7d"):
        moment_of(text, NOW, UTC)


# -- figures -----------------------------------------------------------------------------------------------------------


def hour(text: str, requests: int = 1) -> dict:
    tokens = {"input": 1, "output": 1, "cacheRead": 0, "cacheWrite": 0, "cacheWrite1h": 0, "thinking": 0}
    return {
        "name": f"{text}:00:00.000Z",
        "requests": requests,
        "failed": 0,
        "tokens": tokens,
        "cost": {"usd": 1.0, "unknown": 0},
    }


def test_days_of_summer_time() -> None:
    """The day on which clocks are put back has twenty-five hours, and one of them is there twice."""
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 24, 22, tzinfo=UTC)
    hours = [hour(f"{first + timedelta(hours=number):%Y-%m-%dT%H}") for number in range(26)]
    assert [(day.name, day.requests) for day in by_day(hours, berlin)] == [("2026-10-25", 25), ("2026-10-26", 1)]
    names = [one.name for one in by_hour(hours, berlin)]
    assert names[2:4] == ["2026-10-25 02:00", "2026-10-25 02:00"]


def test_gaps_are_filled() -> None:
    """With rows of nothing, not before the first or after the last, and not where there would be hundreds."""
    rows = [Figures("2026-11-01"), Figures("2026-11-04")]
    assert [row.name for row in filled(rows, timedelta(days=1))] == [f"2026-11-0{day}" for day in (1, 2, 3, 4)]
    far = [Figures("2020-11-01"), Figures("2026-11-04")]
    assert filled(far, timedelta(days=1)) == far
    assert filled(rows[:1], timedelta(days=1)) == rows[:1]


def test_costs_that_are_not_known() -> None:
    """A sum has those that are known, and counts the others; of none that is known it is unknown."""
    known, unknown = Figures("a", 1, usd=1.0), Figures("b", 2, unknown=2)
    assert (total_of([known, unknown]).known_usd, total_of([known, unknown]).unknown) == (1.0, 2)
    assert total_of([unknown]).known_usd is None
    assert total_of([Figures("c", 1)]).known_usd == 0.0


# -- drawing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "expected"),
    [(0.0, ""), (1.0, "████"), (0.5, "██"), (0.53125, "██▏"), (0.0001, "▏"), (1.2, "████")],
)
def test_bars(part: float, expected: str) -> None:
    """To an eighth of a column, something for whatever is not nothing, and never too long."""
    assert drawn_bar(part, 4) == expected


@pytest.mark.parametrize("room", range(20, 200))
def test_columns(room: int) -> None:
    """Names, figures and bars fit in any room that has place for the figures."""
    widths = [40, 8, 6, 6]
    name, bar = layout(widths, room)
    across = name + sum(widths[1:]) + 2 * 3 + (bar + 2 if bar else 0)
    assert across <= max(room, 1 + sum(widths[1:]) + 2 * 3)
    assert bar == 0 or 8 <= bar <= 48


def test_bars_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where hardly any cost is known bars are as long as the tokens are many."""
    monkeypatch.setenv("NO_COLOR", "1")
    rows = [Figures("a", 5, unknown=5), Figures("b", 1, usd=1.0)]
    rows[0].tokens["input"] = 1000
    rows[1].tokens["input"] = 500
    lines = drawn(["model", "cost"], [["a", "unknown"], ["b", "$1.00"]], rows, 60)
    assert lines[0].endswith("by tokens")
    assert lines[2].count("█") == 2 * lines[3].count("█") > 0
