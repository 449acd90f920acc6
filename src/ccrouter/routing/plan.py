"""What to try, in order. Pure; tries nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

from ccrouter.config.schema import ModelRef, Router, Target
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.rules import Route

#: Routes with fallbacks of their own and no others. The Node router, whose configurations we read, files every other
#: decision (explicit models, tags, images) under `default`, and people list their fallbacks there.
_OWN_FALLBACK = frozenset({"default", "background", "think", "longContext", "webSearch"})
#: The route of models with a large window, and those whose model somebody named himself: to be told that it is too
#: small helps more there than another model.
_LONG = "longContext"
_NAMED = frozenset({"explicit", "custom"})


@dataclass(frozen=True, slots=True)
class Plan:
    """The targets to try, best first, none twice; and the one for requests that turn out too long, where the route was
    not for those already (None: there is no other).
    """

    targets: tuple[Target, ...]
    longer: Target | None = None

    @property
    def every(self) -> tuple[Target, ...]:
        """All that may be asked."""
        return self.targets if self.longer is None or self.longer in self.targets else (*self.targets, self.longer)


def make_plan(route: Route, router: Router, catalog: Catalog) -> Plan:
    """The route's own target, then its fallbacks.

    A fallback whose provider is not configured is left out: loading the configuration has said which.
    """
    targets = [route.target]
    for ref in fallbacks_of(route.name, route.alias, router):
        target = catalog.target(ref)
        if target is not None and target not in targets:
            targets.append(target)
    return Plan(tuple(targets), _longer(route, router, catalog))


def fallbacks_of(name: str, alias: str, router: Router) -> tuple[ModelRef, ...]:
    """What the router names to be tried after the target of a route, or of an alias by its pattern ("" for none)."""
    refs = router.alias_fallback.get(alias) if alias else None
    if refs is not None:
        return refs
    return router.fallback.get(name if name in router.fallback or name in _OWN_FALLBACK else "default", ())


def _longer(route: Route, router: Router, catalog: Catalog) -> Target | None:
    if _LONG not in router.routes or route.name == _LONG or route.name in _NAMED:
        return None
    target = catalog.target(router.routes[_LONG])
    return None if target == route.target else target
