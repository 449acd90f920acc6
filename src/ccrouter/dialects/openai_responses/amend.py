"""Doing without what a server refuses. Pure.

Only what leaves the conversation, the tools and the asked format as they are may go; instructions become the first
message; a length limit that is too high goes down to the one that the error names; and reasoning that its maker cannot
read any more (keys of another organisation, a lost item) is better left out than an end of the session.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from ccrouter.dialects.base import Fate, Loss, UpstreamRequest
from ccrouter.dialects.ledger import lessened
from ccrouter.dialects.refusals import ONCE, highest_limit, refused_name, whole_number
from ccrouter.errors import UpstreamStatus
from ccrouter.jsontypes import JsonObject

_LIMIT_MEMBER = "max_output_tokens"
#: What a server may refuse by its name: members, and members of members.
_AMENDABLE = (
    _LIMIT_MEMBER, "instructions", "parallel_tool_calls", "prompt_cache_key", "session_id", "include",
    "reasoning.summary", "reasoning.effort", "reasoning", "temperature", "top_p",
)  # fmt: skip
_SESSION = "metadata"
#: Where in a Messages request they were asked for; "" for what the router asks by itself.
_PATHS = {
    "include": "",
    "reasoning.summary": "",
    "reasoning.effort": "thinking",
    "reasoning": "thinking",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "prompt_cache_key": _SESSION,
    "session_id": _SESSION,
}
_LIMIT = "max_output_tokens<="
_EFFORT = "reasoning.effort="
_REPLAY = f"input[].reasoning{ONCE}"  # another conversation brings reasoning that can be read
# "Your organization must be verified to generate reasoning summaries."
_SUMMARIES = re.compile(r"verified to (?:generate|use|access) reasoning summar", re.IGNORECASE)
# "Encrypted content is not supported with this model."
_SEALED = re.compile(r"encrypted content is not supported", re.IGNORECASE)
# "Unsupported value: 'minimal' is not supported with the 'gpt-5.1' model. Supported values are: ..."
_VALUE = re.compile(r"unsupported value:? [`'\"](?P<value>\w+)[`'\"]", re.IGNORECASE)
# "The encrypted content gAAA... could not be verified.", "Item 'rs_1' of type 'reasoning' was provided without its
# required following item.", "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."
_LOST = re.compile(
    r"encrypted content .{0,200}could not be (?:verified|decrypted)|of type 'reasoning' was provided without"
    r"|item with id '?rs_\w+'? not found",
    re.IGNORECASE | re.DOTALL,
)

_Members = dict[str, msgspec.Raw]


def refused_member(error: UpstreamStatus, sent: UpstreamRequest) -> str:
    """What the error says the server does not take, if the request can do without; else "". That is the name of a
    member ("reasoning.summary" for one within another), "max_output_tokens<=N", "reasoning.effort=WORD" for that word
    alone, or "input[].reasoning!" for all earlier reasoning, this once.
    """
    text = str(error)
    if error.status not in {400, 404, 422}:
        return ""
    members = msgspec.json.decode(sent.body, type=_Members)
    if _LOST.search(text):
        return _REPLAY if _reasoning_items(members) else ""
    if error.status == 404:
        return ""
    most = highest_limit(text)
    if most and whole_number(members.get(_LIMIT_MEMBER)) > most:
        return f"{_LIMIT}{most}"
    if _SUMMARIES.search(text) and _has(members, "reasoning.summary"):
        return "reasoning.summary"
    if _SEALED.search(text) and "include" in members:
        return "include"
    value = _VALUE.search(text)
    if value is not None and value["value"] == _within(members, "reasoning").get("effort"):
        return f"{_EFFORT}{value['value']}"
    return refused_name(text, (name for name in _AMENDABLE if _has(members, name)))


def without(sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest:
    """`sent` without what was refused, or with it lowered or moved; what is lost is told."""
    names = tuple(refused)
    if not names:
        return sent
    members = msgspec.json.decode(sent.body, type=_Members)
    losses = list(sent.losses)
    for name in names:
        if name.startswith(_LIMIT):
            _lower(members, int(name.removeprefix(_LIMIT)), losses)
        elif name.startswith(_EFFORT):
            if _within(members, "reasoning").get("effort") == name.removeprefix(_EFFORT):
                _drop(members, "reasoning.effort", losses)
        elif name == _REPLAY:
            _forget(members, losses)
        elif name == "instructions":
            _move_instructions(members)
        else:
            _drop(members, name, losses)
    return lessened(sent, msgspec.json.encode(members), losses)


def _within(members: _Members, name: str) -> JsonObject:
    """The member as an object, {} if it is none."""
    raw = bytes(members.get(name, b""))
    value: JsonObject = msgspec.json.decode(raw) if raw.startswith(b"{") else {}
    return value


def _has(members: _Members, name: str) -> bool:
    member, _, inner = name.partition(".")
    return inner in _within(members, member) if inner else member in members


def _drop(members: _Members, name: str, losses: list[Loss]) -> None:
    if not _has(members, name):
        return
    member, _, inner = name.partition(".")
    rest = {key: value for key, value in _within(members, member).items() if inner and key != inner}
    del members[member]
    if rest:
        members[member] = msgspec.Raw(msgspec.json.encode(rest))
    path = _PATHS.get(name, name)
    if path:
        fate: Fate = "hint" if path == _SESSION else "dropped"
        losses.append(Loss(path, f"the provider refuses {name}; sent without", fate))


def _lower(members: _Members, most: int, losses: list[Loss]) -> None:
    asked = whole_number(members.get(_LIMIT_MEMBER))
    if asked > most:
        members[_LIMIT_MEMBER] = msgspec.Raw(str(most).encode())
        what = f"{asked} sent as {most}, the most that the provider takes"
        losses.append(Loss("max_tokens", what, "approximated"))


def _items(members: _Members) -> list[msgspec.Raw]:
    raw = bytes(members.get("input", b""))
    return msgspec.json.decode(raw, type=list[msgspec.Raw]) if raw.startswith(b"[") else []


def _is_reasoning(item: msgspec.Raw) -> bool:
    value = msgspec.json.decode(item)
    return isinstance(value, dict) and value.get("type") == "reasoning"


def _reasoning_items(members: _Members) -> list[msgspec.Raw]:
    return [item for item in _items(members) if _is_reasoning(item)]


def _forget(members: _Members, losses: list[Loss]) -> None:
    lost = _reasoning_items(members)
    if lost:
        kept = [item for item in _items(members) if not _is_reasoning(item)]
        members["input"] = msgspec.Raw(msgspec.json.encode(kept))
        what = f"{len(lost)} earlier reasoning not sent: the provider cannot read it any more"
        losses.append(Loss("messages[].content[].signature", what))


def _move_instructions(members: _Members) -> None:
    if "instructions" not in members:
        return
    text = msgspec.json.decode(members.pop("instructions"))
    first = msgspec.Raw(msgspec.json.encode({"type": "message", "role": "system", "content": text}))
    members["input"] = msgspec.Raw(msgspec.json.encode([first, *_items(members)]))
