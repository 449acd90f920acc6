"""Which target each route means: names of providers and models resolved, and what is missing filled in or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType

from ccrouter.config.draft import Ref, RouterDraft
from ccrouter.config.fields import REQUEST_CLASSES
from ccrouter.config.report import closest, quoted, suggestion
from ccrouter.config.schema import (
    DEFAULT_LONG_CONTEXT_THRESHOLD,
    DRY_RUN,
    EVERY_ROUTE,
    ROUTE_NAMES,
    UNWRITTEN_ROUTES,
    ModelRef,
    Router,
)

_SHOWN_MODELS = 8
_NOTHING: Mapping[str, tuple[ModelRef, ...]] = MappingProxyType({})


@dataclass(slots=True)
class Directory:
    """The providers of the file and the models that they list. `broken` are those that cannot be used; `needed` grows
    with every provider that is named.
    """

    models: Mapping[str, Sequence[str]]
    broken: frozenset[str] = frozenset()
    needed: set[str] = field(default_factory=set)

    def find(self, name: str) -> str | None:
        """The name of the provider that is called so, whatever the case."""
        folded = name.strip().casefold()
        if folded == DRY_RUN:
            return DRY_RUN
        return next((known for known in self.models if known.casefold() == folded), None)

    def find_model(self, provider: str, model: str) -> str | None:
        """The model as the provider lists it, whatever the case."""
        folded = model.casefold()
        return next((listed for listed in self.models.get(provider, ()) if listed.casefold() == folded), None)

    def offers(self) -> list[str]:
        """Every listed model of a usable provider, as a route names it; of every provider if none is usable."""
        usable = [name for name in self.models if name not in self.broken] or list(self.models)
        return [f"{name},{model}" for name in usable for model in self.models[name]]

    def resolve(self, ref: Ref, default_provider: str | None = None) -> ModelRef | None:
        """The target that `ref` names; None, and its place knows why, if there is none."""
        name, comma, model = (part.strip() for part in ref.text.partition(","))
        if not comma:
            return self._resolve_bare(ref, name, default_provider)
        provider = self.find(name)
        if provider is None:
            ref.place.refuse(f"no provider is called {quoted(name)}", self._name_hint(name))
            return None
        if not model:
            ref.place.refuse("names no model", self._model_hint(provider))
            return None
        self.needed.add(provider)
        listed = self.find_model(provider, model)
        models = self.models.get(provider, ())
        if listed is None and models:
            near = closest(model, models)
            hint = f'did you mean "{provider},{near}"?' if near else "add it to `models` if it is right"
            if any(self.find(part) for part in model.split(",")[1:]):
                hint = 'several targets are a list: ["provider,model", "provider,model"]'
            ref.place.warn(f"provider {quoted(provider)} does not list the model {quoted(model)}", hint)
        return ModelRef(provider, listed or model)

    def _resolve_bare(self, ref: Ref, model: str, default_provider: str | None) -> ModelRef | None:
        """A model without its provider: the only provider's that lists it, else the default provider's, listed there
        or not.
        """
        provider = self.find(model)
        if provider is not None:
            ref.place.refuse("names a provider and no model", self._model_hint(provider))
            return None
        listing = [name for name in self.models if self.find_model(name, model)]
        if default_provider and len(listing) != 1:
            listing = [default_provider]
        if len(listing) == 1:
            self.needed.add(listing[0])
            return ModelRef(listing[0], self.find_model(listing[0], model) or model)
        if listing:
            ref.place.refuse(
                f"several providers list {quoted(model)}", f'write "{listing[0]},{model}" or "{listing[1]},{model}"'
            )
        else:
            offers = [offer.partition(",")[2] for offer in self.offers()]
            near = closest(model, offers)
            hint = f'write "provider,model"; did you mean "{near}"?' if near else 'write "provider,model"'
            ref.place.refuse(f"no provider lists a model {quoted(model)}", hint)
        return None

    def _name_hint(self, name: str) -> str:
        return suggestion(name, self.models) or 'add it to "Providers"'

    def _model_hint(self, provider: str) -> str:
        models = self.models.get(provider, ())
        return f'write "{provider},{models[0] if models else "<model>"}"'


def settle_router(
    draft: RouterDraft,
    directory: Directory,
    *,
    is_strict: bool,
    use_image_agent: bool,
    inherited: Mapping[str, tuple[ModelRef, ...]] = _NOTHING,
) -> Router:
    """The router of `draft`, with a default route unless the report says why there is none.

    `directory` is marked with every provider that the router names. `inherited` are the fallbacks of routes for which
    it lists none.
    """
    default_provider = _default_provider(draft, directory)
    resolved: dict[str, ModelRef | None] = {}

    def resolve(ref: Ref) -> ModelRef | None:  # once a place: one of the guide's may serve several routes
        if ref.place.path not in resolved:
            resolved[ref.place.path] = directory.resolve(ref, default_provider)
        return resolved[ref.place.path]

    def resolve_all(refs: Sequence[Ref]) -> tuple[ModelRef, ...]:
        return tuple(target for ref in refs if (target := resolve(ref)))

    mentions = [ref for ref in map(resolve, draft.mentions) if ref]
    routes = {name: target for name, ref in draft.routes.items() if (target := resolve(ref))}
    aliases = tuple((pattern, target) for pattern, ref in draft.aliases if (target := resolve(ref)))
    chains = {name: resolve_all(ref.chain) for name, ref in draft.routes.items() if ref.then}
    first = dict(reversed(draft.aliases))  # of two with the same pattern, the first counts
    alias_chains = {pattern: _behind_the_first(resolve_all(ref.chain)) for pattern, ref in first.items() if ref.then}
    fallback = {name: resolve_all(refs) for name, refs in draft.fallback.items()}
    if draft.blanks and len(directory.models) == 1:  # whatever the blank says, it cannot mean another
        directory.needed.update(directory.models)
    if "default" not in draft.routes and "default" not in draft.blanks:
        default = _missing_default(draft, directory, mentions, default_provider)
        if default:
            routes["default"] = default
    _warn_of_unknown_routes(draft)
    targets = [
        *routes.values(),
        *mentions,
        *(target for _, target in aliases),
        *chain.from_iterable((*chains.values(), *alias_chains.values(), *fallback.values())),
    ]
    shared = {**inherited, **fallback}
    return Router(
        routes=_in_order(routes),
        long_context_threshold=draft.threshold or DEFAULT_LONG_CONTEXT_THRESHOLD,
        think_effort={None: Router().think_effort, "never": ""}.get(draft.think_effort, draft.think_effort or ""),
        aliases=aliases,
        fallback={**shared, **{name: _behind_the_first(found, shared.get(name, ())) for name, found in chains.items()}},
        default_provider=default_provider,
        is_strict=is_strict if draft.is_strict is None else draft.is_strict,
        fidelity=draft.fidelity,
        alias_fallback=alias_chains,
        shared_fallback=shared,
        force_image_agent=use_image_agent,
        listed=tuple(dict.fromkeys(targets)),
    )


def _behind_the_first(*chains: Sequence[ModelRef]) -> tuple[ModelRef, ...]:
    """What is tried after the first target: one chain after the other, nothing twice."""
    return tuple(dict.fromkeys(chain.from_iterable(chains)))[1:]


def _warn_of_unknown_routes(draft: RouterDraft) -> None:
    """Of those whose fallback or fidelity is said: nothing would ever ask for it."""
    known = (*ROUTE_NAMES, *REQUEST_CLASSES, *draft.routes, *UNWRITTEN_ROUTES)
    for name, refs in draft.fallback.items():
        if name not in known:
            place = refs[0].place if refs else draft.place
            place.warn(f"{quoted(name)} is not a route", suggestion(name, ROUTE_NAMES))
    for name in draft.fidelity:
        if name not in (*known, EVERY_ROUTE):
            draft.place.key("fidelity").key(name).warn(f"{quoted(name)} is not a route", suggestion(name, known))


def _in_order(routes: Mapping[str, ModelRef]) -> dict[str, ModelRef]:
    names = [name for name in ROUTE_NAMES if name in routes]
    return {name: routes[name] for name in (*names, *(name for name in routes if name not in names))}


def _default_provider(draft: RouterDraft, directory: Directory) -> str | None:
    ref = draft.default_provider
    if ref is None:
        return None
    found = directory.find(ref.text)
    if found is None:
        ref.place.refuse(f"no provider is called {quoted(ref.text)}", suggestion(ref.text, directory.models))
        return None
    directory.needed.add(found)
    return found


def _missing_default(
    draft: RouterDraft, directory: Directory, mentions: Sequence[ModelRef], default_provider: str | None
) -> ModelRef | None:
    """What serves as default where the file names none: the built-in provider if there is no other; in the guide's
    shape its first route or first model; in the classic shape nothing, as a guess would cost the user money unasked.
    """
    if not directory.models:
        return ModelRef(DRY_RUN, DRY_RUN)
    place = draft.place.key("default")
    offers = directory.offers()
    if draft.shape == "classic":
        example = offers[0] if offers else f"{next(iter(directory.models))},<model>"
        hint = f'write "Router": {{ "default": "{example}" }}'
        if len(offers) > 1:
            hint += f"; the models listed are: {_some(offers)}"
        place.refuse("is missing: nothing says which model serves a request", hint)
        return None
    if draft.mentions:
        if len(mentions) > 1:
            place.warn(
                f"no route is marked as default; the first, {mentions[0]}, serves", 'mark one { "default": true }'
            )
        return mentions[0] if mentions else None
    first = next((offer for offer in offers if offer.partition(",")[0] == default_provider), None)
    first = first or (offers[0] if offers else None)
    if first is None:
        name = default_provider or next(iter(directory.models))
        place.refuse(
            "is missing: nothing says which model serves a request",
            f'write "routers": {{ "default": {{ "routes": {{ "{name},<model>": {{ "default": true }} }} }} }}',
        )
        return None
    place.warn(f"is missing; the first listed model, {first}, serves", f'write "default": "{first}"')
    provider, _, model = first.partition(",")
    directory.needed.add(provider)
    return ModelRef(provider, model)


def _some(offers: Sequence[str]) -> str:
    shown = ", ".join(f'"{offer}"' for offer in offers[:_SHOWN_MODELS])
    return f"{shown} and {len(offers) - _SHOWN_MODELS} more" if len(offers) > _SHOWN_MODELS else shown
