"""The pages of what was recorded: overview, requests and sessions. What they say is so, and can be read by anybody."""

from __future__ import annotations

import json
import shlex
import sqlite3
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from ccrouter.compliance.policy import NO_POLICY
from ccrouter.dialects.base import Loss
from ccrouter.gateway.record import Attempt, Exchange
from ccrouter.messages.events import WireUsage
from ccrouter.routing.facts import RequestFacts
from ccrouter.routing.failures import FailureKind
from ccrouter.store.recorder import Recorder
from ccrouter.store.reports import Reports
from ccrouter.store.verdict import By
from ccrouter.web.page import NotFound, View, facts_of, render
from ccrouter.web.pages import PAGES, overview, request, requests, session, sessions
from ccrouter.web.parts.breaks import CULPRITS
from ccrouter.web.parts.sample import MISSING, curl
from ccrouter.web.parts.spans import SPANS, since_of
from ccrouter.web.parts.story import KINDS, story, why
from ccrouter.web.parts.timeline import WIDTH, timeline
from tests.store.seed import CHAT, CONFIG, SONNET, Seeded, seed
from tests.web.conftest import Document
from tests.web.test_pages import HOSTILE, UNSEEN, shape, soundness

NOW = datetime(2026, 11, 22, 18, 0, 0, tzinfo=UTC)
OURS = (overview.PAGE, requests.PAGE, request.PAGE, sessions.PAGE, session.PAGE)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory) -> Seeded:
    return seed(tmp_path_factory.mktemp("records") / "records.db", now=NOW.timestamp())


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> Seeded:
    """With what was said."""
    return seed(tmp_path_factory.mktemp("spoken") / "records.db", now=NOW.timestamp(), sessions=1, content=True)


@pytest.fixture
def look(seeded):
    """A view of the records; what differs from the usual one by name."""

    def see(path: Path | None = seeded.path, **more) -> View:
        reports = None if path is None else Reports(path, window_of=lambda *_: 200_000, now=NOW.timestamp)
        return View(CONFIG, NO_POLICY, "1", 1, NOW, NOW, Path("/nowhere"), reports=reports, **more)

    return see


def text_of(page, view) -> str:
    return Document(render(page, view, PAGES, signed_in=True)).content


def every_view(seeded: Seeded, look) -> list:
    """Each of our pages at everything that was recorded."""
    return [
        (overview.PAGE, look()),
        (requests.PAGE, look()),
        (requests.PAGE, look(query={"status": "failed"})),
        (requests.PAGE, look(query={"search": "nothing is called so"})),
        (sessions.PAGE, look()),
        *((request.PAGE, look(params={"id": one})) for one in seeded.special.values()),
        *((session.PAGE, look(params={"id": one})) for one in seeded.sessions),
    ]


# -- all of them -----------------------------------------------------------------------------------------------------


def test_every_page_is_sound_with_records(seeded, look):
    """HTML that parses, headings in order, labels, links that are ours; and its facts are JSON."""
    for page, view in every_view(seeded, look):
        assert soundness(Document(render(page, view, PAGES, signed_in=True))) == [], (page.path, view.params)
        assert json.loads(json.dumps(facts_of(page, view))) == facts_of(page, view)


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.path)
def test_without_records_a_page_says_so(look, tmp_path, page):
    """Where nothing is recorded a page says what to do, where the file cannot be read, why; and where it is empty it
    does not pretend that there is something."""
    params = {"id": "x"} if "{" in page.path else {}
    view = look(None, params=params)
    assert soundness(Document(render(page, view, PAGES, signed_in=True))) == []
    assert "Nothing is recorded." in text_of(page, view)
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    assert "The records cannot be read." in text_of(page, look(newer, params=params))
    if params:
        with pytest.raises(NotFound):
            facts_of(page, look(tmp_path / "none.db", params=params))
    else:
        empty = look(tmp_path / "none.db")
        assert soundness(Document(render(page, empty, PAGES, signed_in=True))) == []
        assert "ccr code" in text_of(page, empty)


