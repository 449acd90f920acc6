"""What exchanges cost whose answer several targets had a part in."""

from __future__ import annotations

import pytest

from ccrouter.config.rates import Rates
from ccrouter.config.schema import Config, Endpoint, Provider
from ccrouter.gateway.record import IMAGE, Attempt, Exchange
from ccrouter.messages.events import Billed, WireUsage
from ccrouter.prices.book import PriceBook
from ccrouter.store.entry import Ledger

PROVIDERS = tuple(
    Provider(name, (Endpoint("anthropic", f"https://{name}.example/v1/messages"),)) for name in ("a", "b")
)
CONFIG = Config(providers=PROVIDERS)
BOOK = PriceBook({"large": Rates(10, 50), "eyes": Rates(1, 5)})


def cost(*attempts: Attempt, billed: Billed | None = None):
    total = WireUsage(
        input_tokens=sum(one.usage.input_tokens for one in attempts if one.usage),
        output_tokens=sum(one.usage.output_tokens for one in attempts if one.usage),
    )
    exchange = Exchange("req_1", "/v1/messages", 0.0, sent="large", provider="a", status=200, usage=total)
    exchange.attempts, exchange.billed = list(attempts), billed or Billed()
    return Ledger(CONFIG, BOOK).cost(exchange)


def attempt(target: str, tokens: int, cost: float | None = None) -> Attempt:
    return Attempt(target, 0.0, usage=WireUsage(input_tokens=tokens), billed=Billed(cost=cost))


def test_who_looked_at_an_image_is_paid_by_its_own_price():
    """The model that answered, and the one that looked at an image for it, each by what it costs."""
    found = cost(attempt("a,large", 1_000_000), attempt(f"b,eyes{IMAGE}", 1_000_000))
    assert found.usd == pytest.approx(11)


def test_what_a_provider_reports_counts_for_its_part_alone():
    """A reported cost is that of one attempt: what another one cost comes to it."""
    found = cost(attempt("a,large", 1_000_000, cost=0.5), attempt(f"b,eyes{IMAGE}", 1_000_000), billed=Billed(cost=0.5))
    assert found.usd == pytest.approx(1.5)


def test_a_part_of_unknown_price_makes_the_whole_unknown():
    """A part of the cost would pass for all of it."""
    found = cost(attempt("a,large", 10), attempt("b,nobody-knows", 10))
    assert found.usd is None
