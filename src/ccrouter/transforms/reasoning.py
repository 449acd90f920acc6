"""`reasoning`: whether the model is to think, and how hard. Pure.

What is wished is said in the client's own words, so that each dialect says it in its provider's. Only of a chat server
that nobody has described does no profile know how it is told; there the words that the classic router had for all of
them are sent. Thinking in answers is read by the dialect, once, wherever the provider puts it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ccrouter.dialects.efforts import mode_of
from ccrouter.dialects.profiles import profile_of
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import Context, Transform
from ccrouter.transforms.turns import members_of, raw

_OFF = {"type": "disabled"}
_CONFIG = "output_config"


class Reasoning(Transform):
    """With `enable: false` no request asks for thinking; with `effort` those that do ask for that much of it."""

    name = "reasoning"

    def __init__(self, options: JsonObject) -> None:
        super().__init__(options)
        self._is_on: bool = options.get("enable", True)
        self._effort: str | None = options.get("effort")

    def request(self, request: MessagesRequest, context: Context) -> MessagesRequest:
        thinking = request.thinking
        asks = thinking is not None and mode_of(thinking.type) in {"on", "adaptive"}
        if asks and self._is_on and self._effort is not None:
            request = _with_effort(request, self._effort)
        if not _is_unknown(context):
            return request if self._is_on else request.replace(thinking=_OFF)
        if asks or not self._is_on:
            said: JsonObject = {**_OFF}
            if asks and self._is_on:
                budget = thinking.budget_tokens if thinking is not None else None
                said = {"type": "enabled", **({"budget_tokens": budget} if budget else {})}
            context.notes[self] = said
            return request.replace(thinking=msgspec.UNSET)  # said below: the dialect could only tell it as lost
        return request

    def members(self, members: dict[str, Any], context: Context) -> dict[str, Any]:
        said = context.notes.get(self)
        if said is not None:
            members.update(thinking=said, enable_thinking=said["type"] == "enabled")
        return members


def _is_unknown(context: Context) -> bool:
    """True for a chat server of which no profile knows how it is told to think."""
    profile = profile_of(context.target)
    return context.dialect == "openai_chat" and profile.name == "generic" and profile.reasoning_style == "none"


def _with_effort(request: MessagesRequest, effort: str) -> MessagesRequest:
    """The request with this effort from its beginning to its end: a system turn may set another one."""
    config = request.members.get(_CONFIG)
    changes: dict[str, Any] = {_CONFIG: {**(members_of(config) if config is not None else {}), "effort": effort}}
    if b'"output_config"' in bytes(request.members.get("messages", b"")):
        changes["messages"] = [_without_config(turn) for turn in request.raw_turns]
    return request.replace(**changes)


def _without_config(turn: msgspec.Raw) -> msgspec.Raw:
    members = members_of(turn)
    return raw({name: value for name, value in members.items() if name != _CONFIG}) if _CONFIG in members else turn
