"""The scripted upstream is honest: each thing it claims to do is seen by a client that is only a socket."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from urllib.request import Request, urlopen

import pytest

from tests.upstream import (
    Cut,
    Gate,
    Received,
    Reply,
    Reset,
    Stall,
    ThreadedUpstream,
    UnscriptedError,
    Upstream,
    json_reply,
    raw_reply,
    sse_reply,
)
from tests.upstream.anthropic_wire import error_frame, frame, message_json, message_stream
from tests.upstream.chat_wire import chat_json, chat_stream

LIMIT = 10


class Wire:
    """One TCP connection to the upstream, with no HTTP library in between."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(
        self, body: bytes = b"{}", *, method: str = "POST", target: str = "/v1/messages", extra: str = ""
    ) -> None:
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), fields

    async def chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def chunks(self) -> list[bytes]:
        taken = []
        while data := await self.chunk():
            taken.append(data)
        return taken


@asynccontextmanager
async def wired(up: Upstream) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
    try:
        async with asyncio.timeout(LIMIT):
            yield Wire(reader, writer)
    finally:
        writer.close()


async def test_request_is_recorded_as_it_arrived():
    """Method, path, query, header spelling and order, repeated fields and body are those on the wire."""
    async with Upstream() as up, wired(up) as wire:
        up.reply(json_reply({"ok": True}))
        await wire.ask(
            b'{"a":"\xc3\xa9"}', target="/v1/messages?beta=true", extra="X-One: 1\r\nx-two: a\r\nX-Two: b\r\n"
        )
        await wire.head()
        (received,) = up.requests
        assert (received.method, received.path, received.query) == ("POST", "/v1/messages", "beta=true")
        assert received.headers["X-TWO"] == "a"
        assert received.headers.get_all("x-two") == ["a", "b"]
        assert [name for name, _ in received.headers.raw] == [
            "Host",
            "X-One",
            "x-two",
            "X-Two",
            "Content-Length",
        ]
        assert "absent" not in received.headers
        assert received.json() == {"a": "é"}


async def test_chunked_request_body_is_put_together():
    """A request in chunks, with an extension and a trailer, reads as one body."""
    async with Upstream() as up, wired(up) as wire:
        up.always(json_reply({}))
        wire.writer.write(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
        )
        await wire.head()
        assert up.requests[0].body == b"abcde"


async def test_replies_come_in_order_over_one_connection():
    """Queued replies are used once, `always` answers the rest, keep-alive keeps the connection."""
    async with Upstream() as up, wired(up) as wire:
        up.reply(json_reply({"n": 1}), json_reply({"n": 2}, status=429, headers={"retry-after": "3"}))
        up.always(json_reply({"n": 3}))
        seen = []
        for _ in range(4):
            await wire.ask()
            status, fields = await wire.head()
            body = json.loads(await wire.reader.readexactly(int(fields["content-length"])))
            seen.append((status, body["n"], fields.get("retry-after")))
        assert seen == [(200, 1, None), (429, 2, "3"), (200, 3, None), (200, 3, None)]
        assert up.connections == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_brain_decides_from_the_request(kind: str):
    """A reply function sees the request; it may be a coroutine."""

    def decide(received: Received) -> Reply:
        return json_reply({"echo": received.json()["x"]})

    async def decide_later(received: Received) -> Reply:
        await asyncio.sleep(0)
        return decide(received)

    async with Upstream() as up, wired(up) as wire:
        up.always(decide if kind == "sync" else decide_later)
        await wire.ask(b'{"x":7}')
        _, fields = await wire.head()
        assert await wire.reader.readexactly(int(fields["content-length"])) == b'{"echo":7}'


async def test_unscripted_request_is_an_error():
    """A request nobody scripted answers 500 and fails the block."""
    with pytest.raises(UnscriptedError):  # noqa: PT012  # raised as the block closes
        async with Upstream() as up, wired(up) as wire:
            await wire.ask()
            assert (await wire.head())[0] == 500


async def test_exception_of_a_brain_is_raised_in_the_test():
    """An assertion inside a reply function is not lost in the server."""

    def decide(received: Received) -> Reply:
        assert received.json() == "something else"
        return json_reply({})

    with pytest.raises(AssertionError, match="something else"):  # noqa: PT012  # raised as the block closes
        async with Upstream() as up, wired(up) as wire:
            up.always(decide)
            await wire.ask()
            assert (await wire.head())[0] == 500