def hostile_records(path: Path, name: str) -> tuple[str, str]:
    """A request that is called `name` in every respect, and failed once; its id and its session's."""
    recorder = Recorder(path, config=CONFIG, prices=_NoPrices())
    made = _exchange(name)
    recorder.put(made)
    assert recorder.flush()
    recorder.close()
    return made.id, made.session


class _NoPrices:
    def price_of(self, *_):
        return None


def _exchange(name: str):
    made = Exchange("req_1", "/v1/messages", 0.0, asked=name, status=502, ended_at=NOW.timestamp() - 5, total=1.0)
    made.note_facts(RequestFacts(asked=name, session_id=name, agent_id=name, agent_type=name, request_class=name))
    for member in ("sent", "answered", "provider", "route", "reason", "error", "stop_reason", "key", "client"):
        setattr(made, member, name)
    made.policy, made.upstream_id = f"denied: {name}", name
    made.attempts = [Attempt(f"{name},{name}", 0.1, name, "overloaded", 529, name, 0.0, 0.2)]
    made.losses, made.kept, made.mapped = (Loss(name, name, "dropped"),), frozenset({name}), frozenset({name})
    made.transforms, made.usage = (name,), WireUsage(10, 0, 0, 5)
    return made


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.path)
@pytest.mark.parametrize("name", [HOSTILE, UNSEEN, "a&b=c#d?e/f", "ü 🚀"])
def test_no_recorded_name_becomes_markup(tmp_path, look, page, name):
    """Whatever clients and providers call models, sessions, routes, keys and errors: they stay text, and links lead
    where they should."""
    documents = []
    for folder, called in (("plain", "x"), ("odd", name)):
        path = tmp_path / folder / "records.db"
        path.parent.mkdir()
        id_, session_id = hostile_records(path, called)
        params = {"id": session_id if page is session.PAGE else id_}
        documents.append(Document(render(page, look(path, params=params), PAGES, signed_in=True)))
    plain, odd = documents
    assert odd.problems == []
    assert [tag for tag, _ in shape(odd)] == [tag for tag, _ in shape(plain)]
    assert soundness(odd) == []
    assert not set(odd.text) & set("\u202e\u2066\x00\x07\u200b\ufeff")


def test_nothing_said_is_shown_unless_it_was_recorded(seeded, spoken, look):
    """No word of a conversation is on any page by default; where the user keeps it, it is on the request's page, folded
    away, and in the command that sends it again."""
    for page, view in every_view(seeded, look):
        assert "Please look at file" not in render(page, view, PAGES, signed_in=True)
    view = look(spoken.path, params={"id": spoken.special["break"]})
    text = render(request.PAGE, view, PAGES, signed_in=True)
    assert "Please look at file number 0" in text
    assert 'record_content": "full"' in Document(text).content
    bare = look(params={"id": seeded.special["break"]})
    assert "was not recorded" in text_of(request.PAGE, bare)


# -- overview --------------------------------------------------------------------------------------------------------


def test_overview_adds_up(seeded, look):
    """Requests, failures and costs of all are those of the models together, and of the providers; what nobody knows the
    price of is counted, not taken for nothing."""
    facts = facts_of(overview.PAGE, look())
    totals = facts["totals"]
    for parts in (facts["models"], facts["providers"], facts["series"]):
        assert sum(one["requests"] for one in parts) == totals["requests"] == len(seeded.requests)
        assert sum(one["failed"] for one in parts) == totals["failed"]
        assert sum(one["cost"]["usd"] or 0 for one in parts) == pytest.approx(totals["cost"]["usd"])
    assert totals["errorRate"] == totals["failed"] / totals["requests"]
    assert totals["cost"]["unknown"] == 1
    told = text_of(overview.PAGE, look())
    assert "1 of unknown price" in told
    assert "mystery-7b" in told


@pytest.mark.parametrize("span", SPANS, ids=lambda span: span.name)
def test_overview_looks_at_the_time_that_is_chosen(look, span):
    """The series covers the chosen time in its steps, and its link is marked."""
    view = look(query={"range": span.name})
    facts = facts_of(overview.PAGE, view)
    times = [datetime.fromisoformat(point["at"]) for point in facts["series"]]
    assert abs((NOW - times[0]).total_seconds() - span.seconds) <= span.step
    assert {(after - before).total_seconds() for before, after in pairwise(times)} == {span.step}
    document = Document(render(overview.PAGE, view, PAGES, signed_in=True))
    chosen = [one["href"] for one in document.of("a") if one.get("aria-current") == "true"]
    assert chosen == [f"/ui/?range={span.name}"]


