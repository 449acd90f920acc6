"""A pytest plugin: nothing of ours may hold up the event loop for more than 50 ms, in whichever test it runs.

Every step of a loop in the main thread (one callback, one turn of a task) is measured by the CPU time of its thread:
on a busy machine wall time says nothing. While a step is long its stack is sampled, by a timer that counts CPU time
too. A step is ours if the router's code is outermost on that stack, below the loop and the libraries: what a test does
itself, in its own task, it may do as slowly as it likes. The time of the garbage collector, which walks through all that
pytest holds, is taken off.

What waits without computing (sleeping, files, processes, names) is told by audit events and a few functions that are
watched; of these only what ALLOWED lists, with the reason, may be done within a step of ours.

A test that feeds the router so much that 50 ms are not enough says so: `@pytest.mark.heavy("why")`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

#: Seconds of computing that one step may take.
LIMIT = 0.050
#: From here on a step is looked at, and how often, in seconds of computing.
_SUSPICIOUS, _EVERY = 0.015, 0.004

_ROOT = Path(__file__).resolve().parent.parent
_OURS = f"{_ROOT / 'src' / 'ccrouter'}{os.sep}"
_TESTS = (f"{_ROOT / 'tests'}{os.sep}", f"{_ROOT / 'soak'}{os.sep}")
_IMPORTING = "<frozen importlib._bootstrap"
#: What uvicorn runs for a request: all that it does is to call the application.
_REQUEST = "RequestResponseCycle.run_asgi"

#: Audit events of what may wait for a disk, a network or a process.
_WAITING = frozenset({
    "open", "os.listdir", "os.scandir", "os.rename", "os.remove", "os.mkdir", "os.fork", "os.forkpty", "os.posix_spawn",
    "os.spawn", "os.system", "os.truncate", "shutil.copyfile", "shutil.move", "shutil.rmtree", "fcntl.flock",
    "fcntl.lockf", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "sqlite3.connect", "subprocess.Popen",
})  # fmt: skip

#: "file: function" of ours that may do such a thing within a step → why it does not hold up the loop.
ALLOWED: dict[str, str] = {
    "config/syntax.py: _open_at_once": "how read_bounded opens a file",
    "config/syntax.py: read_bounded": "one file of 4 MiB at most, and no pipe: a project's router",
    "config/customs.py: installed_transforms": "what is installed beside us, when an edition begins that names some of it",
    "config/projects.py: _folders": "lists Claude Code's projects, once for each session that is not known yet",
    "extensions/faults.py: line_in": "a line of the user's own code, to tell where it failed",
    "extensions/node/worker.py: Worker.start": "asyncio starts processes so; once in the life of a worker",
    "extensions/prompt.py: _read": "a short text of the user's, again only after it was changed",
    "server/voice.py: Voice.defect": "the lines of a trace, which only a defect of ours has",
}

Place = tuple[str, int, str]


@dataclass(slots=True)
class Step:
    """One step under way: what is known of it so far. `stacks` are those sampled, the outermost frame first."""

    began: float
    collecting: float = 0.0
    stacks: list[tuple[Place, ...]] | None = None


class LoopWatch:
    """The plugin, and what it has found since it was last asked."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.longest: Counter[str] = Counter()  # by place, in microseconds
        self._step: Step | None = None
        self._gc_began = 0.0
        self._thread = threading.main_thread().ident
        self._is_heavy = False
        self.sample_from = _SUSPICIOUS

    # -- measuring -----------------------------------------------------------------------------------------------------

    def run(self, original: Callable[[asyncio.Handle], None], handle: asyncio.Handle) -> None:
        """Run one step, and judge it."""
        if threading.get_ident() != self._thread or self._step is not None:
            original(handle)
            return
        step = self._step = Step(time.thread_time())
        signal.setitimer(signal.ITIMER_PROF, _SUSPICIOUS, _EVERY)
        try:
            original(handle)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            took = time.thread_time() - step.began - step.collecting
            self._step = None
            if step.stacks:
                self._judge(step.stacks, took)
            elif took > LIMIT:  # the timer goes by the system's ticks, and may have missed all of it
                self._judge([begun_by(handle)], took)

    def sample(self, _number: int, frame: FrameType | None) -> None:
        """The timer's signal: another thread's computing may have set it off."""
        step = self._step
        if step is not None and time.thread_time() - step.began >= self.sample_from:
            step.stacks = [*(step.stacks or ()), _stack(frame)]

    def note_collection(self, phase: str, _info: dict[str, int]) -> None:
        step = self._step
        if step is None or threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._gc_began = time.thread_time()
        elif self._gc_began:
            step.collecting += time.thread_time() - self._gc_began
            self._gc_began = 0.0

    def _judge(self, stacks: list[tuple[Place, ...]], took: float) -> None:
        ours = [stack for stack in stacks if is_ours(stack)]
        if not ours:
            return
        innermost = Counter(inner_place(stack) for stack in ours).most_common(1)[0][0]
        self.longest[innermost] = max(self.longest[innermost], round(took * 1e6))
        if took > LIMIT and not self._is_heavy:
            shown = "\n".join(f"    {file}:{line} in {name}" for file, line, name in ours[len(ours) // 2])
            self.found.append(f"a step of {took * 1000:.0f} ms CPU in {innermost}\n{shown}")

    # -- waiting -------------------------------------------------------------------------------------------------------

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Called by the interpreter for every event: quick, and never raises."""
        if self._step is None or event not in _WAITING or threading.get_ident() != self._thread:
            return
        if event == "socket.connect" and isinstance(arguments[0], socket.socket) and not arguments[0].gettimeout():
            return  # it does not wait
        if event == "open" and (not isinstance(arguments[0], (str, bytes)) or arguments[0] == os.devnull):
            return  # a descriptor that is open already
        self.note_waiting(event)

    def note_waiting(self, what: str) -> None:
        """Something that may wait was done within a step."""
        if self._step is None or threading.get_ident() != self._thread:
            return
        stack = _stack(sys._getframe(1))
        if not is_ours(stack) or any(file.startswith(_IMPORTING) for file, _, _ in stack):
            return
        place = inner_place(stack)
        if place not in ALLOWED:
            shown = "\n".join(f"    {file}:{line} in {name}" for file, line, name in stack[-8:])
            self.found.append(f"{what} within a step of the loop, in {place}\n{shown}")

    # -- pytest --------------------------------------------------------------------------------------------------------

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "heavy(why): one step of the event loop may take longer than 50 ms")

    def take(self) -> list[str]:
        """What was found since the last call."""
        found, self.found = self.found, []
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._is_heavy = item.get_closest_marker("heavy") is not None
        try:
            return (yield)
        finally:
            self._is_heavy = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        report: Any = yield
        if found := self.take():
            report.outcome = "failed"
            before = f"{report.longrepr}\n" if report.longrepr else ""
            report.longrepr = "\n".join([f"{before}the event loop was held up:", *(f"  {one}" for one in found)])
        return report

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        if count := config.getoption("--longest-steps"):
            terminalreporter.section("longest steps of the event loop, ms CPU")
            for place, micros in self.longest.most_common(count):
                terminalreporter.line(f"{micros / 1000:8.1f}  {place}")


def _stack(frame: FrameType | None) -> tuple[Place, ...]:
    """The frames from the step's beginning to `frame`."""
    places: list[Place] = []
    while frame is not None and frame.f_code is not LoopWatch.run.__code__:
        places.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname))
        frame = frame.f_back
    return tuple(reversed(places))


