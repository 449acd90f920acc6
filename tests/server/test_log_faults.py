"""A log whose disk is full, or whose file or folder goes away: no request pays for it, and it is said once, twice in all."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccrouter.server.log import ExchangeLog, say

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be moved there")

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="a file on a full disk, which not every system has")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "log"


@contextlib.contextmanager
def opened(path: Path, clock: Clock) -> Iterator[ExchangeLog]:
    log = ExchangeLog(path, "info", clock)
    try:
        yield log
    finally:
        log.close()


def messages(path: Path) -> list[str]:
    """The messages of a log, every line of which is whole."""
    return [json.loads(line)["msg"] for line in path.read_text().splitlines()]


@needs_full
def test_a_full_disk(path, clock, capsys, monkeypatch):
    """A fault is told once on stderr, tried again once a second, and told once more when it is over: on stderr and in
    the log, with how many lines were lost.
    """
    path.symlink_to(FULL)
    tries: list[int] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: (tries.append(file), write(file, data))[1])
    with opened(path, clock) as log:
        for _ in range(5):
            log.event("info", "lost")
            clock.now += 0.5
        assert len(tries) == 3
        path.unlink()
        clock.now += 1
        log.event("info", "kept")
        log.event("info", "kept too")
    told = capsys.readouterr().err.splitlines()
    assert told == [
        f"ccr: the log {path} cannot be written: No space left on device",
        f"ccr: the log {path} can be written again; 5 lines were lost",
    ]
    assert messages(path) == ["the log can be written again", "kept", "kept too"]
    assert json.loads(path.read_text().splitlines()[0])["lost"] == 5


@needs_full
def test_a_disk_at_its_limit(path, clock, capsys):
    """One that is full now and then is not told of every time; the log itself has every gap."""
    with opened(path, clock) as log:
        for _ in range(4):
            path.unlink(missing_ok=True)
            path.symlink_to(FULL)
            clock.now += 1
            log.event("info", "lost")
            path.unlink()
            clock.now += 1
            log.event("info", "kept")
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_no_half_lines(path, clock):
    """What of a line a full disk took is taken back: every line of the log is whole."""
    import resource  # noqa: PLC0415 - POSIX only

    with opened(path, clock) as log:
        log.event("info", "first")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, limits[1]))
        try:
            log.event("info", "lost")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        clock.now += 1
        log.event("info", "last")
    assert messages(path) == ["first", "the log can be written again", "last"]


def test_a_half_line_that_cannot_be_taken_back(path, clock, monkeypatch):
    """Where that fails, at least the next line begins on a line of its own."""
    import resource  # noqa: PLC0415 - POSIX only

    def refuse(_file: int, _size: int) -> None:
        raise OSError(5, "no")

    monkeypatch.setattr(os, "ftruncate", refuse)
    with opened(path, clock) as log:
        log.event("info", "first")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, limits[1]))
        try:
            log.event("info", "lost")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        clock.now += 1
        log.event("info", "last")
    first, torn, *rest = path.read_text().splitlines()
    assert json.loads(first)["msg"] == "first"
    assert len(torn) == 20
    assert [json.loads(line)["msg"] for line in rest] == ["the log can be written again", "last"]


def test_a_folder_that_is_removed(path, clock, capsys):
    """The log comes back by itself, with its folder, both for their owner alone; nothing needs to be said."""
    with opened(path, clock) as log:
        log.event("info", "before")
        path.unlink()
        path.parent.rmdir()
        clock.now += 1
        log.event("info", "after")
    assert messages(path) == ["after"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert capsys.readouterr().err == ""


def test_a_folder_that_is_away_for_a_while(path, clock, tmp_path, capsys):
    """What is above the log's own folder is not made anew: there it waits, and goes on once it is there again."""
    away = tmp_path / "outer"
    inner = away / "logs" / "log"
    inner.parent.mkdir(parents=True)
    with opened(inner, clock) as log:
        log.event("info", "before")
        away.rename(tmp_path / "elsewhere")
        clock.now += 1
        log.event("info", "lost")
        assert not away.exists()
        (tmp_path / "elsewhere").rename(away)
        clock.now += 1
        log.event("info", "after")
    assert messages(inner) == ["before", "the log can be written again", "after"]
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize("is_made", [True, False])
def test_a_log_that_is_put_away(path, clock, is_made):
    """After logrotate has moved the file, and made a new one or not, lines go to the one of that name."""
    with opened(path, clock) as log:
        log.event("info", "before")
        path.rename(path.with_name("log.1"))
        if is_made:
            path.touch()
        clock.now += 1
        log.event("info", "after")
    assert messages(path.with_name("log.1")) == ["before"]
    assert messages(path) == ["after"]


def test_a_folder_that_was_never_there(tmp_path, clock, capsys):
    """Where the log cannot even be begun the router says so, and begins it when it can."""
    path = tmp_path / "none" / "logs" / "log"
    with opened(path, clock) as log:
        log.event("info", "lost")
        path.parent.parent.mkdir()
        clock.now += 1
        log.event("info", "kept")
    assert messages(path) == ["the log can be written again", "kept"]
    assert len(capsys.readouterr().err.splitlines()) == 2


@needs_full
def test_a_stderr_that_cannot_be_written_either(path, clock, monkeypatch):
    """Nor does it matter if nobody can be told."""
    path.symlink_to(FULL)
    with FULL.open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        with opened(path, clock) as log:
            log.event("info", "lost")
        with contextlib.suppress(OSError):
            full.close()
    monkeypatch.setattr(sys, "stderr", None)
    say("nobody hears this")


def test_a_log_that_is_closed(path, clock):
    """After `close` nothing is written, and no file is made."""
    with opened(path, clock) as log:
        log.event("info", "before")
        log.close()
        path.unlink()
        clock.now += 5
        log.event("info", "after")
    assert not path.exists()
