"""A process of node's that has one module loaded, and the calls that go on with it at the same time.

Lines of JSON go both ways through a channel of their own (bridge.js says what they mean); what the module prints is for
the log. Nothing here knows what transformers or routers are.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ccrouter.extensions.aside import took_too_long
from ccrouter.extensions.faults import Journal
from ccrouter.transforms.base import Answer

BRIDGE = Path(__file__).with_name("bridge.js")

#: A line is a request's body at most, in base64 at worst.
_MOST_LINE = 256 * 1024 * 1024
_READ = 256 * 1024
#: Of a line that a module prints, characters that are kept.
_MOST_WORDS = 1000
#: Seconds that a process has to answer at all, and to end.
_PATIENCE = 2.0
_LEVELS = {"trace": "trace", "debug": "debug", "info": "info", "warn": "warn", "error": "error", "fatal": "error"}
_encode = msgspec.json.Encoder().encode


class JavaScriptError(Exception):
    """What the module threw: name and message, and its stack."""

    def __init__(self, message: str, stack: str) -> None:
        super().__init__(message)
        self.stack = stack


class WorkerEnded(Exception):
    """The process is gone; the text says how."""


class _Thrown(msgspec.Struct):
    message: str
    stack: str


class _Line(msgspec.Struct):
    """One line of the module's: which of its members are there says what it is."""

    id: int = 0
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Thrown | None = None
    chunk: str | None = None
    end: bool = False
    pull: bool = False
    log: str | None = None
    text: str = ""


_line = msgspec.json.Decoder(_Line).decode


