"""The exchanges that are under way, and the last ones that were: in memory, facts only, no content.

What is asked of one that is not remembered here, the store is asked. Of processes that serve as one each remembers its
own, and the others are asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ccrouter.dialects.ledger import Entry, summed_up
from ccrouter.gateway.record import Attempt, Exchange
from ccrouter.jsontypes import JsonObject

CAPACITY = 1000
#: What the newest exchange is asked for by.
LAST = "last"
#: What those under way are asked for by.
UNDER_WAY = "under way"
#: Of what a client or a provider names: characters that are kept, and names of members.
_LONGEST = 500
_MOST_NAMES = 200
_NAMES = ("asked", "sent", "answered", "target", "reason", "session", "error", "stop_reason", "upstream_id")
#: Clients count before many of their requests: such exchanges would drive the others out.
_COUNTING = "/v1/messages/count_tokens"


@dataclass(frozen=True, slots=True)
class _Kept:
    exchange: Exchange
    losses: tuple[Entry, ...]
    ended: datetime


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Exchanges:
    """Remembers the last `capacity` exchanges. `clock` gives the time of day."""

    def __init__(self, capacity: int = CAPACITY, clock: Callable[[], datetime] = _wall_clock) -> None:
        self.capacity = capacity
        self._clock = clock
        self._kept: dict[str, _Kept] = {}  # the oldest first
        self._under_way: dict[str, Exchange] = {}  # likewise
        self._elsewhere: Callable[[str], Awaitable[list[JsonObject]]] | None = None

    def ask_elsewhere(self, elsewhere: Callable[[str], Awaitable[list[JsonObject]]]) -> None:
        """From now on `elsewhere` is asked too: it gives what others remember of an id, or of the last exchange."""
        self._elsewhere = elsewhere

    async def recall(self, wanted: str) -> JsonObject | None:
        """The facts of the exchange of this id, or of the "last" one that ended; None if nobody remembers it."""
        if wanted == UNDER_WAY:  # what the others would answer is no exchange
            return None
        found = self.find_here(wanted)
        if self._elsewhere is None or (found is not None and wanted != LAST):
            return found
        known = [*([] if found is None else [found]), *await self._elsewhere(wanted)]
        return max(known, key=lambda one: str(one["ended"]), default=None)

    def find_here(self, wanted: str) -> JsonObject | None:
        """As `recall`, of those that this process served."""
        return self.last() if wanted == LAST else self.find(wanted)

    def begin(self, exchange: Exchange) -> None:
        """The exchange is under way until `note` is told of it."""
        self._under_way[exchange.id] = exchange

    def under_way(self, now: float) -> list[JsonObject]:
        """What is known of those that are under way in this process, the oldest first. `now` is of their clock."""
        return [_live_facts(one, now) for one in self._under_way.values()]

    async def all_under_way(self, now: float) -> list[JsonObject]:
        """As `under_way`, of all processes."""
        here = self.under_way(now)
        if self._elsewhere is None:
            return here
        told = await self._elsewhere(UNDER_WAY)
        return sorted([*here, *(one for given in told for one in given["live"])], key=lambda one: -float(one["ageMs"]))

    def note(self, exchange: Exchange) -> None:
        """Remember an exchange that is over; mere counts of tokens are not remembered."""
        self._under_way.pop(exchange.id, None)
        if exchange.path == _COUNTING:
            return
        losses = summed_up(exchange.losses) if exchange.losses else ()
        self._kept[exchange.id] = _Kept(_shortened(exchange), losses, self._clock())
        while len(self._kept) > self.capacity:
            del self._kept[next(iter(self._kept))]

    def find(self, id: str) -> JsonObject | None:  # noqa: A002 - the protocol's own word
        """The facts of an exchange; None if it is not remembered."""
        kept = self._kept.get(id)
        return None if kept is None else _facts(kept)

    def last(self) -> JsonObject | None:
        """The facts of the exchange that ended last; None if there was none."""
        return _facts(next(reversed(self._kept.values()))) if self._kept else None


def _shortened(exchange: Exchange) -> Exchange:
    """`exchange` without its losses, and without what is too long to be a fact: names are the client's, and may be of
    any length. Itself, where there is nothing of the kind.
    """
    changes: dict[str, Any] = {
        name: value[:_LONGEST] for name in _NAMES if len(value := getattr(exchange, name)) > _LONGEST
    }
    if exchange.losses:  # as long as the conversation, possibly
        changes["losses"] = ()
    if any(len(one.target) > _LONGEST or len(one.failure) > _LONGEST for one in exchange.attempts):
        changes["attempts"] = [
            replace(one, target=one.target[:_LONGEST], failure=one.failure[:_LONGEST]) for one in exchange.attempts
        ]
    for name in ("kept", "mapped"):
        names = getattr(exchange, name)
        if (few := _few(names)) is not names:
            changes[name] = few
    return replace(exchange, prompt=None, content=None, **changes) if changes else exchange


def _few(names: frozenset[str]) -> frozenset[str]:
    if len(names) <= _MOST_NAMES and max(map(len, names), default=0) <= _LONGEST:
        return names
    return frozenset(name[:_LONGEST] for name in sorted(names)[:_MOST_NAMES])


def _live_facts(exchange: Exchange, now: float) -> JsonObject:
    if exchange.ttft is not None:
        state = "answering"
    elif exchange.attempts:
        state = "waiting for the provider"
    else:
        state = "deciding" if exchange.received else "arriving"
    return {
        "id": exchange.id,
        "path": exchange.path,
        "state": state,
        "ageMs": _ms(now - exchange.began),
        "asked": exchange.asked[:_LONGEST],
        "sent": exchange.sent[:_LONGEST] or None,
        "provider": exchange.provider or None,
        "route": exchange.route or None,
        "session": exchange.session or None,
        "client": exchange.client or None,
        "attempts": len(exchange.attempts),
        "streamed": exchange.streamed,
    }


def _facts(kept: _Kept) -> JsonObject:
    exchange, usage = kept.exchange, kept.exchange.usage
    began = kept.ended - timedelta(seconds=exchange.total)
    counts = {fate: sum(one.count for one in kept.losses if one.fate == fate) for fate in ("approximated", "dropped")}
    return {
        "id": exchange.id,
        "path": exchange.path,
        "began": _timestamp(began),
        "ended": _timestamp(kept.ended),
        "status": exchange.status,
        "error": exchange.error or None,
        "asked": exchange.asked,
        "sent": exchange.sent or None,
        "answered": exchange.answered or None,
        "provider": exchange.provider or None,
        "route": {"name": exchange.route, "reason": exchange.reason},
        "session": exchange.session or None,
        "client": exchange.client or None,
        "streamed": exchange.streamed,
        "bytes": exchange.size,
        "stopReason": exchange.stop_reason or None,
        "upstreamId": exchange.upstream_id or None,
        "attempts": [_attempt_facts(one) for one in exchange.attempts],
        "resumed": exchange.resumed,
        "transforms": list(exchange.transforms),
        "losses": counts,
        "ledger": {
            "kept": sorted(exchange.kept),
            "mapped": sorted(exchange.mapped),
            "losses": [
                {
                    "path": one.path,
                    "what": one.what,
                    "fate": one.fate,
                    "count": one.count,
                    "places": list(one.places),
                }
                for one in kept.losses
            ],
        },
        "tokens": {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cacheRead": usage.cache_read_input_tokens,
            "cacheWrite": usage.cache_creation_input_tokens,
        },
        "ttftMs": None if exchange.ttft is None else _ms(exchange.ttft),
        "totalMs": _ms(exchange.total),
    }


def _attempt_facts(one: Attempt) -> JsonObject:
    return {
        "target": one.target,
        "key": one.key or None,
        "waitedMs": _ms(one.waited),
        "beganMs": _ms(one.began),
        "endedMs": _ms(one.ended),
        "kind": one.kind or None,
        "status": one.status or None,
        "failure": one.failure or None,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _timestamp(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
