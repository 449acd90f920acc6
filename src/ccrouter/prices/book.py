"""Every price that is known, and whose counts: the user's own, those of a file, those of the catalogue. Looks at no
clock, and reads no file but the user's `prices.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from ccrouter.config.schema import DRY_RUN, Config, Provider, Target
from ccrouter.dialects.profiles import profile_of
from ccrouter.errors import ConfigError, Problem
from ccrouter.loopback import is_loopback
from ccrouter.prices.catalogue import Catalogue, Entry, Vendor, packaged, read_catalogue
from ccrouter.prices.names import LONG, spellings
from ccrouter.prices.price import FREE, Price, Rates, Tier

#: The user's file, in the router's folder; `ccr prices update` writes it.
FILE_NAME = "prices.json"
_LONG_WINDOW = 1_000_000
#: So many (provider, host, profile, model) are remembered.
_REMEMBERED = 4096


class PriceBook:
    """Prices by provider, host, profile and model. Immutable but for a memory of what was asked; safe in any thread.

    `faults` tells why the user's file is not used, if it is not.
    """

    def __init__(
        self,
        stated: Mapping[str, Rates] | None = None,
        file: Catalogue | None = None,
        catalogue: Catalogue | None = None,
        faults: tuple[str, ...] = (),
        providers: Iterable[Provider] = (),
    ) -> None:
        """`stated` are the user's own, by "provider,model" or model; `catalogue` is the package's if None is given.
        `providers` are those whose profile is looked up where none is named.
        """
        self.faults = faults
        self._providers = {provider.name: provider for provider in providers if provider.endpoints}
        self._stated = {_folded(name): rates for name, rates in (stated or {}).items()}
        base = catalogue or packaged()
        self.dates = tuple(one.date for one in (file, base) if one)
        self._base = base
        self._vendors = _merge(base, file) if file else dict(base.vendors)
        self._known: dict[tuple[str, str, str, str], Price | None] = {}

    @classmethod
    def load(cls, config: Config, folder: Path) -> PriceBook:
        """The book for `config`, with `prices.json` in the router's `folder`. A file that cannot be used is left out,
        and `faults` says why.
        """
        file: Catalogue | None = None
        faults: tuple[str, ...] = ()
        try:
            file = read_file(folder / FILE_NAME)
        except ConfigError as error:
            faults = tuple(str(problem) for problem in error.problems)
        return cls(config.prices, file, faults=faults, providers=config.providers)

    def price_of(self, target_provider: str, host: str, profile: str, model: str) -> Price | None:
        """What `model` costs at `target_provider`, whose endpoint is at `host` and is known as `profile` (of a provider
        that the book knows, it knows that better); None if that is not known. The user's own figures count most, then
        those of their file, then the catalogue's.
        """
        key = (target_provider, host, profile, model)
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = self._find(
                target_provider, host, self._profile(target_provider, model) or profile, model
            )
        return self._known[key]

    def _profile(self, provider: str, model: str) -> str:
        found = self._providers.get(provider)
        return "" if found is None else profile_of(Target(found, model)).name

    def context_window(self, host: str, profile: str, model: str) -> int | None:
        """How many tokens `model` takes at `host`, if that is known. A model is the same wherever it is served, but not
        on this machine, where its server sets the window.
        """
        if model.strip().lower().endswith(LONG):
            return _LONG_WINDOW
        if self._is_local(host, profile, model):
            return None
        entries = (entry for vendor in self._vendors_at(host) for _, entry in self._entries(vendor, model))
        window = next((entry.context for entry in entries if entry.context), None)
        return window or self._window_anywhere(model)

    def _window_anywhere(self, model: str) -> int | None:
        """The window on which all that know a model of this name agree."""
        for name in (*spellings(model), *spellings(model.rpartition("/")[2])):
            known = {vendor.models[name].context for vendor in self._vendors.values() if name in vendor.models}
            known.discard(None)
            if known:
                return known.pop() if len(known) == 1 else None
        return None

    def _find(self, provider: str, host: str, profile: str, model: str) -> Price | None:
        for name in spellings(model):
            for key in (_folded(f"{provider},{name}"), name):
                if key in self._stated:
                    return _priced(self._stated[key], "config")
        if (provider == DRY_RUN and not host) or self._is_local(host, profile, model):
            return FREE
        for vendor in self._vendors_at(host):
            if model.lower().endswith(vendor.free) and vendor.free:
                return replace(FREE, source=f"catalogue {self._base.date}")
            for is_own, entry in self._entries(vendor, model):
                if entry.rates is not None:
                    price = _priced(entry.rates, entry.source, entry.origin)
                    # A premium is on what others charge: a vendor's own figures have it in them.
                    is_raised = vendor.premium and not is_own and vendor.premium[0].search(model.lower())
                    return _raised(price, vendor.premium[1]) if is_raised and vendor.premium else price
        return None

    def _is_local(self, host: str, profile: str, model: str) -> bool:
        if profile not in self._base.local_profiles or not is_loopback(host):
            return False
        return not (self._base.remote and self._base.remote.search(model.lower()))

    def _vendors_at(self, host: str) -> Iterator[Vendor]:
        """The vendors that are known at `host`, those that name more of it first."""
        host = host.lower().rstrip(".")
        fitting = [
            (len(pattern), name)
            for name, vendor in self._vendors.items()
            for pattern in vendor.hosts
            if host and (host.endswith("." + pattern) or fnmatchcase(host, pattern))
        ]
        for _, name in sorted(fitting, reverse=True):
            yield self._vendors[name]

    def _entries(self, vendor: Vendor, model: str) -> Iterator[tuple[bool, Entry]]:
        """What `vendor` has by this name (True: its own), and then what those have whose prices it takes."""
        written = model.strip().lower()
        for ending in vendor.ignored:
            written = written.removesuffix(ending)
        for name in spellings(written):
            if name in vendor.models:
                yield True, vendor.models[name]
        maker, _, rest = written.partition("/")
        others = [(other, written) for other in vendor.like]
        if rest and maker in vendor.makers:
            others.append((vendor.makers[maker], rest))
        for other, asked in others:
            for name in spellings(asked):
                if other in self._vendors and name in self._vendors[other].models:
                    yield False, self._vendors[other].models[name]


def read_file(path: Path) -> Catalogue | None:
    """The catalogue in the user's file; None if there is no file. Raises ConfigError for one that cannot be used."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"cannot be read: {error.strerror}")]) from None
    try:
        tree = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError([Problem(str(path), "", f"is not JSON: {error}")]) from None
    return read_catalogue(tree, str(path), f"file {path.name}")


