"""Reports tell what was recorded: each figure, in every order, by pages, and never 0 for what nobody knows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from ccrouter.errors import ClientError
from ccrouter.store.filters import Filters
from ccrouter.store.reports import Reports
from tests.store.conftest import NOW
from tests.store.seed import CHAT, HAIKU, MYSTERY, OPUS, PROJECTS, SONNET

END = datetime.fromtimestamp(NOW, UTC)


def _ids(page) -> list[str]:
    return [row["id"] for row in page["items"]]


def _every(reports: Reports) -> list[dict]:
    return reports.requests(limit=500)["items"]


def _sum(rows) -> dict:
    known = [row["cost"]["usd"] for row in rows if row["cost"]["usd"] is not None]
    return {
        "requests": len(rows),
        "failed": sum(row["status"] >= 400 for row in rows),
        "tokens": {name: sum(row["tokens"][name] for row in rows) for name in rows[0]["tokens"]},
        "cost": {"usd": pytest.approx(sum(known)) if known else None, "unknown": len(rows) - len(known)},
    }


def test_everything_is_json(reports, seeded):
    """What any report gives can be written as JSON as it is."""
    for told in (
        reports.requests(), reports.last(), reports.request(seeded.special["fallback"]), reports.sessions(),
        reports.session(seeded.sessions[0]), reports.usage("day"), reports.overview(END - timedelta(days=2)),
        reports.denials(), reports.state(),
    ):  # fmt: skip
        assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_pages_follow_each_other(reports, seeded):
    """Page by page, each exchange comes once, the newest first, whatever the size of a page."""
    rows = _every(reports)
    assert sorted(_ids({"items": rows})) == sorted(seeded.requests)
    assert [row["began"] for row in rows] == sorted((row["began"] for row in rows), reverse=True)
    for limit in (1, 7, 50):
        found, cursor = [], None
        while True:
            page = reports.requests(limit=limit, before=cursor)
            assert len(page["items"]) <= limit
            found += _ids(page)
            cursor = page["next"]
            if cursor is None:
                break
        assert found == [row["id"] for row in rows]


@pytest.mark.parametrize("before", ["x", "-1", "1.5", "١", "9" * 30])
def test_a_cursor_nobody_gave_is_refused(reports, before):
    """What is no page's `next` is the client's fault, and said so."""
    with pytest.raises(ClientError, match="before"):
        reports.requests(before=before)
    with pytest.raises(ClientError, match="before"):
        reports.sessions(before=before)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"model": OPUS}, lambda row: row["sent"] == OPUS),
        ({"provider": "deepseek"}, lambda row: row["provider"] == "deepseek"),
        ({"route": "subagent"}, lambda row: row["route"] == "subagent"),
        ({"project": PROJECTS[1]}, lambda row: row["project"] == PROJECTS[1]),
        ({"client": "claudable"}, lambda row: row["client"] == "claudable"),
        ({"status": "failed"}, lambda row: row["status"] >= 400),
        ({"status": "ok"}, lambda row: row["status"] < 400),
        ({"model": SONNET, "status": "failed", "provider": "anthropic"}, lambda row: row["sent"] == SONNET and row["status"] >= 400),
        ({"search": "HAIKU"}, lambda row: HAIKU in (row["sent"], row["asked"])),
        ({"search": "mystery"}, lambda row: row["sent"] == MYSTERY),
        ({"search": "req_0001"}, lambda row: row["id"].startswith("req_0001")),
        ({"search": "5e550002"}, lambda row: row["session"].startswith("5e550002")),
        ({"since": END - timedelta(hours=2)}, lambda row: row["began"] >= "2026-11-18T09:06:40"),
        ({"until": END - timedelta(hours=2), "model": CHAT}, lambda row: row["began"] < "2026-11-18T09" and row["sent"] == CHAT),
        ({"model": "nobody's"}, lambda row: False),
        ({"search": "nothing like it"}, lambda row: False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("limit", [2, 500])
def test_filters_find_these_and_no_others(reports, asked, wanted, limit):
    """Page by page, what a filter finds is what looking at every row finds; a total, where given, is their number."""
    expected = [row["id"] for row in _every(reports) if wanted(row)]
    page = reports.requests(Filters(**asked), limit)
    found = _ids(page)
    assert page["total"] in (None, len(expected))
    while page["next"] is not None:
        page = reports.requests(Filters(**asked), limit, page["next"])
        found += _ids(page)
    assert found == expected


@pytest.mark.parametrize("by", ["day", "hour", "model", "provider", "project", "session", "route", "client"])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"model": SONNET},
        {"provider": "anthropic", "route": "default"},
        {"client": "claudable"},
        {"status": "failed"},
    ],
)
@pytest.mark.parametrize("session", ["", "5e550001-0000-4000-8000-000000000001"])
def test_what_is_added_up_is_what_there_is(reports, by, asked, session):
    """By whatever, with whatever filter: the sums are those of the rows, and what is unknown is counted, not 0."""
    key = {"model": "sent"}.get(by, by)
    groups: dict = {}
    rows = [row for page in [reports.requests(Filters(**asked, session=session), 500)] for row in page["items"]]
    for row in rows:
        moment = row["began"]
        name = moment[:10] if by == "day" else f"{moment[:13]}:00:00.000Z" if by == "hour" else row[key]
        groups.setdefault(name, []).append(row)
    told = {one["name"]: one for one in reports.usage(by, filters=Filters(**asked, session=session))}
    assert told.keys() == groups.keys()
    for name, group in groups.items():
        expected = _sum(group)
        assert {part: told[name][part] for part in expected} == expected


def test_a_time_is_widened_to_whole_minutes(reports):
    """Of a time in the last two days the sums are those of its minutes, at both ends."""
    since, until = END - timedelta(minutes=8, seconds=5), END - timedelta(minutes=4)
    rows = [row for row in _every(reports) if "2026-11-18T10:58" <= row["began"] < "2026-11-18T11:03"]
    assert reports.usage("provider", since, until)[0]["requests"] == sum(row["provider"] == "anthropic" for row in rows)
    assert sum(one["requests"] for one in reports.usage("session", since, until)) == sum(
        "2026-11-18T10:58:35" <= row["began"] < "2026-11-18T11:02:40" for row in rows
    )


def test_an_unknown_price_is_never_nothing(reports):
    """The model that nobody knows a price of has none, alone and in sums."""
    [row] = reports.requests(Filters(model=MYSTERY))["items"]
    assert row["cost"] == {"usd": None, "source": "unknown"}
    assert {one["name"]: one["cost"] for one in reports.usage("model")}[MYSTERY] == {"usd": None, "unknown": 1}
    totals = reports.overview(END - timedelta(days=2))["totals"]["cost"]
    assert totals["unknown"] == 1
    assert totals["usd"] > 1


def test_the_overview_agrees_with_the_rows(reports):
    """Totals, every point of the series, models and providers: each sums up to what there is."""
    told = reports.overview(END - timedelta(days=2), END, 3600)
    rows = _every(reports)
    expected = _sum(rows)
    assert {part: told["totals"][part] for part in expected} == expected
    for parts in (told["series"], told["models"], told["providers"]):
        assert sum(one["requests"] for one in parts) == len(rows)
        assert sum(one["cost"]["usd"] or 0 for one in parts) == pytest.approx(told["totals"]["cost"]["usd"])
    good = sorted(row["totalMs"] for row in rows if row["status"] < 400)
    assert told["totals"]["total"]["p50"] == pytest.approx(good[len(good) // 2], rel=0.2)
    [point] = [one for one in told["series"] if one["at"] == "2026-11-18T11:00:00.000Z"]
    assert point["requests"] == sum(row["began"] >= "2026-11-18T11" for row in rows)
    empty = [one for one in told["series"] if one["requests"] == 0]
    assert empty[0]["cacheShare"] is empty[0]["ttftP50"] is None
    assert len(told["series"]) == 49


@pytest.mark.parametrize(("step", "points"), [(60, 61), (300, 13), (3600, 2), (86400, 1), (90, 61)])
def test_a_series_has_steps_of_the_size_asked_for(reports, step, points):
    """An hour by minutes, five minutes, hours and days; a step of no whole minutes is cut to one of them."""
    told = reports.overview(END - timedelta(hours=1), END, step)
    assert len(told["series"]) == points
    assert sum(one["requests"] for one in told["series"]) == told["totals"]["requests"] >= 25


def test_one_request_tells_everything(reports, seeded):
    """A fallback: both failed attempts with their kinds, the answer's, marks, price; by its id and nothing else."""
    told = reports.request(seeded.special["fallback"])
    assert [(one["target"], one["kind"], one["status"]) for one in told["attempts"]] == [
        (f"relay,{SONNET}", "overloaded", 529), (f"relay,{SONNET}", "first_byte", None), (f"anthropic,{SONNET}", None, None),
    ]  # fmt: skip
    assert told["failedAttempts"] == 2
    assert told["route"] == {"name": "default", "reason": "default: nothing else applies"}
    assert told["marks"] == {
        "authorized": 0.3,
        "received": 1.1,
        "decided": 3.4,
        "first": told["ttftMs"],
        "ended": told["totalMs"],
    }
    assert (told["price"]["input"], told["price"]["source"]) == (3, "config")
    assert told["gatewayMs"] < 20
    assert reports.request("req_nobody") is None


