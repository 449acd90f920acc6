"""What a client may make the router hold and wait for before there is a request. Time is the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccrouter.server import protocol
from ccrouter.server.log import ExchangeLog
from tests.gateway.conftest import Router, provider, running
from tests.server.conftest import raw, until
from tests.upstream import Gate, Upstream, anthropic_wire, json_reply, sse_reply

BODY = json.dumps({"model": "x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}).encode()
SECONDS = 60


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """A connection, byte by byte."""

    def __init__(self, router: Router, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.router = router
        self.reader = reader
        self.writer = writer
        self.sent = 0

    async def send(self, data: bytes) -> None:
        """After the call the router has read `data`."""
        self.writer.write(data)
        await self.writer.drain()
        self.sent += len(data)
        await until(self.has_arrived)

    @property
    def line(self) -> protocol.BoundedProtocol:
        """The router's end of it."""
        name = self.writer.get_extra_info("sockname")
        return next(line for line in self.router.app.lines.open if line.client == name)

    def has_arrived(self) -> bool:
        name = self.writer.get_extra_info("sockname")
        return all(line._received >= self.sent for line in self.router.app.lines.open if line.client == name)

    async def rest(self) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def answer(self) -> tuple[int, dict[str, str], dict]:
        """The answer at the end of the connection."""
        head, _, body = (await self.rest()).partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(status.split()[1]), headers, json.loads(body)


