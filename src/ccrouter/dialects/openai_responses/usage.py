"""Token counts, Responses → Messages. Pure.

Input tokens of the one include those read from and written to a cache; those of the other do not.
"""

from __future__ import annotations

from typing import Any

from ccrouter.dialects.bills import cost_reported, count_of, refresh, service_of
from ccrouter.dialects.openai_responses.items import Number, ResponseUsage
from ccrouter.messages.events import Billed, WireUsage


def wire_usage(usage: ResponseUsage) -> WireUsage | None:
    """The counts in Messages' terms; None if the provider reported nothing but zeros."""
    details = usage.input_tokens_details or usage.prompt_tokens_details
    cached = _count(details.cached_tokens if details else None)
    written = _count(details.cache_write_tokens if details else None)
    given = _count(usage.input_tokens, usage.prompt_tokens)
    # A total that is more than both has reasoning in it that the output leaves out.
    output = max(_count(usage.output_tokens, usage.completion_tokens), _count(usage.total_tokens) - given)
    fresh = max(0, given - cached - written)
    if not (fresh or output or cached or written):
        return None
    return WireUsage(
        input_tokens=fresh,
        cache_creation_input_tokens=written,
        cache_read_input_tokens=cached,
        output_tokens=output if given else _count(usage.output_tokens, usage.completion_tokens),
    )


def bill(billed: Billed, usage: ResponseUsage, service_tier: Any = None) -> None:
    """After the call `billed` holds what `usage` says beyond Messages' own counts, and in which way it was served."""
    details = usage.output_tokens_details or usage.completion_tokens_details
    refresh(
        billed,
        thinking=count_of(details.reasoning_tokens) if details else 0,
        cost=cost_reported(usage.cost, usage.is_byok, usage.cost_details),
        service=service_of(service_tier),
    )


def _count(*numbers: Number) -> int:
    """The first count that is there and not zero."""
    return next((max(0, int(number)) for number in numbers if number), 0)
