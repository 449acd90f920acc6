"""`extra_body` of a provider: the user's last word about the members of a request. Pure."""

from __future__ import annotations

from typing import Any

from ccrouter.jsontypes import JsonObject


def merged(body: dict[str, Any], extra: JsonObject) -> dict[str, Any]:
    """`extra` over `body`: objects are merged, everything else replaced, and a null removes the member."""
    if not extra:
        return body
    merged = dict(body)
    for name, value in extra.items():
        old = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(old, dict):
            merged[name] = {**old, **value}
        else:
            merged[name] = value
    return merged
