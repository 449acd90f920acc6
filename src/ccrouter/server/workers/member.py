"""A worker's own end of the connection to the hub: the Board of a process that serves with others."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

import msgspec

from ccrouter.errors import ClientError
from ccrouter.server.board import Apply, Give
from ccrouter.server.workers.wire import Line, Message, connect, frame, read_now, send_now


class Cut(ClientError):
    """The supervising process is gone: this one is ending, and can do nothing for all of them any more."""

    def __init__(self) -> None:
        super().__init__("the router is being stopped", status=503, type="overloaded_error")


@dataclass(frozen=True, slots=True)
class Place:
    """Which worker this is: its `number`, never used twice, `slot` of how many there are; the service's own process."""

    number: int
    slot: int
    pid: int
    started: datetime

    def __str__(self) -> str:
        return f"{self.number},{self.slot},{self.pid},{self.started.isoformat()}"

    @classmethod
    def read(cls, text: str) -> Place:
        """What `str` told."""
        number, slot, pid, started = text.split(",")
        return cls(int(number), int(slot), int(pid), datetime.fromisoformat(started))


def be_welcomed(sock: socket.socket) -> dict[str, bytes]:
    """What the service serves by now, by topic; nothing of it changes until this worker is `ready`. Raises Cut."""
    try:
        send_now(sock, Message("hello"))
        told = read_now(sock)
    except (EOFError, OSError) as error:
        raise Cut from error
    return msgspec.msgpack.decode(told.body, type=dict[str, bytes])


def say_failed(sock: socket.socket, body: bytes) -> None:
    """Why this worker cannot start, to who started it. Raises Cut."""
    try:
        send_now(sock, Message("failed", body=body))
    except OSError as error:
        raise Cut from error


class _Turn(AbstractAsyncContextManager[None]):
    def __init__(self, board: MemberBoard) -> None:
        self._board = board

    async def __aenter__(self) -> None:
        await self._board.take_turn()

    async def __aexit__(self, *_error: object) -> None:
        self._board.end_turn()


