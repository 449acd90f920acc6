"""A fault of the disk costs records, is told once, and is over when it is over. It never costs a request."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ccrouter.config.schema import RecordKeeping
from ccrouter.store import file as record_file
from ccrouter.store.migrations import VERSION
from ccrouter.store.reports import Reports

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Nobody waits a second to try again."""
    monkeypatch.setattr(record_file, "_PAUSE", 0.0)


def test_a_damaged_file_is_put_aside(record, make, read, tmp_path):
    """One that is no database is kept beside the new one, byte for byte, and that is told."""
    told, rubbish = [], b"this is no database" * 1000
    (tmp_path / "records.db").write_bytes(rubbish)
    recorder = record(told=told)
    recorder.put(make())
    assert recorder.flush()
    assert read.requests()["total"] == 1
    [aside] = tmp_path.glob("records.db.damaged-*")
    assert aside.read_bytes() == rubbish
    assert len(told) == 1
    assert "damaged" in told[0]
    assert aside.name in told[0]


def test_a_file_damaged_while_it_is_open_is_put_aside(record, make, read, tmp_path):
    """Pages that turn to rubbish cost what they held; the recorder goes on in a new file."""
    told = []
    recorder = record(told=told)
    for _ in range(300):
        recorder.put(make(session="s1"))
    assert recorder.flush()
    recorder._file.close()
    path = tmp_path / "records.db"
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    for _ in range(3):
        recorder.put(make(session="s2"))
        recorder.flush()
    assert len(list(tmp_path.glob("records.db.damaged-*"))) == 1
    assert {row["session"] for row in read.requests()["items"]} == {"s2"}
    assert any("damaged" in line for line in told)


def test_a_file_of_a_newer_version_is_left_alone(record, make, tmp_path):
    """Nothing is written to it, that is told once, and nobody is held up."""
    connection = sqlite3.connect(tmp_path / "records.db")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before, told = (tmp_path / "records.db").read_bytes(), []
    recorder = record(told=told)
    for _ in range(3):
        recorder.put(make())
        assert recorder.flush() is False
    assert (tmp_path / "records.db").read_bytes() == before
    assert len(told) == 1
    assert "newer ccr" in told[0]


def test_a_file_that_is_removed_is_made_anew(record, make, read, tmp_path):
    """Whoever removes the file has an empty one from the next record on."""
    recorder = record()
    recorder.put(make())
    recorder.flush()
    for path in tmp_path.iterdir():
        path.unlink()
    late = make()
    recorder.put(late)
    assert recorder.flush()
    assert [row["id"] for row in read.requests()["items"]] == [late.id]


def test_a_folder_that_cannot_be_written_is_told_once_and_recovered_from(record, make, tmp_path):
    """Where the folder is none, records wait; once it is one, they are written, all of them."""
    told = []
    folder = tmp_path / "folder"
    folder.write_text("in the way")
    recorder = record(folder / "records.db", told=told)
    for _ in range(3):
        recorder.put(make())
        assert recorder.flush() is False
    assert len(told) == 1
    assert "cannot be written" in told[0]
    folder.unlink()
    recorder.put(make())
    assert recorder.flush()
    reports = Reports(folder / "records.db")
    assert reports.requests()["total"] == 4
    assert reports.state()["faults"] >= 3
    reports.close()
    assert told[1:] == [f"the records in {folder / 'records.db'} can be written again; 0 were lost"]


def test_a_locked_file_is_waited_for_and_then_tried_again(record, make, read, tmp_path, monkeypatch):
    """Another program's lock costs no record: they wait, and are written once it is gone."""
    monkeypatch.setattr(record_file, "_PATIENCE", 20)
    told = []
    recorder = record(told=told)
    recorder.put(make())
    recorder.flush()
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    recorder.put(make())
    assert recorder.flush() is False
    assert "locked" in told[0]
    other.execute("ROLLBACK")
    other.close()
    assert recorder.flush()
    assert read.requests()["total"] == 2
    assert recorder.state["exchanges"] == 0


