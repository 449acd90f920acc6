"""What the status line asks of the records: by index alone, whatever the file holds."""

from __future__ import annotations

from pathlib import Path

from ccrouter.store import statusline
from ccrouter.store.pool import Pool
from ccrouter.store.reports import Reports
from tests.cli.recorded import at, exchange, record


def test_no_table_is_scanned(tmp_path: Path) -> None:
    """Both questions go by an index: of a million rows those of the session alone are looked at."""
    path = record(tmp_path, [(exchange(id="a", at=at("2026-11-01T10:00:00")), 0.5)])
    with Pool(path).reading() as reading:
        for question, values in ((statusline._SUMS, ("s",)), (statusline._LAST, (1, 2, 3))):
            plan = [row[3] for row in reading.connection.execute(f"EXPLAIN QUERY PLAN {question}", values)]
            assert plan
            assert not [step for step in plan if not step.startswith("SEARCH ")]


def test_the_window_of_the_model(tmp_path: Path) -> None:
    """Is that of the model that was sent, by whoever knows windows; None where nobody does."""
    path = record(tmp_path, [(exchange(id="a", at=at("2026-11-01T10:00:00")), 0.5)])
    known = Reports(path, window_of=lambda provider, model: len(provider) * len(model))
    assert known.statusline("s-1")["last"]["contextWindow"] == len("deepseek") * len("deepseek-chat")
    assert Reports(path).statusline("s-1")["last"]["contextWindow"] is None
    assert Reports(tmp_path / "none.db").statusline("s-1") == {"session": None, "last": None}


def test_the_latest_of_the_main_conversation(tmp_path: Path) -> None:
    """The one that began last, of those that were answered; agents, side questions and background work do not count."""
    told = [
        exchange(id="first", at=at("2026-11-01T10:00:00")),
        exchange(id="plain", at=at("2026-11-01T10:01:00"), request_class=""),
        exchange(id="agent", at=at("2026-11-01T10:02:00"), agent="a1"),
        exchange(id="title", at=at("2026-11-01T10:03:00"), request_class="auxiliary"),
        exchange(id="small", at=at("2026-11-01T10:04:00"), route="background"),
        exchange(id="failed", at=at("2026-11-01T10:05:00"), status=529),
        exchange(id="other", at=at("2026-11-01T10:06:00"), session="s-2"),
    ]
    reports = Reports(record(tmp_path, [(one, 0.5) for one in told]))
    found = reports.statusline("s-1")
    assert (found["last"]["id"], found["session"]["requests"], found["session"]["cost"]["usd"]) == ("plain", 6, 3.0)