def test_the_ledger_comes_back(reports, seeded):
    """What a translation kept, mapped and lost is told as it was, with places and counts."""
    told = reports.request(seeded.special["losses"])
    assert told["transforms"] == ["deepseek", "tooluse"]
    assert told["ledger"]["mapped"] == ["max_tokens", "messages[].content[].tool_use", "system", "tools[].input_schema"]
    assert [(one["path"], one["fate"], one["count"]) for one in told["ledger"]["losses"]] == [
        ("system[].cache_control", "hint", 1), ("messages[].content[].citations", "dropped", 2),
        ("thinking.budget_tokens", "approximated", 1),
    ]  # fmt: skip
    assert told["losses"] == {"approximated": 1, "dropped": 2}


def test_the_last_is_the_newest(reports, seeded):
    """ "last" is the one that began last."""
    assert reports.last() == reports.request("last") == reports.request(seeded.requests[24])


def test_a_session_tells_turns_agents_and_breaks(reports, seeded):
    """Its turns in order with the break explained at its place, its subagents with what they cost."""
    told = reports.session(seeded.sessions[0])
    assert [turn["id"] for turn in told["turns"]] == seeded.requests[:25]
    broken = [turn for turn in told["turns"] if turn["verdict"]]
    assert [turn["id"] for turn in broken] == [seeded.special["break"]]
    assert (broken[0]["verdict"]["by"], broken[0]["verdict"]["at"]) == ("client", "system[0]")
    assert [(one["agent"], one["agentType"], one["requests"], one["models"]) for one in told["agents"]] == [
        ("a1b2c3d4", "Explore", 4, [HAIKU]), ("e5f6a7b8", "general-purpose", 4, [CHAT]),
    ]  # fmt: skip
    assert (told["requests"], told["failed"], told["cacheBreaks"]) == (25, 3, 1)
    assert told["models"] == sorted((SONNET, OPUS, HAIKU, CHAT, MYSTERY))
    assert reports.session("nobody") is None