class MemberBoard:
    """A Board through `sock`, to the hub. Without the hub there is no service: its end is as a SIGTERM to us, and the
    second end of a process that is ending already.
    """

    is_shared = True
    patience: float | None = None

    def __init__(self, sock: socket.socket, place: Place, kept: Mapping[str, bytes]) -> None:
        self.pid, self.started, self.number = place.pid, place.started, place.number
        self.is_first = place.slot == 0
        self.kept = kept
        self._sock = sock
        self._line = Line(self._hear, self._lose)
        self._applies: dict[str, Apply] = {}
        self._gives: dict[str, Give] = {}
        self._likenesses: dict[str, tuple[Callable[[], bytes], Callable[[bytes], None]]] = {}
        self._departures: list[Callable[[int], None]] = []
        self._wishes: dict[str, Callable[[], None]] = {}
        self._questions: dict[int, asyncio.Future[list[bytes | None]]] = {}
        self._inner = asyncio.Lock()  # of the tasks of this process: one of them waits for the others' turn at a time
        self._grants: deque[asyncio.Future[None]] = deque()
        self._joined: asyncio.Future[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._last = 0
        self._is_over = False

    def publish(self, topic: str, body: bytes) -> None:
        self._line.send(frame(Message("publish", topic, body)))

    def subscribe(self, topic: str, apply: Apply) -> None:
        self._applies[topic] = apply

    def answer(self, topic: str, give: Give) -> None:
        self._gives[topic] = give

    def resemble(self, topic: str, give: Callable[[], bytes], take: Callable[[bytes], None]) -> None:
        self._likenesses[topic] = (give, take)

    def on_departure(self, gone: Callable[[int], None]) -> None:
        self._departures.append(gone)

    def on_wish(self, wish: str, grant: Callable[[], None]) -> None:
        self._wishes[wish] = grant

    async def ask(self, topic: str, body: bytes, seconds: float, *, keep: bool = False) -> list[bytes | None]:
        self._last += 1
        number = self._last
        answered: asyncio.Future[list[bytes | None]] = asyncio.get_running_loop().create_future()
        self._questions[number] = answered
        self._line.send(frame(Message("ask", topic, body, number, seconds=seconds, is_kept=keep)))
        if self._is_over:
            self._forsake()
        try:
            return await answered
        finally:
            self._questions.pop(number, None)

    @property
    def turn(self) -> AbstractAsyncContextManager[None]:
        return _Turn(self)

    async def take_turn(self) -> None:
        """After the call it is this process's turn, until `end_turn`. Raises Cut."""
        await self._inner.acquire()
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._grants.append(granted)
        self._line.send(frame(Message("lock")))
        if self._is_over:
            self._forsake()
        try:
            await asyncio.shield(granted)
        except asyncio.CancelledError:  # given up while waiting: it is given back as soon as it comes
            granted.add_done_callback(lambda done: self._inner.release() if done.exception() else self.end_turn())
            raise
        except Cut:
            self._inner.release()
            raise

    def end_turn(self) -> None:
        """After the call it is somebody else's turn."""
        self._line.send(frame(Message("unlock")))
        self._inner.release()

    async def begin(self) -> None:
        await connect(self._line, self._sock)
        self._joined = asyncio.get_running_loop().create_future()
        self._line.send(frame(Message("join")))
        await self._joined

    # -- what the service's own process is told (server.lifetime.Notices) ----------------------------------------------

    def ready(self, status: str) -> None:
        """Requests are being answered here; or a reload, of all, is over."""
        self._line.send(frame(Message("ready", status)))

    def reloading(self) -> None:
        """A reload, of all, has begun."""
        self._line.send(frame(Message("reloading")))

    def stopping(self, status: str) -> None:
        """The service's own process has told us to end, and knows."""

    def alive(self) -> None:
        """The service's own process sees to that itself."""

    async def close(self) -> None:
        self._is_over = True
        self._forsake()
        for task in self._answering:
            task.cancel()
        self._line.close()

    # -- what is heard -----------------------------------------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        match message.kind:
            case "publish":
                if (apply := self._applies.get(message.topic)) is not None:
                    apply(message.origin, message.body)
            case "ask":
                self._answer(message)
            case "answered":
                answered = self._questions.get(message.number)
                if answered is not None and not answered.done():
                    answered.set_result(msgspec.msgpack.decode(message.body, type=list[bytes | None]))
            case "granted":
                granted = self._grants.popleft()
                if not granted.done():
                    granted.set_result(None)
            case "gone":
                for gone in self._departures:
                    gone(message.origin)
            case "wish":
                if (grant := self._wishes.get(message.topic)) is not None:
                    grant()
            case "joined":
                self._resemble(message.body)

    def _answer(self, message: Message) -> None:
        if not message.topic:  # of one who joins: what is known here
            known = {topic: give() for topic, (give, _) in self._likenesses.items()}
            self._say(message, msgspec.msgpack.encode(known))
            return
        give = self._gives.get(message.topic)
        told = b"" if give is None else give(message.body)
        if isinstance(told, bytes):
            self._say(message, told)
            return

        async def follow_up() -> None:
            self._say(message, await told)

        task = asyncio.ensure_future(follow_up())
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def _say(self, question: Message, body: bytes) -> None:
        self._line.send(frame(Message("answer", body=body, number=question.number)))

    def _resemble(self, known: bytes) -> None:
        told = msgspec.msgpack.decode(known, type=dict[str, bytes]) if known else {}
        for topic, body in told.items():
            if topic in self._likenesses:
                self._likenesses[topic][1](body)
        if self._joined is not None and not self._joined.done():
            self._joined.set_result(None)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _lose(self) -> None:
        was_over, self._is_over = self._is_over, True
        self._forsake()
        if not was_over:
            os.kill(os.getpid(), signal.SIGTERM)

    def _forsake(self) -> None:
        for question in self._questions.values():
            if not question.done():
                question.set_exception(Cut())
        for one in (*self._grants, *([] if self._joined is None else [self._joined])):
            if not one.done():
                one.set_exception(Cut())
        self._grants.clear()
