"""How much to reason, and earlier reasoning on its way back: Messages → what the profile's server knows. Pure.

Nothing is sent where nothing was asked: a server that does not reason refuses unknown members. Opaque state goes back
only to the provider that made it; anybody else's thinking is left out and told as a loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ccrouter.dialects.base import Loss
from ccrouter.dialects.efforts import Asked, Mode, asked_of, nearest_effort
from ccrouter.dialects.profile import Profile
from ccrouter.jsontypes import JsonObject
from ccrouter.messages import carrier
from ccrouter.messages.request import Block, MessagesRequest

DIALECT = "openai_chat"

_BUDGET = "thinking.budget_tokens"
_NO_EFFORT = {True: "not sent: the provider is told of effort with thinking only", False: "the model takes none there"}

#: The least budget that OpenRouter's Anthropic models take.
_MIN_BUDGET = 1024


@dataclass(slots=True)
class Replay:
    """Earlier reasoning of one assistant turn: `members` for its message, `calls` by tool call id, and a `prefix` for
    its text.
    """

    members: JsonObject = field(default_factory=dict)
    calls: dict[str, JsonObject] = field(default_factory=dict)
    prefix: str = ""


def reasoning_members(
    request: MessagesRequest, profile: Profile, *, has_tools: bool
) -> tuple[dict[str, Any], list[Loss], set[str]]:
    """The members that ask for (or decline) reasoning, what could not be asked, and what was."""
    asked = asked_of(request)
    losses: list[Loss] = []
    if asked.mode == "unasked":
        members = _always(request, profile, asked.effort, has_tools=has_tools)
    else:
        members = _members(request, profile, asked.mode, asked.word, asked.budget)
        if has_tools and profile.effort_with_tools is not None and profile.reasoning_style == "effort":
            if members.get("reasoning_effort") not in {None, profile.effort_with_tools}:
                losses.append(Loss("thinking", "the provider takes no effort together with tools in this API"))
            members = {"reasoning_effort": profile.effort_with_tools} if profile.effort_with_tools else {}
    losses += _shortfall(asked, profile, members)
    said = {"thinking.type"} if asked.mode != "unasked" else set()
    said |= {_BUDGET} if asked.budget is not None else set()
    said |= {asked.effort_path} if asked.effort else set()
    return members, losses, said - {loss.path for loss in losses}


def _always(request: MessagesRequest, profile: Profile, effort: str, *, has_tools: bool) -> dict[str, Any]:
    """What has to be said even where the client said nothing of thinking."""
    if has_tools and profile.effort_with_tools and profile.reasoning_style == "effort":
        return {"reasoning_effort": profile.effort_with_tools}
    if profile.reasoning_style == "qwen" and profile.thinks_only_streamed and not is_streamed(request, profile):
        return {"enable_thinking": False}
    if profile.reasoning_style == "effort" and not profile.can_disable_thinking:
        word = nearest_effort(effort, profile.efforts)  # it reasons anyway, and effort is how much
        return {"reasoning_effort": word} if word else {}
    return {}


def _members(request: MessagesRequest, profile: Profile, mode: Mode, effort: str, budget: int | None) -> dict[str, Any]:
    word = nearest_effort(effort, profile.efforts)
    match profile.reasoning_style:
        case "effort":
            sent = profile.effort_off if mode == "off" else word
            return {"reasoning_effort": sent} if sent else {}
        case "openrouter":
            return _openrouter(request, profile, mode, word, budget)
        case "thinking":
            return _thinking(profile, mode, word)
        case "qwen":
            return _qwen(request, profile, mode, budget)
        case "template":
            # Chat templates ignore variables they do not know: Qwen and GLM read the one, DeepSeek the other.
            if mode == "adaptive":
                return {}
            return {"chat_template_kwargs": {"enable_thinking": mode == "on", "thinking": mode == "on"}}
        case _:
            return {}


def _openrouter(
    request: MessagesRequest, profile: Profile, mode: Mode, word: str, budget: int | None
) -> dict[str, Any]:
    """OpenRouter's `reasoning`: one of effort and max_tokens, never both (docs: reasoning tokens)."""
    if mode == "off":
        return {"reasoning": {"effort": profile.effort_off}} if profile.effort_off else {}
    if budget is not None and request.effort is None and profile.accepts_budget:
        limit = request.max_tokens
        if limit is not None:
            budget = min(budget, limit - 1)
        if budget >= _MIN_BUDGET:
            return {"reasoning": {"max_tokens": budget}}
    return {"reasoning": {"effort": word} if word else {"enabled": True}}


def _thinking(profile: Profile, mode: Mode, word: str) -> dict[str, Any]:
    if mode == "off":
        if profile.can_disable_thinking:
            return {"thinking": {"type": "disabled"}}
        return {"reasoning_effort": profile.efforts[0]} if profile.efforts else {}
    members: dict[str, Any] = {}
    if mode == "on" or profile.adaptive_is_on:
        members["thinking"] = {"type": "enabled", **profile.thinking_extra}
    if word:
        members["reasoning_effort"] = word
    return members


def is_streamed(request: MessagesRequest, profile: Profile) -> bool:
    """Whether the provider is asked for a stream: also for a client that wants the whole, where the model does nothing
    but think and the provider lets it think only so (DashScope: 400 "restricted to True", "only support stream").
    """
    return request.stream or (profile.thinks_only_streamed and not profile.can_disable_thinking)


