"""A price, and what an answer cost by it. Pure: figures in, figures out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from ccrouter.config.rates import Rates, Tier
from ccrouter.messages.events import Billed, WireUsage

__all__ = ["FREE", "Cost", "Price", "Rates", "Tier", "cost_of"]

#: Where a cost comes from that the provider itself told, and where one that nobody knows.
REPORTED, UNKNOWN = "provider", "unknown"

_MILLION = 1_000_000
_THOUSAND = 1_000
#: Costs are rounded to this many decimals: a sum of floats has no more to say.
_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class Price(Rates):
    """Rates, and where they are from: "catalogue 2026-11-22", "config", "file NAME" or "local" (a model on this machine
    costs nothing). `origin` says where the catalogue has them from: an address or a sentence.
    """

    source: str = ""
    origin: str = ""

    def at(self, context: int) -> Price:
        """The figures that hold for a request of `context` tokens of input, cached ones counted in."""
        reached = [tier for tier in self.tiers if context > tier.tokens]
        price = self
        for tier in reached:
            said = {one.name: getattr(tier, one.name) for one in fields(tier) if one.name != "tokens"}
            price = replace(price, **{name: figure for name, figure in said.items() if figure is not None})
        return replace(price, tiers=()) if reached else price


#: What a model on this machine costs.
FREE = Price(0.0, 0.0, 0.0, 0.0, 0.0, None, 0.0, source="local")


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer cost, in US dollars; None if that is not known. `source` is "provider" if the provider told, else
    the price's, or "unknown"; `price` what it was reckoned by; `missing` the figures that the price lacked.
    """

    usd: float | None
    source: str
    price: Price | None = None
    missing: tuple[str, ...] = ()


def cost_of(price: Price | None, usage: WireUsage, billed: Billed) -> Cost:
    """What an answer of this usage cost. What the provider itself reported counts more than any price.

    Unknown if there is no price, if the price does not say what something costs that was used, and for a way of serving
    that has prices of its own: never less than was used, and never 0 for what is not known.
    """
    if billed.cost is not None:
        return Cost(billed.cost, REPORTED, price)
    if price is None:
        return Cost(None, UNKNOWN)
    if billed.service and price != FREE:
        return Cost(None, UNKNOWN, price, (f"service {billed.service}",))
    figures = price.at(usage.context)
    hour = min(max(billed.cache_write_1h, 0), usage.cache_creation_input_tokens)
    thinking = min(max(billed.thinking_tokens, 0), usage.output_tokens)
    used: tuple[tuple[str, int, float | None, int], ...] = (
        ("input", usage.input_tokens, figures.input, _MILLION),
        ("cacheRead", usage.cache_read_input_tokens, figures.cache_read, _MILLION),
        ("cacheWrite5m", usage.cache_creation_input_tokens - hour, figures.cache_write_5m, _MILLION),
        ("cacheWrite1h", hour, figures.cache_write_1h, _MILLION),
        ("output", usage.output_tokens - thinking, figures.output, _MILLION),
        ("thinking", thinking, figures.output if figures.thinking is None else figures.thinking, _MILLION),
        ("search", billed.searches, figures.search, _THOUSAND),
    )
    missing = tuple(name for name, count, figure, _ in used if count > 0 and figure is None)
    if missing:
        return Cost(None, UNKNOWN, price, missing)
    usd = sum(count * figure / unit for _, count, figure, unit in used if figure is not None)
    return Cost(round(usd, _DECIMALS), price.source, price)