async def test_each_frame_is_a_chunk():
    """By default an event stream puts one frame in one chunk, and ends with the terminating chunk."""
    frames = message_stream("Hello there, this is more than one delta.")
    async with Upstream() as up, wired(up) as wire:
        up.reply(sse_reply(frames))
        await wire.ask()
        _, fields = await wire.head()
        assert fields["content-type"].startswith("text/event-stream")
        assert fields["transfer-encoding"] == "chunked"
        assert await wire.chunks() == frames


@pytest.mark.parametrize(("split", "largest"), [("bytes", 1), (7, 7), ("whole", 1 << 20)])
async def test_split_cuts_the_stream_anywhere(split: str | int, largest: int):
    """The same bytes arrive in pieces of the size asked for, through multi-byte characters too."""
    frames = chat_stream("漢字 🦜 and so on")
    async with Upstream() as up, wired(up) as wire:
        up.reply(sse_reply(frames, split=split))
        await wire.ask()
        await wire.head()
        pieces = await wire.chunks()
        assert b"".join(pieces) == b"".join(frames)
        assert max(len(piece) for piece in pieces) <= largest
        assert len(pieces) == -(-len(b"".join(frames)) // largest)


async def test_cut_ends_a_chunked_body_without_its_terminator():
    """Cut is FIN: what was sent arrives, the terminating chunk does not."""
    frames = message_stream("Hello")
    async with Upstream() as up, wired(up) as wire:
        up.reply(sse_reply(frames, cut_at=2))
        await wire.ask()
        await wire.head()
        assert [await wire.chunk(), await wire.chunk()] == frames[:2]
        assert await wire.reader.read() == b""


async def test_cut_at_bytes_cuts_inside_a_frame():
    """cut_at=bytes keeps everything up to and with those bytes."""
    frames = message_stream("Hello")
    async with Upstream() as up, wired(up) as wire:
        up.reply(sse_reply(frames, cut_at=b'"text":"Hel'))
        await wire.ask()
        await wire.head()
        rest = await wire.reader.read()
        assert rest.endswith(b'"text":"Hel\r\n')
        with pytest.raises(ValueError, match="does not hold"):
            sse_reply(frames, cut_at=b"never sent")


async def test_reset_is_a_tcp_reset():
    """Reset reaches the client as ECONNRESET, behind bytes it has already read."""
    opened = asyncio.Event()
    async with Upstream() as up, wired(up) as wire:
        up.reply(Reply(steps=(b"first", Gate(opened), Reset())))
        await wire.ask()
        await wire.head()
        assert await wire.chunk() == b"first"
        opened.set()
        with pytest.raises(ConnectionResetError):
            await wire.reader.read()


async def test_reset_before_any_byte():
    """A raw reply of only Reset gives the client no status line at all."""
    async with Upstream() as up, wired(up) as wire:
        up.reply(raw_reply(Reset()))
        await wire.ask()
        with pytest.raises(ConnectionResetError):
            await wire.reader.read()


async def test_gate_holds_until_it_is_opened():
    """Behind a closed gate nothing is written."""
    opened = asyncio.Event()
    async with Upstream() as up, wired(up) as wire:
        up.reply(Reply(steps=(b"one", Gate(opened), b"two")))
        await wire.ask()
        await wire.head()
        assert await wire.chunk() == b"one"
        received = up.requests[0]
        held = received.written
        for _ in range(50):
            await asyncio.sleep(0)
        assert (received.written, received.done.is_set()) == (held, False)
        opened.set()
        assert await wire.chunks() == [b"two"]


@pytest.mark.parametrize("waiting", [Stall(), Gate(asyncio.Event())])
async def test_leaving_client_is_noticed(waiting: Stall | Gate):
    """`closed` is set when the client goes before the reply is complete."""
    async with Upstream() as up:
        up.reply(Reply(steps=(b"one", waiting)))
        async with wired(up) as wire:
            await wire.ask()
            await wire.head()
            await wire.chunk()
            assert not up.requests[0].closed.is_set()
        async with asyncio.timeout(LIMIT):
            await up.requests[0].closed.wait()


async def test_client_leaving_a_slow_brain_is_noticed():
    """`closed` is set too when the reply was not even decided yet, and the coroutine is cancelled."""
    cancelled = asyncio.Event()

    async def never(_received: Received) -> Reply:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async with Upstream() as up:
        up.always(never)
        async with wired(up) as wire:
            await wire.ask()
            received = await up.request(1)
        async with asyncio.timeout(LIMIT):
            await received.closed.wait()
            await cancelled.wait()


async def test_complete_reply_is_not_a_leaving_client():
    """A client that reads everything and then goes leaves `closed` unset."""
    async with Upstream() as up:
        up.always(sse_reply(message_stream("Hello")))
        async with wired(up) as wire:
            await wire.ask()
            await wire.head()
            await wire.chunks()
        async with asyncio.timeout(LIMIT):
            await up.requests[0].done.wait()
        assert not up.requests[0].closed.is_set()


async def test_unread_reply_holds_the_writer():
    """`written` stops where a client that does not read leaves it: back pressure is real."""
    big = b"x" * (1 << 16)
    async with Upstream() as up, wired(up) as wire:
        wire.writer.transport.pause_reading()
        up.reply(Reply(steps=(big,) * 1000))
        await wire.ask()
        received = await up.request(1)
        before = -1
        while before != received.written:  # until no progress between two passes of the loop
            before = received.written
            for _ in range(200):
                await asyncio.sleep(0)
        assert received.written < 1000 * len(big)
        assert not received.done.is_set()


@pytest.mark.parametrize(("length", "read"), [(100, b"0123456789"), (4, b"0123456789")])
async def test_wrong_content_length(length: int, read: bytes):
    """A lie about the length is told as asked, and the connection closes behind it."""
    async with Upstream() as up, wired(up) as wire:
        up.reply(Reply(steps=(b"0123456789",), framing="length", length=length))
        await wire.ask()
        _, fields = await wire.head()
        assert fields["content-length"] == str(length)
        assert await wire.reader.read() == read


async def test_close_delimited_body():
    """Without length and chunks the end of the connection is the end of the body."""
    async with Upstream() as up, wired(up) as wire:
        up.reply(sse_reply(message_stream("Hi"), framing="close"))
        await wire.ask()
        _, fields = await wire.head()
        assert not {"content-length", "transfer-encoding"} & set(fields)
        assert await wire.reader.read() == b"".join(message_stream("Hi"))


async def test_raw_reply_is_verbatim():
    """What is not HTTP goes out as it is."""
    async with Upstream() as up, wired(up) as wire:
        up.reply(raw_reply(b"SSH-2.0-not-http\r\n"))
        await wire.ask()
        assert await wire.reader.read() == b"SSH-2.0-not-http\r\n"


async def test_cut_without_an_answer():
    """A raw reply of only Cut closes politely without a byte."""
    async with Upstream() as up, wired(up) as wire:
        up.reply(raw_reply(Cut()))
        await wire.ask()
        assert await wire.reader.read() == b""


async def test_head_request_has_no_body():
    """HEAD gets the head alone, and the connection lives on."""
    async with Upstream() as up, wired(up) as wire:
        up.always(json_reply({"a": 1}))
        await wire.ask(b"", method="HEAD", target="/")
        assert (await wire.head())[1]["content-length"] == "7"
        await wire.ask()
        assert (await wire.head())[0] == 200


async def test_gzip_reply_unpacks_to_the_same_bytes():
    """gzip=True compresses, chunk by chunk for a stream, and says so."""
    frames = message_stream("Hello, hello, hello")
    async with Upstream() as up, wired(up) as wire:
        up.reply(sse_reply(frames, gzip=True))
        await wire.ask()
        _, fields = await wire.head()
        assert fields["content-encoding"] == "gzip"
        unpack = zlib.decompressobj(wbits=31)
        first = unpack.decompress(await wire.chunk())
        assert first == frames[0]
        assert first + b"".join(unpack.decompress(each) for each in await wire.chunks()) == b"".join(frames)


def test_threaded_upstream_serves_a_synchronous_client():
    """The synchronous face answers, waits for requests, opens gates, and raises what went wrong."""
    with ThreadedUpstream() as up:
        gate = up.event()
        up.reply(Reply(steps=(b"a", Gate(gate), b"b")))
        with urlopen(Request(up.url + "/x", data=b"{}"), timeout=LIMIT) as answer:
            assert answer.read(1) == b"a"
            up.set(gate)
            assert answer.read() == b"b"
        received = up.request(1)
        up.wait(received.done)
        assert received.path == "/x"


def test_threaded_upstream_raises_what_nobody_scripted():
    """Leaving the block raises, as with the asynchronous one."""
    with pytest.raises(UnscriptedError), ThreadedUpstream() as up:  # noqa: SIM117  # the order is the point
        with pytest.raises(OSError, match="500"):
            urlopen(up.url, timeout=LIMIT)


def test_message_stream_is_the_message():
    """The frames of a stream and the folded message say the same, in the order the API gives."""
    tools = [("toolu_1", "Read", {"file_path": "/a"}), ("toolu_2", "Now", {})]
    frames = message_stream("Some text to cut.", "Some thought.", tools)
    events = [json.loads(each.split(b"data: ", 1)[1]) for each in frames]
    assert [each.split(b"\n")[0].decode() for each in frames] == [f"event: {event['type']}" for event in events]
    starts = [event for event in events if event["type"] == "content_block_start"]
    assert [start["content_block"]["type"] for start in starts] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert [start["index"] for start in starts] == [0, 1, 2, 3]
    parts: dict[int, str] = {}
    for event in events:
        if event["type"] == "content_block_delta":
            delta = event["delta"]
            written = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
            parts[event["index"]] = parts.get(event["index"], "") + written
    assert parts == {0: "Some thought.", 1: "Some text to cut.", 2: '{"file_path":"/a"}', 3: ""}
    folded = message_json("Some text to cut.", "Some thought.", tools)
    assert folded["stop_reason"] == events[-2]["delta"]["stop_reason"] == "tool_use"
    assert folded["usage"] == events[-2]["usage"]


def test_chat_stream_is_the_completion():
    """The chunks concatenate to the folded completion, with parallel calls taking turns if asked."""
    tools = [("call_1", "Read", {"file_path": "/a"}), ("call_2", "Bash", {"command": "ls"})]
    frames = chat_stream("Some text to cut.", "Some thought.", tools, interleaved=True)
    assert frames[-1] == b"data: [DONE]\n\n"
    bodies = [json.loads(each.removeprefix(b"data: ")) for each in frames[:-1]]
    deltas = [body["choices"][0]["delta"] for body in bodies if body["choices"]]
    folded = chat_json("Some text to cut.", "Some thought.", tools)["choices"][0]["message"]
    assert "".join(delta.get("content", "") for delta in deltas) == folded["content"]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == folded["reasoning_content"]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    for index, whole in enumerate(folded["tool_calls"]):
        mine = [call["function"]["arguments"] for call in calls if call["index"] == index]
        assert "".join(mine) == whole["function"]["arguments"]
    assert sum(one["index"] != other["index"] for one, other in pairwise(calls)) > 1
    assert bodies[-1]["choices"] == []
    assert bodies[-1]["usage"]["total_tokens"] == 37


@pytest.mark.parametrize("place", ["final", "finish", "every", "choice", "none"])
def test_chat_usage_is_where_it_was_asked_for(place: str):
    """usage_in moves the usage, and nothing else has it."""
    bodies = [json.loads(each.removeprefix(b"data: ")) for each in chat_stream("Hi", usage_in=place)[:-1]]
    found = {
        "final": bodies[-1]["choices"] == [] and "usage" in bodies[-1],
        "finish": bool(bodies[-1]["choices"]) and "usage" in bodies[-1] and "usage" not in bodies[0],
        "every": all("usage" in body for body in bodies),
        "choice": "usage" in (bodies[-1]["choices"] or [{}])[0],
        "none": not any("usage" in json.dumps(body) for body in bodies),
    }
    assert [name for name, there in found.items() if there] == [place]


def test_error_frame_is_named():
    """An error after the 200 is an event of type error."""
    assert error_frame("overloaded_error", "busy") == frame(
        "error", {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    )
