"""What a server's error says that it does not take: a member by name, or a length limit that is too high. Pure.

Profiles know what the known providers take. A server that nobody has described says it itself, in a 400 that names the
parameter. What of a request may then go is each dialect's to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

#: Ends a name that is not to be remembered: what refused it is this conversation, not the model.
ONCE = "!"

_REFUSAL = re.compile(
    r"unsupported|unrecogni[sz]ed|unknown|unexpected|not (?:supported|permitted|allowed|recognized|valid)"
    r"|extra (?:inputs|fields|forbidden)|does(?: not|n't) support",
    re.IGNORECASE,
)
_TOKENS = r"[`'\"]?\b(?:max_(?:completion_|output_|new_)?tokens|maxOutputTokens)\b[`'\"]?"
_NUMBER = r"[`'\"]?(?P<most>\d[\d,_]{0,29})"
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


def refused_name(text: str, names: Iterable[str]) -> str:
    """The one of `names` that an error's text says the server does not take; "" if it says that of none of them.

    What is refused is named before what to use instead; of two names at the same place the longer one is meant
    ("reasoning.effort", "reasoning").
    """
    if not _REFUSAL.search(text):
        return ""
    found = [(match.start(), -len(name), name) for name in names if (match := _word(name).search(text))]
    return min(found)[2] if found else ""


def highest_limit(text: str) -> int:
    """The highest length limit that an error names; 0 if it is about something else."""
    if _OTHER_LIMITS.search(text):
        return 0
    match = next((found for pattern in _TOO_HIGH if (found := pattern.search(text))), None)
    if match is None:
        return 0
    most = int(re.sub(r"\D", "", match["most"]))
    return most - 1 if match.groupdict().get("exclusive") else most


def whole_number(raw: msgspec.Raw | None) -> int:
    """The number in `raw`; 0 if it is none."""
    text = bytes(raw or b"")
    return int(text) if text.isdigit() else 0


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w]){re.escape(name)}(?![\w])")