def _folded(name: str) -> str:
    """`name` as it is compared: in lower case, and a provider without white space around it."""
    provider, comma, model = name.lower().partition(",")
    return f"{provider.strip()},{model.strip()}" if comma else provider.strip()


def _priced(rates: Rates, source: str, origin: str = "") -> Price:
    return Price(
        rates.input,
        rates.output,
        rates.cache_read,
        rates.cache_write_5m,
        rates.cache_write_1h,
        rates.thinking,
        rates.search,
        rates.tiers,
        source,
        origin,
    )


_TOKEN_FIGURES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "thinking")


def _raised(price: Price, factor: float) -> Price:
    """`price` with everything that tokens cost multiplied."""

    def figures(of: Price | Tier) -> dict[str, Any]:
        said = {name: getattr(of, name) for name in _TOKEN_FIGURES}
        return {name: round(figure * factor, 9) for name, figure in said.items() if figure is not None}

    tiers = tuple(replace(tier, **figures(tier)) for tier in price.tiers)
    return replace(price, **figures(price), tiers=tiers)


def _merge(base: Catalogue, file: Catalogue) -> dict[str, Vendor]:
    """Every vendor of both; what the file says of a model counts more, and what it does not say stays."""
    merged = dict(base.vendors)
    for name, vendor in file.vendors.items():
        known = base.vendors.get(name, Vendor())
        models = dict(known.models)
        for spelling, entry in vendor.models.items():
            models[spelling] = _over(models.get(spelling), entry)
        merged[name] = Vendor(
            hosts=tuple(dict.fromkeys((*vendor.hosts, *known.hosts))),
            models=models,
            like=vendor.like or known.like,
            makers={**known.makers, **vendor.makers},
            free=vendor.free or known.free,
            ignored=vendor.ignored or known.ignored,
            premium=vendor.premium or known.premium,
        )
    return merged


def _over(known: Entry | None, entry: Entry) -> Entry:
    if known is None:
        return entry
    if entry.rates is None:
        return replace(known, context=entry.context or known.context)
    return replace(entry, context=entry.context or known.context)
