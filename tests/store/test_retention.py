"""What is too old or too much goes, the oldest first, a little at a time, and the room is given back."""

from __future__ import annotations

import pytest
from bench.records import NOW, rows

from ccrouter.config.schema import RecordKeeping
from ccrouter.store import retention
from ccrouter.store.database import open_for_writing
from ccrouter.store.reports import Reports
from ccrouter.store.retention import clear_some, room_of
from ccrouter.store.rows import Content
from ccrouter.store.writing import Writing

DAY = 86_400


@pytest.fixture
def filled(tmp_path):
    """Some thousands of exchanges of forty days, with what was said in them."""
    connection = open_for_writing(tmp_path / "records.db", pytest.fail)
    batch = list(rows(4_000, 40))
    for row in batch:
        row.content = Content("full", b"q" * 400, b"a" * 400, is_cut=False)
    Writing(connection).write(batch, {"old": (b"x", int(NOW - 39 * DAY)), "new": (b"x", int(NOW)), "salt": (b"x", 1)})
    yield connection
    connection.close()


def _clear(connection, keeping, now=NOW) -> int:
    """The steps that it takes until nothing is left to do."""
    for step in range(1, 10_000):
        if clear_some(connection, keeping, now):
            return step
    raise AssertionError("it never ends")


def _one(connection, sql):
    return connection.execute(sql).fetchone()[0]


def test_what_is_older_than_the_days_goes_everywhere(filled, tmp_path):
    """Rows, attempts, details, sums, sessions and the states of conversations: nothing of more than ten days is left,
    and nothing of less is lost.
    """
    before = Reports(tmp_path / "records.db", now=lambda: NOW)
    expected = before.usage("day")[-10:]
    _clear(filled, RecordKeeping(days=10, content_days=10))
    oldest = int((NOW - 10 * DAY) * 1000) << 20
    for table, column in (("exchanges", "n"), ("details", "n"), ("attempts", "exchange"), ("contents", "n")):
        assert _one(filled, f"SELECT min({column}) FROM {table}") >= oldest
        assert _one(filled, f"SELECT count(DISTINCT {column}) FROM {table}") == 1000
    assert _one(filled, "SELECT min(ended) FROM sessions") >= (NOW - 10 * DAY) * 1000
    assert _one(filled, "SELECT count(*) FROM agents WHERE session NOT IN (SELECT n FROM sessions)") == 0
    assert _one(filled, "SELECT group_concat(key) FROM (SELECT key FROM threads ORDER BY key)") == "new,salt"
    assert before.usage("day")[1:] == expected
    assert before.state()["rows"] in range(1000, 1020)
    before.close()


def test_what_was_said_goes_sooner(filled):
    """Contents have days of their own; the rows stay."""
    _clear(filled, RecordKeeping(days=90, content_days=5))
    assert _one(filled, "SELECT count(*) FROM contents") == 500
    assert _one(filled, "SELECT count(*) FROM exchanges") == 4000


def test_the_oldest_go_where_there_is_too_much(filled, tmp_path):
    """Beyond the megabytes the oldest rows go, some more than need be so that the next ones fit; what is added up
    stays, and the file itself is smaller.
    """
    _clear(filled, RecordKeeping(content_days=90))
    filled.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = (tmp_path / "records.db").stat().st_size
    room = room_of(filled)
    limit = int(room / 1024**2 * 0.7)
    _clear(filled, RecordKeeping(content_days=90, megabytes=limit), NOW + 61)
    assert limit * 0.7 < room_of(filled) / 1024**2 <= limit
    left = _one(filled, "SELECT count(*) FROM exchanges")
    assert 500 < left < 3500
    assert _one(filled, "SELECT max(n) FROM exchanges") >> 20 > (NOW - DAY) * 1000
    assert _one(filled, "SELECT sum(requests) FROM rollups WHERE span = 86400") == 4000
    filled.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (tmp_path / "records.db").stat().st_size < 0.8 * size


def test_a_step_is_short(filled, monkeypatch):
    """A step ends after its time, whatever is left; the next one goes on."""
    monkeypatch.setattr(retention, "_STEP", 0.0)
    assert clear_some(filled, RecordKeeping(days=1), NOW) is False
    assert _clear(filled, RecordKeeping(days=1)) > 5


def test_one_process_clears_for_all(filled):
    """Once all is in order nobody looks again for a minute, and then somebody does."""
    keeping = RecordKeeping(days=10)
    _clear(filled, keeping)
    assert clear_some(filled, RecordKeeping(days=1), NOW + 30) is True
    assert _one(filled, "SELECT count(*) FROM exchanges") == 1000
    _clear(filled, RecordKeeping(days=1), NOW + 61)
    assert _one(filled, "SELECT count(*) FROM exchanges") < 110


def test_minutes_go_after_two_days(filled):
    """What was added up by minute is kept for two days, by hour and by day for as long as records are."""
    _clear(filled, RecordKeeping(days=90))
    for table in ("rollups", "flows", "latencies"):
        assert _one(filled, f"SELECT min(at) FROM {table} WHERE span = 60") >= NOW - 2 * DAY
        assert _one(filled, f"SELECT min(at) FROM {table} WHERE span = 3600") < NOW - 39 * DAY


def test_the_recorder_clears_by_itself(record, make, read, monkeypatch):
    """Without anybody's asking, what is too old is gone some time after a record was written."""
    recorder = record(keeping=RecordKeeping(days=1))
    recorder.put(make(ended_at=NOW - 400 * DAY))
    recorder.flush()
    assert read.requests()["total"] == 1
    recorder._next_housekeeping = 0.0
    recorder.put(make())
    recorder.flush()
    recorder.flush()  # the first one's mark is set before what follows the writing
    assert len(read.requests()["items"]) == 1
