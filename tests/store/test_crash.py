"""kill -9 at any moment leaves a sound file with all that was flushed; several processes write to one file at once."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ccrouter.store.reports import Reports

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 25

#: Puts exchanges without end; says after each flush how many it has put.
_WRITER = """
import sys
from pathlib import Path
from dataclasses import replace
from tests.store.seed import CONFIG, PRICES, SONNET
from ccrouter.gateway.record import Attempt, Exchange
from ccrouter.messages.events import WireUsage
from ccrouter.prices.book import PriceBook
from ccrouter.store.recorder import Recorder
told = []
recorder = Recorder(Path(sys.argv[1]), config=CONFIG, prices=PriceBook(PRICES), tell=told.append)
name, most = sys.argv[2], int(sys.argv[3])
number = 0
while number < most:
    for _ in range(20):
        exchange = Exchange(f"req_{name}{number:08d}", "/v1/messages", 0.0, asked=SONNET, sent=SONNET, provider="anthropic")
        exchange.status, exchange.session, exchange.total = 200, f"session-{name}-{number % 3}", 1.0
        exchange.usage, exchange.ended_at = WireUsage(1, 2, 3, 4), 1_795_000_000.0 + number / 100
        exchange.attempts = [Attempt(f"anthropic,{SONNET}", 0.0, ended=1.0)]
        recorder.put(exchange)
        number += 1
    if not recorder.flush():
        print("lost", told, flush=True)
    print(number, flush=True)
recorder.close()
print("closed", told, flush=True)
"""


@contextlib.contextmanager
def _writer(path: Path, name: str, most: int = 10**9):
    command = [sys.executable, "-c", _WRITER, str(path), name, str(most)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        try:
            yield writer
        finally:
            writer.kill()


def _is_sound(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def test_killed_at_any_moment_the_file_is_whole(tmp_path):
    """Each time a writer is killed in the midst of it: the file is sound, everything flushed is there, sums and rows
    agree, and the next writer goes on in it.
    """
    path, dice, flushed = tmp_path / "records.db", random.Random(5), 0
    for round_ in range(ROUNDS):
        with _writer(path, f"r{round_:02d}") as writer:
            for _ in range(dice.randrange(1, 6)):
                told = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            rest = [line for line in writer.stdout.read().split("\n") if line.isdigit()]
        flushed += int(rest[-1]) if rest else told
        assert _is_sound(path), round_
    reports = Reports(path, now=lambda: 1_795_000_000.0)
    rows = reports.requests()["total"]
    connection = sqlite3.connect(path)
    counted = [
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("exchanges", "attempts", "details")
    ]
    connection.close()
    assert rows >= flushed
    assert rows <= flushed + ROUNDS * 40  # what was under way when the writer was killed
    assert counted == [rows] * 3
    assert sum(one["requests"] for one in reports.usage("session")) == rows
    assert reports.usage("hour")[0]["tokens"]["output"] == 4 * reports.usage("hour")[0]["requests"]
    reports.close()


def test_several_processes_write_to_one_file(tmp_path):
    """Three recorders, each in a process of its own, on a file that none of them finds: no record is lost or doubled."""
    path, each = tmp_path / "records.db", 1_000
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(_writer(path, f"w{number}", each)) for number in range(3)]
        said = [writer.communicate(timeout=60)[0].split("\n") for writer in writers]
    assert [lines[-2] for lines in said] == ["closed []"] * 3
    reports = Reports(path, now=lambda: 1_795_000_000.0)
    assert reports.requests()["total"] == 3 * each
    assert [one["requests"] for one in reports.usage("model")] == [3 * each]
    assert {one["requests"] for one in reports.sessions(limit=20)["items"]} == {333, 334}
    reports.close()
    assert _is_sound(path)


@pytest.mark.parametrize("ends", ["close", "kill"])
def test_a_reader_sees_what_is_written_meanwhile(tmp_path, ends):
    """Reports of a file that another process writes to are whole at every moment, however the writer ends."""
    path = tmp_path / "records.db"
    reports = Reports(path, now=lambda: 1_795_000_000.0)
    with _writer(path, "w", 400 if ends == "close" else 10**9) as writer:
        for _ in range(20):
            told = int(writer.stdout.readline())
            seen = reports.requests()["total"]
            assert seen >= told
            assert sum(one["requests"] for one in reports.usage("provider")) >= seen
        if ends == "kill":
            writer.kill()
        writer.stdout.read()
    assert reports.requests()["total"] >= 400
    reports.close()
