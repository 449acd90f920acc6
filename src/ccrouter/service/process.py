"""Processes by identity: a number alone is given to somebody else once its process has ended.

The identity of a process is its number and its start time as the system tells it. Nothing here signals a process whose
identity it has not just checked.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_POLL = 0.02  # seconds between two looks at a process that was told to end
_BETWEEN = 0.25  # seconds between two signals
_AFTER_KILL = 2.0  # seconds that the system takes at most to clear away a process


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, told apart from any later one with the same number. `started` is opaque: compare, do not read."""

    pid: int
    started: str

    @property
    def is_running(self) -> bool:
        """True while this very process lives; a zombie does not."""
        return identify(self.pid) == self


def identify(pid: int) -> Identity | None:
    """The identity of the process that has this number now, None if there is none."""
    if pid <= 0:
        return None
    started = _start_time(pid)
    return Identity(pid, started) if started else None


def own_identity() -> Identity:
    """The identity of this process."""
    own = identify(os.getpid())
    return own or Identity(os.getpid(), "unknown")


def describe(pid: int) -> str:
    """The command line of a process for a person to recognise, at most 120 characters, "" if it cannot be read."""
    if sys.platform == "win32":
        listed = _output("tasklist", "/FI", f"PID eq {pid}", "/FO", "CSV", "/NH")
        line = listed.split('","')[0].strip('"\r\n') if listed.startswith('"') else ""
    elif sys.platform == "linux":
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:  # gone, or another user's in a container that hides it: there is nothing to tell
            return ""
        line = b" ".join(words).decode(errors="replace").strip()
    else:
        line = _output("ps", "-o", "command=", "-p", str(pid)).strip()
    return line if len(line) <= 120 else line[:119] + "…"


def end(process: Identity, patience: Callable[[], float] = lambda: 10.0, *, at_once: bool = False) -> bool:
    """True if `process` is gone after the call. It is asked to end, and killed after `patience()` seconds, which is
    asked again while we wait, as it may learn more; `at_once` asks twice: a router then cuts off what is under way.

    A process that is not `process`, though it has its number, is never touched. Raises PermissionError for a process of
    another user.
    """
    begun = time.monotonic()
    if not _ask(process, signal.SIGTERM):
        return True
    if at_once:
        _is_gone_within(process, lambda: _BETWEEN, begun)  # two signals that are pending at once are one
        if not _ask(process, signal.SIGTERM):
            return True
    if _is_gone_within(process, patience, begun) or not _ask(process, getattr(signal, "SIGKILL", signal.SIGTERM)):
        return True
    return _is_gone_within(process, lambda: _AFTER_KILL, time.monotonic())


def _ask(process: Identity, number: int) -> bool:
    """True if `process` was there to be sent the signal."""
    if not process.is_running:
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _is_gone_within(process: Identity, seconds: Callable[[], float], begun: float) -> bool:
    while process.is_running:
        if time.monotonic() > begun + seconds():
            return False
        time.sleep(_POLL)
    return True


def _output(*command: str) -> str:
    """What a system's own tool prints, "" if it fails or is missing."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands, numbers for arguments
            command, capture_output=True, text=True, timeout=5, check=False, env={**os.environ, "LC_ALL": "C"}
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def start_time_by_ps(pid: int) -> str:
    """The start time as `ps` tells it, to the second, "" for no such process or a zombie: what macOS and BSD offer."""
    state, _, started = _output("ps", "-o", "stat=,lstart=", "-p", str(pid)).strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


if sys.platform == "win32":

    def _start_time(pid: int) -> str:
        import ctypes  # noqa: PLC0415 - exists in this form on Windows only
        from ctypes import wintypes  # noqa: PLC0415 - as above

        query_limited_information, still_active = 0x1000, 259
        kernel = ctypes.windll.kernel32
        process = kernel.OpenProcess(query_limited_information, False, pid)  # noqa: FBT003 - bInheritHandle
        if not process:
            return ""
        try:
            code = wintypes.DWORD()
            kernel.GetExitCodeProcess(process, ctypes.byref(code))
            times = [wintypes.FILETIME() for _ in range(4)]
            kernel.GetProcessTimes(process, *(ctypes.byref(moment) for moment in times))
        finally:
            kernel.CloseHandle(process)
        created = times[0]
        return f"{created.dwHighDateTime:x}{created.dwLowDateTime:08x}" if code.value == still_active else ""

elif sys.platform == "linux":

    def _start_time(pid: int) -> str:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:  # no such process
            return ""
        # proc_pid_stat(5): the name in parentheses may hold anything, so fields are counted after the last one;
        # the third field is the state, the 22nd the start in clock ticks since boot.
        fields = stat.rpartition(")")[2].split()
        return "" if fields[0] in {"Z", "X"} else f"{_boot()}:{fields[19]}"

    def _boot() -> str:
        """Ticks are counted from boot, so another boot's may agree by chance."""
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        except OSError:  # hidden in some sandboxes; the ticks then stand alone
            return ""

else:
    _start_time = start_time_by_ps
