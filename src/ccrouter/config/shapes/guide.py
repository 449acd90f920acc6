"""The guide's shape: maps `servers`, `providers` and `routers`, with `routes` from target to what it serves."""

from __future__ import annotations

from dataclasses import replace

from ccrouter.config.draft import Draft, ProviderDraft, Ref, RouterDraft, draft_router
from ccrouter.config.fields import REQUEST_CLASSES
from ccrouter.config.kinds import Flag
from ccrouter.config.record import Record
from ccrouter.config.report import Place, kind_of, suggestion
from ccrouter.config.schema import ROUTE_NAMES
from ccrouter.jsontypes import Json


def lower(top: Record) -> Draft:
    """The guide's part of the file: a map under `providers` or `Providers`, `routers`, `servers`."""
    providers: dict[str, ProviderDraft] = {}
    for key in ("providers", "Providers"):
        found = top.get(key)
        for name, record in found.items() if isinstance(found, dict) else ():
            providers[name.strip().casefold()] = ProviderDraft(name.strip(), record, "guide")
    return Draft(
        providers=list(providers.values()),
        routers={name: _router(record) for name, record in top.get("routers", {}).items()},
        servers=top.get("servers", {}),
    )


def _router(record: Record) -> RouterDraft:
    draft = draft_router(record, "guide")
    place = record.at("routes")
    routes = record.get("routes", {})
    if not isinstance(routes, dict):
        place.refuse(f"must be an object, not {kind_of(routes)}", 'write { "provider,model": { "default": true } }')
        return draft
    named = dict(draft.routes)
    mentions = []
    for target, flags in routes.items():
        ref = Ref(target.strip(), place.key(target))
        mentions.append(ref)
        for route in _flags(flags, ref.place):
            if route in named:
                ref.place.warn(f'is marked "{route}", but {named[route].text} already is; the first counts')
            else:
                named[route] = ref
    return replace(draft, routes=named, mentions=mentions)


def _flags(value: Json, place: Place) -> list[str]:
    """The routes that a target is marked with. `true` marks it as default."""
    if value is None or isinstance(value, bool):
        return ["default"] if value else []
    if not isinstance(value, dict):
        place.refuse(f"must be an object, not {kind_of(value)}", 'write { "default": true }')
        return []
    known = {name.lower(): name for name in (*ROUTE_NAMES, *REQUEST_CLASSES)}
    marked = []
    for key, flag in value.items():
        route = known.get(key.lower())
        if route is None:
            place.key(key).warn("is not a route; it is kept", suggestion(key, known.values()))
        elif Flag().read(flag, place.key(key)):
            marked.append(route)
    return marked
