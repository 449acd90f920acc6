"""Identity of processes, and ending no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ccrouter.service.process import Identity, describe, end, identify, own_identity, start_time_by_ps

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True)\nwhile True: signal.pause()"
MEEK = "import signal; print('ready', flush=True)\nwhile True: signal.pause()"


@pytest.fixture
def spawn() -> Iterator[object]:
    children: list[subprocess.Popen[str]] = []

    def start(program: str) -> subprocess.Popen[str]:
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_own() -> None:
    """This process is itself, and runs."""
    own = own_identity()
    assert own.pid == os.getpid()
    assert own.is_running
    assert identify(os.getpid()) == own


def test_another_with_the_same_number() -> None:
    """Same number, other start: another process."""
    assert not Identity(os.getpid(), "long ago").is_running


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1])
def test_no_process(pid: int) -> None:
    """A number that no process has (0 and below would mean groups) has no identity."""
    assert identify(pid) is None


def test_zombie_is_gone(spawn) -> None:
    """A process that has ended and was not waited for does not run."""
    child = spawn(MEEK)
    identity = identify(child.pid)
    assert identity is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not identity.is_running
    assert start_time_by_ps(child.pid) == ""


def test_end(spawn) -> None:
    """A process that heeds SIGTERM ends by it."""
    child = spawn(MEEK)
    identity = identify(child.pid)
    assert identity is not None
    assert end(identity)
    assert child.wait(5) == -signal.SIGTERM


def test_end_of_a_stubborn_one(spawn) -> None:
    """One that does not is killed."""
    child = spawn(STUBBORN)
    identity = identify(child.pid)
    assert identity is not None
    assert end(identity, lambda: 0.05)
    assert child.wait(5) == -signal.SIGKILL


def test_end_spares_a_stranger(spawn) -> None:
    """A process that merely has the number is not signalled; the one that was meant is gone, which is what was asked for."""
    child = spawn(MEEK)
    assert end(Identity(child.pid, "long ago"))
    assert child.poll() is None


def test_ps_tells_the_same(spawn) -> None:
    """What macOS and BSD go by: the same process has the same start, no process has none."""
    child = spawn(MEEK)
    first = start_time_by_ps(child.pid)
    assert first != ""
    assert start_time_by_ps(child.pid) == first
    assert start_time_by_ps(2**22 + 1) == ""


def test_describe(spawn) -> None:
    """The command line, cut to what fits a message; nothing for no process."""
    child = spawn(MEEK + "\n#" + "x" * 200)
    assert describe(child.pid).startswith(sys.executable)
    assert len(describe(child.pid)) == 120
    assert describe(2**22 + 1) == ""
