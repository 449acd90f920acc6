"""The hub: takes what each worker tells and hands it to the others, in order. Knows no topic, and keeps nothing but
what a worker that starts is to begin with.

It never waits for a worker: who does not take what it is told, or does not answer where it must, is reported to
`stuck`.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from ccrouter.server.workers.wire import Line, Message, connect, frame

#: Bytes that wait for a worker; one that has not read so much hangs.
LARGEST_BACKLOG = 32 * 1024 * 1024
#: Looks on end at which a worker has not answered the one before: it hangs.
_MOST_MISSED = 2
#: A question that nobody has an answer to: that it is answered tells enough.
_ALIVE = "alive"

Phase = Literal["outside", "joining", "inside"]


@dataclass(slots=True)
class _Member:
    number: int
    line: Line
    phase: Phase = "outside"
    source: int = 0  # while it joins: the worker whose knowledge it is given
    held: list[bytes] = field(default_factory=list)  # what was told meanwhile, and is not in that
    held_size: int = 0
    missed: int = 0  # looks


@dataclass(slots=True)
class _Question:
    asker: int
    number: int  # the asker's own
    waiting: set[int]
    answers: list[bytes | None] = field(default_factory=list)
    is_binding: bool = False
    expiry: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Turns:
    """Who may change what is in force: one alone, or, of those that join, all of them. First come, first served."""

    queue: deque[tuple[int, bool]] = field(default_factory=deque)
    holders: set[int] = field(default_factory=set)
    is_exclusive: bool = False

    def grant(self) -> list[tuple[int, bool]]:
        """Those whose turn it is now."""
        granted = []
        while self.queue:
            number, is_exclusive = self.queue[0]
            if self.holders and (self.is_exclusive or is_exclusive):
                break
            self.queue.popleft()
            self.holders.add(number)
            self.is_exclusive = is_exclusive
            granted.append((number, is_exclusive))
        return granted

    def release(self, number: int) -> None:
        self.holders.discard(number)

    def forget(self, number: int) -> None:
        self.release(number)
        self.queue = deque(one for one in self.queue if one[0] != number)


class Hub:
    """Connects workers. `kept`, by topic, is what a worker that starts is welcomed with.

    `said` is told of `ready`, `reloading` and `failed`, with the worker's number and its words; `stuck` of a worker
    that is to be ended, and why; `gone` of one whose connection is closed. Of the first workers none joins before
    `quorum` of them want to; then `assembled` is called, and they do.
    """

    def __init__(  # noqa: PLR0913 - whom it tells what, by name
        self,
        kept: dict[str, bytes],
        *,
        said: Callable[[int, Message], None],
        stuck: Callable[[int, str], None],
        gone: Callable[[int], None],
        quorum: int = 1,
        assembled: Callable[[], None] = lambda: None,
    ) -> None:
        self.kept = kept
        self._said = said
        self._stuck = stuck
        self._gone = gone
        self._quorum = quorum
        self._assembled = assembled
        self._early: list[int] = []
        self._members: dict[int, _Member] = {}
        self._questions: dict[int, _Question] = {}
        self._joins: dict[int, int] = {}  # by the number of the question for what is known: who joins
        self._turns = _Turns()
        self._last = 0

    async def add(self, sock: socket.socket, number: int) -> None:
        """After the call the worker of this `number`, at the other end of `sock`, is heard."""
        line = Line(lambda message: self._hear(number, message), lambda: self._lose(number))
        self._members[number] = _Member(number, line)
        await connect(line, sock)

    @property
    def inside(self) -> list[int]:
        """The workers that have joined, the one that did first in front."""
        return [one.number for one in self._members.values() if one.phase == "inside"]

    def wish(self, wish: str) -> bool:
        """Tell one worker to do something for all of them; False if there is none."""
        for number in self.inside:
            self._members[number].line.send(frame(Message("wish", wish)))
            return True
        return False

    def look(self) -> None:
        """Report who does not answer any more. To be called at an interval, a worker's longest pause."""
        question = frame(Message("ask", _ALIVE))
        for member in list(self._members.values()):
            if member.phase == "outside":  # who starts does not hear yet, and has its own time
                continue
            if member.missed >= _MOST_MISSED:
                self._stuck(member.number, "it does not answer")
            else:
                member.missed += 1
                self._send(member, question)

    def close(self) -> None:
        """After the call nobody is heard any more."""
        for question in self._questions.values():
            if question.expiry is not None:
                question.expiry.cancel()
        for member in list(self._members.values()):
            member.line.close()

    # -- what is heard -----------------------------------------------------------------------------------------------

    def _hear(self, number: int, message: Message) -> None:
        member = self._members[number]
        match message.kind:
            case "publish":
                self._spread(number, frame(Message("publish", message.topic, message.body, origin=number)))
            case "answer":
                self._take_answer(number, message)
            case "ask":
                self._ask(member, message)
            case "lock":
                self._turns.queue.append((number, True))
                self._grant()
            case "unlock":
                self._turns.release(number)
                self._grant()
            case "hello":
                self._turns.queue.append((number, False))
                self._grant()
            case "join" if self._quorum:
                self._assemble(number)
            case "join":
                self._join(member)
            case "ready":
                self._turns.release(number)
                self._grant()
                self._said(number, message)
            case "failed" | "reloading":
                self._said(number, message)
            case _:
                self._stuck(number, f"it sent {message.kind!r}, which is not a worker's to send")

    def _spread(self, origin: int, framed: bytes) -> None:
        for member in list(self._members.values()):
            if member.number == origin or member.phase == "outside":
                continue
            if member.phase == "inside":
                self._send(member, framed)
            elif member.source != origin:  # what its source tells until it answers is in the answer
                member.held.append(framed)
                member.held_size += len(framed)
                if member.held_size > LARGEST_BACKLOG:
                    self._stuck(member.number, "it does not get to join")

    def _send(self, member: _Member, framed: bytes) -> None:
        member.line.send(framed)
        if member.line.waiting > LARGEST_BACKLOG:
            self._stuck(member.number, f"{member.line.waiting} bytes wait for it, and it reads nothing")

    # -- questions ---------------------------------------------------------------------------------------------------

    def _ask(self, member: _Member, message: Message) -> None:
        others = {number for number in self.inside if number != member.number}
        if message.is_kept:
            self.kept[message.topic] = message.body
        self._last += 1
        question = _Question(member.number, message.number, set(others), is_binding=message.is_kept)
        self._questions[self._last] = question
        framed = frame(Message("ask", message.topic, message.body, self._last, member.number))
        for number in others:
            self._send(self._members[number], framed)
        if question.waiting:
            loop = asyncio.get_running_loop()
            question.expiry = loop.call_later(message.seconds, self._expire, self._last)
        else:
            self._settle(self._last)

    def _take_answer(self, number: int, message: Message) -> None:
        self._members[number].missed = 0
        joining = self._joins.pop(message.number, None)
        if joining is not None:
            if (member := self._members.get(joining)) is not None:
                self._admit(member, message.body)
            return
        question = self._questions.get(message.number)
        if question is None or number not in question.waiting:
            return  # too late
        question.waiting.discard(number)
        question.answers.append(message.body)
        if not question.waiting:
            self._settle(message.number)

    def _expire(self, asked: int) -> None:
        question = self._questions[asked]
        if question.is_binding:
            for number in question.waiting:
                self._stuck(number, "it did not put in force what the others have")
        question.answers += [None] * len(question.waiting)
        self._settle(asked)

    def _settle(self, asked: int) -> None:
        question = self._questions.pop(asked)
        if question.expiry is not None:
            question.expiry.cancel()
        asker = self._members.get(question.asker)
        if asker is not None:
            body = msgspec.msgpack.encode(question.answers)
            self._send(asker, frame(Message("answered", body=body, number=question.number)))

    # -- coming and going --------------------------------------------------------------------------------------------

    def _grant(self) -> None:
        for number, is_exclusive in self._turns.grant():
            told = Message("granted") if is_exclusive else Message("welcome", body=msgspec.msgpack.encode(self.kept))
            self._members[number].line.send(frame(told))

    def _assemble(self, number: int) -> None:
        self._early.append(number)
        if len(self._early) == self._quorum:
            self._quorum = 0
            self._assembled()
            for one in self._early:
                if (member := self._members.get(one)) is not None:
                    self._admit(member, b"")  # nobody knows anything yet

    def _join(self, member: _Member) -> None:
        """It is given what another knows, and behind that what was told and is not in it: each exactly once."""
        inside = self.inside
        if not inside:
            self._admit(member, b"")
            return
        self._last += 1
        member.phase, member.source = "joining", inside[0]
        member.held, member.held_size = [], 0
        self._joins[self._last] = member.number
        self._members[inside[0]].line.send(frame(Message("ask", "", b"", self._last, member.number)))

    def _admit(self, member: _Member, known: bytes) -> None:
        member.phase = "inside"
        member.line.send(frame(Message("joined", body=known)))
        for framed in member.held:
            member.line.send(framed)
        member.held = []

    def _lose(self, number: int) -> None:
        member = self._members.pop(number, None)
        if member is None:
            return
        self._turns.forget(number)
        if member.phase == "inside":
            self._spread(number, frame(Message("gone", origin=number)))
        for asked, question in list(self._questions.items()):
            if number in question.waiting:
                question.waiting.discard(number)
                question.answers.append(None)
                if not question.waiting:
                    self._settle(asked)
        for asked, joining in list(self._joins.items()):
            other = self._members.get(joining)
            if other is not None and other.source == number and other.phase == "joining":
                del self._joins[asked]
                self._join(other)
        self._grant()
        self._gone(number)
