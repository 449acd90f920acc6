"""`cleancache`: requests without any mark for prompt caches. Pure.

A mark stands on system blocks, tools and content blocks, also on those within results, and on the request itself.
A tool's arguments or schema may have a member of that name too: that is the user's, and stays.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import Context, Transform
from ccrouter.transforms.turns import items_of, members_of, raw

_MARK = "cache_control"
_BYTES = b'"cache_control"'


class CleanCache(Transform):
    """No `cache_control` is left, except in the parts of the request that the option `keep` names."""

    name = "cleancache"

    def __init__(self, options: JsonObject) -> None:
        super().__init__(options)
        self._cleaned = [name for name in ("system", "tools", "messages") if name not in options.get("keep", ())]

    def request(self, request: MessagesRequest, context: Context) -> MessagesRequest:  # noqa: ARG002 - the same for all
        changes: dict[str, Any] = {_MARK: msgspec.UNSET} if _MARK in request.members else {}
        for name in self._cleaned:
            member = request.members.get(name)
            if member is not None and _BYTES in bytes(member):
                clean = _clean_turn if name == "messages" else _clean_block
                found = items_of(member)
                if found:  # a system prompt may be a string that speaks of caches
                    changes[name] = [clean(item) for item in found]
        return request.replace(**changes) if changes else request


def _clean_turn(turn: msgspec.Raw) -> msgspec.Raw:
    members = members_of(turn) if _BYTES in bytes(turn) else {}
    blocks = items_of(members.get("content"))
    return raw({**members, "content": [_clean_block(block) for block in blocks]}) if blocks else turn


def _clean_block(block: msgspec.Raw) -> msgspec.Raw:
    """The block, or tool, without its mark and without those of the blocks in it."""
    if _BYTES not in bytes(block):
        return block
    members = members_of(block)
    members.pop(_MARK, None)
    inner = items_of(members.get("content"))
    if inner:
        members["content"] = raw([_clean_block(one) for one in inner])
    return raw(members) if members else block
