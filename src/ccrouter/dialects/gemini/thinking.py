"""How much to think: Messages → `thinkingConfig`, by what the model's family takes. Pure.

Nothing is sent where nothing was asked, and nothing to models that do not think: they refuse the member.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ccrouter.dialects.base import Loss
from ccrouter.dialects.efforts import Mode, effort_of_budget, mode_of, nearest_effort
from ccrouter.dialects.profile import EFFORTS, Profile
from ccrouter.messages.request import MessagesRequest

_BUDGET = "thinking.budget_tokens"
_TURN_EFFORT = "messages[].output_config.effort"

#: Effort → budget, as Google's own OpenAI endpoint has it (ai.google.dev/gemini-api/docs/openai). More is the most that
#: the model takes.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
#: The model's own choice.
_DYNAMIC = -1


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request says about thinking. `unknown` is an effort that nobody knows."""

    mode: Mode
    budget: int | None
    effort: str
    effort_path: str
    unknown: str
    is_shown: bool


def thinking_members(
    request: MessagesRequest, profile: Profile, limit: int | None
) -> tuple[dict[str, Any], list[Loss], set[str]]:
    """The members of `generationConfig` that ask for thinking or decline it, what could not be asked, and what was.

    `limit` is how long the answer may be, thinking included.
    """
    asked = _asked(request)
    losses: list[Loss] = []
    config: dict[str, Any] = {}
    match profile.reasoning_style:
        case "budget":
            config = _by_budget(asked, profile, limit, losses)
        case "level":
            config = _by_level(asked, profile, losses)
        case _:
            losses += _not_at_all(asked)
    if config and asked.mode in {"on", "adaptive"}:
        config["includeThoughts"] = asked.is_shown
    if asked.unknown:
        losses.append(Loss(asked.effort_path, f"unknown effort {asked.unknown}: left to the provider"))
    said = {"thinking.type"} if asked.mode != "unasked" else set()
    said |= {_BUDGET} if asked.budget is not None else set()
    said |= {asked.effort_path} if asked.effort else set()
    said |= {"thinking.display"} if "includeThoughts" in config else set()
    return {"thinkingConfig": config} if config else {}, losses, said - {loss.path for loss in losses}


def _asked(request: MessagesRequest) -> _Asked:
    thinking = request.thinking
    mode = mode_of(thinking.type if thinking else None)
    effort = request.effort or ""
    return _Asked(
        mode=mode,
        budget=thinking.budget_tokens if thinking and mode == "on" else None,
        effort=effort if effort in EFFORTS else "",
        effort_path="output_config.effort" if effort == request.output_config.effort else _TURN_EFFORT,
        unknown="" if effort in EFFORTS else effort,
        is_shown=thinking is not None and thinking.display != "omitted",
    )


def _by_budget(asked: _Asked, profile: Profile, limit: int | None, losses: list[Loss]) -> dict[str, Any]:
    """Generation 2.5: so many tokens."""
    if asked.mode == "off":
        if asked.effort:
            losses.append(_effort_without_thinking(asked))
        if profile.can_disable_thinking:
            return {"thinkingBudget": 0}
        what = f"thinking cannot be switched off for this model: at most {profile.min_budget} tokens of it"
        losses.append(Loss("thinking", what, "approximated"))
        return {"thinkingBudget": profile.min_budget}
    wanted, path = asked.budget, _BUDGET
    if asked.effort and asked.effort != "none":
        if wanted is None:
            wanted, path = _BUDGETS.get(asked.effort, profile.max_budget), asked.effort_path
        else:
            losses.append(Loss(asked.effort_path, "not sent: the budget says how much"))
    if wanted is None:
        return {"thinkingBudget": _DYNAMIC} if asked.mode != "unasked" else {}
    most = min(profile.max_budget, limit - 1) if limit is not None else profile.max_budget
    sent = max(profile.min_budget, min(wanted, most))
    if path == _BUDGET and sent != wanted:
        losses.append(Loss(path, f"{wanted} sent as {sent}, the nearest that the model takes", "approximated"))
    elif path != _BUDGET:
        losses.append(Loss(path, f"{asked.effort} said as a budget of {sent} tokens", "approximated"))
    return {"thinkingBudget": sent}


def _by_level(asked: _Asked, profile: Profile, losses: list[Loss]) -> dict[str, Any]:
    """Generation 3 and later: a word. They always think."""
    if asked.mode == "off":
        if asked.effort:
            losses.append(_effort_without_thinking(asked))
        word = profile.effort_off
        what = f"thinking cannot be switched off for this model: level {word or 'as ever'}"
        losses.append(Loss("thinking", what, "approximated"))
        return {"thinkingLevel": word.upper()} if word else {}
    effort = asked.effort or (effort_of_budget(asked.budget) if asked.budget is not None else "")
    word = nearest_effort(effort, profile.efforts) if effort else ""
    if asked.budget is not None:
        said = f"said as level {word}" if word else "not sent"
        losses.append(Loss(_BUDGET, f"{asked.budget} tokens {said}: the model takes no budgets", "approximated"))
    if asked.effort and word != asked.effort:
        losses.append(Loss(asked.effort_path, f"{asked.effort} sent as {word}, the nearest there is", "approximated"))
    config: dict[str, Any] = {"thinkingLevel": word.upper()} if word else {}
    if asked.mode != "unasked":
        config.setdefault("includeThoughts", asked.is_shown)
    return config


def _not_at_all(asked: _Asked) -> Iterator[Loss]:
    if asked.mode == "on":
        yield Loss("thinking", "the model does not think, or cannot be told how much")
    if asked.effort and asked.mode != "off":
        yield Loss(asked.effort_path, "the model takes none")
    elif asked.effort:
        yield _effort_without_thinking(asked)


def _effort_without_thinking(asked: _Asked) -> Loss:
    return Loss(asked.effort_path, "not sent: thinking is switched off, and effort is about nothing else there")
