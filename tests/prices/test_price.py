"""What an answer costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.config.rates import Tier
from ccrouter.messages.events import Billed, WireUsage
from ccrouter.prices.price import FREE, Cost, Price, cost_of

SONNET = Price(
    3, 15, 0.3, 3.75, 6, search=10, tiers=(Tier(200_000, 6, 22.5, 0.6, 7.5, 12),), source="catalogue 2026-11-22"
)
COUNTS = st.integers(0, 10_000_000)


def test_every_kind_of_token_has_its_figure():
    """Input, both kinds of cache writing, cache reading, output and searches are each billed by their own."""
    usage = WireUsage(1_000_000, 0, 0, 0)
    small = SONNET.at(0)
    assert cost_of(small, WireUsage(1000, 0, 0, 0), Billed()).usd == pytest.approx(0.003)
    assert cost_of(small, WireUsage(0, 1000, 0, 0), Billed()).usd == pytest.approx(0.00375)
    assert cost_of(small, WireUsage(0, 1000, 0, 0), Billed(cache_write_1h=400)).usd == pytest.approx(0.00225 + 0.0024)
    assert cost_of(small, WireUsage(0, 0, 1000, 0), Billed()).usd == pytest.approx(0.0003)
    assert cost_of(small, WireUsage(0, 0, 0, 1000), Billed()).usd == pytest.approx(0.015)
    assert cost_of(small, WireUsage(), Billed(searches=3)).usd == pytest.approx(0.03)
    assert cost_of(SONNET, usage, Billed()).usd == pytest.approx(6.0)


def test_a_real_answer():
    """An answer as Claude Code gets them, reckoned by hand."""
    usage = WireUsage(12, 2_048, 41_500, 730)
    by_hand = 12 * 3e-6 + 1_000 * 6e-6 + 1_048 * 3.75e-6 + 41_500 * 0.3e-6 + 730 * 15e-6
    cost = cost_of(SONNET, usage, Billed(thinking_tokens=300, cache_write_1h=1_000))
    assert cost.usd == pytest.approx(by_hand)
    assert (cost.source, cost.price, cost.missing) == ("catalogue 2026-11-22", SONNET, ())


@pytest.mark.parametrize(("fresh", "read", "usd"), [(200_000, 0, 0.6), (200_001, 0, 1.200006), (1, 200_000, 0.120006)])
def test_tiers_go_by_the_whole_context(fresh, read, usd):
    """The other figures hold for the whole request once its input, cached tokens counted in, is above the tier's."""
    assert cost_of(SONNET, WireUsage(fresh, 0, read, 0), Billed()).usd == pytest.approx(usd)


def test_of_several_tiers_the_last_that_is_reached():
    """Figures that a tier does not say are those of the tier below."""
    price = Price(1, 5, tiers=(Tier(10, 2, 10), Tier(20, 3), Tier(30, 4)), source="config")
    assert (price.at(10).input, price.at(11).input, price.at(25).input, price.at(99).input) == (1, 2, 3, 4)
    assert price.at(99).output == 10


def test_thinking_that_is_billed_apart():
    """Thinking is a part of the output: it is taken out of it, not counted twice; without a figure it is output."""
    usage = WireUsage(0, 0, 0, 1_000)
    assert cost_of(Price(1, 10, source="config"), usage, Billed(thinking_tokens=600)).usd == pytest.approx(0.01)
    apart = Price(1, 10, thinking=30, source="config")
    assert cost_of(apart, usage, Billed(thinking_tokens=600)).usd == pytest.approx(0.004 + 0.018)


def test_what_the_provider_reports_counts_more():
    """Also where a price is known, also if it is 0, and also if no price is."""
    usage = WireUsage(1_000_000, 0, 0, 1_000_000)
    assert cost_of(SONNET, usage, Billed(cost=0.25)) == Cost(0.25, "provider", SONNET)
    assert cost_of(None, usage, Billed(cost=0.0)) == Cost(0.0, "provider", None)


def test_unknown_is_unknown():
    """Without a price nothing is known, also of an answer without a token; it is never 0."""
    assert cost_of(None, WireUsage(), Billed()) == Cost(None, "unknown")
    assert cost_of(None, WireUsage(5, 0, 0, 5), Billed()).usd is None


@pytest.mark.parametrize(
    ("usage", "billed", "missing"),
    [
        (WireUsage(1, 0, 1, 1), Billed(), ("cacheRead",)),
        (WireUsage(1, 2, 1, 1), Billed(cache_write_1h=1), ("cacheRead", "cacheWrite5m", "cacheWrite1h")),
        (WireUsage(1, 2, 0, 1), Billed(cache_write_1h=2), ("cacheWrite1h",)),
        (WireUsage(1, 0, 0, 1), Billed(searches=1), ("search",)),
        (WireUsage(1, 0, 0, 1), Billed(service="fast"), ("service fast",)),
    ],
)
def test_a_figure_that_is_missing(usage, billed, missing):
    """If what was used has no figure, the cost is unknown, and it is told what was missing; a part would pass for all."""
    price = Price(1, 2, source="config")
    assert cost_of(price, usage, billed) == Cost(None, "unknown", price, missing)
    assert cost_of(price, WireUsage(1, 0, 0, 1), Billed()).usd == pytest.approx(3e-6)


def test_a_model_on_this_machine_costs_nothing():
    """Whatever it is used for."""
    assert cost_of(FREE, WireUsage(9, 9, 9, 9), Billed(4, 4, 1, service="fast")).usd == 0.0
    assert cost_of(FREE, WireUsage(9, 9, 9, 9), Billed()).source == "local"


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_never_negative_and_never_more_than_the_dearest(fresh, written, read, output, hour, thinking):
    """Whatever a provider reports, parts larger than their whole among it."""
    usd = cost_of(SONNET, WireUsage(fresh, written, read, output), Billed(thinking, hour)).usd
    assert usd is not None
    assert 0 <= usd <= (fresh + written + read) * 12e-6 + output * 22.5e-6 + 1e-9
