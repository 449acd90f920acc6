"""A catalogue of prices: the one in this package, or a file of the user's in the same form.

    {"format": "ccrouter-prices/1", "date": "2026-11-22",
     "vendors": {VENDOR: {"hosts": [...], "models": {MODEL: {...}}}}}

A vendor is who sends the bill: it is known by the host that is asked. Figures are US dollars per million tokens. Pure,
but for reading the file in the package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ccrouter.config.rates import Rates, Tier
from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import Json, JsonObject

FORMAT = "ccrouter-prices/1"

_Dollars = Annotated[float, Meta(ge=0, le=100_000)]
_Tokens = Annotated[int, Meta(ge=1, le=1_000_000_000)]
#: Members of the file's objects that two words' rules of `rename` would spell otherwise.
_SPELLED = {
    "cache_read": "cacheRead",
    "cache_write_5m": "cacheWrite5m",
    "cache_write_1h": "cacheWrite1h",
    "free": "freeSuffixes",
    "ignored": "ignoredSuffixes",
    "like": "as",
}


class TierForm(msgspec.Struct, rename=_SPELLED, forbid_unknown_fields=True, omit_defaults=True):
    """A tier as a file has it."""

    tokens: _Tokens
    input: _Dollars | None = None
    output: _Dollars | None = None
    cache_read: _Dollars | None = None
    cache_write_5m: _Dollars | None = None
    cache_write_1h: _Dollars | None = None
    thinking: _Dollars | None = None


class ModelForm(msgspec.Struct, rename=_SPELLED, forbid_unknown_fields=True, omit_defaults=True):
    """A model as a file has it. `also`: other names of it; `context`: its window in tokens; `origin`: where the figures
    were read. Without `input` and `output` it has no price.
    """

    input: _Dollars | None = None
    output: _Dollars | None = None
    cache_read: _Dollars | None = None
    cache_write_5m: _Dollars | None = None
    cache_write_1h: _Dollars | None = None
    thinking: _Dollars | None = None
    search: _Dollars | None = None
    above: list[TierForm] = []
    context: _Tokens | None = None
    also: list[str] = []
    origin: str = ""


class PremiumForm(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What some requests cost more: those whose model, as written, `model` finds."""

    factor: Annotated[float, Meta(gt=0, le=100)]
    model: str


class VendorForm(msgspec.Struct, rename=_SPELLED, forbid_unknown_fields=True, omit_defaults=True):
    """A vendor as a file has it, but for its models.

    `hosts`: names of hosts, of which subdomains are a part, or patterns with `*`; `like`: vendors whose models cost the
    same here; `makers`: by what stands before the "/" of a model, the vendor whose model it is, and whose price;
    `free`: endings of models that cost nothing; `ignored`: endings that change no price of tokens; `search`: US dollars
    per thousand web searches.
    """

    hosts: list[str] = []
    like: list[str] = []
    makers: dict[str, str] = {}
    free: list[str] = []
    ignored: list[str] = []
    premium: PremiumForm | None = None
    origin: str = ""
    search: _Dollars | None = None
    models: dict[str, Any] = {}


class LocalForm(msgspec.Struct, forbid_unknown_fields=True):
    """Servers of models that run where they are asked: their profiles, and which models they only pass on."""

    profiles: list[str]
    remote: str