@dataclass(slots=True)
class Call:
    """One call that goes on. `turn` is when it became the module's turn, None while it waits for the provider."""

    id: int
    what: str
    limit: float
    source: Answer | None = None
    turn: float | None = None
    reply: asyncio.Future[tuple[msgspec.Raw | bytes | None, Exception | None]] | None = None
    feeding: asyncio.Task[None] | None = None
    broken: Exception | None = None

    @property
    def is_fed(self) -> bool:
        """True while the provider is waited for."""
        return self.feeding is not None and not self.feeding.done()


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a process: the program, the module, the environment, and who is told what it prints."""

    node: str
    module: Path
    environ: Mapping[str, str] = field(repr=False)
    journal: Journal = field(repr=False)
    uses_stdio: bool = sys.platform == "win32"


class Worker:
    """One process. `start` it; it ends by `close`, by itself, or when this process does."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._ids = itertools.count(1)
        self._calls: dict[int, Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_words = ""
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter
        self.is_alive = False

    async def start(self) -> None:
        """Raises OSError if the program cannot be run."""
        launch = self._launch
        ours, theirs = (None, None) if launch.uses_stdio else socket.socketpair()
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                launch.node,
                str(BRIDGE),
                "stdio" if theirs is None else str(theirs.fileno()),
                str(launch.module),
                stdin=pipe if theirs is None else nothing,
                stdout=pipe,
                stderr=pipe,
                cwd=launch.module if launch.module.is_dir() else launch.module.parent,
                env=dict(launch.environ),
                pass_fds=() if theirs is None else (theirs.fileno(),),
            )
        except BaseException:
            if ours is not None:
                ours.close()
            raise
        finally:
            if theirs is not None:
                theirs.close()
        assert process.stdout is not None
        assert process.stderr is not None
        self.is_alive = True
        if ours is None:
            assert process.stdin is not None
            reader, self._writer = process.stdout, process.stdin
        else:
            reader, self._writer = await asyncio.open_connection(sock=ours)
            self._keep(self._hear(process.stdout, "debug"))
        self._keep(self._hear(process.stderr, "warn"))
        self._keep(self._listen(reader, process))

    # -- asking ----------------------------------------------------------------------------------------------------

    async def ask(self, what: str, limit: float, op: str, **given: Any) -> msgspec.Raw:
        """What the module answers to `op`, in JSON. `what` names it in messages; `limit` in seconds.

        Raises JavaScriptError, WorkerEnded and TookTooLong.
        """
        call = self.begin(what, limit)
        try:
            answer = await self.say(call, op, **given)
            assert isinstance(answer, msgspec.Raw), "only answers come in pieces"
            return answer
        finally:
            self.forget(call)

    def begin(self, what: str, limit: float, source: Answer | None = None) -> Call:
        """A call that more than one thing is said in; `source` is what the module may read meanwhile."""
        call = Call(next(self._ids), what, limit, source)
        self._calls[call.id] = call
        return call

    async def say(self, call: Call, op: str, **given: Any) -> msgspec.Raw | bytes | None:
        """Within a call, what the module says next: the answer to `op`, or a piece of its body, None at its end.

        Raises as `ask`, and what reading the call's source has raised.
        """
        call.reply = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(call.limit):
                await self._send({"id": call.id, "op": op, **given})
        except TimeoutError:
            self._keep(self._look_after(call))
            raise took_too_long(call.what, call.limit) from None
        call.turn = None if call.is_fed else time.monotonic()
        while not call.reply.done():
            left = call.limit if call.turn is None else call.turn + call.limit - time.monotonic()
            if left <= 0:
                self._keep(self._look_after(call))
                raise took_too_long(call.what, call.limit)
            await asyncio.wait([call.reply], timeout=left)
        said, error = call.reply.result()
        if isinstance(error, JavaScriptError) and call.broken is not None:
            raise call.broken  # what it complains of is not its own doing
        if error is not None:
            raise error
        return said

    def forget(self, call: Call) -> None:
        """The call is over, whether or not it came to an end."""
        self._calls.pop(call.id, None)
        if call.feeding is not None:
            call.feeding.cancel()

    def cancel(self, call: Call) -> None:
        """The call is over before its end: the module is told."""
        if call.id in self._calls:
            self.forget(call)
            if self.is_alive:
                self._keep(self._tell({"id": call.id, "op": "cancel"}))

    # -- the end ---------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """After the call the process is gone. What went on with it has failed."""
        if self._process is None:
            return
        self._end("it was stopped")
        self._writer.close()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(OSError):  # its other end is gone already
            await self._writer.wait_closed()

    def kill(self) -> None:
        """The process ends now, whatever it is at."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                self._process.kill()

    def _end(self, how: str) -> None:
        self.is_alive = False
        calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            if call.feeding is not None:
                call.feeding.cancel()
            if call.reply is not None and not call.reply.done():
                call.reply.set_result((None, WorkerEnded(how)))

    async def _look_after(self, call: Call) -> None:
        """A call took too long: if the whole process hangs, it ends; else only that call."""
        self.cancel(call)
        probe = self.begin("ping", _PATIENCE)
        probe.reply = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._send({"id": probe.id, "op": "ping"})
                await probe.reply
        except (TimeoutError, WorkerEnded):
            self._say("error", "a JavaScript module hangs; its process is ended")
            self.kill()
        finally:
            self.forget(probe)

    @property
    def module(self) -> Path:
        return self._launch.module

    # -- the channel -----------------------------------------------------------------------------------------------

    async def _send(self, message: Mapping[str, Any]) -> None:
        """Raises WorkerEnded."""
        if not self.is_alive:
            raise WorkerEnded("it has ended")
        self._writer.write(_encode(message) + b"\n")
        try:
            await self._writer.drain()
        except OSError as error:
            raise WorkerEnded("it has ended") from error

    async def _tell(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(WorkerEnded):  # then there is nobody to tell
            await self._send(message)

    async def _listen(self, reader: asyncio.StreamReader, process: asyncio.subprocess.Process) -> None:
        async for line in _lines(reader):
            try:
                self._take(_line(line))
            except (msgspec.DecodeError, ValueError) as error:
                self._say("error", "a JavaScript module broke its channel", error=str(error))
                self.kill()
                break
        code = await process.wait()
        words = f" ({self._last_words})" if self._last_words else ""
        self._end(f"it ended with {_told(code)}{words}")

    def _take(self, line: _Line) -> None:
        """Raises ValueError for a piece that is no base64."""
        if line.log is not None:
            self._say(_LEVELS.get(line.log, "info"), "a JavaScript module says", text=line.text[:_MOST_WORDS])
            return
        call = self._calls.get(line.id)
        if call is None:  # given up since
            return
        if line.pull:
            call.turn = None
            call.feeding = self._keep(self._feed(call))
        elif call.reply is not None and not call.reply.done():
            if line.error is not None:
                call.reply.set_result((None, JavaScriptError(line.error.message, line.error.stack)))
            elif line.chunk is not None:
                call.reply.set_result((base64.b64decode(line.chunk, validate=True), None))
            else:
                call.reply.set_result((None if line.end else line.result, None))

    async def _feed(self, call: Call) -> None:
        """One piece of the provider's answer, as the module has asked for one."""
        assert call.source is not None, "only a call with a source is pulled"
        message: dict[str, Any] = {"id": call.id, "op": "chunk", "data": None}
        try:
            piece = await call.source.read()
            message["data"] = base64.b64encode(piece).decode() if piece else None
        except Exception as error:  # noqa: BLE001 - whoever reads the module's answer is told
            call.broken = error
            message["error"] = "the provider's answer broke off"
        call.turn = time.monotonic()
        await self._tell(message)

    async def _hear(self, stream: asyncio.StreamReader, level: str) -> None:
        """What the module prints, line by line, for the log."""
        async for line in _lines(stream):
            text = line.decode("utf-8", "replace").strip()
            if not text:
                continue
            if level == "warn" and ("Error" in text or not self._last_words):
                self._last_words = text[:200]
            self._say(level, "a JavaScript module prints", text=text[:_MOST_WORDS])

    def _say(self, level: str, message: str, **facts: object) -> None:
        self._launch.journal(level, message, file=self.module.name, **facts)

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The lines that come, however long; what stands after the last line end counts for one."""
    begun: list[bytes] = []
    size = 0
    while data := await _next(reader):
        *whole, rest = data.split(b"\n")
        for line in whole:
            yield b"".join([*begun, line])
            begun.clear()
            size = 0
        size += len(rest)
        if size > _MOST_LINE:
            return
        if rest:
            begun.append(rest)
    if begun:
        yield b"".join(begun)


async def _next(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(_READ)
    except OSError:  # the process is gone
        return b""


def _told(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
