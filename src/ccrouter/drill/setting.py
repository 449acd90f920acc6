"""A configuration as it is drilled: the user's own routes, chains, transforms and patience with failures; nothing of
theirs that is secret, and no address but the drill's.

Every provider is made anew from what may be taken over, not stripped of what may not: what is forgotten here stays at
home.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from ccrouter.config.schema import (
    DRY_RUN,
    EVERY_ROUTE,
    ROUTE_NAMES,
    Config,
    Endpoint,
    ModelRef,
    PoolKey,
    Provider,
    Router,
    Target,
    Timeouts,
    TransformSpec,
)
from ccrouter.dialects.profiles import profile_of
from ccrouter.drill.server import HOST, PATHS, Pace
from ccrouter.errors import LocalProtocolError
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.loopback import is_loopback
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.plan import Plan, make_plan
from ccrouter.routing.rules import Route
from ccrouter.secret import Secret
from ccrouter.transforms.registry import TRANSFORMS

#: RFC 6761: a name that no server will ever answer for; the drill's event loop does not even ask.
NO_SUCH_HOST = "drill.invalid"
_DUMMY = "drill-key-of-nobody"


@dataclass(frozen=True, slots=True)
class Drilled:
    """A route to drill: its name, and whom it asks."""

    name: str
    plan: Plan

    @property
    def letters(self) -> Mapping[str, str]:
        """A letter for each target, in the order of the plan."""
        return {str(target): chr(ord("A") + number % 26) for number, target in enumerate(self.plan.every)}


@dataclass(frozen=True, slots=True)
class Places:
    """Where the drill's providers are: `port` the server's, `refused` one where nobody listens. `faulty` are the
    providers whose requests do not even arrive, for the reason `fault`.
    """

    run: str
    port: int
    refused: int
    fault: Literal["server", "refused", "dns", "tls"] = "server"
    faulty: frozenset[str] = frozenset()

    def endpoint(self, provider: str, number: int, endpoint: Endpoint) -> Endpoint:
        """Where `endpoint` of the provider is in the drill. Platforms are asked in their dialect's plain form."""
        base = f"http://{HOST}:{self.port}"
        if provider in self.faulty:
            match self.fault:
                case "refused":
                    base = f"http://{HOST}:{self.refused}"
                case "dns":
                    base = f"http://{NO_SUCH_HOST}:{self.port}"
                case "tls":
                    base = f"https://{HOST}:{self.port}"
                case "server":
                    pass
        return Endpoint(endpoint.dialect, f"{base}/{self.run}/{number}/{endpoint.dialect}{PATHS[endpoint.dialect]}")


def routes_of(config: Config, names: tuple[str, ...] = ()) -> list[Drilled]:
    """The routes to drill: the default one, and each other that asks somebody else first; or those called `names`.

    None is of the built-in provider: it never leaves the process. Raises KeyError for a name that no route has.
    """
    catalog = Catalog(config.providers)
    every = {
        route.name: Drilled(route.name, make_plan(route, config.router, catalog)) for route in _routes(config, catalog)
    }
    if names:
        return [every[name] for name in names]
    firsts: dict[str, Drilled] = {}
    for drilled in every.values():
        firsts.setdefault(str(drilled.plan.targets[0]), drilled)
    return list(firsts.values())


def _routes(config: Config, catalog: Catalog) -> Iterator[Route]:
    router = config.router
    names = [name for name in ROUTE_NAMES if name in router.routes]
    for name in dict.fromkeys([*names, *router.routes]):
        target = catalog.target(router.routes[name])
        if target is not None and target.provider.name != DRY_RUN:
            yield Route(name, target, "")
    for pattern, ref in router.aliases:
        target = catalog.target(ref)
        if target is not None and target.provider.name != DRY_RUN:
            yield Route(pattern, target, "", pattern)


def drilled_config(config: Config, drilled: Drilled, places: Places, pace: Pace) -> Config:
    """`config` with `drilled` as its one route, its providers at `places`. Raises LocalProtocolError if anything in it
    leads elsewhere.
    """
    plan = drilled.plan
    providers = {target.provider.name: target.provider for target in plan.every if target.provider.name != DRY_RUN}
    first, *rest = (_ref(target) for target in plan.targets if target.provider.name != DRY_RUN)
    routes = {"default": first}
    if plan.longer is not None and plan.longer.provider.name != DRY_RUN:
        routes["longContext"] = _ref(plan.longer)
    made = Config(
        router=Router(
            routes=routes,
            fallback={"default": tuple(rest)},
            fidelity={EVERY_ROUTE: config.router.fidelity_of(drilled.name)},
        ),
        providers=tuple(
            _provider(provider, number, plan, places, pace, config.secrets)
            for number, provider in enumerate(providers.values())
        ),
        retries=config.retries,
        limits=config.limits,
        drain_seconds=0.1,
        auto_reload=False,
        resume=config.resume,
        log_level="error",
    )
    check_island(made)
    return made


