"""How much thinking was asked for, in words and in tokens. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ccrouter.dialects.profile import EFFORTS

#: Budgets in tokens → effort, for servers that know words only. Claude Code's own default budget is 31 999.
_BUDGETS = ((1024, "low"), (8192, "medium"))

Mode = Literal["unasked", "off", "adaptive", "on"]


def mode_of(kind: str | None) -> Mode:
    if kind is None:
        return "unasked"
    return {"disabled": "off", "adaptive": "adaptive"}.get(kind, "on")  # type: ignore[return-value] # mypy widens


def effort_of_budget(budget: int) -> str:
    """The word for a thinking budget in tokens."""
    return next((word for limit, word in _BUDGETS if budget <= limit), "high")


def nearest_effort(asked: str, known: Sequence[str]) -> str:
    """The word in `known` that is nearest to `asked`, the stronger one of two; "" if there is none to choose from or
    `asked` is no known word.
    """
    if asked in known:
        return asked
    words = [word for word in known if word != "none"]
    if not words or asked not in EFFORTS:
        return ""
    rank = EFFORTS.index(asked)
    return min(words, key=lambda word: (abs(EFFORTS.index(word) - rank), -EFFORTS.index(word)))
