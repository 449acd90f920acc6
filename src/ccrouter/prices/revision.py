"""What a new price list changes: every model whose price is another than before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ccrouter.jsontypes import JsonObject
from ccrouter.prices.catalogue import Catalogue
from ccrouter.prices.price import Rates

#: The figures of a price in words, in the order in which they are told.
FIGURES = {
    "input": "input",
    "output": "output",
    "cache_read": "cacheRead",
    "cache_write_5m": "cacheWrite5m",
    "cache_write_1h": "cacheWrite1h",
    "thinking": "thinking",
    "search": "search",
}


@dataclass(frozen=True, slots=True)
class Change:
    """A model whose price is `after` and was `before`; None where there is none."""

    vendor: str
    model: str
    before: Rates | None
    after: Rates | None


def compare(before: Mapping[str, Catalogue], after: Mapping[str, Catalogue]) -> list[Change]:
    """The changes from one set of lists to another, those that count more last, in the order of names."""
    old, new = _flat(before), _flat(after)
    names = sorted({*old, *new})
    return [Change(*name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def told(rates: Rates | None) -> JsonObject | None:
    """A price as JSON, without what is not known."""
    if rates is None:
        return None
    figures: JsonObject = {name: getattr(rates, member) for member, name in FIGURES.items()}
    figures["above"] = [
        {FIGURES.get(member, member): figure for member, figure in asdict(tier).items() if figure is not None}
        for tier in rates.tiers
    ]
    return {name: value for name, value in figures.items() if value is not None and value != []}


def words(rates: Rates | None) -> str:
    """A price for people: dollars per million tokens."""
    if rates is None:
        return "unknown"
    parts = [f"in {dollars(rates.input)}", f"out {dollars(rates.output)}"]
    if rates.thinking is not None:
        parts.append(f"thinking {dollars(rates.thinking)}")
    if rates.cache_read is not None:
        parts.append(f"cache read {dollars(rates.cache_read)}")
    written = [figure for figure in (rates.cache_write_5m, rates.cache_write_1h) if figure is not None]
    if written:
        parts.append(f"write {' / '.join(map(dollars, written))}")
    return ", ".join(parts)


def dollars(figure: float) -> str:
    """A figure of a price, as short as it can be said."""
    return f"${figure:.6f}".rstrip("0").rstrip(".")


def _flat(lists: Mapping[str, Catalogue]) -> dict[tuple[str, str], Rates]:
    return {
        (name, model): entry.rates
        for catalogue in lists.values()
        for name, vendor in catalogue.vendors.items()
        for model, entry in vendor.models.items()
        if entry.rates is not None
    }
