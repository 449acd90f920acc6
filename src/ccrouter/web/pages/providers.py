"""Providers and keys: how each is, what rests and until when, what is left of its limits, what it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ccrouter.certify.quick import MOST_REQUESTS, MOST_TOKENS
from ccrouter.config.schema import DRY_RUN, Config, Provider, Target
from ccrouter.jsontypes import JsonObject
from ccrouter.routing.catalog import Catalog
from ccrouter.store.filters import Filters
from ccrouter.web.page import Page, View
from ccrouter.web.parts.dialects import dialect_words
from ccrouter.web.parts.records import consult
from ccrouter.web.parts.story import kind_words

if TYPE_CHECKING:
    from ccrouter.store.reports import Reports

_DAY = timedelta(days=1)
#: Of a provider's models that nothing routes to and nothing is known of, so many are listed.
_MOST_MODELS = 500
#: From the best to the worst.
_STATES = ("well", "failing", "trying", "open")


def read(view: View) -> JsonObject:
    """The facts of this page."""
    config = view.config
    shown = [one for one in config.providers if one.name != DRY_RUN] or list(config.providers)
    keys = {one["name"]: one["keys"] for one in view.health.get("providers", ())}
    known: dict[str, list[JsonObject]] = {}
    for one in view.health.get("targets", ()):
        known.setdefault(one["provider"], []).append(one)
    found = consult(view, lambda reports: {"used": _used(reports, view)}, {"used": {}})
    used: Mapping[str, JsonObject] = found.pop("used")
    routed = _routed(config)
    return {
        "providers": [
            {
                **_provider(one, view, known.get(one.name, ()), routed, used.get(one.name)),
                "keys": keys.get(one.name, []),
            }
            for one in shown
        ],
        "unavailable": [{"name": name, "reason": reason} for name, reason in config.unavailable.items()],
        "retry": view.health.get("retry"),
        "battery": {"requests": MOST_REQUESTS, "tokens": MOST_TOKENS},
        "test": dict(view.test) if view.test else None,
        **found,
    }


PAGE = Page("/ui/providers", "Providers", "providers.html", read, twin="/api/providers")


def _used(reports: Reports, view: View) -> JsonObject:
    """What each provider took in the last day, by its name, with what each of its models did."""
    since = view.now - _DAY
    found: JsonObject = {}
    for row in reports.usage("provider", since=since):
        name = row["name"]
        if name:
            models = reports.usage("model", since=since, filters=Filters(provider=name))
            found[name] = {**row, "models": [one for one in models if one["name"]]}
    return found


def _provider(
    provider: Provider,
    view: View,
    known: Iterable[JsonObject],
    routed: Mapping[tuple[str, str], list[str]],
    used: JsonObject | None,
) -> JsonObject:
    endpoint = provider.endpoints[0]
    by_model = {one["name"]: one for one in (used or {}).get("models", ())}
    targets = [{**_target(provider, one, view, routed), "used": by_model.get(one["model"])} for one in known]
    told = {one["model"] for one in targets}
    others = [model for model in provider.models if model not in told]
    is_built_in = provider.name == DRY_RUN
    worst = max((one["state"] for one in targets), key=_STATES.index, default="well")
    return {
        "name": provider.name,
        "dialect": endpoint.dialect,
        "dialectName": dialect_words(endpoint.dialect),
        "host": None if is_built_in else urlsplit(endpoint.public_url).netloc,
        "urls": [] if is_built_in else [one.public_url for one in provider.endpoints],
        "platform": endpoint.platform or None,
        "builtIn": is_built_in,
        "transforms": [one.name for one in provider.transforms],
        "state": worst,
        "targets": targets,
        "models": others[:_MOST_MODELS],
        "moreModels": max(0, len(others) - _MOST_MODELS),
        "used": used,
    }


def _target(
    provider: Provider, known: JsonObject, view: View, routed: Mapping[tuple[str, str], list[str]]
) -> JsonObject:
    model, failure = known["model"], known["lastFailure"]
    return {
        "model": model,
        "state": known["state"],
        "failures": known["failures"],
        "secondsLeft": known["secondsLeft"],
        "until": known["until"],
        "lastFailure": None
        if failure is None
        else {"kind": failure["kind"], "words": kind_words(failure["kind"]), "at": failure["at"]},
        "denied": view.denial_of(Target(provider, model)) or None,
        "routes": routed.get((provider.name, model), []),
    }


def _routed(config: Config) -> dict[tuple[str, str], list[str]]:
    """Where the router names each target: routes, aliases, fallbacks."""
    router, catalog = config.router, Catalog(config.providers)
    places = [(name, ref) for name, ref in router.routes.items()]
    places += [(f"alias {pattern}", ref) for pattern, ref in router.aliases]
    for name, refs in (*router.fallback.items(), *router.alias_fallback.items()):
        places += [(f"fallback of {name}", ref) for ref in refs]
    found: dict[tuple[str, str], list[str]] = {}
    for place, ref in places:
        target = catalog.target(ref)
        if target is not None:
            found.setdefault((target.provider.name, target.model), []).append(place)
    return found