def _qwen(request: MessagesRequest, profile: Profile, mode: Mode, budget: int | None) -> dict[str, Any]:
    if mode == "off" and not profile.can_disable_thinking:
        return {}
    if mode == "off" or (profile.thinks_only_streamed and not is_streamed(request, profile)):
        return {"enable_thinking": False}
    if mode == "adaptive":
        return {}
    members: dict[str, Any] = {"enable_thinking": True}
    if budget is not None and profile.accepts_budget:
        members["thinking_budget"] = budget
    return members


def _shortfall(asked: Asked, profile: Profile, members: dict[str, Any]) -> Iterator[Loss]:
    """What `members` say less of than was asked."""
    nested = members.get("reasoning") or {}
    word = members.get("reasoning_effort") or nested.get("effort") or ""
    is_known = profile.reasoning_style != "none"
    mode, budget, effort = asked.mode, asked.budget, asked.effort
    if mode == "off" and is_known:
        if not members:
            yield Loss("thinking", "reasoning cannot be switched off for this model")
        elif word not in {"", "none"}:
            yield Loss("thinking", f"reasoning cannot be switched off for this model: effort {word}", "approximated")
    elif mode == "on" and not is_known:
        yield Loss("thinking", "the model's reasoning cannot be controlled there")
    elif mode in {"on", "adaptive"} and members.get("enable_thinking") is False:
        yield Loss("thinking", "the provider reasons in streamed answers only")
    elif budget is not None:
        sent = members.get("thinking_budget") or nested.get("max_tokens")
        if sent and sent != budget:
            yield Loss(_BUDGET, f"{budget} sent as {sent}: it must stay below max_tokens", "approximated")
        elif word and not effort:
            yield Loss(_BUDGET, f"{budget} tokens said as effort {word}", "approximated")
        elif not sent:
            yield Loss(_BUDGET, "the provider takes none: the model reasons as much as it will")
    if asked.unknown:
        yield Loss(asked.effort_path, f"unknown effort {asked.unknown}: left to the provider")
    elif effort and mode == "off":
        yield Loss(asked.effort_path, "not sent: thinking is switched off, and effort is about nothing else there")
    elif effort and word and word != effort:
        yield Loss(asked.effort_path, f"{effort} sent as {word}, the nearest there is", "approximated")
    elif effort and not word:
        yield Loss(asked.effort_path, _NO_EFFORT[mode == "unasked" and is_known])


# -- earlier reasoning ---------------------------------------------------------------------------------------------


def replay_of(
    blocks: Sequence[tuple[str, Block]], profile: Profile, provider: str, losses: list[Loss], *, has_calls: bool
) -> Replay:
    """The thinking blocks of one assistant turn (each with its path) as `provider` wants them back."""
    replay = Replay()
    texts: list[str] = []
    details: list[JsonObject] = []
    own = []
    for path, block in blocks:
        state = carrier.unpack(block.signature or "", DIALECT, provider) if block.type == "thinking" else None
        if state is None:
            losses.append(Loss(path, f"{block.type} of another maker not sent"))
            continue
        text = block.thinking or ""
        own.append(path)
        texts.append(text)
        details += _unpack(state, text, replay)
    _say(replay, "".join(texts), details, profile)
    if not replay.members and not replay.prefix:
        if replay.calls:
            what = "earlier thinking goes back as its signature: the provider takes no words of it"
            losses += [Loss(f"{path}.thinking", what, "approximated") for path in own]
        else:
            losses += [Loss(path, "earlier thinking not sent: the provider takes none back") for path in own]
    if has_calls and profile.must_replay_reasoning and profile.replays_reasoning in {"reasoning_content", "reasoning"}:
        # The member has to be there and may not be empty; nothing truthful is left to put into it.
        replay.members.setdefault(profile.replays_reasoning, " ")
    return replay


def _say(replay: Replay, text: str, details: list[JsonObject], profile: Profile) -> None:
    match profile.replays_reasoning:
        case "reasoning_details":
            if details:
                replay.members["reasoning_details"] = details
            elif text:
                replay.members["reasoning"] = text
        case "think_tags":
            if text:
                replay.prefix = f"<think>\n{text}\n</think>\n\n"
        case "reasoning_content" | "reasoning" as member if text:
            replay.members[member] = text
        case _:
            pass


def _unpack(state: bytes, text: str, replay: Replay) -> list[JsonObject]:
    """The details in a block's state; what belongs to single calls goes into `replay`."""
    if not state:
        return []
    try:
        value = msgspec.json.decode(state, type=JsonObject)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    calls = value.get("calls")
    if isinstance(calls, dict):
        replay.calls.update({key: extra for key, extra in calls.items() if isinstance(extra, dict)})
    details = value.get("details")
    found = [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []
    return [{**detail, "text": text} if detail.get("text", "") is None else detail for detail in found]


def pack(provider: str, details: Sequence[JsonObject], calls: JsonObject, text: str) -> str:
    """A signature that brings this reasoning back through the client. Text that the block itself holds is not
    repeated in it.
    """
    if not details and not calls:
        return carrier.pack(DIALECT, provider)
    lean = [{**detail, "text": None} if text and detail.get("text") == text else detail for detail in details]
    state = {"details": lean, "calls": calls} if calls else {"details": lean}
    return carrier.pack(DIALECT, provider, msgspec.json.encode(state))
