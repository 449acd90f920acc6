"""The bridge to node by itself: both kinds of channel, both event loops."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ccrouter.extensions.faults import Faults
from ccrouter.extensions.node.module import _line_in
from ccrouter.extensions.node.worker import JavaScriptError, Launch, Worker, WorkerEnded
from tests.extensions.conftest import NODE, needs_node

pytestmark = needs_node


def loops() -> list[Callable[[], asyncio.AbstractEventLoop]]:
    found = [asyncio.new_event_loop]
    if sys.platform != "win32":
        import uvloop  # noqa: PLC0415 - there is none for Windows

        found.append(uvloop.new_event_loop)
    return found


class Pieces:
    """An answer of a provider, in these pieces."""

    status = 200

    def __init__(self, *pieces: bytes) -> None:
        self.headers: dict[str, str] = {}
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def close(self) -> None:
        pass


@pytest.fixture(params=loops(), ids=lambda factory: factory.__module__.partition(".")[0])
def run(request):
    def run(work):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(work)

    return run


@pytest.fixture(params=["its own channel", "stdin and stdout"])
def start(request, tmp_path: Path):
    """Starts a worker of a module with this text; what it prints is in `said`."""
    said: list[tuple[str, str, dict]] = []

    async def start(text: str) -> Worker:
        path = tmp_path / "module.js"
        path.write_text(text)
        launch = Launch(
            str(NODE),
            path,
            dict(os.environ),
            lambda level, message, **facts: said.append((level, message, facts)),
            uses_stdio="stdout" in request.param,
        )
        worker = Worker(launch)
        await worker.start()
        return worker

    start.said = said
    return start


def decoded(raw) -> object:
    return msgspec.json.decode(raw)


def test_a_call(run, start):
    """What is asked is answered, what is printed is noise, and the end is an end."""

    async def work() -> None:
        worker = await start(
            "console.log('noise'); process.stdout.write('{'); module.exports = async (req, config) => { console.log(1); return [req.body, config.a]; };"
        )
        assert decoded(await worker.ask("x", 10, "load"))["file"].endswith("module.js")
        assert decoded(await worker.ask("x", 10, "route", request={"body": {"ü": 1}}, config={"a": 2})) == [{"ü": 1}, 2]
        await worker.close()
        assert not worker.is_alive
        with pytest.raises(WorkerEnded):
            await worker.ask("x", 10, "load")

    run(work())
    assert "noise" in json.dumps(start.said)


def test_an_answer_in_pieces(run, start):
    """Bytes go through as they are, whatever they are, and nothing is asked for before it is wanted."""
    pieces = [bytes(range(256)), b"\n", b"x" * 300_000]

    async def work() -> list[bytes]:
        worker = await start(
            "module.exports = class { name = 'n'; transformResponseOut(r) { return new Response(r.body); } };"
        )
        await worker.ask("x", 10, "load")
        made = decoded(await worker.ask("x", 10, "make", options={}))
        assert made == {"handle": 0, "name": "n", "hooks": ["transformResponseOut"], "endPoint": None}
        call = worker.begin("x", 10, Pieces(*pieces))
        await worker.say(call, "response", handle=0, status=200, headers={}, context={})
        got = []
        while (piece := await worker.say(call, "more")) is not None:
            got.append(piece)
        worker.forget(call)
        await worker.close()
        return got

    assert run(work()) == pieces


def test_an_error(run, start):
    """What the module throws comes with its stack; things that are no errors are shown."""

    async def work() -> None:
        worker = await start(
            "module.exports = async (req) => { if (req.body) throw new RangeError('bad'); throw { code: 5 }; };"
        )
        await worker.ask("x", 10, "load")
        with pytest.raises(JavaScriptError, match=r"^RangeError: bad$") as thrown:
            await worker.ask("x", 10, "route", request={"body": 1}, config={})
        assert "module.js:1" in thrown.value.stack
        with pytest.raises(JavaScriptError, match="code: 5"):
            await worker.ask("x", 10, "route", request={}, config={})
        await worker.close()

    run(work())


def test_the_end_of_the_process_ends_its_calls(run, start):
    """Every call that goes on fails, with what the process said last."""

    async def work() -> None:
        worker = await start(
            "module.exports = async (req) => { if (req.body) { console.error('Error: out of luck'); setTimeout(() => process.exit(9), 20); } return new Promise(() => {}); };"
        )
        await worker.ask("x", 10, "load")
        calls = [worker.ask("x", 10, "route", request={"body": number}, config={}) for number in (0, 1)]
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(one) for one in told] == [WorkerEnded, WorkerEnded]
        assert "exit code 9" in str(told[0])
        await worker.close()

    run(work())


def test_errors_nobody_catches_are_logged(run, start):
    """A promise or an event that nobody looks after ends no process."""

    async def work() -> None:
        worker = await start(
            "module.exports = async () => { Promise.reject(new Error('lost')); setImmediate(() => { throw new Error('thrown'); }); await new Promise((r) => setTimeout(r, 20)); return 'here'; };"
        )
        await worker.ask("x", 10, "load")
        assert decoded(await worker.ask("x", 10, "route", request={}, config={})) == "here"
        await worker.close()

    run(work())
    texts = [facts["text"] for level, _, facts in start.said if level == "error"]
    assert any("lost" in text for text in texts)
    assert any("thrown" in text for text in texts)


def test_half_a_character_in_the_log(run, start):
    """Half a surrogate pair, which is no text, breaks nothing."""

    async def work() -> None:
        worker = await start(
            r"module.exports = async (req) => { req.log.info('\ud83d'); throw new Error('x'.repeat(3999) + '😀'); };"
        )
        await worker.ask("x", 10, "load")
        with pytest.raises(JavaScriptError):
            await worker.ask("x", 10, "route", request={}, config={})
        assert worker.is_alive
        await worker.close()

    run(work())


def test_lines(tmp_path):
    """The line of the user's own file is found in a stack, not that of node's."""

    stack = f"Error: x\n    at node:internal/y:3:4\n    at f ({tmp_path}/m.js:12:5)\n    at g ({tmp_path}/m.js:99:5)"
    assert _line_in(stack, tmp_path / "m.js") == 12
    assert _line_in("Error", tmp_path / "m.js") is None


def test_blame_tells_client_and_log_apart(tmp_path):
    """One line for the client, the trace for the log."""
    told = []
    faults = Faults(lambda level, message, **facts: told.append((level, message, facts)))
    error = faults.tell("doing it", tmp_path / "f.py", 3, "ValueError: a\nb", "Trace\nof it", request_id="req_1")
    assert str(error) == "doing it failed (f.py, line 3): ValueError: a"
    assert told == [
        (
            "error",
            "custom code failed",
            {"what": "doing it", "file": str(tmp_path / "f.py"), "trace": "Trace\nof it", "reqId": "req_1"},
        )
    ]
