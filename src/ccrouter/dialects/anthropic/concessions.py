"""What a Messages request that was translated from another dialect can do without, if its target refuses it. Pure.

Clients of the Messages API negotiate by these refusals themselves (adaptive thinking, effort, sampling parameters: each
model family takes others). One that speaks OpenAI's dialects cannot: it never named these members.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from ccrouter.dialects.base import Loss, UpstreamRequest
from ccrouter.dialects.refusals import ONCE
from ccrouter.errors import UpstreamStatus

#: Effort → thinking budget in tokens, for models that know budgets only.
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 31_999}
_ROOM = 1024  # of `max_tokens`, what a budget leaves for the answer
_LEAST = 1024  # the API's own lower bound

_REFUSAL = re.compile(
    r"not (?:supported|permitted|allowed|available)|unsupported|deprecated|does(?: not|n't) support|extra inputs"
    r"|cannot (?:both )?be|unexpected|unknown|should be|must be|must start|may only|but found",
    re.IGNORECASE,
)
_SAMPLING = ("temperature", "top_p", "top_k")
_ADAPTIVE = re.compile(r"adaptive", re.IGNORECASE)
_BOTH = re.compile(r"temperature.{0,20}\b(?:and|or)\b.{0,20}top_p", re.IGNORECASE | re.DOTALL)

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raws = msgspec.json.Decoder(list[msgspec.Raw])


def refused_member(error: UpstreamStatus, sent: UpstreamRequest) -> str:
    """The member of `sent` that the error is about, if the request can do without it, with ONCE behind it where that
    says nothing of the next request; else "".
    """
    text = str(error)
    if error.status not in {400, 422} or not _REFUSAL.search(text):
        return ""
    members = _members.decode(sent.body)
    thinking = bytes(members.get("thinking", b""))
    if b'"display"' in thinking and "display" in text:
        return "thinking.display"
    if b'"strict"' in bytes(members.get("tools", b"")) and re.search(r"\bstrict\b", text):
        return "tools.strict"
    if b"adaptive" in thinking and _ADAPTIVE.search(text):
        return "thinking.adaptive"
    if "output_config" in members and re.search(r"\beffort\b|output_config(?!\.format)", text):
        return "output_config.effort" if b'"effort"' in bytes(members["output_config"]) else ""
    if "temperature" in members and "top_p" in members and _BOTH.search(text):
        return "top_p"
    is_about_thinking = re.search(r"\bthinking\b", text) is not None
    named = [(match.start(), name) for name in _SAMPLING if name in members and (match := re.search(name, text))]
    if named:
        return min(named)[1] + (ONCE if is_about_thinking else "")
    return f"thinking{ONCE}" if thinking and is_about_thinking else ""


def without(sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest:
    """`sent` without the refused members; adaptive thinking becomes thinking with a budget."""
    names = [name.removesuffix(ONCE) for name in refused]
    if not names:
        return sent
    members: dict[str, Any] = dict(_members.decode(sent.body))
    losses = list(sent.losses)
    for name in names:
        if name == "thinking.adaptive":
            _with_budget(members, losses)
        elif name == "output_config.effort":
            _without_effort(members, losses)
        elif name == "tools.strict":
            _without_strict(members, losses)
        elif name == "thinking.display":
            _without_display(members)
        elif name in members:
            del members[name]
            losses.append(Loss(name, "the model refuses it; sent without"))
    return dataclasses.replace(sent, body=msgspec.json.encode(members), losses=tuple(losses))


def _without_display(members: dict[str, Any]) -> None:
    if b'"display"' in bytes(members.get("thinking", b"")):
        thinking = _members.decode(members["thinking"])
        del thinking["display"]
        members["thinking"] = msgspec.Raw(msgspec.json.encode(thinking))


def _without_strict(members: dict[str, Any], losses: list[Loss]) -> None:
    if "tools" not in members:
        return
    tools = []
    for place, raw in enumerate(_raws.decode(members["tools"])):
        tool = _members.decode(raw)
        if tool.pop("strict", None) is not None:
            losses.append(Loss(f"tools[{place}].strict", "the model refuses it; sent without"))
        tools.append(tool)
    members["tools"] = tools


def _with_budget(members: dict[str, Any], losses: list[Loss]) -> None:
    if b"adaptive" not in bytes(members.get("thinking", b"")):
        return
    config = msgspec.json.decode(members["output_config"]) if "output_config" in members else {}
    effort = config.get("effort") if isinstance(config, dict) else None
    limit = msgspec.json.decode(members.get("max_tokens", b"0"))
    room = (limit if isinstance(limit, int) else 0) - _ROOM
    budget = min(_BUDGETS.get(str(effort), _BUDGETS["high"]), room)
    _without_effort(members, losses)  # models without adaptive thinking know no effort either
    if budget < _LEAST:
        del members["thinking"]
        losses.append(Loss("thinking", "the model thinks by budget only, and max_tokens leaves no room for one"))
        return
    members["thinking"] = msgspec.Raw(msgspec.json.encode({"type": "enabled", "budget_tokens": budget}))
    named = [name for name in _SAMPLING if name in members]  # the API takes none of them beside a budget
    losses += [Loss(name, "not possible together with thinking by budget; sent without") for name in named]
    for name in named:
        del members[name]


def _without_effort(members: dict[str, Any], losses: list[Loss]) -> None:
    config = msgspec.json.decode(members.get("output_config", b"null"))
    if not isinstance(config, dict) or "effort" not in config:
        return
    del config["effort"]
    losses.append(Loss("output_config.effort", "the model refuses it; sent without"))
    if config:
        members["output_config"] = msgspec.Raw(msgspec.json.encode(config))
    else:
        del members["output_config"]
