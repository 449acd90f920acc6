"""Probes of thinking: how it is switched on and off, and which words and budgets for it are taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccrouter.certify.bench import Bench, Finding, failed, passed, unclear, unknown
from ccrouter.certify.observation import Answer
from ccrouter.certify.questions import ROOM, question

_ASK = "Which is larger, 9.11 or 9.9? Answer with the number alone."
_BUDGET = 1024
#: For questions that are about a word being taken: the answer may be cut.
_LITTLE = 256
_LEVEL = "level"
#: How servers of a dialect can be asked to think, the most usual way first.
_STYLES: Mapping[str, tuple[str, ...]] = {
    "openai_chat": ("effort", "thinking", "qwen", "openrouter", "template"),
    "openai_responses": ("effort",),
    "gemini": (_LEVEL,),
}
_WORDS = ("minimal", "low", "medium", "high", "xhigh", "max")
_BY_WORDS = frozenset({"effort", _LEVEL, "thinking", "openrouter"})
_BY_BUDGET = frozenset({"budget", "qwen", "openrouter"})
#: Ways of asking in which declining is a word.
_DECLINED_BY_WORD = frozenset({"effort", "openrouter"})


async def thinking(bench: Bench) -> Finding:
    """Thinking that is asked for and comes, and that is declined and does not."""
    unasked = bool(bench.answers["answers"].thinking)
    known = bench.profile.reasoning_style
    told: list[str] = []
    usual = _STYLES.get(bench.asker.endpoint.dialect, ())
    styles = ([known] if known != "none" or not usual else []) + [style for style in usual if style != known]
    for style in styles:
        candidate = _candidate(bench, style)
        answer = await _ask(bench, "enabled", candidate)
        if answer.is_refusal:
            told.append(f"{style} refused")
            continue
        if not answer.is_good:
            return unclear(answer)
        if not answer.thinking:
            told.append(f"{style} shows none")
            continue
        if style == _LEVEL:  # without a word on it thoughts are not shown, which is not that there are none
            return passed(f"comes when asked for (by {style})", bench.differing(**candidate))
        off_word = {"effort_off": "none"} if style in _DECLINED_BY_WORD else {}
        off = await _ask(bench, "disabled", {**candidate, **off_word, "can_disable_thinking": True})
        stops = off.is_good and not off.thinking
        if unasked and not stops and style != known:
            told.append(f"{style} changes nothing")  # it thinks whatever is said
            continue
        return _settled(bench, style, off, stops=stops)
    if unasked:
        changes = bench.differing(can_disable_thinking=False)
        return unknown("thinks unasked, and nothing that was tried changes that", changes)
    return unknown(f"no thinking seen ({', '.join(told)})" if usual else "no thinking seen")


async def efforts(bench: Bench) -> Finding:
    """Which words for effort are taken. A server that takes all of them may read none."""
    style = bench.profile.reasoning_style
    if not _is_said(bench, _BY_WORDS):
        return unknown("effort cannot be said there in words")
    taken, refused = [], ""
    for word in _WORDS:
        request = question(_ASK, max_tokens=_LITTLE, thinking={"type": "adaptive"}, output_config={"effort": word})
        answer = await bench.ask(request, {"efforts": (word,)})
        if answer.is_good:
            taken.append(word)
        elif answer.is_refusal:
            refused = answer.told
    if not refused:
        return unknown(f"{len(taken)} words are taken, and perhaps none is read")
    if not taken:
        return failed(f"refused: {refused}", bench.differing(efforts=()) if style == "thinking" else {})
    return passed(f"{', '.join(taken)}; others are refused", bench.differing(efforts=tuple(taken)))


async def budgets(bench: Bench) -> Finding:
    """Budgets in tokens."""
    if not _is_said(bench, _BY_BUDGET):
        return unknown("a budget cannot be said there")
    answer = await _ask(bench, "enabled", {"accepts_budget": True}, stream=True)
    if answer.is_refusal:
        return failed(f"refused: {answer.told}", bench.differing(accepts_budget=False))
    if not answer.is_good:
        return unclear(answer)
    return passed("taken", bench.differing(accepts_budget=True) if bench.is_chat else {})


def _is_said(bench: Bench, styles: frozenset[str]) -> bool:
    """True if thinking is asked for in one of these ways, or in the client's own words."""
    return bench.asker.endpoint.dialect not in _STYLES or bench.profile.reasoning_style in styles


def _candidate(bench: Bench, style: str) -> dict[str, Any]:
    known = bench.profile
    if style == known.reasoning_style:
        return {}
    words = ("low", "medium", "high") if style in {"effort", _LEVEL} else known.efforts
    return {"reasoning_style": style, "efforts": words}


async def _ask(bench: Bench, kind: str, candidate: dict[str, Any], *, stream: bool = False) -> Answer:
    asked: dict[str, Any] = {"type": kind}
    if kind == "enabled":
        asked["budget_tokens"] = _BUDGET
    return await bench.ask(question(_ASK, max_tokens=_BUDGET + ROOM, thinking=asked), candidate, stream=stream)


def _settled(bench: Bench, style: str, off: Answer, *, stops: bool) -> Finding:
    """What is known once a way of asking works: of declining too, if that is clear."""
    measured = _candidate(bench, style)
    told = "comes when asked for"
    if stops:
        told += ", not when declined"
        measured["can_disable_thinking"] = True
        if style in _DECLINED_BY_WORD:
            measured["effort_off"] = "none"
    elif off.is_good or off.is_refusal:
        told += ", and cannot be declined" + (f" ({off.told})" if off.is_refusal else "")
        measured["can_disable_thinking"] = False
        if bench.profile.effort_off == "none" or "reasoning_style" in measured:
            measured["effort_off"] = ""
    by = "" if style == "none" else f" (by {style})"
    return passed(told + by, bench.differing(**measured))
