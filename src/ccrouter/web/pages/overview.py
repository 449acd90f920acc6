"""Overview: what is under way, what was spent, how well the cache and the providers do, over a time; and what runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ccrouter.compliance.policy import EXTENSION_POINTS, Policy
from ccrouter.config.credentials import in_headers
from ccrouter.config.schema import DRY_RUN, ROUTE_NAMES, Config, Provider
from ccrouter.jsontypes import JsonObject
from ccrouter.loopback import is_loopback
from ccrouter.web.page import Page, View
from ccrouter.web.parts.address import address_of
from ccrouter.web.parts.records import added, consult
from ccrouter.web.parts.spans import Span, midnight, span_of, told

if TYPE_CHECKING:
    from ccrouter.store.reports import Reports

_DIALECTS = {
    "anthropic": "Anthropic Messages",
    "openai_chat": "OpenAI Chat Completions",
    "openai_responses": "OpenAI Responses",
    "gemini": "Gemini",
}
#: A list with more in it is folded away.
_MANY = 12


def read(view: View) -> JsonObject:
    """The facts of this page."""
    config, span = view.config, span_of(view.query)
    return {
        "router": _process(view),
        "policy": _policy_in_brief(view.policy),
        "warnings": [{"place": one.path, "message": one.message, "hint": one.hint} for one in config.warnings],
        "range": told(span, view.now),
        "live": list(view.live),
        **consult(view, lambda reports: _recorded(reports, view, span), dict(_NOTHING)),
    }


PAGE = Page("/ui/", "Overview", "overview.html", read, twin="/api/overview")

_NOTHING: JsonObject = {"today": None, "totals": None, "series": [], "models": [], "providers": []}


def _recorded(reports: Reports, view: View, span: Span) -> JsonObject:
    found = reports.overview(view.now - timedelta(seconds=span.seconds), view.now, span.step)
    return {
        "today": added(reports.usage("provider", since=midnight(view.now))),
        "totals": _rated(found["totals"]),
        "series": _rates(found["series"]),
        "models": _rates(found["models"]),
        "providers": _rates(found["providers"]),
    }


def _rates(rows: Sequence[JsonObject]) -> list[JsonObject]:
    return [_rated(row) for row in rows]


def _rated(row: JsonObject) -> JsonObject:
    """With the share of requests that failed, None of none."""
    return {**row, "errorRate": row["failed"] / row["requests"] if row["requests"] else None}


def _policy_in_brief(policy: Policy) -> JsonObject | None:
    if not policy.is_in_force:
        return None
    return {"name": policy.name, "source": policy.source, "isPinned": policy.is_pinned}


def _process(view: View) -> JsonObject:
    config = view.config
    return {
        "version": view.version,
        "pid": view.pid,
        "address": address_of(config),
        "audience": "this machine only" if is_loopback(config.host) else f"every machine that reaches {config.host}",
        "key": "asked of every client" if config.api_key else "none asked",
        "since": view.started.isoformat(timespec="seconds"),
        "config": str(config.path) if config.path else "",
        "digest": config.digest,
    }


def _policy(policy: Policy) -> JsonObject | None:
    if not policy.is_in_force:
        return None
    return {
        "name": policy.name,
        "digest": policy.digest,
        "source": policy.source,
        "is_pinned": policy.is_pinned,
        "rules": _lists(policy),
        "demands": _demands(policy),
    }


def _lists(policy: Policy) -> list[JsonObject]:
    """The rules that are lists, of those that are made. An empty one of what is allowed allows nothing."""
    extensions = policy.allowed_extensions
    origins = policy.allowed_key_origins
    listed = (
        ("Allowed providers", policy.allowed_providers),
        ("Banned providers", policy.banned_providers or None),
        ("Allowed hosts", policy.allowed_hosts),
        ("Banned hosts", policy.banned_hosts or None),
        ("Banned addresses", tuple(map(str, policy.banned_addresses)) or None),
        ("Allowed models", policy.allowed_models),
        ("Banned models", policy.banned_models or None),
        ("Sent as another model", tuple(f"{name} → {sent}" for name, sent in policy.sent_as.items()) or None),
        ("Allowed proxies", policy.allowed_proxies),
        ("Allowed extensions", None if extensions is None else [one for one in EXTENSION_POINTS if one in extensions]),
        ("Keys may come from", None if origins is None else sorted(origins)),
    )
    made = [(name, list(values)) for name, values in listed if values is not None]
    return [{"name": name, "values": values, "is_long": len(values) > _MANY} for name, values in made]


def _demands(policy: Policy) -> list[str]:
    length = policy.client_key_length
    made = (
        ("https to every provider", policy.https_only),
        ("listens on this machine only", policy.loopback_only),
        (f"clients show a key of {length} characters or more", length > 0),
        ("files that nobody else can read", policy.private_files),
        ("a config in strict JSON", policy.strict_syntax),
        ("an audit log of every decision", policy.audit_required),
    )
    return [text for text, is_made in made if is_made]


def _routes(config: Config) -> list[JsonObject]:
    routes, fallback = config.router.routes, config.router.fallback
    names = [*(name for name in ROUTE_NAMES if name in routes), *(name for name in routes if name not in ROUTE_NAMES)]
    return [
        {
            "name": name,
            "provider": routes[name].provider,
            "model": routes[name].model,
            "fallback": [str(one) for one in fallback.get(name, ())],
        }
        for name in names
    ]


def _used(config: Config) -> list[Provider]:
    """Every provider; the built-in one only where it is the only one."""
    return [one for one in config.providers if one.name != DRY_RUN] or list(config.providers)


def _provider(provider: Provider) -> JsonObject:
    endpoint = provider.endpoints[0]
    is_built_in = provider.name == DRY_RUN
    return {
        "name": provider.name,
        "host": "answers here, scripted" if is_built_in else urlsplit(endpoint.public_url).netloc,
        "dialect": _DIALECTS[endpoint.dialect],
        "models": list(provider.models),
        "key": "not needed" if is_built_in else "set" if _has_key(provider) else "not set",
    }


def _has_key(provider: Provider) -> bool:
    return bool(provider.key) or any(True for _ in in_headers(provider.headers))