def test_a_range_that_there_is_not_is_the_usual_one(look):
    """Whatever stands in the address."""
    assert facts_of(overview.PAGE, look(query={"range": "7 years"}))["range"]["name"] == "24h"


def test_today_began_at_midnight(seeded, look):
    """What was spent today leaves out what was spent before midnight where the router runs."""
    midnight = NOW.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    rows = Reports(seeded.path, now=NOW.timestamp).requests(limit=500)["items"]
    today = [row for row in rows if datetime.fromisoformat(row["ended"]) >= midnight]
    facts = facts_of(overview.PAGE, look())["today"]
    assert facts["requests"] == len(today)
    assert facts["cost"]["usd"] == pytest.approx(sum(row["cost"]["usd"] or 0 for row in today))
    assert facts["cost"]["unknown"] == sum(row["cost"]["usd"] is None for row in today) == 1


# -- requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "is_so"),
    [
        ({"model": CHAT}, lambda row: row["sent"] == CHAT),
        ({"provider": "anthropic"}, lambda row: row["provider"] == "anthropic"),
        ({"route": "subagent"}, lambda row: row["route"] == "subagent"),
        ({"client": "claudable"}, lambda row: row["client"] == "claudable"),
        ({"status": "failed"}, lambda row: row["status"] >= 400),
        ({"status": "ok", "route": "default"}, lambda row: row["status"] < 400 and row["route"] == "default"),
        ({"since": "1h"}, lambda row: datetime.fromisoformat(row["began"]) >= NOW - timedelta(hours=1)),
        ({"search": "mystery"}, lambda row: row["sent"] == "mystery-7b"),
    ],
)
def test_requests_are_filtered(look, seeded, query, is_so):
    """Of all requests those are shown of which the filter's word is so: all of them, and no other."""
    wanted = {row["id"] for row in Reports(seeded.path).requests(limit=500)["items"] if is_so(row)}
    found = facts_of(requests.PAGE, look(query=query))
    shown = {row["id"] for row in found["items"]}
    while found["next"]:
        found = facts_of(requests.PAGE, look(query={**query, "before": found["next"]}))
        shown |= {row["id"] for row in found["items"]}
    assert shown == wanted != set()


def test_pages_of_requests_follow_each_other(look, seeded):
    """Each request is on one page, the newest first; links keep the filters."""
    seen, before = [], ""
    while True:
        query = {"status": "ok", **({"before": before} if before else {})}
        found = facts_of(requests.PAGE, look(query=query))
        seen += [row["began"] for row in found["items"]]
        links = [one["href"] for one in _document(requests.PAGE, look(query=query)).of("a") if one.get("rel") == "next"]
        if not found["next"]:
            assert links == []
            break
        assert links == [f"/ui/requests?status=ok&before={found['next']}"]
        before = found["next"]
    assert before
    assert seen == sorted(seen, reverse=True)


def _document(page, view) -> Document:
    return Document(render(page, view, PAGES, signed_in=True))


@pytest.mark.parametrize(
    "query",
    [
        {"before": "x"},
        {"before": "1" * 40},
        {"since": "yesterday"},
        {"status": "odd"},
        {"search": "%_!'\""},
        {"model": "\ufffd"},
        {"session": "'"},
        {"since": "2026-11-22"},
        {"since": "2026-13-45"},
    ],
)
def test_no_address_breaks_the_list(look, query):
    """Whatever is written into the address, there is a page."""
    assert soundness(_document(requests.PAGE, look(query=query))) == []
    assert soundness(_document(sessions.PAGE, look(query=query))) == []


LIVE = {
    "id": "req_live",
    "path": "/v1/messages",
    "state": "waiting for the provider",
    "ageMs": 1234.5,
    "asked": SONNET,
    "sent": CHAT,
    "provider": "deepseek",
    "route": "default",
    "session": "s-1",
    "client": "claudable",
    "attempts": 1,
    "streamed": True,
}


