"""What both file shapes are lowered to before names are resolved: providers, routers and servers as written, each with
the place it stands at. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ccrouter.config.fields import REQUEST_CLASSES, ROUTER
from ccrouter.config.kinds import Chain, Text, is_empty
from ccrouter.config.record import Record
from ccrouter.config.report import Place, closest
from ccrouter.config.schema import Fidelity
from ccrouter.jsontypes import Json

_CHAIN = Chain(Text())

Shape = Literal["classic", "guide"]


@dataclass(frozen=True, slots=True)
class Ref:
    """A target as the user named it, and where; `then` are those of a chain that follow it."""

    text: str
    place: Place
    then: tuple[Ref, ...] = ()

    @property
    def chain(self) -> tuple[Ref, ...]:
        """It and those that follow it."""
        return (self, *self.then)


@dataclass(frozen=True, slots=True)
class ProviderDraft:
    """A provider as written."""

    name: str
    record: Record
    shape: Shape


@dataclass(frozen=True, slots=True)
class RouterDraft:
    """A router as written. `mentions` are targets that it lists without a route; `blanks` the routes that are written
    but whose variables have no value.
    """

    place: Place
    shape: Shape
    routes: Mapping[str, Ref] = field(default_factory=dict)
    aliases: Sequence[tuple[str, Ref]] = ()
    fallback: Mapping[str, Sequence[Ref]] = field(default_factory=dict)
    mentions: Sequence[Ref] = ()
    blanks: frozenset[str] = frozenset()
    default_provider: Ref | None = None
    threshold: int | None = None
    think_effort: str | None = None
    is_strict: bool | None = None
    fidelity: Mapping[str, Fidelity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """One shape's part of the file. `fallback` holds for whichever router is chosen."""

    providers: Sequence[ProviderDraft] = ()
    routers: Mapping[str, RouterDraft] = field(default_factory=dict)
    servers: Mapping[str, Record] = field(default_factory=dict)
    fallback: Mapping[str, Sequence[Ref]] = field(default_factory=dict)


#: The fields of a router that name a route.
_ROUTE_FIELDS = ("default", "background", "think", "longContext", "webSearch", "image", "subagent", "compaction")


def draft_router(record: Record, shape: Shape) -> RouterDraft:
    """The router that `record` (by the table Router) says, `routes` apart: those are the guide shape's own."""
    routes = {name: _first_of(record.get(name)) for name in _ROUTE_FIELDS if record.get(name)}
    blanks = {name for name in _ROUTE_FIELDS if record.is_written(name) and not record.get(name)}
    aliases = [(pattern, _first_of(chain)) for pattern, chain in record.get("models", {}).items() if chain]
    for key, value in record.others.items():
        place = record.place.key(key)
        if is_empty(value, _CHAIN):
            continue
        if not _is_chain(key, value):
            near = closest(key, [known.name for known in ROUTER.fields])
            place.warn("is not a setting of a router; it is kept", f'did you mean "{near}"?' if near else "")
            continue
        chain = _CHAIN.read(value, place)
        if not chain:
            blanks.add(key)
        elif is_pattern(key):
            aliases.append((key, _first_of(chain)))
        else:
            _warn_of_unknown_class(key, place)
            routes[key] = _first_of(chain)
    provider = record.get("defaultProvider")
    return RouterDraft(
        place=record.place,
        shape=shape,
        routes=routes,
        aliases=aliases,
        fallback=draft_fallback(record),
        blanks=frozenset(blanks),
        default_provider=Ref(provider, record.at("defaultProvider")) if provider else None,
        threshold=record.get("longContextThreshold"),
        think_effort=record.get("thinkEffort"),
        is_strict=record.get("strict"),
        fidelity=record.get("fidelity", {}),
    )


def _first_of(chain: Sequence[tuple[str, Place]]) -> Ref:
    (text, place), *others = chain
    return Ref(text, place, tuple(Ref(*other) for other in others))


def _is_chain(key: str, value: Json) -> bool:
    """True if what stands at a key of the user's own names targets: a text does, and a list where it can mean nothing
    else.
    """
    if not isinstance(value, list):
        return isinstance(value, str)
    are_texts = all(isinstance(item, str) for item in value)
    return are_texts and (is_pattern(key) or key in REQUEST_CLASSES or all("," in item for item in value))


def draft_fallback(record: Record) -> dict[str, list[Ref]]:
    """The fallback lists that `record` holds, by route."""
    place = record.at("fallback")
    return {
        route: [Ref(text, place.key(route).item(index)) for index, text in enumerate(texts)]
        for route, texts in record.get("fallback", {}).items()
    }


def is_pattern(key: str) -> bool:
    """True if a key of a router is an alias for asked models rather than a route."""
    return "*" in key or key.lower().startswith("claude-")


def _warn_of_unknown_class(key: str, place: Place) -> None:
    if key in REQUEST_CLASSES:
        return
    near = closest(key, (*_ROUTE_FIELDS, *REQUEST_CLASSES))
    place.warn(
        f'is not a route of this router; it serves only requests whose class is "{key}"',
        f'did you mean "{near}"?' if near else f"known: {', '.join((*_ROUTE_FIELDS, *REQUEST_CLASSES))}",
    )
