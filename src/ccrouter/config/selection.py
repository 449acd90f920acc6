"""Both shapes as one draft, and of its routers the one to run by. Resolves no names of providers or models."""

from __future__ import annotations

from ccrouter.config.draft import Draft, ProviderDraft, Ref, RouterDraft
from ccrouter.config.listen import Overrides, command_line
from ccrouter.config.record import Record
from ccrouter.config.report import Place, closest


def merge(first: Draft, second: Draft) -> Draft:
    """Both shapes as one: what `first`, the classic shape, says counts by name."""
    names = {provider.name.casefold() for provider in first.providers}
    providers: list[ProviderDraft] = list(first.providers)
    for provider in second.providers:
        if provider.name.casefold() in names:
            hint = "keep one of them"
            provider.record.place.warn(
                f'provider "{provider.name}" is also in the list of providers, which counts', hint
            )
            provider.record.place.report.take_blanks(provider.record.place.path)
        else:
            providers.append(provider)
    routers = {**first.routers, **second.routers}
    for name, router in second.routers.items():
        if name.casefold() == "default" and "default" in first.routers:
            routers.pop(name)
            routers["default"] = _merge_routers(first.routers["default"], router)
    return Draft(
        providers=providers,
        routers=routers,
        servers={**second.servers, **first.servers},
        fallback={**second.fallback, **first.fallback},
    )


def _merge_routers(first: RouterDraft, second: RouterDraft) -> RouterDraft:
    for name in first.routes.keys() & second.routes.keys():
        ours, theirs = first.routes[name], second.routes[name]
        if [ref.text.casefold() for ref in ours.chain] != [ref.text.casefold() for ref in theirs.chain]:
            theirs.place.warn(
                f'is "{name}" here, but {ours.place.path} says {_told(ours)}, which counts', "keep one of them"
            )
    return RouterDraft(
        place=second.place,
        shape=second.shape,
        routes={**second.routes, **first.routes},
        aliases=(*first.aliases, *second.aliases),
        fallback={**second.fallback, **first.fallback},
        mentions=second.mentions,
        blanks=first.blanks | second.blanks,
        default_provider=first.default_provider or second.default_provider,
        threshold=first.threshold if first.threshold is not None else second.threshold,
        think_effort=first.think_effort if first.think_effort is not None else second.think_effort,
        is_strict=first.is_strict if first.is_strict is not None else second.is_strict,
        fidelity={**second.fidelity, **first.fidelity},
    )


def _told(ref: Ref) -> str:
    return ", then ".join(one.text for one in ref.chain)


def pick_router(draft: Draft, top: Record, overrides: Overrides) -> tuple[str, RouterDraft]:
    """The router to run by: the one asked for, else `default`, else the only one. Blanks of the others are dropped."""
    report = top.place.report
    by_name = {name.casefold(): name for name in draft.routers}
    asked = overrides.router
    if asked is not None:
        name = by_name.get(asked.casefold())
        if name is None and (draft.routers or asked.casefold() != "default"):
            names = list(draft.routers) or ["default"]
            near = closest(asked, names)
            hint = (f'did you mean "{near}"? ' if near else "") + f"the routers are: {', '.join(names)}"
            command_line(report, "--router").refuse(f'no router is called "{asked}"', hint)
    else:
        name = by_name.get("default") or (next(iter(draft.routers)) if len(draft.routers) == 1 else None)
        if name is None and draft.routers:
            names = list(draft.routers)
            hint = f"choose one: ccr start --router {names[0]}; the routers are: {', '.join(names)}"
            top.at("routers").refuse('there are several routers, and none is called "default"', hint)
    for other, router in draft.routers.items():
        if other != name:
            report.take_blanks(router.place.path)
    if name is not None:
        return name, draft.routers[name]
    if draft.routers:  # already refused: the first keeps other problems visible
        return next(iter(draft.routers.items()))
    if any(provider.shape == "classic" for provider in draft.providers):
        return "default", RouterDraft(Place(report, "Router"), "classic")
    return "default", RouterDraft(Place(report, "routers.default"), "guide")
