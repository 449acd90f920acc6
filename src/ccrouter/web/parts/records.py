"""The records, as pages ask them: also where there are none, or none that can be read. A page then says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ccrouter.jsontypes import JsonObject
from ccrouter.store.database import StoreUnusable
from ccrouter.web.view import View

if TYPE_CHECKING:
    from ccrouter.store.reports import Reports


def consult(view: View, ask: Callable[[Reports], JsonObject], empty: JsonObject) -> JsonObject:
    """What `ask` finds in the records, `empty` where there are none to be asked; and as `records` which of them it is:
    `state` is "kept", "off" or "unusable", the last with `words` that say why.
    """
    if view.reports is None:
        return {**empty, "records": {"state": "off", "words": ""}}
    try:
        return {**ask(view.reports), "records": {"state": "kept", "words": ""}}
    except StoreUnusable as error:
        return {**empty, "records": {"state": "unusable", "words": str(error)}}


def added(rows: Iterable[JsonObject]) -> JsonObject:
    """Requests, failures and costs of all `rows` of a usage; a cost is None if none of them is known."""
    requests = failed = unknown = 0
    usd: float | None = None
    for one in rows:
        requests += one["requests"]
        failed += one["failed"]
        unknown += one["cost"]["unknown"]
        if one["cost"]["usd"] is not None:
            usd = (usd or 0.0) + one["cost"]["usd"]
    if usd is None and not unknown:
        usd = 0.0
    return {"requests": requests, "failed": failed, "cost": {"usd": usd, "unknown": unknown}}