def test_requests_under_way_come_first(look):
    """They are on the list, on the overview and have a page of their own; filters hold for them too."""
    for page in (requests.PAGE, overview.PAGE):
        assert "Under way: 1" in text_of(page, look(live=[LIVE]))
    assert "This request is under way" in text_of(request.PAGE, look(live=[LIVE], params={"id": "req_live"}))
    shown = {
        name: len(facts_of(requests.PAGE, look(live=[LIVE], query=query))["live"])
        for name, query in {
            "same": {"provider": "deepseek", "client": "claudable"},
            "other provider": {"provider": "anthropic"},
            "ended": {"status": "ok"},
            "older": {"before": "5"},
        }.items()
    }
    assert shown == {"same": 1, "other provider": 0, "ended": 0, "older": 0}


def test_since_is_a_span_or_a_time():
    """Both ways of saying since when; nonsense says nothing."""
    assert since_of({"since": "7d"}, NOW) == NOW - timedelta(days=7)
    assert since_of({"since": "2026-11-01"}, NOW) == datetime(2026, 11, 1, tzinfo=UTC)
    assert since_of({"since": "2026-11-01T10:00:00+02:00"}, NOW) == datetime(2026, 11, 1, 8, tzinfo=UTC)
    assert since_of({"since": "soon"}, NOW) is None
    assert since_of({}, NOW) is None


# -- one request -----------------------------------------------------------------------------------------------------


def story_of(seeded, look, special: str) -> str:
    return " ".join(facts_of(request.PAGE, look(params={"id": seeded.special[special]}))["story"])


def test_a_request_is_told_in_words(seeded, look):
    """Who asked for what, which route and why, the policy, each attempt with its failure, and the end."""
    told = story_of(seeded, look, "fallback")
    for words in (
        "Claude Code 2.1.330 asked for claude-sonnet-4-5.",
        "The route “default” was chosen, because nothing else applies.",
        "The policy allowed it.",
        "at relay, which failed after 308 ms: the provider said that it is overloaded (HTTP 529).",
        "Then it was sent there again, after a pause of 500 ms, which failed after 2.00 s: the answer did not begin in time.",
        "Then it was sent to claude-sonnet-4-5 at anthropic, which answered",
        "because the model had said what it had to say.",
    ):
        assert words in told, words
    told = story_of(seeded, look, "losses")
    assert "for its agent “general-purpose”" in told
    assert "So deepseek-chat of deepseek did the work that claude-sonnet-4-5 was asked for." in told


def test_what_did_not_work_is_told_in_words(seeded, look):
    """A denial by its rule, a client that left, a request that nobody served."""
    assert "The policy forbade it by its rule providers, so nothing was sent" in story_of(seeded, look, "denied")
    assert "No provider was asked." in story_of(seeded, look, "denied")
    assert "The client left after" in story_of(seeded, look, "hung_up")
    told = story_of(seeded, look, "unserved")
    assert told.count("which failed after") == 2
    assert "the client got an error (529): every target failed" in told


def test_words_for_everything():
    """Each kind of failure and each cause of a lost cache has words, and none is explained that there is not."""
    assert set(KINDS) == set(get_args(FailureKind))
    assert set(CULPRITS) == set(get_args(By))
    assert story({"status": 200, "totalMs": 5.0}, [])[0] == "A client asked for no model by name."


@pytest.mark.parametrize(
    ("route", "reason", "words"),
    [
        ("longContext", "longContext: 61,204 tokens > 60,000", "61,204 tokens are more than 60,000"),
        ("default", "default: no other rule applies", "no other rule applies"),
        ("a", "a reason of a router's own", "a reason of a router's own"),
        (None, None, ""),
    ],
)
def test_reasons_end_a_sentence(route, reason, words):
    """The route's own name before them is not said twice."""
    assert why(route, reason) == words