class FileForm(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The whole file."""

    format: str
    date: Annotated[str, Meta(pattern=r"^20\d\d-[01]\d-[0-3]\d$")]
    vendors: dict[str, Any]
    note: str = ""
    local: LocalForm | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of a vendor: its rates, if they are known, its window in tokens, if that is, and where they are from."""

    rates: Rates | None
    context: int | None
    source: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Vendor:
    """Who sends the bill. `models` by lower-case name, other names among them; the rest as in `VendorForm`."""

    hosts: tuple[str, ...] = ()
    models: Mapping[str, Entry] = field(default_factory=dict)
    like: tuple[str, ...] = ()
    makers: Mapping[str, str] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    premium: tuple[re.Pattern[str], float] | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Vendors by name. `date` is the day for which the figures hold, ISO."""

    date: str
    vendors: Mapping[str, Vendor]
    local_profiles: frozenset[str] = frozenset()
    remote: re.Pattern[str] | None = None


def read_catalogue(tree: Json, file: str, source: str = "") -> Catalogue:
    """The catalogue that `tree`, the content of `file`, holds. `source` is what its prices are said to be from;
    "catalogue" and its date if that is "". Raises ConfigError with everything that is wrong, each with its path.
    """
    problems: list[Problem] = []
    form = _convert(tree, FileForm, "", file, problems)
    if form is not None and form.format != FORMAT:
        problems.append(Problem(file, "format", f'must be "{FORMAT}", not {form.format!r}'))
    if form is None or problems:
        raise ConfigError(problems)
    said = source or f"catalogue {form.date}"
    vendors = {}
    for name, written in form.vendors.items():
        vendor = _vendor(written, f"vendors.{name}", said, file, problems)
        if vendor is not None:
            vendors[name] = vendor
    remote = _pattern(form.local.remote, "local.remote", file, problems) if form.local else None
    if problems:
        raise ConfigError(problems)
    return Catalogue(form.date, vendors, frozenset(form.local.profiles if form.local else ()), remote)


def _vendor(written: Any, path: str, source: str, file: str, problems: list[Problem]) -> Vendor | None:
    form = _convert(written, VendorForm, path, file, problems)
    if form is None:
        return None
    models: dict[str, Entry] = {}
    for name, inner in form.models.items():
        spot = f"{path}.models.{name}"
        model = _convert(inner, ModelForm, spot, file, problems)
        if model is None:
            continue
        if (model.input is None) != (model.output is None):
            problems.append(Problem(file, spot, "has `input` or `output` without the other"))
        entry = Entry(_rates(model, form.search), model.context, source, model.origin or form.origin)
        for spelling in (name, *model.also):
            if spelling.lower() in models:
                problems.append(Problem(file, spot, f"names {spelling!r}, which is named already"))
            models[spelling.lower()] = entry
    found = _pattern(form.premium.model, f"{path}.premium.model", file, problems) if form.premium else None
    premium = (found, form.premium.factor) if found and form.premium else None
    hosts = tuple(host.lower() for host in form.hosts)
    return Vendor(hosts, models, tuple(form.like), form.makers, tuple(form.free), tuple(form.ignored), premium)


def _rates(form: ModelForm, search: float | None) -> Rates | None:
    if form.input is None or form.output is None:
        return None
    tiers = (
        Tier(
            one.tokens,
            one.input,
            one.output,
            one.cache_read,
            one.cache_write_5m,
            one.cache_write_1h,
            one.thinking,
        )
        for one in form.above
    )
    return Rates(
        form.input,
        form.output,
        form.cache_read,
        form.cache_write_5m,
        form.cache_write_1h,
        form.thinking,
        search if form.search is None else form.search,
        tuple(sorted(tiers, key=lambda tier: tier.tokens)),
    )


def _pattern(text: str, path: str, file: str, problems: list[Problem]) -> re.Pattern[str] | None:
    try:
        return re.compile(text)
    except re.error as error:
        problems.append(Problem(file, path, f"is no pattern: {error}"))
        return None


def _convert(tree: Any, form: type[Any], path: str, file: str, problems: list[Problem]) -> Any:
    """`tree` as a `form`, or None and a problem that names the place."""
    try:
        return msgspec.convert(tree, form)
    except msgspec.ValidationError as error:
        words, _, inner = str(error).partition(" - at `$")
        spot = (path + inner.removesuffix("`")).strip(".")
        problems.append(Problem(file, spot, words[:1].lower() + words[1:]))
        return None


@cache
def packaged() -> Catalogue:
    """The catalogue of this package."""
    data = files("ccrouter.prices").joinpath("catalogue.json").read_bytes()
    tree: JsonObject = msgspec.json.decode(data)
    return read_catalogue(tree, "catalogue.json")
