"""The scripted upstream's server: asyncio transports and an HTTP/1.1 parser small enough to misbehave with.

It owns sockets and nothing else: what to answer comes from the test, by `reply` and `always`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from tests.upstream.reply import Cut, Gate, Reply, Reset, Stall, json_reply

Brain = Callable[["Received"], Reply | Awaitable[Reply]]


class UnscriptedError(AssertionError):
    """A request arrived that the test gave no reply for."""


class _GoneError(Exception):
    """The client closed its connection."""


class Headers(Mapping[str, str]):
    """Header fields by name, any case; `raw` keeps spelling and order.

    A repeated field reads as its first value; `get_all` gives every one.
    """

    def __init__(self, raw: list[tuple[str, str]]) -> None:
        self.raw = raw

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.raw if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        for key, value in self.raw:
            if key.lower() == name.lower():
                return value
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_all(name))

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key.lower() for key, _ in self.raw))

    def __len__(self) -> int:
        return len({key.lower() for key, _ in self.raw})

    def __repr__(self) -> str:
        return f"Headers({self.raw!r})"


class Received:
    """One request as it arrived, and what became of its reply.

    closed: set when the client's connection ended before the reply was complete.
    done: set when the upstream is finished with the reply, in whichever way.
    written: bytes of reply the kernel has taken, head and framing included.
    """

    def __init__(self, method: str, target: str, headers: Headers, body: bytes, connection: int) -> None:
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.body = body
        self.connection = connection
        self.closed = asyncio.Event()
        self.done = asyncio.Event()
        self.written = 0

    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.method} {self.target}, {len(self.body)} bytes>"


class _Connection(asyncio.Protocol):
    """One TCP connection: bytes in, bytes out, and the moment the other side leaves."""

    def __init__(self, serve: Callable[[_Connection], Awaitable[None]], tasks: set[asyncio.Task[None]]) -> None:
        self._serve = serve
        self._tasks = tasks
        self._buffer = bytearray()
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self.gone = asyncio.Event()
        self.number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(0)  # so that `write` returns when the kernel has the bytes
        task = asyncio.get_running_loop().create_task(self._run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        try:
            await self._serve(self)
        except _GoneError:
            pass
        finally:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._changed.set()

    def eof_received(self) -> bool:
        self.gone.set()
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        self.gone.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def unless_gone(self, event: asyncio.Event) -> None:
        """Return when the event is set; raise _GoneError when the client leaves first."""
        if event.is_set():
            return
        waits = [asyncio.ensure_future(each.wait()) for each in (event, self.gone)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not event.is_set():
            raise _GoneError

    async def read_until(self, mark: bytes) -> bytes:
        while (at := self._buffer.find(mark)) < 0:
            await self._more()
        return self._take(at + len(mark))

    async def read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        return self._take(size)

    async def _more(self) -> None:
        self._changed.clear()
        await self.unless_gone(self._changed)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def write(self, data: bytes) -> None:
        if self.gone.is_set():
            raise _GoneError
        self.transport.write(data)
        await self.unless_gone(self._writable)
        await asyncio.sleep(0)  # lets a parting client be noticed before the next write

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


class Upstream:
    """The server: `async with Upstream() as up`.

    Replies queued with `reply` are used once, in order; then `always` answers the rest. Leaving the block
    raises what went wrong on the server's side: `UnscriptedError`, or the first exception of a reply function.
    """

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._queue: deque[Reply | Brain] = deque()
        self._always: Reply | Brain | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Condition()
        self.requests: list[Received] = []
        self.connections = 0
        self.failures: list[BaseException] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    def reply(self, *replies: Reply | Brain) -> None:
        """Queue replies, one a request, in this order."""
        self._queue.extend(replies)

    def always(self, reply: Reply | Brain) -> None:
        """Answer whatever the queue does not."""
        self._always = reply

    async def request(self, number: int = 1) -> Received:
        """The number-th request (from 1), waited for."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= number)
        return self.requests[number - 1]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self._serve, self._tasks), "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._server.wait_closed()
        if self.failures and kind is None:
            raise self.failures[0]

    async def _serve(self, link: _Connection) -> None:
        self.connections += 1
        link.number = self.connections
        while await self._exchange(link):
            pass

    async def _exchange(self, link: _Connection) -> bool:
        """One request and its reply; False when the connection is not to be used again."""
        received = await _read_request(link)
        async with self._arrived:
            self.requests.append(received)
            self._arrived.notify_all()
        try:
            reply = await self._decide(received, link)
            return await _play(reply, received, link)
        except _GoneError:
            received.closed.set()
            raise
        finally:
            received.done.set()

    async def _decide(self, received: Received, link: _Connection) -> Reply:
        chosen = self._queue.popleft() if self._queue else (self._always or self._unscripted)
        try:
            if isinstance(chosen, Reply):
                return chosen
            decided = chosen(received)
            if not inspect.isawaitable(decided):
                return decided
            return await _before_leaving(decided, link)
        except (_GoneError, asyncio.CancelledError):
            raise
        except Exception as failure:  # noqa: BLE001  # kept and raised by __aexit__
            self.failures.append(failure)
            return json_reply({"error": {"message": f"scripted upstream: {failure!r}"}}, 500)

    def _unscripted(self, received: Received) -> Reply:
        raise UnscriptedError(f"no reply scripted for request {len(self.requests)}: {received!r}")


async def _before_leaving(decided: Awaitable[Reply], link: _Connection) -> Reply:
    task = asyncio.ensure_future(decided)
    finished = asyncio.Event()
    task.add_done_callback(lambda _: finished.set())
    try:
        await link.unless_gone(finished)
    finally:
        task.cancel()
    return task.result()


async def _read_request(link: _Connection) -> Received:
    lines = (await link.read_until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _version = lines[0].split(" ")
    raw = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line)]
    headers = Headers(raw)
    if headers.get("expect", "").lower() == "100-continue":
        await link.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = await _read_chunks(link)
    else:
        body = await link.read_exactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body, link.number)


async def _read_chunks(link: _Connection) -> bytes:
    body = b""
    while size := int((await link.read_until(b"\r\n")).split(b";")[0], 16):
        body += await link.read_exactly(size)
        await link.read_exactly(2)
    while await link.read_until(b"\r\n") != b"\r\n":
        pass
    return body


async def _play(reply: Reply, received: Received, link: _Connection) -> bool:
    """Write the reply; True when the connection can carry another request."""

    async def send(data: bytes) -> None:
        await link.write(data)
        received.written += len(data)

    bodiless = received.method == "HEAD" or reply.status in (204, 304)
    if reply.framing != "raw":
        await send(_head(reply))
    for step in reply.steps:
        match step:
            case Gate(event):
                await link.unless_gone(event)
            case Reset():
                link.reset()
                return False
            case Cut():
                return False
            case Stall():
                await link.unless_gone(asyncio.Event())
            case bytes() if step and not bodiless:
                chunked = reply.framing == "chunked"
                await send(b"%x\r\n%b\r\n" % (len(step), step) if chunked else step)
    if reply.framing == "chunked" and not bodiless:
        await send(b"0\r\n\r\n")
    honest = reply.length is None or reply.length == reply.size
    closing = received.headers.get("connection", "").lower() == "close"
    return reply.framing in ("chunked", "length") and honest and not closing


def _head(reply: Reply) -> bytes:
    named = dict(reply.headers)
    if reply.framing == "chunked":
        named["transfer-encoding"] = "chunked"
    elif reply.framing == "length":
        named["content-length"] = str(reply.size if reply.length is None else reply.length)
    else:
        named["connection"] = "close"
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Status"
    lines = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode()
