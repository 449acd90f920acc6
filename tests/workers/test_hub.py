"""The hub and the boards of workers, over real pairs of sockets in one event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest

from ccrouter.server.board import Alone
from ccrouter.server.workers import hub as hubs
from ccrouter.server.workers.hub import Hub
from ccrouter.server.workers.member import Cut, MemberBoard, Place, be_welcomed
from ccrouter.server.workers.wire import Frames, Message, frame

SECONDS = 10


class World:
    """A hub, and boards that have joined it."""

    def __init__(self) -> None:
        self.said: list[tuple[int, str]] = []
        self.stuck: list[int] = []
        self.gone: asyncio.Queue[int] = asyncio.Queue()
        self.kept = {"edition": b"first"}
        self.hub = Hub(
            self.kept,
            said=lambda number, message: self.said.append((number, message.kind)),
            stuck=lambda number, _why: self.stuck.append(number),
            gone=self.gone.put_nowait,
        )
        self.boards: list[MemberBoard] = []
        self.socks: list[socket.socket] = []

    async def connect(self, number: int) -> socket.socket:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        await self.hub.add(near, number)
        self.socks.append(far)
        return far

    async def answered(self, number: int) -> None:
        """After the call this one has answered the last look."""
        while self.hub._members[number].missed:  # noqa: ASYNC110 - the hub tells nobody that it has an answer
            await asyncio.sleep(0)

    def board(self, far: socket.socket, number: int, kept=None) -> MemberBoard:
        place = Place(number, number - 1, os.getpid(), datetime.now(UTC))
        board = MemberBoard(far, Place.read(str(place)), kept or {})
        self.boards.append(board)
        return board

    async def join(self, number: int, *topics: str) -> tuple[MemberBoard, list]:
        """A board that writes down what it hears on `topics`, and to which others may be like."""
        board = self.board(await self.connect(number), number)
        heard: list = []
        for topic in topics:
            board.subscribe(topic, lambda origin, body: heard.append((origin, body)))
        board.on_departure(lambda number: heard.append(("gone", number)))
        board.resemble(
            "all",
            lambda: msgspec.msgpack.encode(heard),
            lambda body: heard.extend(map(tuple, msgspec.msgpack.decode(body))),
        )
        await board.begin()
        return board, heard


@asynccontextmanager
async def world():
    there = World()
    try:
        yield there
    finally:
        for board in there.boards:
            await board.close()
        there.hub.close()
        for sock in there.socks:
            sock.close()


async def heard(board: MemberBoard) -> None:
    """After the call what was published before it, by this board, has been heard by all: a question goes the same way."""
    await board.ask("nothing", b"", SECONDS)


async def test_what_one_publishes():
    """Every other hears it, once, in order, with who said it; it itself does not; nor who did not subscribe."""
    async with world() as there:
        one, own = await there.join(1, "t")
        _, second = await there.join(2, "t")
        _, third = await there.join(3, "other")
        for number in range(100):
            one.publish("t", b"%d" % number)
        await heard(one)
        assert second == [(1, b"%d" % number) for number in range(100)]
        assert own == third == []


async def test_who_joins_late():
    """A worker that joins knows what the others knew, and hears what is told from then on: each exactly once, though
    they publish all the time meanwhile."""
    async with world() as there:
        told = [await there.join(1, "t"), await there.join(2, "t")]
        said: list[bytes] = []

        def say() -> None:
            board, knows = told[len(said) % 2]
            said.append(b"%d" % len(said))
            knows.append((board.number, said[-1]))
            board.publish("t", said[-1])

        for _ in range(200):
            say()
        joining = asyncio.create_task(there.join(3, "t"))
        while not joining.done():
            say()
            say()
            await asyncio.wait([joining], timeout=0)
        _, late = await joining
        for _ in range(50):
            say()
        await asyncio.gather(*(heard(board) for board, _ in told))
        known = [body for _, body in late]
        assert len(known) == len(set(known))
        assert set(known) == set(said)


async def test_a_question():
    """All others answer, at once or later; who has nothing to say answers with nothing; without others there is none."""
    async with world() as there:
        one, _ = await there.join(1)
        assert await one.ask("q", b"?", SECONDS) == []
        two, _ = await there.join(2)
        three, _ = await there.join(3)
        await there.join(4)
        two.answer("q", lambda body: b"two" + body)

        async def later(body: bytes) -> bytes:
            await heard(three)
            return b"three" + body

        three.answer("q", later)
        assert sorted(await one.ask("q", b"?", SECONDS)) == [b"", b"three?", b"two?"]


async def test_who_does_not_answer():
    """A question has an end: who is silent counts as None; and where the answer was binding, that one is to be ended."""
    async with world() as there:
        one, _ = await there.join(1)
        two, _ = await there.join(2)
        two.answer("q", lambda _body: asyncio.Event().wait())
        assert await one.ask("q", b"new", 0.01) == [None]
        assert (there.stuck, there.kept) == ([], {"edition": b"first"})
        assert await one.ask("q", b"new", 0.01, keep=True) == [None]
        assert (there.stuck, there.kept) == ([2], {"edition": b"first", "q": b"new"})


async def test_who_hangs():
    """A worker that answers nothing for several looks is to be ended, whatever else waits for it; not one that does."""
    async with world() as there:
        one, _ = await there.join(1)
        two, _ = await there.join(2)
        await there.connect(3)  # it starts, and cannot answer yet
        two._line._transport.pause_reading()
        for _ in range(4):
            there.hub.look()
            await there.answered(1)
        assert set(there.stuck) == {2}
        assert one.number == 1


async def test_who_joins_from_one_who_hangs():
    """A source that hangs is found out, and who joins is told by another once it has been ended."""
    async with world() as there:
        one, _ = await there.join(1)
        await there.join(2)
        one._line._transport.pause_reading()
        joining = asyncio.create_task(there.join(3))
        while not there.stuck:
            there.hub.look()
            await there.answered(2)
        assert there.stuck == [1]
        one._is_over = True  # it is killed, and sends itself no signal
        one._line._transport.abort()
        await asyncio.wait_for(joining, SECONDS)


async def test_one_at_a_time():
    """The turn is one's alone, across processes and within one, and passes on when its holder dies."""
    async with world() as there:
        one, _ = await there.join(1)
        two, _ = await there.join(2)
        inside, most = 0, 0

        async def work(board: MemberBoard) -> None:
            nonlocal inside, most
            async with board.turn:
                inside += 1
                most = max(most, inside)
                await heard(board)
                inside -= 1

        await asyncio.gather(*(work(board) for board in (one, two) * 10))
        assert (most, inside) == (1, 0)
        async with one.turn:
            waiting = asyncio.create_task(two.turn.__aenter__())
            await heard(one)
            assert not waiting.done()
            await one.close()
            await waiting


