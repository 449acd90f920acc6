"""How much thinking was asked for, in words and in tokens. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ccrouter.dialects.profile import EFFORTS
from ccrouter.messages.request import MessagesRequest

#: Budgets in tokens → effort, for servers that know words only. Claude Code's own default budget is 31 999.
_BUDGETS = ((1024, "low"), (8192, "medium"))

Mode = Literal["unasked", "off", "adaptive", "on"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says about reasoning: whether, how much in tokens and in a word ("" for none), where the word
    stands, and a word that nobody knows.
    """

    mode: Mode
    budget: int | None
    effort: str
    effort_path: str
    unknown: str

    @property
    def word(self) -> str:
        """The effort asked for, said in a budget or in a word; "" for none."""
        return self.effort or (effort_of_budget(self.budget) if self.budget is not None else "")


def asked_of(request: MessagesRequest) -> Asked:
    """What `request` says about reasoning."""
    thinking = request.thinking
    mode = mode_of(thinking.type if thinking else None)
    effort = request.effort or ""
    is_own = effort == request.output_config.effort
    return Asked(
        mode=mode,
        budget=thinking.budget_tokens if thinking and mode == "on" else None,
        effort=effort if effort in EFFORTS else "",
        effort_path="output_config.effort" if is_own else "messages[].output_config.effort",
        unknown="" if effort in EFFORTS else effort,
    )


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
