"""`prices` of the file → what the user says that models cost."""

from __future__ import annotations

from collections.abc import Mapping

from ccrouter.config.rates import Rates, Tier
from ccrouter.config.record import Record

_FIGURES = {
    "input": "input",
    "output": "output",
    "cacheRead": "cache_read",
    "cacheWrite5m": "cache_write_5m",
    "cacheWrite1h": "cache_write_1h",
    "thinking": "thinking",
}


def read_prices(top: Record) -> Mapping[str, Rates]:
    """What `prices` says, by "provider,model" or model as it is written there. A price without input and output is
    refused, and so is a tier that says nothing.
    """
    said: Mapping[str, Record] = top.get("prices", {})
    read = {name.strip(): _rates(record) for name, record in said.items()}
    return {name: rates for name, rates in read.items() if rates is not None}


def _rates(record: Record) -> Rates | None:
    missing = [name for name in ("input", "output") if record.get(name) is None]
    if missing:
        if not any(record.is_written(name) for name in missing):
            record.place.refuse(f"has no {' and no '.join(missing)}", 'write { "input": 3, "output": 15 }')
        return None
    tiers = [_tier(entry) for entry in record.get("above", ())]
    return Rates(
        **{ours: float(record.get(theirs)) for theirs, ours in _FIGURES.items() if record.get(theirs) is not None},
        search=record.get("search"),
        tiers=tuple(sorted((tier for tier in tiers if tier), key=lambda tier: tier.tokens)),
    )


def _tier(record: Record) -> Tier | None:
    figures = {ours: float(record.get(theirs)) for theirs, ours in _FIGURES.items() if record.get(theirs) is not None}
    tokens: int | None = record.get("tokens")
    if tokens is None or not figures:
        if not record.is_written("tokens") or not figures:
            record.place.refuse("needs `tokens` and a figure", 'write { "tokens": 200000, "input": 6 }')
        return None
    return Tier(tokens, **figures)
