"""Routes: which model serves which kind of request, and what would become of one that is pasted; nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ccrouter.config.schema import ROUTE_NAMES, ModelRef, Router
from ccrouter.jsontypes import JsonObject
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.plan import fallbacks_of
from ccrouter.store.filters import Filters
from ccrouter.web.page import Page, View
from ccrouter.web.parts.graph import draw
from ccrouter.web.parts.records import consult
from ccrouter.web.parts.trying import EXAMPLE

if TYPE_CHECKING:
    from ccrouter.store.reports import Reports

_DAY = timedelta(days=1)
#: What goes where, for whom the names say nothing.
_WHEN: Mapping[str, str] = {
    "default": "everything that no other rule takes",
    "background": "side work: haiku models, and what the client calls background",
    "webSearch": "the request offers the web search tool",
    "image": "the last message holds an image",
    "subagent": "an agent that the client started",
    "compaction": "the client compacts its conversation",
    "main": "the client's main conversation, where no other rule applies",
}
#: Routes that no router writes, and how a request comes by them.
_UNWRITTEN: Mapping[str, str] = {
    "explicit": "the client named a provider's model itself",
    "alias": "the asked model fits a pattern",
    "custom": "the custom router chose",
    "subagent": "a tag in the prompt of an agent named the model",
}
_NO_USE: JsonObject = {"routes": {}, "targets": {}}


def read(view: View) -> JsonObject:
    """The facts of this page."""
    config, router = view.config, view.config.router
    found = consult(view, lambda reports: {"use": _use(reports, view, router)}, {"use": _NO_USE})
    use = found.pop("use")
    look = _Look(view, Catalog(config.providers, config.unavailable), use["routes"], use["targets"])
    routes = [look.route(*one) for one in _written(router)]
    targets = {(one["provider"], one["model"]): one for route in routes for one in route["targets"]}
    written = {one["name"] for one in routes}
    others = [
        {"name": name, "how": _UNWRITTEN.get(name, "of a project's router, or of another configuration"), **row}
        for name, row in use["routes"].items()
        if name not in written and not (name == "alias" and router.aliases)
    ]
    return {
        "routes": routes,
        "drawing": draw(routes, targets) if routes else None,
        "others": others,
        "settings": {
            "longContextAbove": router.long_context_threshold,
            "thinkEffort": router.think_effort or None,
            "defaultProvider": router.default_provider,
            "strict": router.is_strict,
            "customRouter": config.custom_router.path.name if config.custom_router else None,
        },
        "example": EXAMPLE.split("\n"),
        **found,
    }


PAGE = Page("/ui/routes", "Routes", "routes.html", read, twin="/api/routes")


def _use(reports: Reports, view: View, router: Router) -> JsonObject:
    """What each route, and each target that the router names, did in the last day."""
    since = view.now - _DAY
    rows = {row["name"]: row for row in reports.usage("route", since=since) if row["name"]}
    providers = {ref.provider for _, _, refs in _written(router) for ref in refs}
    targets = {
        (name, row["name"]): row
        for name in sorted(providers)
        for row in reports.usage("model", since=since, filters=Filters(provider=name))
        if row["name"]
    }
    return {"routes": rows, "targets": targets}


def _written(router: Router) -> Iterator[tuple[str, str, tuple[ModelRef, ...]]]:
    """Every route and alias: its name, its pattern ("" for a route), and its targets in order."""
    routes = router.routes
    for name in [*(one for one in ROUTE_NAMES if one in routes), *(one for one in routes if one not in ROUTE_NAMES)]:
        yield name, "", (routes[name], *fallbacks_of(name, "", router))
    for pattern, ref in router.aliases:
        yield f"alias {pattern}", pattern, (ref, *fallbacks_of("alias", pattern, router))


@dataclass(frozen=True, slots=True)
class _Look:
    """What is told of routes and targets at one moment; `routes` and `targets` are what they did of late."""

    view: View
    catalog: Catalog
    routes: Mapping[str, JsonObject]
    targets: Mapping[tuple[str, str], JsonObject]

    def route(self, name: str, pattern: str, refs: Iterable[ModelRef]) -> JsonObject:
        router = self.view.config.router
        known = "alias" if pattern and len(router.aliases) == 1 else "" if pattern else name
        row = self.routes.get(known)
        chain: dict[tuple[str, str], JsonObject] = {}
        for ref in refs:
            told = self._target(ref)
            chain.setdefault((told["provider"], told["model"]), {**told, "place": len(chain) + 1})
        return {
            "name": name,
            "alias": pattern or None,
            "when": f"the asked model fits {pattern}" if pattern else self._when(name),
            "fidelity": router.fidelity_of("alias" if pattern else name),
            "targets": list(chain.values()),
            **self._use(row, self.routes.values()),
        }

    def _when(self, name: str) -> str:
        router = self.view.config.router
        if name == "longContext":
            return f"more than {router.long_context_threshold:,} tokens of conversation"
        if name == "think":
            effort = f", or effort {router.think_effort} and more" if router.think_effort else ""
            return f"thinking was asked for{effort}"
        return _WHEN.get(name, f"the client says that the request is of class {name}")

    def _target(self, ref: ModelRef) -> JsonObject:
        view, target = self.view, self.catalog.target(ref)
        provider, model = (ref.provider, ref.model) if target is None else (target.provider.name, target.model)
        tried = view.health.get("targets", ())
        known = next((one for one in tried if (one["provider"], one["model"]) == (provider, model)), None)
        sent = view.policy.model_sent(model)
        return {
            "provider": provider,
            "model": model,
            "denied": None if target is None else view.denial_of(target) or None,
            "unavailable": self._missing(ref) if target is None else None,
            "sentAs": None if sent == model else sent,
            "state": "well" if known is None else known["state"],
            "secondsLeft": None if known is None else known["secondsLeft"],
            **self._use(self.targets.get((provider, sent)), self.routes.values()),
        }

    def _missing(self, ref: ModelRef) -> str:
        reasons = self.view.config.unavailable
        why = next((reasons[name] for name in reasons if name.casefold() == ref.provider.casefold()), "")
        return why or "no provider of this name is configured"

    def _use(self, row: JsonObject | None, everything: Iterable[JsonObject]) -> JsonObject:
        """Requests and the share of all of them; None where nothing is recorded."""
        if self.view.reports is None:
            return {"requests": None, "failed": None, "share": None}
        total = sum(one["requests"] for one in everything)
        requests = row["requests"] if row is not None else 0
        failed = row["failed"] if row is not None else 0
        return {"requests": requests, "failed": failed, "share": requests / total if total else None}
