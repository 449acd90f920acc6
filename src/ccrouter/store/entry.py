"""One exchange as it is recorded: what the gateway tells of it, and what was found out about it afterwards. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from ccrouter.config.schema import Config, Provider
from ccrouter.gateway.record import IMAGE, Attempt, Exchange, PromptNote
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import Billed, WireUsage
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
        if any(map(_has_told, exchange.attempts)):
            return self._sum(exchange, [one for one in exchange.attempts if _has_told(one) or _has_answered(one)])
        if usage.context or usage.output_tokens or billed.cost is not None:
            return cost_of(self._price(exchange.provider, exchange.sent), usage, billed)
        if exchange.status >= 400 and not any(map(_has_answered, exchange.attempts)):
            return Cost(0.0, NOTHING_USED)
        return self._unreported(self._price(exchange.provider, exchange.sent))

    def _unreported(self, price: Price | None) -> Cost:
        """Of something that was answered, nobody told with how many tokens."""
        is_free = price is not None and not price.input and not price.output
        return cost_of(price, WireUsage(), Billed()) if is_free else Cost(None, UNKNOWN, price)

    def _sum(self, exchange: Exchange, parts: list[Attempt]) -> Cost:
        """What each of those cost that had a part in the answer, at its own price. The price that is told is that of
        who answered.
        """
        own = next((one for one in reversed(parts) if not one.target.endswith(IMAGE)), None)
        costs: list[Cost] = []
        main: Cost | None = None
        for one in parts:
            provider, _, model = one.target.removesuffix(IMAGE).partition(",")
            if one is own and provider == exchange.provider:
                model = exchange.sent  # another than the configured one where a policy says so
            price = self._price(provider, model)
            told = cost_of(price, one.usage or WireUsage(), one.billed or Billed())
            costs.append(told if _has_told(one) else self._unreported(price))
            main = costs[-1] if one is own else main
        main = main or costs[-1]
        if len(costs) == 1:
            return main
        known = [one.usd for one in costs if one.usd is not None]
        missing = tuple(dict.fromkeys(name for one in costs for name in one.missing))
        if len(known) < len(costs):
            return Cost(None, UNKNOWN, main.price, missing)
        return Cost(sum(known), main.source, main.price)

    def _price(self, provider: str, model: str) -> Price | None:
        key = (provider, model)
        try:
            return self._known[key]
        except KeyError:
            host, profile = self._providers.get(provider, ("", ""))
            price = self._known[key] = self._prices.price_of(provider, host, profile, model) if model else None
            return price


def _has_told(attempt: Attempt) -> bool:
    """True if its provider reported what was used, or what that cost."""
    return attempt.usage is not None or (attempt.billed is not None and attempt.billed.cost is not None)


def _has_answered(attempt: Attempt) -> bool:
    """True if its provider had begun to answer, or was not waited for to the end: that may cost."""
    return bool(attempt.first) or not (attempt.failure or attempt.kind)


def _place(provider: Provider) -> tuple[str, str]:
    host = urlsplit(provider.endpoints[0].url).hostname if provider.endpoints else None
    return host or "", provider.profile or ""


#: Finds the folder of Claude Code's that a session belongs to; None for none.
FindProject = Callable[[str], str | None]