def test_the_page_of_a_request_says_what_it_cost(seeded, look):
    """Each kind of token with its price; together they are the cost that was recorded. An unknown price is unknown."""
    for special in ("break", "losses", "title"):
        facts = facts_of(request.PAGE, look(params={"id": seeded.special[special]}))
        assert sum(line["usd"] for line in facts["used"]) == pytest.approx(facts["request"]["cost"]["usd"]), special
    view = look(params={"id": seeded.special["unpriced"]})
    assert [line["usd"] for line in facts_of(request.PAGE, view)["used"]] == [None] * 4
    told = text_of(request.PAGE, view)
    assert "Cost unknown the price of this model is not known" in told
    assert "$0" not in told.partition("Send it again")[0].replace("$0.", "")


def test_the_translation_is_told(seeded, look):
    """What was lost with how and how often, what was mapped and kept, by which transforms."""
    told = text_of(request.PAGE, look(params={"id": seeded.special["losses"]}))
    assert "1 approximated, 2 dropped" in told
    assert "messages[].content[].citations dropped × 2 the provider cites no places in documents" in told
    assert "Transforms: deepseek , tooluse" in told.replace("deepseek, ", "deepseek , ")
    assert "Nothing: the provider speaks the client’s own form" in text_of(
        request.PAGE, look(params={"id": seeded.special["break"]})
    )


def test_the_timeline_leaves_no_gap(seeded, look):
    """The steps of each request follow each other from its beginning to its end, and are drawn within the picture."""
    for one in seeded.requests:
        drawn = facts_of(request.PAGE, look(params={"id": one}))["timeline"]
        steps = drawn["steps"]
        assert steps[0]["fromMs"] == 0
        assert steps[-1]["toMs"] == pytest.approx(drawn["totalMs"], abs=0.2)
        for before, after in pairwise(steps):
            assert after["fromMs"] >= before["toMs"] - 0.2
        for step in steps:
            assert step["tookMs"] >= 0
            assert 0 <= step["x"] <= step["x"] + step["width"] <= WIDTH + 0.2
    fallback = facts_of(request.PAGE, look(params={"id": seeded.special["fallback"]}))["timeline"]["steps"]
    assert [(step["name"], step["attempt"]) for step in fallback if step["kind"] in ("failed", "wait")] == [
        ("failed", 1),
        ("pause", 2),
        ("failed", 2),
    ]


def test_a_timeline_of_nothing():
    """A request that took no time, and one of which no mark was recorded, have one too."""
    assert timeline({}, [], 0.0)["steps"] == []
    assert [step["name"] for step in timeline({}, [], 5.0)["steps"]] == ["no decision"]


def test_the_shortest_step_is_seen_where_it_belongs():
    """A millisecond at the end of a minute is drawn, within the picture."""
    attempt = {"target": "a,b", "beganMs": 1.0, "sentMs": 2.0, "firstMs": 3.0, "endedMs": 59_999.0, "failure": ""}
    last = timeline({"decided": 1.0}, [attempt], 60_000.0)["steps"][-1]
    assert (last["name"], last["tookMs"]) == ("end", 1.0)
    assert last["width"] >= 2
    assert last["x"] + last["width"] <= WIDTH


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("model", ["m", "a b'; rm -rf / #\"$(x)`y`"])
def test_curl_is_one_command(path, model):
    """The lines are one command of a shell, with the address, the key by its name alone, and JSON as the body: of the
    right shape, and what names hold is not run."""
    lines = curl("http://127.0.0.1:3456", path, model, streamed=True, body=None)
    assert all(line.endswith("\\") for line in lines[:-1])
    words = shlex.split("\n".join(lines))
    assert words[:4] == ["curl", "-sS", "-N", f"http://127.0.0.1:3456{path}"]
    assert "x-api-key: $CCR_KEY" in words
    body = json.loads(words[words.index("-d") + 1])
    assert body["model"] == model
    assert MISSING in json.dumps(body, ensure_ascii=False)
    assert ("input" in body) == path.endswith("responses")


def test_curl_sends_what_was_recorded(spoken, look):
    """With its content recorded, the command holds the client's own body."""
    facts = facts_of(request.PAGE, look(spoken.path, params={"id": spoken.special["break"]}))
    words = shlex.split("\n".join(facts["curl"]))
    body = json.loads(words[words.index("-d") + 1])
    assert body["messages"][0]["content"].startswith("Please look at file number 0")


