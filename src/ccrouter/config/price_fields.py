"""The keys of `prices`. Data only."""

from __future__ import annotations

from ccrouter.config.kinds import Nested, Number
from ccrouter.config.table import Field, Table

#: The most that any figure may be: what is more was meant as something else.
MOST = 100_000

_DOLLARS = Number(0, MOST, "US dollars per million tokens", is_whole=False)

_FIGURES = (
    Field("input", _DOLLARS, "Input that is neither read from a cache nor written to one."),
    Field("output", _DOLLARS, "Output, thinking counted in."),
    Field("cacheRead", _DOLLARS, "Input read from a cache."),
    Field("cacheWrite5m", _DOLLARS, "Input written to a cache that keeps it for minutes.", aliases=("cacheWrite",)),
    Field("cacheWrite1h", _DOLLARS, "Input written to a cache that keeps it for an hour."),
)
_THINKING = Field("thinking", _DOLLARS, "Thinking, where it is billed apart.", default="as `output`")

PRICE = Table(
    "Price",
    "What a model costs. A request that uses what is not said here has an unknown cost. See [prices](../prices.md).",
    (
        *_FIGURES,
        _THINKING,
        Field(
            "search",
            Number(0, MOST, "US dollars per thousand", is_whole=False),
            "Web searches that the provider makes.",
        ),
        Field("above", Nested("PriceTier", "list"), "Other figures for long requests."),
    ),
)

PRICE_TIER = Table(
    "PriceTier",
    "What is different for requests of more than so many tokens; what it does not say is as ever.",
    (
        Field("tokens", Number(1, 10**9, "tokens"), "Of input, cached or not."),
        *_FIGURES,
        _THINKING,
    ),
)