async def test_a_turn_that_nobody_wants_any_more():
    """Who stops waiting for the turn does not keep it from others."""
    async with world() as there:
        one, _ = await there.join(1)
        two, _ = await there.join(2)
        async with one.turn:
            waiting = asyncio.create_task(two.turn.__aenter__())
            await heard(two)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        async with one.turn:
            pass
        async with two.turn:
            pass


async def test_a_welcome_waits_for_the_turn():
    """A worker that starts is told what is in force, and not while that is being changed; it holds up later changes
    until it is ready, and not those that start with it."""
    async with world() as there:
        one, _ = await there.join(1)
        far, other = await there.connect(2), await there.connect(3)
        async with one.turn:
            welcomes = [asyncio.create_task(asyncio.to_thread(be_welcomed, sock)) for sock in (far, other)]
            await one.ask("edition", b"second", SECONDS, keep=True)
            assert not any(welcome.done() for welcome in welcomes)
        for welcome in welcomes:
            assert await welcome == {"edition": b"second"}
        turn = asyncio.create_task(one.turn.__aenter__())
        for number, sock in ((2, far), (3, other)):
            board = there.board(sock, number)
            await board.begin()
            assert not turn.done()
            board.ready("")
        await turn
        assert there.said == [(2, "ready"), (3, "ready")]


