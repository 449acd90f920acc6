"""Processes of the benchmark: started on a chosen CPU, measured from outside, killed at the end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PR_SET_PDEATHSIG = 1
PRIORITY = -10

_libc = ctypes.CDLL(None)


class BenchError(Exception):
    """Something the benchmark needs did not work; the text says what."""


class Cpus:
    """Which CPU the program under test has and which the rig: two different ones where there are two."""

    def __init__(self) -> None:
        allowed = sorted(os.sched_getaffinity(0))
        self.contender = allowed[0]
        self.rig = allowed[1] if len(allowed) > 1 else allowed[0]
        self.are_apart = len(allowed) > 1

    @contextlib.contextmanager
    def pinned(self, cpu: int) -> Iterator[None]:
        """Processes started inside inherit the one CPU."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cpu})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


def _prepare_child() -> None:
    """The child dies with the benchmark, and goes before whatever else this machine does, where that is allowed."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        # Where sessions are scheduled as groups (sched(7), autogroup), only the group's priority counts among others.
        Path("/proc/self/autogroup").write_text(str(PRIORITY))


class Child:
    """A long-lived process in a group of its own; its output goes to a file; `stop` ends the whole group."""

    def __init__(
        self, command: Sequence[str], *, log: Path, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_prepare_child,  # noqa: PLW1509 - single-threaded, and nothing may outlive the run
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        """The group is gone afterwards: asked first, killed after three seconds."""
        for signal_number, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)

    def tail(self) -> str:
        """The end of what it printed, for the reader of a failure."""
        return self.log.read_text(errors="replace")[-600:].strip()


def run(command: Sequence[str], *, limit_s: float, cwd: Path | None = None) -> str:
    """What a short command printed. BenchError when it fails or takes longer than limit_s."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, cwd=cwd, check=False)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]} did not end within {limit_s:.0f} s") from None
    except OSError as error:
        raise BenchError(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        raise BenchError(f"{command[0]} failed ({done.returncode}): {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers_health(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
            probe.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            return probe.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def wait_for_health(child: Child, port: int, *, limit_s: float) -> float:
    """Seconds from now to the first GET /health answered with 200. BenchError when that does not come."""
    begin = time.perf_counter()
    while not _answers_health(port):
        elapsed = time.perf_counter() - begin
        if child.process.poll() is not None:
            raise BenchError(f"it ended with {child.process.returncode} at start: {child.tail()}")
        if elapsed > limit_s:
            raise BenchError(f"no GET /health within {limit_s:.0f} s: {child.tail()}")
        time.sleep(0.002)
    return time.perf_counter() - begin


def _stat_fields(pid: int) -> list[str]:
    # The command, second field, is in parentheses and may hold spaces: what counts comes after the last one.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                child = int(entry.name)
                children.setdefault(int(_stat_fields(child)[1]), []).append(child)
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, that the tree has used so far, all threads included, ended ones too."""
    total = 0.0
    for member in tree(pid):
        try:
            # Another process's CPU clock (clock_getcpuclockid(3)): nanoseconds, where stat has 10 ms ticks.
            total += time.clock_gettime((~member << 3) | 2)
        except OSError:
            with contextlib.suppress(OSError):
                total += sum(map(int, _stat_fields(member)[11:13])) / CLOCK_TICKS
    return total


def loop_seconds(pid: int) -> float:
    """CPU time that the first thread of a process has used so far: the event loop's, in ours."""
    with contextlib.suppress(OSError):  # a kernel without schedstat
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def busy_seconds(cpu: int) -> float:
    """How long this CPU has worked so far, whoever for."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{cpu} "))
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / CLOCK_TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of the tree in MB; pages that two of its processes share count twice."""
    pages = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{member}/statm").read_text().split()[1])
    return pages * PAGE_BYTES / 1e6
