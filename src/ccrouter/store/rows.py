"""An entry as what is written of it: values in the order of the columns, texts where a number of `names` will stand.

Pure. Made once an exchange, so it is written to be cheap: one list, one encoding, nothing looked up twice.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ccrouter.dialects.ledger import summed_up
from ccrouter.gateway.record import Attempt, Exchange
from ccrouter.messages.events import WireUsage
from ccrouter.prices.price import Price
from ccrouter.routing.facts import RequestFacts
from ccrouter.store.entry import Entry

#: An exchange's number is its beginning in milliseconds times this, and a count.
SHIFT = 20
_WITHIN = (1 << SHIFT) - 1
#: Of what a client or a provider names: characters that are kept, and names of members.
_LONGEST = 500
_LONGEST_NAME = 200
_MOST_NAMES = 200
_MOST_SHAPES = 500
#: Of tokens, which a provider may report any number of: the file's sums are of 64 bits.
_MOST_TOKENS = 10**12

_encode = msgspec.json.Encoder().encode


class FactsDetail(msgspec.Struct, omit_defaults=True):
    """What `RequestFacts` says that no column does."""

    task_class: str = ""
    subagent_model: str | None = None
    has_image: bool = False
    has_web_search: bool = False
    thinking: str = ""
    thinking_budget: int | None = None
    effort: str = ""
    is_probe: bool = False
    size: int = 0
    opening: int = 0


class LossDetail(msgspec.Struct, array_like=True):
    """One entry of the ledger's losses."""

    path: str
    what: str
    fate: str
    count: int
    places: tuple[str, ...]


class Detail(msgspec.Struct, omit_defaults=True):
    """What is asked for with a single exchange alone. The marks are seconds after it began, 0 for never."""

    facts: FactsDetail | None = None
    losses: tuple[LossDetail, ...] = ()
    authorized: float = 0.0
    received: float = 0.0
    decided: float = 0.0
    upstream_id: str = ""
    traceparent: str = ""
    target: str = ""
    fidelity: str = "any"
    searches: int = 0


class Shape(msgspec.Struct, omit_defaults=True):
    """What a translation did, which is the same for most requests of one kind."""

    kept: list[str] = []
    mapped: list[str] = []
    transforms: tuple[str, ...] = ()


@dataclass(slots=True)
class Content:
    """What was said, ready to be written."""

    kind: str
    request: bytes
    answer: bytes
    is_cut: bool


@dataclass(slots=True)
class Row:
    """What is written of one exchange. `values` are those of the table `exchanges` behind `n` and `id`; `at` is the
    minute in which it began, in seconds since 1970, by which it is added up.
    """

    n: int
    id: str
    at: int
    ended: int
    session: str
    values: list[Any]
    attempts: list[tuple[Any, ...]]
    shape: str
    price: str
    detail: str
    is_break: bool = False
    content: Content | None = field(default=None, repr=False)


#: Where in `values` texts stand that are numbers in the file.
NAMED = (0, 3, 4, 5, 6, 7, 9, 12, 13, 14, 15, 16, 17, 31)
#: Where in `values` the session's number belongs.
SESSION = 10
COLUMNS = (
    "n, id, path, status, error, asked, model, answered, provider, route, reason, policy, session, agent, agent_type, "
    "class, project, client, key, stop, streamed, bytes, answer_bytes, attempts, failed_attempts, resumed, input, "
    "output, cache_read, cache_write, cache_write_1h, thinking, usd, price_source, ttft, total, gateway, approximated, "
    "dropped, estimate, verdict"
)
ATTEMPT_COLUMNS = (
    "exchange, place, target, key, kind, status, failure, began, ended, waited, sent, connected, headers, first, "
    "input, output, cache_read, cache_write"
)


class RowMaker:
    """Makes rows, each with a number of its own, also among those of other processes."""

    def __init__(self) -> None:
        self._count = itertools.count(random.getrandbits(SHIFT))
        self._shapes: dict[tuple[frozenset[str], frozenset[str], tuple[str, ...]], str] = {}
        self._prices: dict[Price, str] = {}

    def make(self, entry: Entry) -> Row:
        """What is to be written of `entry`."""
        exchange, cost = entry.exchange, entry.cost
        ended = exchange.ended_at
        approximated = dropped = 0
        losses: tuple[LossDetail, ...] = ()
        if exchange.losses:
            told = summed_up(exchange.losses)
            losses = tuple(
                LossDetail(one.path, one.what, one.fate, one.count, one.places) for one in told[:_MOST_NAMES]
            )
            approximated = sum(one.count for one in told if one.fate == "approximated")
            dropped = sum(one.count for one in told if one.fate == "dropped")
        began = max(ended - exchange.total, 0.0)
        return Row(
            n=(int(began * 1000) << SHIFT) | (next(self._count) & _WITHIN),
            id=exchange.id,
            at=int(began) // 60 * 60,
            ended=int(ended * 1000),
            session=exchange.session,
            values=_values(entry, approximated, dropped),
            attempts=[attempt_row(place, one) for place, one in enumerate(exchange.attempts)],
            shape=self._shape(exchange),
            price="" if cost.price is None else self._price(cost.price),
            detail=_encode(_detail(exchange, losses)).decode(),
            is_break=entry.verdict is not None and bool(entry.verdict.get("lostTokens", 1)),
        )

    def _shape(self, exchange: Exchange) -> str:
        key = (exchange.kept, exchange.mapped, exchange.transforms)
        shape = self._shapes.get(key)
        if shape is None:
            if not any(key):
                return ""
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            kept, mapped = _few(exchange.kept), _few(exchange.mapped)
            shape = self._shapes[key] = _encode(Shape(kept, mapped, exchange.transforms)).decode()
        return shape

    def _price(self, price: Price) -> str:
        told = self._prices.get(price)
        if told is None:
            if len(self._prices) >= _MOST_SHAPES:
                self._prices.clear()
            told = self._prices[price] = _encode(price).decode()
        return told