async def test_a_worker_that_leaves():
    """The others hear of it, a question that waited for it is over, and its connection is reported."""
    async with world() as there:
        one, told = await there.join(1)
        two, _ = await there.join(2)
        two.answer("q", lambda _body: asyncio.Event().wait())
        asking = asyncio.create_task(one.ask("q", b"", 300))
        await heard(one)
        await two.close()
        assert await asking == [None]
        assert await there.gone.get() == 2
        assert told == [("gone", 2)]


async def test_a_source_that_leaves():
    """Who joins while the one that was to tell it dies is told by another."""
    async with world() as there:
        far = await there.connect(1)
        deaf = there.board(far, 1)
        await deaf.begin()
        _, known = await there.join(2, "t")
        known.append((9, b"known"))
        deaf._answer = lambda _message: None
        joining = asyncio.create_task(there.join(3, "t"))
        while 3 not in there.hub._members or there.hub._members[3].phase != "joining":
            await asyncio.wait([joining], timeout=0)
        await deaf.close()
        _, late = await joining
        assert (9, b"known") in late


async def test_a_worker_that_reads_nothing(monkeypatch):
    """It is to be ended once too much waits for it; the others are told everything meanwhile."""
    monkeypatch.setattr(hubs, "LARGEST_BACKLOG", 100_000)
    async with world() as there:
        one, _ = await there.join(1, "t")
        _, second = await there.join(2, "t")
        three, _ = await there.join(3, "t")
        three._line._transport.pause_reading()
        count = 0
        while 3 not in there.stuck:
            one.publish("t", b"x" * 50_000)
            count += 1
            await asyncio.sleep(0)
        await one.ask("nothing", b"", 0.2)
        assert len(second) == count
        assert set(there.stuck) == {3}


async def test_the_hub_is_gone():
    """A board without its hub ends its process, as by SIGTERM; who waits for something is told that there is nothing."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    try:
        async with world() as there:
            one, _ = await there.join(1)
            two, _ = await there.join(2)
            two.answer("q", lambda _body: asyncio.Event().wait())
            asking = asyncio.create_task(one.ask("q", b"", 300))
            await heard(two)
            there.hub.close()
            with pytest.raises(Cut):
                await asking
            await asyncio.wait_for(ended.wait(), SECONDS)
            with pytest.raises(Cut):
                await one.ask("q", b"", 300)
            with pytest.raises(Cut):
                await one.turn.__aenter__()
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


def test_no_hub_at_the_start():
    """A worker whose supervising process is gone before it is welcomed is told so."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    near.close()
    with far, pytest.raises(Cut):
        be_welcomed(far)


def test_frames_in_pieces():
    """Messages arrive whole, however their bytes are cut; a length beyond all measure is an error."""
    messages = [Message("publish", "t", b"\0" * size, size, 1) for size in (0, 1, 300)]
    wire = b"".join(map(frame, messages))
    for size in (1, 2, 7, len(wire)):
        frames = Frames()
        pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
        assert [message for piece in pieces for message in frames.feed(piece)] == messages
    with pytest.raises(ValueError, match="too long"):
        list(Frames().feed(b"\xff\xff\xff\xff"))


async def test_the_first_ones():
    """Of the first workers none joins before all are there, and what is done then is done before the first has."""
    async with world() as there:
        done: list[str] = []
        there.hub._quorum, there.hub._assembled = 2, lambda: done.append("assembled")
        first = asyncio.create_task(there.join(1, "t"))
        far = await there.connect(2)
        await asyncio.wait([first], timeout=0)
        second = there.board(far, 2)
        assert not first.done()
        assert not done
        await second.begin()
        assert done == ["assembled"]
        one, _ = await first
        _, third = await there.join(3, "t")
        one.publish("t", b"x")
        await heard(one)
        assert third == [(1, b"x")]


async def test_alone():
    """A service of one process asks and tells nobody, and has the turn whenever it does not have it already."""
    alone = Alone()
    assert not alone.is_shared
    assert alone.is_first
    alone.publish("t", b"")
    assert await alone.ask("q", b"", 1) == []
    async with alone.turn:
        assert alone.turn.locked()
