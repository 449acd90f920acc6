"""What the processes of one service keep the same: health, sessions, what conversations took, what is in force.

Each tells the others what happened in it and applies what they tell. Where one alone decides, a reload, all are asked
before and told after. In a service of one process nothing of this is there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Config
from ccrouter.errors import ClientError, ConfigError
from ccrouter.jsontypes import JsonObject
from ccrouter.routing.health import Event, Health
from ccrouter.routing.retelling import retold
from ccrouter.routing.sessions import SessionUsage, UsageRecord
from ccrouter.secret import redact
from ccrouter.server.admission import Admission, Load
from ccrouter.server.board import Board
from ccrouter.server.editions import Editions
from ccrouter.server.exchanges import UNDER_WAY, Exchanges
from ccrouter.server.sessions import SessionEvent, Sessions
from ccrouter.server.workers.parcel import pack, unpack

#: The topic, and the name among what a new process begins with, of what is in force.
EDITION = "edition"
#: Seconds in which a process loads the user's own code for a reload, or answers that it cannot.
_TO_PREPARE = 60.0
#: Seconds in which a process puts in force what it has ready, and in which it looks something up.
_TO_ENACT = 10.0
_TO_LOOK = 2.0
#: Seconds between two tellings of what is in work.
_TELL_LOAD = 0.002

_json = msgspec.json.Encoder()


def edition_parcel(config: Config, policy: Policy, amended: JsonObject | None = None) -> bytes:
    """What is in force, for processes of the same service."""
    return pack((config, policy, amended))


def in_parcel(parcel: bytes) -> tuple[Config, Policy, JsonObject | None]:
    """What `edition_parcel` packed."""
    found: tuple[Config, Policy, JsonObject | None] = unpack(parcel)
    return found


class SharedHealth:
    """One account of targets and keys in several processes.

    What each process has taken of the limits of keys, and which targets it tries out, is known by process: if one ends
    without giving it back, the others give it back for it.
    """

    def __init__(self, board: Board, health: Health) -> None:
        self._board = board
        self._health = health
        self._taken: dict[int, Counter[tuple[str, str]]] = {}
        self._probing: dict[tuple[str, str], int] = {}
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Event)
        health.publish_to(self._publish)
        board.subscribe("health", self._apply)
        board.resemble("health", self._give, self._take)
        board.on_departure(self._give_back)

    def _publish(self, event: Event) -> None:
        self._count(self._board.number, event)
        self._board.publish("health", self._encoder.encode(event))

    def _apply(self, origin: int, body: bytes) -> None:
        event = self._decoder.decode(body)
        self._count(origin, event)
        self._health.apply(event)

    def _count(self, origin: int, event: Event) -> None:
        match event.kind:
            case "taken":
                self._taken.setdefault(origin, Counter())[event.provider, event.key] += 1
            case "released":
                taken = self._taken.get(origin, Counter())
                taken[event.provider, event.key] -= 1
                if taken[event.provider, event.key] <= 0:
                    del taken[event.provider, event.key]
            case "probing":
                self._probing.pop((event.provider, event.model), None)
                if event.until:
                    self._probing[event.provider, event.model] = origin

    def _give_back(self, gone: int) -> None:
        for (provider, key), count in self._taken.pop(gone, Counter()).items():
            for _ in range(count):
                self._health.apply(Event("released", provider, key=key))
        for (provider, model), origin in list(self._probing.items()):
            if origin == gone:
                del self._probing[provider, model]
                self._health.apply(Event("probing", provider, model))

    def _give(self) -> bytes:
        known = _KnownHealth(
            events=retold(self._health),
            taken=[(origin, *name, count) for origin, taken in self._taken.items() for name, count in taken.items()],
            probing=[(origin, *name) for name, origin in self._probing.items()],
        )
        return self._encoder.encode(known)

    def _take(self, body: bytes) -> None:
        known = msgspec.msgpack.decode(body, type=_KnownHealth)
        for event in known.events:
            self._health.apply(event)
        for origin, provider, key, count in known.taken:
            self._taken.setdefault(origin, Counter())[provider, key] = count
        self._probing = {(provider, model): origin for origin, provider, model in known.probing}


class _KnownHealth(msgspec.Struct, frozen=True):
    events: list[Event]
    taken: list[tuple[int, str, str, int]]
    probing: list[tuple[int, str, str]]


def share_sessions(board: Board, sessions: Sessions) -> None:
    """After the call who is signed in to the pages is so in every process."""
    decoder = msgspec.msgpack.Decoder(SessionEvent)

    def take(body: bytes) -> None:
        for event in msgspec.msgpack.decode(body, type=list[SessionEvent]):
            sessions.apply(event)

    sessions.publish_to(lambda event: board.publish("sessions", msgspec.msgpack.encode(event)))
    board.subscribe("sessions", lambda _, body: sessions.apply(decoder.decode(body)))
    board.resemble("sessions", lambda: msgspec.msgpack.encode(sessions.retold()), take)


def share_usage(board: Board, usage: SessionUsage) -> None:
    """After the call what a conversation took is known in every process."""
    decoder = msgspec.msgpack.Decoder(UsageRecord)

    def take(body: bytes) -> None:
        for record in msgspec.msgpack.decode(body, type=list[UsageRecord]):
            usage.apply(record)

    usage.publish_to(lambda record: board.publish("usage", msgspec.msgpack.encode(record)))
    board.subscribe("usage", lambda _, body: usage.apply(decoder.decode(body)))
    board.resemble("usage", lambda: msgspec.msgpack.encode(usage.retold()), take)


def share_exchanges(board: Board, exchanges: Exchanges, now: Callable[[], float]) -> None:
    """After the call every process can tell of the exchanges that others served: they are asked when somebody is."""

    def give(body: bytes) -> bytes:
        wanted = body.decode("utf-8", "surrogatepass")
        if wanted == UNDER_WAY:
            return _json.encode({"live": exchanges.under_way(now())})
        return _json.encode(exchanges.find_here(wanted))

    async def elsewhere(wanted: str) -> list[JsonObject]:
        told = await board.ask("exchange", wanted.encode("utf-8", "surrogatepass"), _TO_LOOK)
        found = [msgspec.json.decode(one) for one in told if one]
        return [one for one in found if one is not None]

    board.answer("exchange", give)
    exchanges.ask_elsewhere(elsewhere)


class SharedAdmission:
    """What all processes have in work, counted by each. Told at most every few milliseconds: so long may more be let in
    than the limits say, by as many as the other processes let in meanwhile.
    """

    def __init__(self, board: Board, admission: Admission) -> None:
        self._board = board
        self._admission = admission
        self._loads: dict[int, Load] = {}
        self._decoder = msgspec.msgpack.Decoder(Load)
        self._telling: asyncio.TimerHandle | None = None
        self._told = Load()
        admission.share(hashlib.sha256(f"{board.pid} {board.started}".encode()).digest(), self._note)
        board.subscribe("load", lambda origin, body: self._hear(origin, self._decoder.decode(body)))
        board.resemble("load", self._give, self._take)
        board.on_departure(lambda gone: self._hear(gone, None))

    def _note(self) -> None:
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELL_LOAD, self._tell)

    def _tell(self) -> None:
        self._telling = None
        load = self._admission.load
        if load != self._told:
            self._told = load
            self._board.publish("load", msgspec.msgpack.encode(load))

    def _hear(self, origin: int, load: Load | None) -> None:
        self._loads.pop(origin, None)
        if load is not None:
            self._loads[origin] = load
        self._admission.note_other(origin, load)

    def _give(self) -> bytes:
        return msgspec.msgpack.encode([*self._loads.items(), (self._board.number, self._told)])

    def _take(self, body: bytes) -> None:
        for origin, load in msgspec.msgpack.decode(body, type=list[tuple[int, Load]]):
            self._hear(origin, load)


@dataclass(slots=True)
class SharedEditions:
    """One edition in force in all processes. The one that loads it has the others make ready, then all put it in force;
    where one cannot, none does.
    """

    board: Board
    editions: Editions

    def begin(self) -> None:
        """After the call what others put in force is put in force here."""
        board, editions = self.board, self.editions
        board.answer("prepare", self._prepare)
        board.answer(EDITION, self._enact)
        board.subscribe("reloads", lambda _, body: editions.take_history(unpack(body)))
        board.resemble("reloads", lambda: pack(editions.history), lambda body: editions.take_history(unpack(body)))
        board.on_wish("reload", editions.reload_soon)
        editions.serve_with(self)

    # -- here it was loaded --------------------------------------------------------------------------------------------

    async def propose(self, config: Config, policy: Policy) -> None:
        """After the call every other process can put it in force. Raises ConfigError if one cannot, ClientError if one
        does not answer.
        """
        for told in await self.board.ask("prepare", edition_parcel(config, policy), _TO_PREPARE):
            if told is None:
                raise ClientError("another worker did not answer; try again", status=503, type="api_error")
            problems = unpack(told)
            if isinstance(problems, str):
                raise ClientError(problems, status=503, type="api_error")
            if problems:
                raise ConfigError(problems)

    async def enact(self, config: Config, policy: Policy, amended: JsonObject | None) -> None:
        """After the call every other process serves by it, and so will those that start later."""
        await self.board.ask(EDITION, edition_parcel(config, policy, amended), _TO_ENACT, keep=True)

    def tell(self) -> None:
        """A reload is over: the others are told how it ended."""
        self.board.publish("reloads", pack(self.editions.history))

    # -- it was loaded elsewhere ---------------------------------------------------------------------------------------

    async def _prepare(self, body: bytes) -> bytes:
        config, policy, _ = in_parcel(body)
        try:
            await self.editions.make_ready(config, policy)
        except ConfigError as error:
            return pack(error.problems)
        except Exception as error:  # noqa: BLE001 - whatever it is, who asked must hear of it
            return pack(redact(f"a worker cannot load it: {error}", config.secrets))
        return pack(())

    def _enact(self, body: bytes) -> bytes:
        config, policy, amended = in_parcel(body)
        self.editions.put_ready_in_force(config, policy, amended)
        return config.digest.encode()


class Unison:
    """All of it, for one process. `begin` joins the others."""

    def __init__(  # noqa: PLR0913 - what is kept the same, by name
        self,
        board: Board,
        *,
        health: Health,
        sessions: Sessions,
        exchanges: Exchanges,
        now: Callable[[], float],
        admission: Admission,
        editions: Editions,
    ) -> None:
        self._board = board
        self._editions = editions
        self._shared = (SharedHealth(board, health), SharedAdmission(board, admission))
        share_sessions(board, sessions)
        share_usage(board, editions.usage)
        share_exchanges(board, exchanges, now)
        SharedEditions(board, editions).begin()

    async def begin(self) -> None:
        """After the call what the others know is known here. The edition in force is that of this process's start."""
        parcel = self._board.kept.get(EDITION)
        config, policy, amended = in_parcel(parcel) if parcel is not None else (None, None, None)
        if config is not None and policy is not None and amended is not None:
            self._editions.put_ready_in_force(config, policy, amended)
        await self._board.begin()
