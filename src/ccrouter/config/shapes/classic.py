"""The classic shape: `Providers`, a list of providers with their names in them, and one `Router`."""

from __future__ import annotations

from ccrouter.config.draft import Draft, ProviderDraft, RouterDraft, draft_fallback, draft_router
from ccrouter.config.record import Record


def lower(top: Record) -> Draft:
    """The classic part of the file: a list under `Providers` or `providers`, `Router`, and the top-level `fallback`."""
    records = [
        record
        for key in ("Providers", "providers")
        for record in (top.get(key) if isinstance(top.get(key), list) else ())
    ]
    return Draft(
        providers=_last_of_each([draft for record in records if (draft := _provider(record))]),
        routers=_router(top),
        fallback=draft_fallback(top),
    )


def _provider(record: Record) -> ProviderDraft | None:
    name = record.get("name")
    if name:
        return ProviderDraft(name, record, "classic")
    if not record.is_written("name"):
        record.place.key("name").refuse("is missing: a provider needs a name", '"name": "..." is what routes refer to')
    return None


def _last_of_each(drafts: list[ProviderDraft]) -> list[ProviderDraft]:
    """Of providers with the same name the last one, as the classic router has it."""
    by_name: dict[str, ProviderDraft] = {}
    for draft in drafts:
        earlier = by_name.get(draft.name.casefold())
        if earlier:
            earlier.record.place.warn(
                f'provider "{earlier.name}" is defined again at {draft.record.place.path}, which counts',
                "give one of them another name",
            )
        by_name[draft.name.casefold()] = draft
    return list(by_name.values())


def _router(top: Record) -> dict[str, RouterDraft]:
    """The one router, named `default`; empty if the file has no word on routing."""
    record: Record | None = top.get("Router")
    if record is not None and (record.keys or record.others):
        return {"default": draft_router(record, "classic")}
    if record is None and top.is_written("Router"):  # refused already: nothing more to say of what is not in it
        return {"default": RouterDraft(top.at("Router"), "classic", blanks=frozenset({"default"}))}
    return {}
