"""The log file of a run."""

from __future__ import annotations

import os
import stat
from datetime import datetime
from pathlib import Path

from ccrouter.config.schema import Config, LogFiles
from ccrouter.service.logfile import open_log
from ccrouter.service.process import own_identity
from ccrouter.service.state import ServiceState, record

NOW = datetime.fromisoformat("2026-11-22T04:05:06+00:00")


def test_name_and_modes(home: Path) -> None:
    """`logs/ccr-YYYYMMDDHHMMSS.log`, there at once, 0600 in a folder of 0700; a second of the same second is `_1`."""
    path = open_log(Config(), now=NOW)
    assert path == home / ".claude-code-router/logs/ccr-20261122040506.log"
    assert path.read_text() == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    again = open_log(Config(), now=NOW)
    assert again is not None
    assert again.name == "ccr-20261122040506_1.log"


def test_off(home: Path) -> None:
    """LOG false: no file, no folder."""
    assert open_log(Config(log=False)) is None
    assert list(home.iterdir()) == []


KEPT = 10


def test_rotation(home: Path) -> None:
    """The newest are kept, nine beside the new one, and the oldest only while its router still runs."""
    folder = home / ".claude-code-router/logs"
    folder.mkdir(parents=True)
    for number in range(KEPT + 3):
        old = folder / f"ccr-202601010000{number:02}.log"
        old.write_text("x")
        os.utime(old, (1000 + number, 1000 + number))
    (folder / "notes.txt").write_text("the user's")
    in_use = folder / "ccr-20260101000001.log"
    record(home / ".claude-code-router", ServiceState(own_identity(), "127.0.0.1", 1, "", "", log=str(in_use)))
    newest = open_log(Config(), now=NOW)
    left = sorted(path.name for path in folder.glob("ccr-*.log"))
    expected = [f"ccr-202601010000{number:02}.log" for number in (1, *range(4, KEPT + 3))]
    assert newest is not None
    assert left == [*expected, newest.name]
    assert (folder / "notes.txt").exists()


def test_how_many_are_kept(home: Path) -> None:
    """`logFiles.keep` counts what an earlier run put away like the logs of earlier runs, the oldest go first; 0 keeps
    none.
    """
    folder = home / ".claude-code-router/logs"
    folder.mkdir(parents=True)
    names = [
        "ccr-20260101000001.log",
        "ccr-20260101000002.log.9",
        "ccr-20260101000002.log.10",
        "ccr-20260101000002.log",
    ]
    for name in names:
        (folder / name).write_text("x")
    assert open_log(Config(log_files=LogFiles(keep=2)), now=NOW) is not None
    assert {path.name for path in folder.iterdir()} == {*names[2:], "ccr-20261122040506.log"}
    assert open_log(Config(log_files=LogFiles(keep=0)), now=NOW) is not None
    assert [path.name for path in folder.iterdir()] == ["ccr-20261122040506.log"]
