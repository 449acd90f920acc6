"""Doing without a parameter that a server refuses. Pure.

Profiles know what the known providers take. A server that nobody has described says it itself, in a 400 that names the
parameter; then the same request without it is a better answer than the error. Only what leaves the conversation, the
tools and the asked format as they are may go; a length limit that is too high goes down to the one
that the error names.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

import msgspec

from ccrouter.dialects.base import Loss, UpstreamRequest
from ccrouter.errors import UpstreamStatus

#: The names under which a length limit is sent.
LIMITS = ("max_tokens", "max_completion_tokens")

#: Member → the name to send its value under instead; "" to leave it out.
_AMENDMENTS = {
    "max_tokens": "max_completion_tokens",  # OpenAI's reasoning models, and who follows them
    "max_completion_tokens": "max_tokens",
    "stream_options": "",
    "parallel_tool_calls": "",
    "reasoning_effort": "",
    "reasoning": "",
    "thinking": "",
    "enable_thinking": "",
    "thinking_budget": "",
    "chat_template_kwargs": "",
    "prompt_cache_key": "",
    "temperature": "",
    "top_p": "",
    "top_k": "",
}
_REFUSAL = re.compile(
    r"unsupported|unrecogni[sz]ed|unknown|unexpected|not (?:supported|permitted|allowed|recognized|valid)"
    r"|extra (?:inputs|fields|forbidden)|does(?: not|n't) support",
    re.IGNORECASE,
)
_TOKENS = r"[`'\"]?\b(?:max_(?:completion_|output_|new_)?tokens|maxOutputTokens)\b[`'\"]?"
_NUMBER = r"[`'\"]?(?P<most>\d[\d,_]*)"
_AT_MOST = r"(?:less than or equal to|smaller than or equal to|no (?:more|greater) than|at most|<=)"
#: A limit that is too high, in words that name the highest one. `exclusive` says that this one is too high itself.
_TOO_HIGH = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        # OpenAI: "max_tokens is too large: 128000. This model supports at most 16384 completion tokens"
        rf"{_TOKENS}.{{0,200}}?at most {_NUMBER}[`'\"]? (?:completion |output )?tokens",
        # DashScope, DeepSeek, Volcengine: "Range of max_tokens should be [1, 65536]"
        rf"range of {_TOKENS} (?:is|should be|must be) [\[(]\d+, ?{_NUMBER}(?P<exclusive>\))?",
        # Groq, and who validates with pydantic: "`max_tokens` must be less than or equal to `8192`"
        rf"{_TOKENS}.{{0,60}}?(?:must|should|has to) be {_AT_MOST} {_NUMBER}",
        rf"{_TOKENS}.{{0,60}}?(?:must|should|has to) be (?P<exclusive>less than|<) {_NUMBER}",
        # "max_tokens must be between 1 and 8192", "max_tokens must be in the range of [1, 8192]"
        (
            rf"{_TOKENS}.{{0,60}}?(?:must|should|has to) be (?:in )?(?:the range )?(?:of )?"
            rf"(?:between |from )?[\[(]?\d+(?: and | to |, ?){_NUMBER}"
        ),
        # Gemini: "maxOutputTokens value of 128000 but the supported range is from 1 (inclusive) to 65537 (exclusive)"
        (
            rf"{_TOKENS}.{{0,120}}?supported range is from \d+ \(inclusive\) to {_NUMBER}"
            r" \((?:inclusive|(?P<exclusive>exclusive))"
        ),
        # Anthropic: "max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens"
        rf"{_TOKENS}: \d+ > {_NUMBER},? which is the maximum",
    )
)
#: The conversation is too long, or too much was sent in a minute: less output is then the client's to decide.
_OTHER_LIMITS = re.compile(
    r"prompt is too long|input length and|context.?length|per (?:minute|hour|day)", re.IGNORECASE
)
_LIMIT = "max_tokens<="


def refused_member(error: UpstreamStatus, sent: UpstreamRequest) -> str:
    """The member of `sent` that the error says the server does not take, if it can be done without; else "". Where a
    lower limit is asked for, that is "max_tokens<=N", under whatever name the limit is sent.
    """
    text = str(error)
    if error.status not in {400, 422}:
        return ""
    members = msgspec.json.decode(sent.body, type=dict[str, msgspec.Raw])
    most = _highest(text)
    if most and any(_number(members.get(name)) > most for name in LIMITS):
        return f"{_LIMIT}{most}"
    if not _REFUSAL.search(text):
        return ""
    named = [(match.start(), name) for name in _AMENDMENTS if name in members and (match := _word(name).search(text))]
    return min(named)[1] if named else ""  # what is refused is named before what to use instead


def without(sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest:
    """`sent` without the refused members, or with them under their other name, or lowered; what is lost is told."""
    members = msgspec.json.decode(sent.body, type=dict[str, msgspec.Raw])
    losses = list(sent.losses)
    for name in refused:
        if name.startswith(_LIMIT):
            _lower(members, int(name.removeprefix(_LIMIT)), losses)
            continue
        if name not in members:
            continue
        value, other = members.pop(name), _AMENDMENTS[name]
        if other:
            members[other] = value
        elif name != "stream_options":  # asks for usage figures; nothing of the request is lost with it
            losses.append(Loss(name, "the provider refuses it; sent without"))
    return dataclasses.replace(sent, body=msgspec.json.encode(members), losses=tuple(losses))


def _lower(members: dict[str, msgspec.Raw], most: int, losses: list[Loss]) -> None:
    for name in LIMITS:
        asked = _number(members.get(name))
        if asked > most:
            members[name] = msgspec.Raw(str(most).encode())
            losses.append(Loss("max_tokens", f"{asked} sent as {most}, the most that the provider takes"))


def _highest(text: str) -> int:
    """The highest length limit that an error names; 0 if it is about something else."""
    if _OTHER_LIMITS.search(text):
        return 0
    match = next((found for pattern in _TOO_HIGH if (found := pattern.search(text))), None)
    if match is None:
        return 0
    most = int(re.sub(r"\D", "", match["most"]))
    return most - 1 if match.groupdict().get("exclusive") else most


def _number(raw: msgspec.Raw | None) -> int:
    """The number in `raw`; 0 if it is none."""
    text = bytes(raw or b"")
    return int(text) if text.isdigit() else 0


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w]){name}(?![\w])")