def is_ours(stack: tuple[Place, ...]) -> bool:
    """True if the router's code comes before that of the tests."""
    for file, _, _ in stack:
        if file.startswith(_OURS):
            return True
        if file.startswith(_TESTS) and file != __file__:
            return False
    return False


def begun_by(handle: asyncio.Handle) -> tuple[Place, ...]:
    """Where a step begins, as a stack of one: the coroutine of its task, else its function. A request's begins with us."""
    callback: Any = handle._callback
    task = getattr(callback, "__self__", None)
    begun: Any = task.get_coro() if isinstance(task, asyncio.Task) else callback
    code = getattr(begun, "cr_code", None) or getattr(getattr(begun, "__func__", begun), "__code__", None)
    if code is None:
        return ()
    if code.co_qualname == _REQUEST:
        return ((f"{_OURS}server{os.sep}app.py", 0, "App.__call__"),)
    return ((code.co_filename, code.co_firstlineno, code.co_qualname),)


def inner_place(stack: tuple[Place, ...]) -> str:
    """The innermost function of ours, as ALLOWED names it."""
    for file, _, name in reversed(stack):
        if file.startswith(_OURS) and file.endswith(".py"):  # templates are ours, too
            return f"{file.removeprefix(_OURS)}: {name}"
    return "?"


WATCH = LoopWatch()
_is_installed = False


def install() -> LoopWatch:
    """After the call every loop of this process is watched. Audit hooks stay for good; so does the rest."""
    global _is_installed  # noqa: PLW0603 - a process has one
    if _is_installed or not hasattr(signal, "setitimer"):
        return WATCH
    _is_installed = True
    original = asyncio.Handle._run

    def run(handle: asyncio.Handle) -> None:
        WATCH.run(original, handle)

    asyncio.Handle._run = run  # type: ignore[method-assign]  # there is no other seam for every callback
    signal.signal(signal.SIGPROF, WATCH.sample)
    gc.callbacks.append(WATCH.note_collection)
    sys.addaudithook(WATCH.audit)
    for module, name in ((time, "sleep"), (os, "fsync"), (os, "fdatasync")):
        if hasattr(module, name):
            setattr(module, name, _noting(f"{module.__name__}.{name}", getattr(module, name)))
    return WATCH


def _noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def noting(*arguments: Any, **named: Any) -> Any:
        WATCH.note_waiting(name)
        return function(*arguments, **named)

    return noting


@contextlib.contextmanager
def expecting() -> Iterator[list[str]]:
    """What is found within goes to the list that is given, and fails nothing."""
    before, found = WATCH.take(), []
    try:
        yield found
    finally:
        found += WATCH.take()
        WATCH.found = before