def numbers_of(plan: Plan) -> Mapping[str, str]:
    """The numbers by which the drill's server knows the providers of a plan, and their names."""
    names = dict.fromkeys(target.provider.name for target in plan.every if target.provider.name != DRY_RUN)
    return {str(number): name for number, name in enumerate(names)}


def check_island(config: Config) -> None:
    """Raises LocalProtocolError unless every provider is on this machine, asked directly, with a key of the drill's."""
    for provider in config.providers:
        for endpoint in provider.endpoints:
            host = urlsplit(endpoint.url).hostname or ""
            if endpoint.platform or not (is_loopback(host) or host == NO_SUCH_HOST):
                raise LocalProtocolError(f"the drill would leave this machine: {provider.name} at {host}")
        keys = [key.secret for key in provider.pool]
        if provider.proxy != "" or any(key is not None and not key.reveal().startswith(_DUMMY) for key in keys):
            raise LocalProtocolError(f"the drill would use what is the user's own: {provider.name}")


def _ref(target: Target) -> ModelRef:
    return ModelRef(target.provider.name, target.model)


def _provider(  # noqa: PLR0913, PLR0917 - what a provider is made of
    provider: Provider, number: int, plan: Plan, places: Places, pace: Pace, secrets: tuple[Secret, ...]
) -> Provider:
    keys = tuple(_dummy(key, number, place) for place, key in enumerate(provider.pool))
    known = next(profile_of(target).name for target in plan.every if target.provider is provider)
    auth = provider.options.get("auth")
    total = provider.timeouts.total

    def ours(specs: tuple[TransformSpec, ...]) -> tuple[TransformSpec, ...]:
        return tuple(
            replace(spec, options=_without(spec.options, secrets))
            for spec in specs
            if not spec.path and spec.name in TRANSFORMS
        )

    return Provider(
        name=provider.name,
        endpoints=tuple(places.endpoint(provider.name, number, endpoint) for endpoint in provider.endpoints),
        key=keys[0].secret,
        key_source=keys[0].source,
        models=provider.models,
        proxy="",
        timeouts=Timeouts(
            connect=pace.patience,
            first_byte=pace.patience,
            idle=pace.patience,
            total=None if total is None else max(total, 10 * pace.patience),
        ),
        transforms=ours(provider.transforms),
        model_transforms={model: ours(specs) for model, specs in provider.model_transforms.items()},
        profile=known,  # recognised by its address before: the drill's says nothing
        fidelity=provider.fidelity,
        options={} if auth is None else {"auth": auth},
        certified=provider.certified,
        keys=keys,
    )


def _dummy(key: PoolKey, number: int, place: int) -> PoolKey:
    """A key in the place of the user's, which is as much asked for as theirs, and unlike all others."""
    secret = Secret(f"{_DUMMY}-{number}-{place}-x7Qm2Lp9") if key.secret is not None else None
    return replace(key, secret=secret, source="the drill", label=f"key {place + 1}")


def _without(options: JsonObject, secrets: tuple[Secret, ...]) -> JsonObject:
    """`options` with every secret in them replaced."""

    def clean(value: Json) -> Json:
        if isinstance(value, dict):
            return {name: clean(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [clean(inner) for inner in value]
        if isinstance(value, str):
            for secret in secrets:
                value = value.replace(secret.reveal(), _DUMMY)
        return value

    return {name: clean(value) for name, value in options.items()}


def given_up(config: Config, routes: list[Drilled]) -> list[str]:
    """What of the configuration is not drilled, in a sentence each."""
    providers = {target.provider.name: target.provider for drilled in routes for target in drilled.plan.every}
    told = []
    platforms = [name for name, one in providers.items() if any(endpoint.platform for endpoint in one.endpoints)]
    if platforms:
        told.append(f"Platforms are asked in the plain form of their wire format: {', '.join(platforms)}.")
    specs = [
        spec
        for provider in providers.values()
        for spec in (*provider.transforms, *(one for own in provider.model_transforms.values() for one in own))
    ]
    is_custom = config.custom_router or config.rewrite_system_prompt or config.custom_transformers
    if is_custom or any(spec.path or spec.name not in TRANSFORMS for spec in specs):
        told.append("Your own code is not run in a drill.")
    if any(provider.headers or provider.extra_body for provider in providers.values()):
        told.append("Your own headers and extra members of requests are left out.")
    if any(target.provider.name == DRY_RUN for drilled in routes for target in drilled.plan.every):
        told.append("The built-in dry-run provider is left out: it cannot fail.")
    return told


#: What is drilled where there is no configuration: two providers, one in each of the wire formats most in use.
DEMO: JsonObject = {
    "Providers": [
        {
            "name": "first",
            "api_base_url": "https://first.invalid/v1/messages",
            "api_key": "demo-key-of-the-first-provider",
            "models": ["claude-demo"],
        },
        {
            "name": "second",
            "api_base_url": "https://second.invalid/v1/chat/completions",
            "api_key": "demo-key-of-the-second-provider",
            "models": ["gpt-demo"],
        },
    ],
    "Router": {"default": "first,claude-demo"},
    "fallback": {"default": ["second,gpt-demo"]},
}