def test_what_cannot_be_written_is_bounded(record, make, tmp_path, monkeypatch):
    """Of what waits for a disk that does not come back the oldest are given up, and counted."""
    monkeypatch.setattr(record_file, "_MOST_WAITING", 5)
    told = []
    (tmp_path / "folder").write_text("in the way")
    recorder = record(tmp_path / "folder" / "records.db", told=told)
    for _ in range(8):
        recorder.put(make())
    assert recorder.flush() is False
    assert recorder.state["exchanges"] == 3
    (tmp_path / "folder").unlink()
    assert recorder.flush()
    reports = Reports(tmp_path / "folder" / "records.db")
    assert [row["id"] for row in reports.requests()["items"]] == [f"req_{number:024x}" for number in range(7, 2, -1)]
    assert reports.state()["shed"]["exchanges"] == 3
    reports.close()


_FULL = """
import resource, signal, sys
from pathlib import Path
from tests.store import conftest
from ccrouter.store import file
file._PAUSE = 0.0
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
told = []
recording = conftest.record.__wrapped__(Path(sys.argv[1]))
record = next(recording)
recorder = record(told=told)
make = conftest.make.__wrapped__()
make = next(make) if hasattr(make, "__next__") else make
for _ in range(50):
    recorder.put(make())
assert recorder.flush()
size = Path(sys.argv[1], "records.db-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
for _ in range(500):
    recorder.put(make())
assert recorder.flush() is False, "there was room"
assert len(told) == 1 and "cannot be written" in told[0], told
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert recorder.flush()
recorder.close()
assert len(told) == 2 and "written again; 0 were lost" in told[1], told
print("done")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the size of files as Linux does")
def test_a_full_disk_is_told_once_and_recovered_from(tmp_path):
    """Where no file may grow any more records wait; once there is room they are written, and the file is sound."""
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
    reports = Reports(tmp_path / "records.db")
    assert reports.requests()["total"] == 550
    reports.close()
    connection = sqlite3.connect(tmp_path / "records.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_can_be_read(record, make, tmp_path):
    """A file in a folder where nothing can be written tells what it has."""
    recorder = record()
    recorder.put(make())
    recorder.close()
    tmp_path.chmod(0o500)
    try:
        reports = Reports(tmp_path / "records.db")
        assert reports.requests()["total"] == 1
        reports.close()
    finally:
        tmp_path.chmod(0o700)


def test_a_file_that_is_not_there_tells_of_nothing(tmp_path):
    """Reports of no file are empty, make none, and see one that comes later."""
    reports = Reports(tmp_path / "records.db")
    assert reports.requests() == {"items": [], "next": None, "total": 0}
    assert reports.last() is None
    assert reports.session("s") is None
    assert reports.state()["rows"] == 0
    assert list(tmp_path.iterdir()) == []
    reports.close()


def test_a_file_that_is_being_made_is_looked_at_again(record, make, read, tmp_path):
    """Who asks in the moment between a file's making and its first table is told of nothing, and of all of it later."""
    (tmp_path / "records.db").touch(0o600)
    assert read.requests()["total"] == 0
    recorder = record()
    recorder.put(make())
    assert recorder.flush()
    assert read.requests()["total"] == 1


def test_another_process_that_writes_at_the_end_costs_nothing(record, make, read, tmp_path, monkeypatch):
    """A recorder that ends while somebody else holds the file waits for them: its last records are not lost."""
    monkeypatch.setattr(record_file, "_PATIENCE", 10)
    path, told = tmp_path / "records.db", []
    first = record()
    first.put(make())
    assert first.flush()
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    recorder = record()
    recorder._tell = recorder._file._tell = lambda words: (told.append(words), holder.rollback())
    recorder.put(make())
    recorder.close()
    holder.close()
    assert "cannot be written" in told[0]
    assert read.requests()["total"] == 2


def test_where_nothing_is_kept_no_file_is_made(record, make, tmp_path):
    """With records turned off not even an empty file appears, also when it is time to clear away."""
    recorder = record(keeping=RecordKeeping(enabled=False))
    recorder._next_housekeeping = 0.0
    recorder.put(make())
    recorder.flush()
    recorder._work()
    assert not list(tmp_path.glob("records.db*"))
