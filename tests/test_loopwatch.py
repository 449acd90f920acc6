"""The watch over the event loop: what it has to find, and what it must not."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from pathlib import Path

import pytest

from tests.loopwatch import ALLOWED, LIMIT, WATCH, expecting

PACKAGE = Path(__file__).parent.parent / "src" / "ccrouter"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no timer of computing")

#: As if it were the router's own: code of a file that would be below src/ccrouter.
SOURCE = """
def busy(seconds):
    until = thread_time() + seconds
    while thread_time() < until:
        pass

async def answer(seconds):
    busy(seconds)

async def answer_in_two(seconds):
    busy(seconds)
    await pause()
    busy(seconds)

def sleepy():
    sleep(0)

def written(path):
    with open(path, "ab") as file:
        file.write(b"a line")
        fsync(file.fileno())

def calls(function):
    function()
"""


def as_ours(**names):
    """The functions of SOURCE, in the router's place."""
    known = {"thread_time": time.thread_time, "sleep": time.sleep, "fsync": os.fsync, **names}
    exec(compile(SOURCE, str(PACKAGE / "made_up.py"), "exec"), known)
    return type("Ours", (), {name: staticmethod(value) for name, value in known.items() if callable(value)})


@pytest.fixture(autouse=True)
def no_garbage_is_collected():
    """What is collected within a step is taken off its time, and would be missing here."""
    gc.disable()
    yield
    gc.enable()


async def turn() -> None:
    """Everything that was ready has run."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_busy_callback_is_found():
    """A callback of the router's that computes for longer than the limit is found, with the place."""
    with expecting() as found:
        asyncio.get_running_loop().call_soon(as_ours().busy, LIMIT + 0.010)
        await turn()
    [told] = found
    assert "ms CPU in made_up.py: busy" in told


async def test_a_busy_turn_of_a_task_is_found():
    """So is one turn of a task; two turns that are below the limit each are not added up."""
    with expecting() as found:
        await asyncio.create_task(as_ours().answer(LIMIT + 0.010))
    assert len(found) == 1
    with expecting() as found:
        await asyncio.create_task(as_ours(pause=turn).answer_in_two(LIMIT * 0.7))
    assert found == []


async def test_what_the_timer_missed_is_found(monkeypatch):
    """A step of which there is no sample is judged by what it began with."""
    monkeypatch.setattr(WATCH, "sample_from", 3600.0)
    with expecting() as found:
        asyncio.get_running_loop().call_soon(as_ours().busy, LIMIT + 0.010)
        await asyncio.create_task(as_ours().answer(LIMIT + 0.010))
        await asyncio.create_task(asyncio.sleep(0))
    assert [told.partition(" in ")[2].partition("\n")[0] for told in found] == [
        "made_up.py: busy",
        "made_up.py: answer",
    ]


async def test_what_a_test_does_itself_is_its_own():
    """The test's own computing, also by way of the router's functions, is nobody's concern."""
    with expecting() as found:
        as_ours().busy(LIMIT + 0.010)
        await turn()
        await as_ours().answer(LIMIT + 0.010)
        await turn()
    assert found == []


async def test_waiting_for_the_machine_is_no_computing():
    """A step that takes long because others have the processor is not found: only what it computes counts."""
    ours = as_ours()
    with expecting() as found:
        asyncio.get_running_loop().call_soon(
            ours.calls, lambda: os.system("i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done")
        )
        await turn()
    assert not any("ms CPU" in told for told in found)


async def test_collecting_garbage_is_no_computing_of_ours():
    """The collector walks through all that the test run holds, in whose step it may happen to be."""
    ours = as_ours()
    ballast = [{"n": [n]} for n in range(400_000)]

    def collect() -> None:
        began = time.thread_time()
        while time.thread_time() - began < LIMIT + 0.010:
            gc.collect()

    with expecting() as found:
        asyncio.get_running_loop().call_soon(ours.calls, collect)
        await turn()
    assert ballast
    assert found == []


async def test_sleeping_is_found():
    """A blocking sleep within a step is found, however short; one of the test's own is not."""
    with expecting() as found:
        asyncio.get_running_loop().call_soon(as_ours(sleep=time.sleep).sleepy)
        await turn()
        time.sleep(0)  # noqa: ASYNC251 - that is what it is about
    [told] = found
    assert told.startswith("time.sleep within a step of the loop, in made_up.py: sleepy")


async def test_waiting_for_the_disk_is_found(tmp_path):
    """A file that is opened, and one that is brought to the disk, within a step: both are found."""
    with expecting() as found:
        asyncio.get_running_loop().call_soon(as_ours().written, str(tmp_path / "file"))
        await turn()
    assert [told.partition(" ")[0] for told in found] == ["open", "os.fsync"]
    with expecting() as found:
        await asyncio.to_thread(as_ours().written, str(tmp_path / "file"))
    assert found == []


async def test_starting_a_process_is_found():
    """So is a process, and looking up a name."""
    with expecting() as found:
        asyncio.get_running_loop().call_soon(as_ours().calls, lambda: os.system("true"))
        await turn()
    assert [told.partition(" ")[0] for told in found] == ["os.system"]


def test_what_is_found_fails_the_test(pytester_like):
    """A finding makes the test fail in which it was made."""
    report = pytester_like()
    assert report.outcome == "failed"
    assert "the event loop was held up" in report.longrepr


@pytest.fixture
def pytester_like():
    """Makes the report of a test in which something was found, as pytest would have it made."""

    def make():
        before, WATCH.found = WATCH.found, ["a step of 60 ms CPU in x: y"]
        try:
            making = WATCH.pytest_runtest_makereport(None)
            next(making)
            try:
                making.send(type("Report", (), {"outcome": "passed", "longrepr": None})())
            except StopIteration as made:
                return made.value
        finally:
            WATCH.found = before
        raise AssertionError("no report")

    return make


def test_what_is_allowed_is_there():
    """Every place that may wait exists, and says why in more than a word."""
    for place, why in ALLOWED.items():
        file, _, name = place.partition(": ")
        source = (PACKAGE / file).read_text(encoding="utf-8")
        assert f"def {name.rpartition('.')[2]}(" in source, place
        assert len(why.split()) >= 4, place