def test_a_session_tells_the_window_of_its_models(seeded):
    """Where somebody knows how much a model reads, each turn says so; where not, None."""
    reports = Reports(seeded.path, window_of=lambda _, model: 200_000 if model == SONNET else None)
    turns = reports.session(seeded.sessions[0])["turns"]
    assert {turn["contextWindow"] for turn in turns if turn["sent"] == SONNET} == {200_000}
    assert {turn["contextWindow"] for turn in turns if turn["sent"] != SONNET} == {None}
    reports.close()


def test_sessions_come_the_last_first_and_by_pages(reports, seeded):
    """Each once, filtered by project, time and search."""
    assert [one["session"] for one in reports.sessions()["items"]] == seeded.sessions
    first = reports.sessions(limit=2)
    rest = reports.sessions(limit=2, before=first["next"])
    assert [one["session"] for one in (*first["items"], *rest["items"])] == seeded.sessions
    assert rest["next"] is None
    for asked in ({"project": PROJECTS[1]}, {"search": "5e550001"}, {"search": "work-SITE"}):
        assert [one["session"] for one in reports.sessions(**asked)["items"]] == [seeded.sessions[1]]
    assert len(reports.sessions(since=END - timedelta(hours=1))["items"]) == 1
    assert len(reports.sessions(until=END - timedelta(hours=1))["items"]) == 2


def test_denials_are_told(reports, seeded):
    """What a policy refused, and nothing else."""
    told = reports.denials()
    assert told[0]["id"] == seeded.special["denied"]
    assert {row["policy"] for row in told} == {"denied: providers"}
    assert reports.denials(since=END) == []


def test_decisions_come_with_their_facts(reports, seeded):
    """Every exchange whose facts were recorded, the newest first, as many as asked for."""
    every = list(reports.decisions())
    assert sorted(one.id for one in every) == sorted(seeded.requests)
    assert [one.id for one in reports.decisions(limit=3)] == [one.id for one in every[:3]]
    plan = next(one for one in every if one.sent == OPUS)
    assert (plan.facts.thinking, plan.facts.thinking_budget, plan.facts.asked) == ("enabled", 8000, SONNET)
    assert plan.facts.session_id == plan.session
    fallen = next(one for one in every if one.id == seeded.special["fallback"])
    assert fallen.targets == (f"relay,{SONNET}", f"relay,{SONNET}", f"anthropic,{SONNET}")
    assert list(reports.decisions(since=END)) == []


def test_the_state_tells_of_the_file(reports, seeded):
    """Its size, rows, ends, and that nothing was given up."""
    told = reports.state()
    assert (told["rows"], told["version"], told["faults"]) == (59, 2, 0)
    assert (told["oldest"], told["newest"]) == (_every(reports)[-1]["began"], _every(reports)[0]["began"])
    assert set(told["shed"].values()) == {0}
    assert told["bytes"] > 50_000


def test_days_begin_where_the_user_is(reports):
    """With an offset days are those of that zone: the morning of the 18th in UTC is the 17th far to the west."""
    shifted = reports.usage("day", offset=-12 * 3600)
    assert [(one["name"], one["requests"]) for one in shifted] == [("2026-11-17", 59)]
    assert [one["name"] for one in reports.usage("day")] == ["2026-11-17", "2026-11-18"]
