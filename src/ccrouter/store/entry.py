"""One exchange as it is recorded: what the gateway tells of it, and what was found out about it afterwards. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from ccrouter.config.schema import Config, Provider
from ccrouter.gateway.record import CLIENT_GONE, IMAGE, Attempt, Exchange, PromptNote
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import Billed
from ccrouter.prices.price import UNKNOWN, Cost, Price, cost_of

#: What a request that nothing was used for is said to have cost by: it failed, and no provider reported any use.
NOTHING_USED = "none"


@dataclass(frozen=True, slots=True)
class Entry:
    """An exchange with what it cost, in which of Claude Code's projects ("" unknown), and what became of its cache:
    None if nothing was lost, else what `msgspec` can encode.
    """

    exchange: Exchange
    cost: Cost
    project: str = ""
    verdict: JsonObject | None = None


class Sink(Protocol):
    """Whoever is told of every exchange, in the recorder's thread."""

    def note(self, entry: Entry) -> None:
        """Take account of it. What is raised is told once, and forgotten."""


class Watch(Protocol):
    """Whoever compares each request with the one before it (see `ccrouter.store.cachewatch`)."""

    def note_prompt(self, note: PromptNote) -> None:
        """Look at the prompt, and let go of it."""

    def judge(self, exchange: Exchange, cost: Cost) -> JsonObject | None:
        """What became of the cache: None if nothing was lost, else a verdict's facts."""


class Prices(Protocol):
    """What models cost (see `ccrouter.prices`)."""

    def price_of(self, provider: str, host: str, profile: str, model: str, /) -> Price | None:
        """The price of a model at a provider; None if nobody knows it."""


class Ledger:
    """Says what exchanges cost, by the prices and the providers that are in force."""

    def __init__(self, config: Config, prices: Prices) -> None:
        self._providers = {provider.name: _place(provider) for provider in config.providers}
        self._prices = prices
        self._known: dict[tuple[str, str], Price | None] = {}

    def cost(self, exchange: Exchange) -> Cost:
        """What the exchange cost. Unknown, never 0, where something was answered and its use or price is not known."""
        usage, billed = exchange.usage, exchange.billed
        if not (usage.context or usage.output_tokens) and billed.cost is None:
            return self._unreported(exchange)
        parts = [one for one in exchange.attempts if one.usage is not None]
        if len(parts) > 1:
            return self._sum(parts)
        return cost_of(self._price(exchange.provider, exchange.sent), usage, billed)

    def _unreported(self, exchange: Exchange) -> Cost:
        if exchange.status >= 400 and (exchange.status != CLIENT_GONE or not exchange.attempts):
            return Cost(0.0, NOTHING_USED)
        price = self._price(exchange.provider, exchange.sent)
        is_free = price is not None and not price.input and not price.output
        return cost_of(price, exchange.usage, exchange.billed) if is_free else Cost(None, UNKNOWN, price)

    def _sum(self, parts: list[Attempt]) -> Cost:
        """Of an answer that several targets had a part in: what each of them cost."""
        costs = []
        for one in parts:
            provider, _, model = one.target.removesuffix(IMAGE).partition(",")
            assert one.usage is not None  # as chosen
            costs.append(cost_of(self._price(provider, model), one.usage, one.billed or Billed()))
        known = [one.usd for one in costs if one.usd is not None]
        last = costs[-1]
        return (
            Cost(sum(known), last.source, last.price) if len(known) == len(costs) else Cost(None, UNKNOWN, last.price)
        )

    def _price(self, provider: str, model: str) -> Price | None:
        key = (provider, model)
        try:
            return self._known[key]
        except KeyError:
            host, profile = self._providers.get(provider, ("", ""))
            price = self._known[key] = self._prices.price_of(provider, host, profile, model) if model else None
            return price


def _place(provider: Provider) -> tuple[str, str]:
    host = urlsplit(provider.endpoints[0].url).hostname if provider.endpoints else None
    return host or "", provider.profile or ""


#: Finds the folder of Claude Code's that a session belongs to; None for none.
FindProject = Callable[[str], str | None]