# -- sessions --------------------------------------------------------------------------------------------------------


def test_sessions_are_listed_the_latest_first(seeded, look):
    """With projects, turns, models, costs, breaks and agents; a search and a project choose among them."""
    found = facts_of(sessions.PAGE, look())["items"]
    assert [one["session"] for one in found] == seeded.sessions
    assert [one["cacheBreaks"] > 0 for one in found] == [True] * 3
    one = facts_of(sessions.PAGE, look(query={"project": found[1]["project"]}))["items"]
    assert [each["session"] for each in one] == [seeded.sessions[1]]
    assert facts_of(sessions.PAGE, look(query={"search": "notes"}))["items"][0]["session"] == seeded.sessions[2]
    assert facts_of(sessions.PAGE, look(query={"search": "no such thing"}))["items"] == []


def test_a_session_answers_the_questions(seeded, look):
    """Which model answered each turn and why, what it cost, where the cache broke and who broke it, which attempt
    failed."""
    view = look(params={"id": seeded.sessions[0]})
    facts, told = facts_of(session.PAGE, view), text_of(session.PAGE, view)
    turns = facts["turns"]
    assert [turn["turn"] for turn in turns] == list(range(1, len(turns) + 1))
    assert sum(turn["cost"]["usd"] or 0 for turn in turns) == pytest.approx(facts["session"]["cost"]["usd"])
    for turn in turns:
        for words in (turn["sent"], turn["why"], turn["asked"]):
            assert not words or words in told
    [broken] = facts["breaks"]
    assert broken["id"] == seeded.special["break"]
    assert f"Turn {broken['turn']}" in told
    assert "the client changed what it had sent before . Cache lost:" in told
    assert "system[0]" in told
    failed = {one["id"]: " ".join(one["words"]) for one in facts["failures"]}
    assert set(failed) == {seeded.special[name] for name in ("fallback", "denied", "hung_up", "unserved")}
    assert "claude-sonnet-4-5 at relay, which failed" in failed[seeded.special["fallback"]]


def test_a_session_has_threads(seeded, look):
    """The main thread, requests beside it, and agents, each with its turns and cost; together they are all of it."""
    facts = facts_of(session.PAGE, look(params={"id": seeded.sessions[0]}))
    threads = facts["threads"]
    parts = [threads["main"], threads["side"], *threads["agents"]]
    assert [one["agentType"] for one in threads["agents"]] == ["Explore", "general-purpose"]
    assert sum(one["requests"] for one in parts) == facts["session"]["requests"]
    assert sum(one["cost"]["usd"] or 0 for one in parts) == pytest.approx(facts["session"]["cost"]["usd"])
    assert threads["side"]["requests"] == 1
    course = facts["course"]
    for point, turn in zip(course, facts["turns"], strict=True):
        drawn = [lane for lane in ("main", "agent", "side") if point[f"{lane}Context"] is not None]
        assert drawn == ([turn["lane"]] if turn["contextTokens"] else [])


def test_breaks_are_marked_in_the_picture(seeded, look):
    """The turn at which the cache broke has the break's number, and no other turn has one."""
    document = _document(session.PAGE, look(params={"id": seeded.sessions[0]}))
    marks = [attributes["data-mark"] for attributes in document.of("tr") if "data-mark" in attributes]
    assert marks == ["1"]


def test_a_session_at_work_is_live(seeded, look):
    """One that somebody may still be at is kept up to date; one of yesterday stays as it is."""
    for number, is_live in ((0, True), (1, False)):
        document = _document(session.PAGE, look(params={"id": seeded.sessions[number]}))
        assert any("data-live" in attributes for _, attributes in document.elements) is is_live
        assert ("/ui/static/live.js" in [one.get("src") for one in document.of("script")]) is is_live


@pytest.mark.parametrize("page", [request.PAGE, session.PAGE], ids=lambda page: page.path)
def test_what_there_is_not_is_not_found(look, page):
    """An id that was never recorded has no page."""
    with pytest.raises(NotFound, match="is recorded"):
        facts_of(page, look(params={"id": "never"}))
