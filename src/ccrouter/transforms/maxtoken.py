"""`maxtoken`: answers no longer than `max_tokens`. Pure."""

from __future__ import annotations

from typing import Any

from ccrouter.jsontypes import JsonObject
from ccrouter.transforms.base import Context, Transform
from ccrouter.transforms.members import cap


class MaxToken(Transform):
    """A higher limit is lowered, whatever its name in the dialect; a smaller one stays, and none is made."""

    name = "maxtoken"

    def __init__(self, options: JsonObject) -> None:
        super().__init__(options)
        self._most: int | None = options.get("max_tokens")

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:
        if self._most is not None:
            cap(members, self._most, context.dialect)
        return members