class World:
    def __init__(self, router: Router, clock: Clock) -> None:
        self.router = router
        self.clock = clock

    def pass_time(self, seconds: float) -> None:
        """As many beats as come in that time, but only at its end: what was due in between is due then."""
        self.clock.now += seconds
        self.router.app.lines.beat()

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        port = int(self.router.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield Client(self.router, reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def at_work(upstream: Upstream, tmp_path: Path, log: ExchangeLog | None = None, **limits) -> AsyncIterator[World]:
    config = {
        "Providers": [provider(upstream, "anthropic")],
        "Router": {"default": "anthropic,m1"},
        "limits": {"readSeconds": SECONDS, **limits},
    }
    clock = Clock()
    async with running(config, tmp_path, clock=clock, log=log) as router:
        yield World(router, clock)


@pytest.fixture
async def world(upstream: Upstream, tmp_path: Path) -> AsyncIterator[World]:
    async with at_work(upstream, tmp_path) as world:
        yield world


def head(path: str = "/v1/messages", length: int = len(BODY), more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\n{more}\r\n".encode()


# -- heads ---------------------------------------------------------------------------------------------------------------


async def test_a_head_byte_by_byte(world: World):
    """Slow-loris: a byte every few seconds does not buy time. 408 in Messages form, and the connection is closed."""
    async with world.client() as client:
        for number, byte in enumerate(b"POST /v1/messages HTTP/1.1\r\n"):
            await client.send(bytes([byte]))
            if number < 19:
                world.pass_time(3)
        world.pass_time(3)
        status, headers, body = await client.answer()
    assert status == 408
    assert headers["connection"] == "close"
    assert headers["content-type"] == "application/json"
    assert body["type"] == "error"
    assert body["error"]["type"] == "timeout_error"
    assert "readSeconds" in body["error"]["message"]
    assert body["request_id"] == headers["request-id"]
    await until(lambda: not world.router.app.lines.owing)


@pytest.mark.parametrize("data", [b"P", b"\r\n", b"POST /v1/messages HTTP/1.1\r\nx-a: b\r\n"])
async def test_a_head_in_time(data, world: World, upstream: Upstream):
    """A head may take nearly as long as it may, and is served then."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    whole = head(more="connection: close\r\n")
    async with world.client() as client:
        await client.send(data)
        world.pass_time(SECONDS - 1)
        rest = (
            whole[len(data) :] if whole.startswith(data) else whole if data == b"\r\n" else whole.split(b"\r\n", 1)[1]
        )
        await client.send(rest + BODY)
        status, _, _ = await client.answer()
    assert status == 200


async def test_blank_lines_are_no_request(world: World):
    """Nor do blank lines before a head buy time."""
    async with world.client() as client:
        for _ in range(19):
            await client.send(b"\r\n")
            world.pass_time(3)
        await client.send(b"\r\n")
        world.pass_time(3)
        status, _, _ = await client.answer()
    assert status == 408


async def test_the_form_follows_the_path(world: World):
    """On a path of OpenAI's the error is in OpenAI's form, once the path is known."""
    async with world.client() as client:
        await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
        world.pass_time(SECONDS)
        status, _, body = await client.answer()
    assert status == 408
    assert "type" not in body
    assert "readSeconds" in body["error"]["message"]


async def test_an_idle_connection_is_no_error(world: World, upstream: Upstream):
    """A connection without a request, before its first or after one, is kept alive for its time and then closed without
    a word.
    """
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with world.client() as silent, world.client() as client:
        await client.send(head() + BODY)
        await client.reader.readuntil(b'"usage"')
        await until(lambda: len(world.router.app.lines.owing) == 1)
        world.pass_time(4)
        assert len(world.router.app.lines.owing) == 1
        world.pass_time(2)  # the tests' server keeps connections for five seconds
        assert await silent.rest() == b""


@pytest.mark.parametrize("pieces", [1, 2, 7])
async def test_a_large_head(pieces, upstream: Upstream, tmp_path):
    """431 in Messages form for a head that is larger than `limits.headerBytes`, in however many reads it comes; one that
    is not is served. What is in force counts, so that a reload changes it.
    """
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with at_work(upstream, tmp_path, headerBytes=8192) as world:
        for size, expected in ((4000, 200), (9000, 431)):
            data = head(more=f"x-long: {'x' * size}\r\nconnection: close\r\n") + BODY
            async with world.client() as client:
                step = len(data) // pieces + 1
                for at in range(0, len(data), step):
                    await client.send(data[at : at + step])
                status, headers, body = await client.answer()
            assert status == expected, body
            if expected == 431:
                assert headers["connection"] == "close"
                assert body["error"]["type"] == "invalid_request_error"
                assert "headerBytes" in body["error"]["message"]
                assert body["request_id"] == headers["request-id"]


@pytest.mark.parametrize("flood", [b"x-a: b\r\n", b"x", b"\r\n"])
async def test_a_head_without_an_end(flood, upstream: Upstream, tmp_path):
    """Many lines, one endless line, or nothing but blank ones: refused at the limit, not read for ever."""
    async with at_work(upstream, tmp_path, headerBytes=8192) as world, world.client() as client:
        if flood != b"\r\n":
            client.writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n" + (b"x-long: " if flood == b"x" else b""))
        client.writer.write(flood * 20_000)
        status, _, _ = await client.answer()
    assert status == 431


async def test_trailers_without_an_end(upstream: Upstream, tmp_path):
    """What follows the last chunk of a body is bounded as a head is."""
    async with at_work(upstream, tmp_path, headerBytes=8192) as world, world.client() as client:
        await client.send(
            b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
        )
        for _ in range(5):
            client.writer.write(b"x-a: " + b"x" * 4000 + b"\r\n")
            await client.writer.drain()
            await asyncio.sleep(0)
        status, _, _ = await client.answer()
    assert status == 431


async def test_nonsense(world: World):
    """What is no HTTP gets a 400 in Messages form."""
    answer = await raw(world.router, b"\x16\x03\x01\x02\x00\x01")
    assert answer is not None
    assert answer.status == 400
    assert answer.headers["connection"] == "close"
    assert answer.json["error"] == {"type": "invalid_request_error", "message": "the request is not valid HTTP"}
    assert answer.json["request_id"] == answer.headers["request-id"]


async def test_a_tunnel(world: World, capsys):
    """A request for a tunnel gets a 400 too, and is no defect of ours."""
    answer = await raw(world.router, b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n")
    assert answer is not None
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert capsys.readouterr().err == ""


async def test_another_protocol_is_offered(world: World, upstream: Upstream):
    """An offer of another protocol is passed over; beside a body it is refused, and the body never read as a request."""
    offer = b"connection: upgrade\r\nupgrade: h2c\r\n"
    plain = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    async with world.client() as client:
        client.writer.write(plain + offer + b"\r\n")
        assert (await client.reader.readuntil(b"}}")).startswith(b"HTTP/1.1 200 ")
        client.writer.write(plain + b"connection: close\r\n\r\n")
        assert (await client.answer())[0] == 200
    async with world.client() as client:
        client.writer.write(head(length=len(plain) + 2, more=offer.decode()))
        assert (await client.reader.readline()).startswith(b"HTTP/1.1 400 ")
        client.writer.write(plain + b"\r\n")
        rest = await client.rest()
    assert b"upgrade of the protocol" in rest
    assert b"HTTP/1.1" not in rest.replace(b"HTTP/1.1 alone", b"")
    assert upstream.requests == []


# -- bodies --------------------------------------------------------------------------------------------------------------


async def test_a_body_that_stalls(upstream: Upstream, tmp_path):
    """408 in Messages form when nothing of the body has come for `readSeconds`; the log has a line of the exchange; and
    its place and its bytes are free again.
    """
    log = ExchangeLog(tmp_path / "log", "info")
    async with at_work(upstream, tmp_path, log) as world:
        async with world.client() as client:
            await client.send(head() + BODY[:-1])
            await until(lambda: world.router.app.admission.snapshot()["bufferedBytes"] == len(BODY))
            world.pass_time(SECONDS - 1)
            assert world.router.app.admission.snapshot()["requests"] == 1
            world.pass_time(1)
            status, headers, body = await client.answer()
        assert world.router.app.admission.snapshot()["requests"] == 0
        assert world.router.app.admission.snapshot()["bufferedBytes"] == 0
    assert status == 408
    assert headers["connection"] == "close"
    assert body["error"]["type"] == "timeout_error"
    assert body["request_id"] == headers["request-id"]
    log.close()
    (line,) = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert (line["msg"], line["status"], line["reqId"]) == ("exchange", 408, body["request_id"])


async def test_a_body_on_a_slow_line(world: World, upstream: Upstream):
    """A large body on a line that is slow but moves is taken, however long it takes all together."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    told = json.loads(BODY)
    told["messages"][0]["content"] = "x" * 200_000
    body = json.dumps(told).encode()
    async with world.client() as client:
        await client.send(head(length=len(body), more="connection: close\r\n"))
        for at in range(0, len(body), 4000):
            await client.send(body[at : at + 4000])
            world.pass_time(20)
        status, _, _ = await client.answer()
    assert status == 200


async def test_a_body_that_stalls_after_a_good_beginning(world: World):
    """What came before it stalled buys no time: it is the last piece that counts."""
    async with world.client() as client:
        await client.send(head(length=50_000))
        await client.send(b"{" * 20_000)
        world.pass_time(10)
        for seconds in (49, 10):
            world.pass_time(seconds)
            assert client.line in world.router.app.lines.owing
        world.pass_time(1)
        status, _, body = await client.answer()
    assert status == 408
    assert "nothing" in body["error"]["message"]


async def test_a_body_byte_by_byte(world: World):
    """A byte now and then keeps no place: a body has to come at a least rate."""
    async with world.client() as client:
        await client.send(head(length=10_000))
        for _ in range(2):
            await client.send(b"{")
            world.pass_time(SECONDS - 1)
        status, _, body = await client.answer()
    assert status == 408
    assert "bytes a second" in body["error"]["message"]


async def test_a_body_that_was_asked_for(world: World):
    """A client that is told to go on (`100 Continue`) and does not is one that stalls."""
    async with world.client() as client:
        await client.send(head(more="expect: 100-continue\r\n"))
        await client.reader.readuntil(b"100 Continue\r\n\r\n")
        world.pass_time(SECONDS)
        status, _, _ = await client.answer()
    assert status == 408


async def test_a_body_that_nobody_wants(upstream: Upstream, tmp_path, monkeypatch):
    """What still comes of a body after its request was refused is thrown away so that the client reads why; up to a
    bound, and only as long as it moves.
    """
    monkeypatch.setattr(protocol, "_MOST_UNREAD", 500_000)
    async with at_work(upstream, tmp_path) as world:
        async with world.client() as client:
            await client.send(head(length=10**9) + b"x" * 100_000)
            assert b" 413 " in await client.reader.readuntil(b'"request_id":"')
            client.writer.write(b"x" * 800_000)
            await client.writer.drain()
            closed = asyncio.create_task(client.rest())
            while not closed.done():
                world.router.app.lines.beat()
                await asyncio.sleep(0)
            with contextlib.suppress(ConnectionResetError):  # it was still writing
                await closed  # in time
        async with world.client() as client:
            await client.send(head(length=10**9) + b"x" * 100_000)
            await client.reader.readuntil(b'"request_id":"')
            world.pass_time(1)
            assert not client.reader.at_eof()
            world.pass_time(SECONDS)
            assert b"error" not in await client.rest()


# -- more than one request at a time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [head() + BODY, b"\x00nonsense\r\n\r\n"])
async def test_what_follows_too_soon(more, world: World, upstream: Upstream):
    """What comes while a request is answered is not read, and does not end up in the middle of the answer: that is
    finished, and with it the connection. A client that leaves is noticed all the same.
    """
    gate = asyncio.Event()
    frames = anthropic_wire.message_stream(["first", " last"])
    streamed = BODY[:-1] + b', "stream": true}'
    for leaves in (False, True):
        gate.clear()
        upstream.reply(sse_reply([*frames[:4], Gate(gate), *frames[4:]]))
        async with world.client() as client:
            client.writer.write(head(length=len(streamed)) + streamed)
            await client.reader.readuntil(b"first")
            client.writer.write(more)
            await client.writer.drain()
            if not leaves:
                gate.set()
                answer = await client.rest()
                assert b"message_stop" in answer
                assert b"HTTP/1.1" not in answer
        if leaves:
            await asyncio.wait_for(upstream.requests[-1].closed.wait(), 5)
    assert len(upstream.requests) == 2
    assert world.router.app.admission.snapshot()["requests"] == 0


async def test_one_after_the_other(world: World, upstream: Upstream):
    """A connection serves one request after the other, in one piece or in many, and owes nothing in between."""
    upstream.always(json_reply(anthropic_wire.message_json("ok")))
    async with world.client() as client:
        for size in (10_000, 1, 7, 10_000):
            data = head() + BODY
            for at in range(0, len(data), size):
                client.writer.write(data[at : at + size])
                await client.writer.drain()
                await asyncio.sleep(0)
            assert b" 200 OK" in await client.reader.readuntil(b"\r\n\r\n")
            await client.reader.readuntil(b"}}")
            assert not world.router.app.lines.owing


# -- descriptors ---------------------------------------------------------------------------------------------------------


async def test_as_many_connections_as_descriptors(upstream: Upstream, tmp_path):
    """One connection more than there may be makes an idle one go; where none is idle it is turned away with a 503 that
    says when to come again, which is said once, and once more when it is over.
    """
    gate = asyncio.Event()
    log = ExchangeLog(tmp_path / "log", "warn")
    async with at_work(upstream, tmp_path, log) as world, contextlib.AsyncExitStack() as stack:
        world.router.app.lines.most = 3
        upstream.always(sse_reply([Gate(gate), *anthropic_wire.message_stream("ok")]))
        busy = [await stack.enter_async_context(world.client()) for _ in range(2)]
        for client in busy:
            client.writer.write(head() + BODY)
        await until(lambda: len(upstream.requests) == 2)
        idle = await stack.enter_async_context(world.client())
        await until(lambda: len(world.router.app.lines.open) == 3)
        idle.line.timeout_keep_alive = 1000
        idle.writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        await idle.reader.readuntil(b"}")
        third = await stack.enter_async_context(world.client())
        assert await idle.rest() == b""
        third.writer.write(head() + BODY)
        await until(lambda: len(upstream.requests) == 3)
        for _ in range(2):
            fourth = await stack.enter_async_context(world.client())
            fourth.writer.write(head() + BODY)
            status, headers, body = await fourth.answer()
            assert status == 503
            assert headers["retry-after"] == "1"
            assert body["error"]["type"] == "overloaded_error"
            assert "ulimit" in body["error"]["message"]
            fourth.writer.close()
            await until(lambda: not world.router.app.lines.owing)
        for _ in range(3):
            world.router.app.lines.beat()
        gate.set()
        for client in (*busy, third):
            assert b" 200 OK" in await client.reader.readuntil(b"\r\n\r\n")
    log.close()
    told = [json.loads(line)["msg"] for line in (tmp_path / "log").read_text().splitlines()]
    assert len(told) == 2
    assert "ulimit" in told[0]
    assert told[1] == "there is room for connections again"
