"""What `ccr providers list`, `catalogue` and `search` tell, for people and for programs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ccrouter.cli.reading import key_of

if TYPE_CHECKING:
    from ccrouter.config.catalogue import Entry
    from ccrouter.config.load import Reading
    from ccrouter.config.providers import Settled
    from ccrouter.jsontypes import JsonObject


def told_providers(reading: Reading) -> list[JsonObject]:
    """Every configured provider, also those that cannot be used."""
    return [_told(reading, settled) for settled in reading.providers]


def provider_lines(told: Sequence[JsonObject]) -> list[str]:
    """The same for people."""
    lines: list[str] = []
    for one in told:
        lines += ["", one["name"] + ("" if one["usable"] else "  (cannot be used)")]
        where = one["url"] or one["platform"] or ""
        lines.append(f"  {where}  {one['dialect'] or ''}".rstrip())
        lines.append(f"  {one['key']['told']}")
        tested = one["tested"]
        for model in one["models"]:
            routes = ", ".join(model["routes"])
            date = (tested.get(model["id"].lower()) or tested.get("") or "")[:10]
            lines.append(
                f"    {model['id']}" + (f"  ← {routes}" if routes else "") + (f"  tested {date}" if date else "")
            )
        lines += [f"  ! {reason}" for reason in one["reasons"]]
    return lines[1:]


def _told(reading: Reading, settled: Settled) -> JsonObject:
    from ccrouter.config.certified import profile_path, read_certified
    from ccrouter.config.load import router_folder

    provider, key = settled.provider, key_of(reading, settled.name)
    routes: dict[str, list[str]] = {}
    for route, ref in reading.config.router.routes.items():
        if ref.provider == settled.name:
            routes.setdefault(ref.model, []).append(route)
    endpoint = provider.endpoints[0] if provider else None
    tested = {}
    if provider is not None:
        tested = dict(read_certified(profile_path(router_folder(os.environ), provider.name), provider).dates)
    reasons = [one.message for one in settled.obstacles]
    return {
        "name": settled.name,
        "usable": provider is not None,
        "reasons": reasons,
        "dialect": endpoint.dialect if endpoint else None,
        "url": endpoint.public_url if endpoint else None,
        "platform": (endpoint.platform or None) if endpoint else None,
        "key": {"variables": list(key.variables), "set": key.is_set, "written": key.is_written, "told": str(key)},
        "models": [{"id": id_, "routes": routes.get(id_, [])} for id_ in dict.fromkeys([*settled.models, *routes])],
        "tested": tested,
    }


def told_entry(entry: Entry) -> JsonObject:
    """An entry of the catalogue."""
    return {
        "name": entry.name,
        "title": entry.title,
        "url": entry.url or None,
        "platform": entry.platform or None,
        "dialect": entry.dialect,
        "key": entry.key or None,
        "docs": entry.docs,
        "confirmed": entry.confirmed or None,
        "note": entry.note or None,
        "models": [{"id": model.id, "roles": list(model.roles)} for model in entry.models],
        "asks": {name: question.text for name, question in entry.questions.items()},
    }


def entry_lines(entries: Sequence[Entry]) -> list[str]:
    """Entries for people, one a line."""
    width = max((len(entry.name) for entry in entries), default=0)
    titles = max((len(entry.title) for entry in entries), default=0)
    keys = [entry.key or ("the cloud's own" if entry.platform else "none") for entry in entries]
    return [
        f"{entry.name.ljust(width)}  {entry.title.ljust(titles)}  {key}"
        for entry, key in zip(entries, keys, strict=True)
    ]
