"""The recorder writes what it is given, soon, and lets nobody's fault become another's."""

from __future__ import annotations

import stat
import threading
import time
from dataclasses import replace

import pytest

from ccrouter.config.schema import RecordKeeping
from ccrouter.dialects.base import Loss
from ccrouter.gateway.record import Attempt, Content, PromptNote
from ccrouter.messages.events import Billed, WireUsage
from ccrouter.prices.book import PriceBook
from ccrouter.store import recorder as recorder_module
from tests.store.seed import CHAT, CONFIG, MYSTERY, OPUS, PRICES, SONNET


class Sink:
    def __init__(self, fault: Exception | None = None) -> None:
        self.entries, self.fault = [], fault

    def note(self, entry) -> None:
        self.entries.append(entry)
        if self.fault:
            raise self.fault


def test_what_was_put_can_be_read_once_it_is_flushed(record, read, make):
    """After `flush` every exchange that was put before is in the file, with its figures."""
    recorder = record()
    exchange = make(session="s1", billed=Billed(thinking_tokens=20, cache_write_1h=40), key="key 1", answered="told")
    recorder.put(exchange)
    assert recorder.flush()
    [row] = read.requests()["items"]
    assert (row["id"], row["status"], row["session"], row["answered"]) == (exchange.id, 200, "s1", "told")
    assert row["tokens"] == {
        "input": 10, "output": 50, "cacheRead": 1000, "cacheWrite": 100, "cacheWrite1h": 40, "thinking": 20,
    }  # fmt: skip
    assert row["cacheShare"] == round(1000 / 1110, 4)
    assert (row["ttftMs"], row["totalMs"], row["tokensPerSecond"]) == (500.0, 2000.0, 33.3)
    assert row["cost"] == {
        "usd": pytest.approx((10 * 3 + 50 * 15 + 1000 * 0.3 + 60 * 3.75 + 40 * 6) / 1e6),
        "source": "config",
    }


def test_close_writes_what_waits(record, read, make):
    """What was put just before the end is in the file after `close`; what is put after it is not, and harms nobody."""
    recorder = record()
    for _ in range(700):
        recorder.put(make())
    recorder.close()
    recorder.put(make())
    recorder.close()
    assert read.requests()["total"] == 700


