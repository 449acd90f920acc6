"""A log that has grown is put away: by one of those who write to it, and nothing is lost or torn."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest

from ccrouter.config.schema import Config, LogFiles
from ccrouter.logs.files import list_files
from ccrouter.server import log as module
from ccrouter.server.log import ExchangeLog
from ccrouter.server.voice import Voice

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="several writers, and modes of folders")

NAME = "ccr-20261122100000.log"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / NAME


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_is_put_away(path):
    """Within a second of having grown to its size the log gets a number, a new one of its name is there, whose first
    line says so, and no more than are to be kept are left.
    """
    clock = Clock()
    log = ExchangeLog(path, "info", clock, files=LogFiles(megabytes=1, keep=2))
    for number in range(4):
        log.event("info", "large", text="x" * 1024 * 1024)
        log.event("info", "still there", number=number)
        clock.now += 1
    log.event("info", "last")
    log.close()
    assert [file.name for file in list_files(path.parent)] == [NAME, f"{NAME}.4", f"{NAME}.3"]
    assert [one["msg"] for one in lines(path)] == ["the log goes on", "last"]
    assert lines(path)[0]["putAway"] == f"{NAME}.4"
    assert [(one["msg"], one.get("number")) for one in lines(path.with_name(f"{NAME}.4"))] == [
        ("the log goes on", None), ("large", None), ("still there", 3),
    ]  # fmt: skip
    assert path.stat().st_mode & 0o777 == 0o600


def test_several_writers(path, monkeypatch):
    """Of several that write to one log one alone puts it away: every line is there once, whole, and in order of its
    writer; no log is put away before it is large.
    """
    monkeypatch.setattr(module, "_MEGABYTE", 1024)
    writers, count = 4, 1500
    failures: list[BaseException] = []

    def run(writer: int, start: threading.Barrier) -> None:
        clock = Clock()
        log = ExchangeLog(path, "warn", clock, files=LogFiles(megabytes=20, keep=1000))
        try:
            start.wait(30)
            for number in range(count):
                log.event("warn", "line", writer=writer, number=number)
                clock.now += 0.05
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)
        finally:
            log.close()

    start = threading.Barrier(writers)
    threads = [threading.Thread(target=run, args=(writer, start)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    files = list_files(path.parent)
    assert len(files) > 5
    assert [file.name for file in files[1:]] == [f"{NAME}.{number}" for number in range(len(files) - 1, 0, -1)]
    assert all(file.size >= 20 * 1024 for file in files[1:])
    told = [one for file in reversed(files) for one in lines(file.path)]
    for writer in range(writers):
        numbers = [one["number"] for one in told if one["writer"] == writer]
        assert sorted(numbers) == list(range(count))
    assert len(told) == writers * count


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may rename in any folder")
def test_a_folder_that_takes_no_new_name(path, capsys):
    """Where it cannot be put away it grows on, without the loss of a line; that is said, and tried again later."""
    clock = Clock()
    log = ExchangeLog(path, "info", clock, files=LogFiles(megabytes=1))
    log.event("info", "large", text="x" * 1024 * 1024)
    path.parent.chmod(0o500)
    try:
        for _ in range(5):
            clock.now += 1
            log.event("info", "goes on")
    finally:
        path.parent.chmod(0o700)
    assert len(lines(path)) == 6
    assert capsys.readouterr().err.count("cannot be put away") == 1
    clock.now += 60
    log.event("info", "at last")
    assert [one["msg"] for one in lines(path)] == ["the log goes on", "at last"]
    log.close()


def test_a_name_that_cannot_be_given(path, capsys, monkeypatch):
    """The same where renaming fails for any reason."""
    clock = Clock()

    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    log = ExchangeLog(path, "info", clock, files=LogFiles(megabytes=1))
    log.event("info", "large", text="x" * 1024 * 1024)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        for _ in range(5):
            clock.now += 1
            log.event("info", "goes on")
    assert len(lines(path)) == 6
    assert capsys.readouterr().err.count("cannot be put away") == 1
    clock.now += 60
    log.event("info", "at last")
    assert [one["msg"] for one in lines(path)] == ["the log goes on", "at last"]
    log.close()


def test_nothing_kept(path):
    """`keep` 0: what is put away is gone."""
    clock = Clock()
    log = ExchangeLog(path, "info", clock, files=LogFiles(megabytes=1, keep=0))
    log.event("info", "large", text="x" * 1024 * 1024)
    clock.now += 1
    log.event("info", "last")
    log.close()
    assert [file.name for file in list_files(path.parent)] == [NAME]


def test_a_reload_says_otherwise(path):
    """Size, number and level follow the configuration; a level that was set lasts until then."""
    clock = Clock()
    log = ExchangeLog(path, "info", clock)
    voice = Voice(log)
    told: list[str] = []
    voice.publish_to(told.append)
    log.event("info", "large", text="x" * 2 * 1024 * 1024)
    voice.set_level("error")
    assert (voice.level, told) == ("error", ["error"])
    log.event("warn", "not written")
    voice.take_level("debug")
    assert (voice.level, told) == ("debug", ["error"]), "what another process told is not told again"
    voice.follow(Config(log_level="warn", log_files=LogFiles(megabytes=1)))
    assert voice.level is None
    clock.now += 1
    log.event("info", "not written either")
    log.event("warn", "written")
    log.close()
    assert [one["msg"] for one in lines(path)] == ["written"]
    assert path.with_name(f"{NAME}.1").exists()


def test_from_several_threads(path, monkeypatch):
    """Threads of one process may tell at once, while the file changes: no line goes anywhere else."""
    monkeypatch.setattr(module, "_MEGABYTE", 1024)
    log = ExchangeLog(path, "warn", iter(range(10**6)).__next__, files=LogFiles(megabytes=5, keep=1000))
    threads = [
        threading.Thread(target=lambda: [log.event("warn", "line", text="y" * 50) for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    log.close()
    assert sum(len(lines(file.path)) for file in list_files(path.parent)) == 2000
