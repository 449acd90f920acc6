"""What a provider says of an answer's bill beyond its tokens, read from usage of any shape. Pure.

Nothing here may fail: the figures are for the account of a request, and none is worth an answer.
"""

from __future__ import annotations

import math
from typing import Any

from ccrouter.messages.events import Billed

#: What providers call the way of serving that their list prices are for, and the lack of a choice (Anthropic's
#: `inference_geo`).
_USUAL = frozenset({"", "standard", "default", "auto", "on_demand", "global", "not_available"})


#: Of one request; more is no cost, and sums of such would come to infinity.
_MOST_DOLLARS = 1e6


def count_of(value: Any) -> int:
    """A count as it was reported; 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return 0
    return max(0, int(value))


def cost_reported(cost: Any, is_byok: Any = None, details: Any = None) -> float | None:
    """US dollars, by OpenRouter's members `cost`, `is_byok` and `cost_details` of usage; None if they do not say.

    With a key of the user's own at the upstream, `cost` is OpenRouter's fee alone, and what the upstream charges stands
    beside it (openrouter.ai/docs/use-cases/usage-accounting).
    """
    dollars = _amount(cost)
    if dollars is None or not is_byok:
        return dollars
    upstream = _amount(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
    return None if upstream is None else dollars + upstream


def service_of(*told: Any) -> str:
    """The first of these words that is a way of serving with prices of its own; "" if all are the usual one."""
    return next((word[:40] for word in told if isinstance(word, str) and word.lower() not in _USUAL), "")


def refresh(  # noqa: PLR0913 - one for each figure of a bill
    billed: Billed,
    *,
    thinking: int = 0,
    hour: int = 0,
    searches: int = 0,
    cost: float | None = None,
    service: str = "",
) -> None:
    """Later figures replace earlier ones; zero, None and "" say nothing."""
    billed.service = service or billed.service
    billed.thinking_tokens = thinking or billed.thinking_tokens
    billed.cache_write_1h = hour or billed.cache_write_1h
    billed.searches = searches or billed.searches
    billed.cost = billed.cost if cost is None else cost


def _amount(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST_DOLLARS:
        return None  # nor is what is no number, which compares with none
    return float(value)
