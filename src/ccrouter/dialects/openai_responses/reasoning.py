"""How much to reason, and earlier reasoning on its way back: Messages → Responses. Pure.

Nothing is sent where nothing was asked, but for the wish to get sealed reasoning at all: without it an agent would
think everything anew after each tool call. A reasoning item goes back only to the provider and the model that made it
(400 "The encrypted content could not be verified" elsewhere); anybody else's thinking is left out and told as a loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ccrouter.dialects.base import Loss
from ccrouter.dialects.efforts import Asked, asked_of, nearest_effort
from ccrouter.dialects.profile import Profile
from ccrouter.jsontypes import JsonObject
from ccrouter.messages import carrier
from ccrouter.messages.request import Block, MessagesRequest

DIALECT = "openai_responses"
SEALED = "reasoning.encrypted_content"
#: Stands between the parts of a reasoning item where they are shown as one thinking block.
BETWEEN = "\n\n"

_BUDGET = "thinking.budget_tokens"
_NO_BUDGET = "the provider takes none: the model reasons as much as it will"
#: The least budget that OpenRouter's Anthropic models take.
_MIN_BUDGET = 1024
#: 400 "The following tools cannot be used with reasoning.effort 'minimal': web_search"
_LEAST_WITH_SEARCH = "low"
#: Lists of texts in a reasoning item: one is a summary, the other what the model thought.
_LISTS = ("summary", "content")


def reasoning_members(
    request: MessagesRequest, profile: Profile, *, searches: bool
) -> tuple[dict[str, Any], list[Loss], set[str]]:
    """The members that ask for reasoning and its sealed form; what could not be asked, and what was. `searches` says
    that the provider searches the web.
    """
    members: dict[str, Any] = {"include": [SEALED]} if profile.seals_reasoning else {}
    asked = asked_of(request)
    sent = _reasoning(request, profile, asked)
    if searches and sent.get("effort") == "minimal":
        sent["effort"] = _LEAST_WITH_SEARCH
    if sent:
        members["reasoning"] = sent
    losses = list(_shortfall(asked, profile, sent))
    said = {"thinking.type"} if asked.mode != "unasked" else set()
    said |= {_BUDGET} if asked.budget is not None else set()
    said |= {asked.effort_path} if asked.effort else set()
    lost = {loss.path for loss in losses}
    return members, losses, {path for path in said if path not in lost and path.partition(".")[0] not in lost}


def _reasoning(request: MessagesRequest, profile: Profile, asked: Asked) -> dict[str, Any]:
    """The `reasoning` member; {} to leave all of it to the provider."""
    if not _is_controlled(profile) or (asked.mode == "unasked" and not asked.effort):
        return {}
    if asked.mode == "off":
        return {"effort": profile.effort_off} if profile.effort_off else {}
    word = nearest_effort(asked.word, profile.efforts)
    sent: dict[str, Any] = {"effort": word} if word else {}
    if asked.mode == "unasked":
        return sent
    if profile.reasoning_style == "openrouter":
        if asked.budget is not None and not asked.effort and profile.accepts_budget:
            limit = request.max_tokens
            budget = asked.budget if limit is None else min(asked.budget, limit - 1)
            if budget >= _MIN_BUDGET:
                sent = {"max_tokens": budget}  # one of the two, never both
        sent = sent or {"enabled": True}
    if profile.seals_reasoning:
        sent["summary"] = "auto"
    return sent


def _is_controlled(profile: Profile) -> bool:
    """True if the server takes a `reasoning` member for the model."""
    return profile.reasoning_style in {"effort", "openrouter"} or bool(profile.efforts)


def _shortfall(asked: Asked, profile: Profile, sent: dict[str, Any]) -> Iterator[Loss]:
    """What the `reasoning` that is `sent` says less of than was asked."""
    mode, budget, effort = asked.mode, asked.budget, asked.effort
    word = sent.get("effort", "")
    reasons = _is_controlled(profile) or profile.seals_reasoning or profile.reasoning_style != "none"
    if mode == "off" and reasons and word != "none":
        told = f": effort {word}" if word else ""
        what = f"reasoning cannot be switched off for this model{told}"
        yield Loss("thinking", what, "approximated" if word else "dropped")
    elif mode == "on" and not sent:
        yield Loss("thinking", "the model's reasoning cannot be controlled there")
    elif budget is not None:
        limit = sent.get("max_tokens")
        if limit and limit != budget:
            yield Loss(_BUDGET, f"{budget} sent as {limit}: it must stay below max_tokens", "approximated")
        elif not limit and not effort:
            yield Loss(_BUDGET, f"{budget} tokens said as effort {word}" if word else _NO_BUDGET, "approximated")
    if asked.unknown:
        yield Loss(asked.effort_path, f"unknown effort {asked.unknown}: left to the provider")
    elif effort and mode == "off":
        yield Loss(asked.effort_path, "not sent: thinking is switched off, and effort is about nothing else there")
    elif effort and word and word != effort:
        yield Loss(asked.effort_path, f"{effort} sent as {word}, the nearest there is", "approximated")
    elif effort and not word:
        yield Loss(asked.effort_path, "the model takes none there")


# -- earlier reasoning ---------------------------------------------------------------------------------------------


def pack(provider: str, model: str, item: JsonObject, text: str, phase: str = "") -> str:
    """A signature that brings a reasoning item back through the client. `text` is what of it the client is shown, and
    not repeated in it; `phase` belongs to the message that follows the item.
    """
    if not item:
        return carrier.pack(DIALECT, provider)
    lean = {name: value for name, value in item.items() if name != "status" and value is not None}
    for name in _LISTS:
        parts = _texts(lean.get(name))
        if text and parts and BETWEEN.join(part["text"] for part in parts) == text:
            lean[name] = [{**part, "text": len(part["text"])} for part in parts]
            break
    state: JsonObject = {"model": model, "item": lean}
    if phase:
        state["phase"] = phase
    return carrier.pack(DIALECT, provider, msgspec.json.encode(state))


def replayed(block: Block, path: str, provider: str, model: str, losses: list[Loss]) -> tuple[JsonObject, str]:
    """The reasoning item that a thinking block stands for, and the phase of the message after it; ({}, "") with a loss
    if there is none, or none that this model at this provider may see.
    """
    state = carrier.unpack(block.signature or "", DIALECT, provider) if block.type == "thinking" else None
    if state is None:
        losses.append(Loss(path, f"{block.type} of another maker not sent"))
        return {}, ""
    value = _decoded(state)
    item = value.get("item")
    if value and value.get("model") != model:
        losses.append(Loss(path, f"reasoning of {value.get('model')} not sent: another model cannot read it"))
        return {}, ""
    item = _restored(item, block.thinking or "") if isinstance(item, dict) else {}
    if not (item.get("encrypted_content") or item.get("content")):
        losses.append(Loss(path, "earlier reasoning not sent: the provider gave none that could come back"))
        return {}, ""
    phase = value.get("phase")
    return {"type": "reasoning", "summary": [], **item}, phase if isinstance(phase, str) else ""


def _restored(item: JsonObject, text: str) -> JsonObject:
    """The item with the texts that the thinking block holds; without its own thoughts if the client emptied that."""
    whole = {
        name: _whole(value, text) if name in _LISTS and isinstance(value, list) else value
        for name, value in item.items()
    }
    return {name: value for name, value in whole.items() if name != "content" or value}


def _decoded(state: bytes) -> JsonObject:
    try:
        return msgspec.json.decode(state, type=JsonObject) if state else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _texts(parts: object) -> list[JsonObject]:
    """`parts` if all of them are objects with a text, else none."""
    if not isinstance(parts, list):
        return []
    return parts if all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in parts) else []


def _whole(parts: list[Any], text: str) -> list[Any]:
    """The parts with their texts again, each the next piece of `text` for a number that is its length."""
    lengths = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), int)]
    if not lengths:
        return parts
    if sum(lengths) + len(BETWEEN) * (len(lengths) - 1) != len(text):  # somebody edited the thinking
        return [{**parts[0], "text": text}] if text else []
    start, whole = 0, []
    for part in parts:
        end = start + part["text"]
        whole.append({**part, "text": text[start:end]})
        start = end + len(BETWEEN)
    return whole