def test_a_recorder_that_was_given_nothing_makes_no_file(record, tmp_path):
    """No thread and no file come of a recorder alone; `flush` and `close` of it return at once."""
    recorder = record()
    assert recorder.flush()
    recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_its_owners_alone(record, make, tmp_path):
    """Nobody else can read the file, nor what SQLite keeps beside it."""
    recorder = record()
    recorder.put(make())
    recorder.flush()
    files = list(tmp_path.iterdir())
    assert "records.db" in {path.name for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_counts_of_tokens_are_told_and_not_written(record, read, make):
    """A count of tokens is no turn of a conversation: sinks hear of it, the file does not have it."""
    sink = Sink()
    recorder = record(sinks=[sink])
    recorder.put(make(path="/v1/messages/count_tokens"))
    recorder.put(make())
    recorder.flush()
    assert [entry.exchange.path for entry in sink.entries] == ["/v1/messages/count_tokens", "/v1/messages"]
    assert read.requests()["total"] == 1


def test_a_sink_that_fails_is_told_of_once(record, read, make):
    """A sink that raises costs no record, no other sink's news, and one line."""
    told, good = [], Sink()
    recorder = record(told=told, sinks=[Sink(ValueError("no")), good])
    for _ in range(3):
        recorder.put(make())
        recorder.flush()
    assert read.requests()["total"] == len(good.entries) == 3
    assert told == ["the records: telling Sink failed: ValueError: no"]


class Watch:
    """Fails or answers, and notes in which thread it was asked."""

    def __init__(self, threads, fault: Exception | None = None) -> None:
        self.threads, self.fault, self.seen, self.where = threads, fault, [], set()

    def note_prompt(self, note) -> None:
        self.where.add(threading.current_thread().name)
        self.seen.append((dict(note.asked), note.sent))
        self.threads.put("a key", b"state")
        if self.fault:
            raise self.fault
        note.found = "seen"

    def judge(self, exchange, cost):
        self.where.add(threading.current_thread().name)
        if self.fault:
            raise self.fault
        return {
            "at": "system[0]",
            "by": "client",
            "words": "changed",
            "lostTokens": 900,
            "found": exchange.prompt.found,
        }


def test_prompts_are_looked_at_before_their_exchange_and_let_go(record, read, make):
    """A prompt is seen in the recorder's thread, then its exchange; what it held is let go of."""
    watches = []
    recorder = record(watch=lambda threads: watches.append(Watch(threads)) or watches[-1])
    exchange = make(session="s1", prompts=recorder)
    exchange.session = "s1"
    exchange.note_prompt({"model": b'"m"'}, b"{}", is_first_party=True)
    recorder.put(exchange)
    assert recorder.flush()
    [watch] = watches
    assert watch.seen == [({"model": b'"m"'}, b"{}")]
    assert watch.where == {"ccr-recorder"}
    assert exchange.prompt.asked is exchange.prompt.sent is None
    [row] = read.requests()["items"]
    assert row["cacheBreak"]["found"] == "seen"
    assert read.sessions()["items"][0]["cacheBreaks"] == 1
    assert recorder.threads.get("a key") == b"state"


def test_a_watch_that_fails_costs_only_the_verdict(record, read, make):
    """Its faults are told, each kind once; the rows are written."""
    told = []
    recorder = record(told=told, watch=lambda threads: Watch(threads, KeyError("x")))
    for _ in range(2):
        exchange = make(prompts=recorder)
        exchange.session = "s1"
        exchange.note_prompt({}, b"{}", is_first_party=True)
        recorder.put(exchange)
        recorder.flush()
    assert read.requests()["total"] == 2
    assert [line.split(" failed")[0] for line in told] == [
        "the records: looking at a prompt",
        "the records: judging a cache",
    ]


def test_without_a_watch_prompts_are_let_go_at_once(record):
    """Nobody holds on to a prompt that nobody looks at."""
    note = PromptNote({"model": b"1"}, b"{}")
    record().note_prompt(note)
    assert note.asked is note.sent is None


def test_the_project_is_found_once_a_session(record, read, make):
    """The folder of a session is asked for in the thread and remembered; one that cannot be read is unknown."""
    asked = []

    def find(session):
        asked.append((session, threading.current_thread().name))
        if session == "s2":
            raise PermissionError(session)
        return "-home-ada-work"

    recorder = record(find_project=find)
    for session in ("s1", "s1", "s2", ""):
        recorder.put(make(session=session))
    recorder.flush()
    assert asked == [("s1", "ccr-recorder"), ("s2", "ccr-recorder")]
    assert sorted(row["project"] or "" for row in read.requests()["items"]) == [
        "",
        "",
        "-home-ada-work",
        "-home-ada-work",
    ]


def test_a_project_found_late_is_the_sessions(record, read, make):
    """A session whose folder appears after its first request has the project all the same."""
    known = iter(["", "-home-ada-late"])
    recorder = record(find_project=lambda _: next(known))
    recorder.put(make(session="s1"))
    recorder.flush()
    recorder._projects._known.clear()
    recorder.put(make(session="s1"))
    recorder.flush()
    assert read.sessions()["items"][0]["project"] == "-home-ada-late"


@pytest.mark.parametrize(
    ("told", "usd", "source"),
    [
        ({"billed": Billed(cost=0.5)}, 0.5, "provider"),
        ({"sent": MYSTERY, "provider": "lab"}, None, "unknown"),
        ({"usage": WireUsage()}, None, "unknown"),
        ({"usage": WireUsage(), "status": 529}, 0.0, "none"),
        ({"usage": WireUsage(), "status": 499}, None, "unknown"),
        ({"usage": WireUsage(), "status": 403, "attempts": [], "sent": ""}, 0.0, "none"),
    ],
    ids=["reported", "no price", "no usage", "failed", "hung up", "refused"],
)
def test_what_is_not_known_is_not_nothing(record, read, make, told, usd, source):
    """A cost that nobody knows is None; 0 stands only where no provider was used."""
    recorder = record()
    recorder.put(make(**told))
    recorder.flush()
    assert read.requests()["items"][0]["cost"] == {"usd": usd, "source": source}
    totals = read.usage("model")[0]["cost"]
    assert totals == {"usd": usd, "unknown": int(usd is None)}


def test_an_answer_of_two_targets_costs_what_both_cost(record, read, make):
    """One that was cut off and gone on with elsewhere is priced by parts."""
    first, second = WireUsage(1000, 0, 0, 100), WireUsage(2000, 0, 0, 50)
    attempts = [
        Attempt(f"anthropic,{OPUS}", 0.0, "cut off", "cut", usage=first),
        Attempt(f"deepseek,{CHAT}", 1.0, usage=second),
    ]
    recorder = record()
    recorder.put(make(attempts=attempts, usage=WireUsage(3000, 0, 0, 150), sent=CHAT, provider="deepseek", resumed=1))
    recorder.flush()
    expected = (1000 * 5 + 100 * 25 + 2000 * 0.28 + 50 * 0.42) / 1e6
    assert read.requests()["items"][0]["cost"]["usd"] == pytest.approx(expected)


def test_long_names_are_cut(record, read, make):
    """What a client or a provider names may be of any length; the file keeps a part of it."""
    recorder = record()
    losses = tuple(Loss(f"a{n}", "w" * 9000, "dropped") for n in range(500))
    recorder.put(make(asked="m" * 9000, error="e" * 9000, answered="x" * 9000, losses=losses, status=400))
    recorder.flush()
    found = read.last()
    assert (len(found["asked"]), len(found["error"]), len(found["answered"])) == (200, 500, 200)
    assert len(found["ledger"]["losses"]) == 200
    assert found["losses"]["dropped"] == 500


def test_one_id_is_recorded_once(record, read, make):
    """An exchange that is put twice is one row, and the others of its batch are there."""
    recorder = record()
    twice, other = make(), make()
    for one in (twice, other, twice):
        recorder.put(one)
    assert recorder.flush()
    assert sorted(row["id"] for row in read.requests()["items"]) == sorted((twice.id, other.id))
    assert read.usage("model")[0]["requests"] == 2
    assert recorder.state["exchanges"] == 1


def test_what_is_kept_follows_the_configuration(record, read, make):
    """A change of `record_content` holds from the next exchange on."""
    recorder = record()

    def put() -> str:
        content = Content(1000)
        content.note_request(b"hello")
        content.note_answer(b"you")
        exchange = make(content=content)
        recorder.put(exchange)
        recorder.flush()
        return exchange.id

    before = put()
    recorder.use(replace(CONFIG, record=RecordKeeping(content="full")), PriceBook(PRICES))
    after = put()
    recorder.use(replace(CONFIG, record=RecordKeeping(enabled=False)), PriceBook(PRICES))
    never = put()
    assert read.request(before)["content"] is None
    assert read.request(after)["content"] == {"kind": "full", "request": "hello", "answer": "you", "isCut": False}
    assert read.request(never) is None
    assert recorder._backlog.held == 0


def test_the_model_is_what_was_sent(record, read, make):
    """Requests are filed under the model that stood in what went out, which routes and prices name."""
    recorder = record()
    recorder.put(make(asked=OPUS, sent=SONNET, answered="sonnet-2025"))
    recorder.flush()
    assert [one["name"] for one in read.usage("model")] == [SONNET]


def test_prompts_beyond_the_time_for_them_are_let_go(record, make):
    """Where looking at prompts has taken its share of the processor the next ones are not looked at, and counted."""
    watches = []
    recorder = record(watch=lambda threads: watches.append(Watch(threads)) or watches[-1])
    recorder._prompt_time.take(1000.0)
    exchange = make(prompts=recorder)
    exchange.session = "s1"
    exchange.note_prompt({"model": b'"m"'}, b"{}", is_first_party=True)
    recorder.put(exchange)
    assert recorder.flush()
    assert watches[0].seen == []
    assert exchange.prompt.asked is None
    assert recorder.state["prompts"] == 1
    assert recorder._backlog.held == 0


def test_a_record_that_cannot_be_written_costs_no_other(record, read, make):
    """What is no text, and what is no number that fits, are lost alone, told of and counted."""
    told = []
    recorder = record(told=told)
    good = [make() for _ in range(3)]
    bad = [make(error="\ud800"), make(size=2**70), make(agent="\ud800")]
    for one in (good[0], bad[0], good[1], bad[1], bad[2], good[2]):
        recorder.put(one)
    assert recorder.flush()
    assert sorted(row["id"] for row in read.requests()["items"]) == sorted(one.id for one in good)
    assert recorder.state["exchanges"] == 3
    assert len(told) == 1
    assert told[0].startswith("a record cannot be written, and is lost: ")
    recorder.put(make())
    assert recorder.flush()
    assert read.requests()["total"] == 4


def test_what_is_put_is_written_without_being_asked(record, read, make):
    """Nobody has to flush: what was put is soon in the file."""
    recorder = record()
    recorder.put(make())
    give_up = time.monotonic() + 20
    while read.requests()["total"] == 0:
        assert time.monotonic() < give_up
    assert recorder_module._PAUSE < 1.0
