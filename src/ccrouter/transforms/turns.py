"""Changes to the conversation of a request that leave everything else in it as the bytes that came. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from ccrouter.messages.request import MessagesRequest

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_content = msgspec.json.Decoder(str | list[msgspec.Raw])


class _Kind(msgspec.Struct):
    type: str = ""


class _Role(msgspec.Struct):
    role: str = ""


_kind = msgspec.json.Decoder(_Kind)
_role = msgspec.json.Decoder(_Role)


def raw(value: Any) -> msgspec.Raw:
    """The value as raw JSON."""
    return msgspec.Raw(msgspec.json.encode(value))


def members_of(value: msgspec.Raw) -> dict[str, msgspec.Raw]:
    """An object's members; {} for what is none: it is not for transforms to judge what a client sends."""
    try:
        return _members.decode(value)
    except msgspec.DecodeError:
        return {}


def items_of(value: msgspec.Raw | None) -> list[msgspec.Raw]:
    """A list's items; [] for what is none."""
    if value is None:
        return []
    try:
        return _raws.decode(value)
    except msgspec.DecodeError:
        return []


def role_of(turn: msgspec.Raw) -> str:
    """Whose turn it is; "" for what is no turn."""
    try:
        return _role.decode(turn).role
    except msgspec.DecodeError:
        return ""


def kind_of(block: msgspec.Raw) -> str:
    """The type of a content block; "" for what is none."""
    try:
        return _kind.decode(block).type
    except msgspec.DecodeError:
        return ""


def with_user_text(request: MessagesRequest, text: str) -> MessagesRequest:
    """The request with `text` at its very end, as the user's words: in their last turn, or in one of its own. A
    request whose answer the client has begun itself stays as it is.
    """
    turns = list(request.raw_turns)
    last = role_of(turns[-1]) if turns else ""
    if last in {"", "assistant"}:
        return request
    block = raw({"type": "text", "text": text})
    if last == "user":
        members = members_of(turns[-1])
        turns[-1] = raw({**members, "content": [*_blocks(members.get("content")), block]})
    else:
        turns.append(raw({"role": "user", "content": [block]}))
    return request.replace(messages=turns)


def _blocks(content: msgspec.Raw | None) -> list[msgspec.Raw]:
    """The blocks of a turn; a string is one text block, and an empty one none."""
    try:
        found = _content.decode(content) if content is not None else []
    except msgspec.DecodeError:
        return []
    if isinstance(found, list):
        return found
    return [raw({"type": "text", "text": found})] if found else []
