"""The PID file and the state files."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from ccrouter.service.process import Identity, own_identity
from ccrouter.service.state import (
    ServiceState,
    forget,
    pid_file,
    read_live,
    read_pid,
    record,
    remove_stale,
    state_file,
)


def state(port: int = 3456, process: Identity | None = None) -> ServiceState:
    return ServiceState(
        process or own_identity(),
        "127.0.0.1",
        port,
        "/c.json",
        "1.2.3",
        {"port": str(port)},
        log="/l",
        policy={"name": "p", "digest": "d", "source": "/p.json"},
        takes_launch_keys=True,
    )


def test_record_and_read(tmp_path: Path) -> None:
    """What is recorded is read back, from files that only the owner may read; the PID file is the bare number."""
    record(tmp_path, state())
    assert read_live(tmp_path) == [state()]
    assert pid_file(tmp_path).read_text() == str(os.getpid())
    for path in (pid_file(tmp_path), state_file(tmp_path, 3456)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".claude-code-router.3456.json",
        ".claude-code-router.pid",
    ]


def test_record_of_an_older_version(tmp_path: Path) -> None:
    """One that knew neither policies nor launch keys is read: its policy is not known, and it takes no such keys."""
    record(tmp_path, state())
    path = state_file(tmp_path, 3456)
    told = json.loads(path.read_text())
    del told["policy"], told["takesLaunchKeys"]
    path.write_text(json.dumps(told))
    (found,) = read_live(tmp_path)
    assert (found.policy, found.takes_launch_keys) == (None, False)


def test_forget(tmp_path: Path) -> None:
    """After it nothing is left of this router."""
    record(tmp_path, state())
    forget(tmp_path, state())
    assert list(tmp_path.iterdir()) == []


def test_forget_leaves_a_successor(tmp_path: Path) -> None:
    """A router that ended late does not remove the files of the one that took its place."""
    record(tmp_path, state())
    forget(tmp_path, state(process=Identity(os.getpid() + 1, "before")))
    assert read_live(tmp_path) == [state()]
    assert read_pid(tmp_path) == os.getpid()


def test_forget_names_the_other(tmp_path: Path) -> None:
    """With another router of the folder left, the PID file names that one."""
    other = state(4000, Identity(os.getppid(), own_identity_of(os.getppid())))
    record(tmp_path, other)
    record(tmp_path, state())
    forget(tmp_path, state())
    assert read_pid(tmp_path) == os.getppid()


def own_identity_of(pid: int) -> str:
    from ccrouter.service.process import identify  # noqa: PLC0415 - used here alone

    found = identify(pid)
    assert found is not None
    return found.started


def test_stale(tmp_path: Path) -> None:
    """A reused number, and files that nobody can read, count as nothing and are removed on request."""
    record(tmp_path, state(process=Identity(os.getpid(), "long ago")))
    state_file(tmp_path, 4000).write_text("{ half a fi")
    state_file(tmp_path, 4001).write_text('["a list"]')
    assert read_live(tmp_path) == []
    remove_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_remove_stale_keeps_the_living(tmp_path: Path) -> None:
    """The record of a router that runs stays."""
    record(tmp_path, state())
    remove_stale(tmp_path)
    assert read_live(tmp_path) == [state()]
    assert read_pid(tmp_path) == os.getpid()


def test_no_folder(tmp_path: Path) -> None:
    """Reading where there is nothing finds nothing and makes nothing."""
    assert read_live(tmp_path / "none") == []
    assert read_pid(tmp_path / "none") is None
    assert list(tmp_path.iterdir()) == []