def _values(entry: Entry, approximated: int, dropped: int) -> list[Any]:
    """The values of the table `exchanges` behind `n` and `id`."""
    exchange, cost = entry.exchange, entry.cost
    usage, billed = exchange.usage, exchange.billed
    return [
        exchange.path,
        exchange.status,
        exchange.error[:_LONGEST] or None,
        exchange.asked[:_LONGEST_NAME],
        exchange.sent[:_LONGEST_NAME],
        exchange.answered[:_LONGEST_NAME],
        exchange.provider[:_LONGEST_NAME],
        exchange.route[:_LONGEST_NAME],
        exchange.reason[:_LONGEST] or None,
        exchange.policy[:_LONGEST_NAME],
        0,
        exchange.agent or None,
        exchange.agent_type,
        exchange.request_class,
        entry.project,
        exchange.client[:_LONGEST_NAME],
        exchange.key[:_LONGEST_NAME],
        exchange.stop_reason[:_LONGEST_NAME],
        1 if exchange.streamed else 0,
        exchange.size,
        exchange.answer_size,
        len(exchange.attempts),
        sum(1 for one in exchange.attempts if one.failure),
        exchange.resumed,
        *_tokens(usage),
        min(billed.cache_write_1h, _MOST_TOKENS),
        min(billed.thinking_tokens, _MOST_TOKENS),
        cost.usd,
        cost.source,
        exchange.ttft,
        exchange.total,
        gateway_share(exchange),
        approximated,
        dropped,
        exchange.estimate,
        None if entry.verdict is None else _encode(entry.verdict).decode(),
    ]


def gateway_share(exchange: Exchange) -> float:
    """The seconds of the exchange that were the router's own: not the client's, not a provider's, and no waiting."""
    others, until = max(exchange.received - exchange.authorized, 0.0), 0.0
    for one in exchange.attempts:
        others += one.waited
        begin = max(one.sent or one.began, until)  # what an image was looked at for stands before that, and lasts on
        if one.ended > begin:
            others += one.ended - begin
            until = one.ended
    return max(exchange.total - others, 0.0)


def attempt_row(place: int, one: Attempt) -> tuple[Any, ...]:
    """The values of the table `attempts` behind `exchange`, with texts at 1, 2 and 3."""
    usage = one.usage
    return (
        place,
        one.target[:_LONGEST],
        one.key[:_LONGEST_NAME],
        one.kind,
        one.status,
        one.failure[:_LONGEST] or None,
        one.began,
        one.ended,
        one.waited,
        one.sent,
        one.connected,
        one.headers,
        one.first,
        *((None, None, None, None) if usage is None else _tokens(usage)),
    )


def _tokens(usage: WireUsage) -> tuple[int, int, int, int]:
    """Input, output, cache reads and writes, none of them more than can be added up."""
    return (
        min(usage.input_tokens, _MOST_TOKENS),
        min(usage.output_tokens, _MOST_TOKENS),
        min(usage.cache_read_input_tokens, _MOST_TOKENS),
        min(usage.cache_creation_input_tokens, _MOST_TOKENS),
    )


def _detail(exchange: Exchange, losses: tuple[LossDetail, ...]) -> Detail:
    facts = exchange.facts
    return Detail(
        None if facts is None else _facts(facts),
        losses,
        exchange.authorized,
        exchange.received,
        exchange.decided,
        exchange.upstream_id[:_LONGEST],
        exchange.traceparent,
        exchange.target[:_LONGEST],
        exchange.fidelity,
        exchange.billed.searches,
    )


def _facts(facts: RequestFacts) -> FactsDetail:
    model = facts.subagent_model
    return FactsDetail(
        facts.task_class[:_LONGEST_NAME],
        model and model[:_LONGEST_NAME],
        facts.has_image,
        facts.has_web_search,
        facts.thinking[:_LONGEST_NAME],
        facts.thinking_budget,
        facts.effort[:_LONGEST_NAME],
        facts.is_probe,
        facts.size,
        facts.opening,
    )


def _few(names: frozenset[str]) -> list[str]:
    return [name[:_LONGEST] for name in sorted(names)[:_MOST_NAMES]]
