"""What a model costs, as figures: the form of the user's own, of the catalogue's and of a file's. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tier:
    """What differs for a request of more than `tokens` tokens of input, cached ones counted in: US dollars per million
    tokens; None for what does not differ.
    """

    tokens: int
    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write_5m: float | None = None
    cache_write_1h: float | None = None
    thinking: float | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens, `search` per thousand web searches; None is not known, but for `thinking`, where
    it means: as output. `tiers` are in the order of their tokens.
    """

    input: float
    output: float
    cache_read: float | None = None
    cache_write_5m: float | None = None
    cache_write_1h: float | None = None
    thinking: float | None = None
    search: float | None = None
    tiers: tuple[Tier, ...] = ()
