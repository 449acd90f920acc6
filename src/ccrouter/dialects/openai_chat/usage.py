"""Token counts, Chat → Messages. Pure.

Chat's prompt tokens include those read from a cache; Messages' input tokens do not.
"""

from __future__ import annotations

from typing import Any

from ccrouter.dialects.bills import cost_reported, count_of, refresh, service_of
from ccrouter.dialects.openai_chat.chunks import ChatUsage, Number
from ccrouter.messages.events import Billed, WireUsage


def wire_usage(usage: ChatUsage) -> WireUsage | None:
    """The counts in Messages' terms; None if the provider reported nothing but zeros (several do, until the end)."""
    details = usage.prompt_tokens_details
    cached = _first(
        details.cached_tokens if details else None,
        usage.prompt_cache_hit_tokens,
        usage.cached_tokens,
        usage.cache_read_input_tokens,
    )
    written = _first(
        details.cache_write_tokens if details else None,
        details.cache_creation_tokens if details else None,
        usage.cache_creation_input_tokens,
    )
    total = _first(usage.total_tokens)
    output = _first(usage.completion_tokens, usage.output_tokens)
    if usage.prompt_tokens is None and usage.input_tokens is not None:
        fresh = _first(usage.input_tokens)  # Anthropic's words, and so Anthropic's meaning
    else:
        prompt = _first(usage.prompt_tokens) or max(0, total - output)
        # xAI and Gemini leave reasoning out of completion_tokens, and have it only in the total.
        output = max(output, total - prompt)
        fresh = max(0, prompt - cached - written)
    if not (fresh or output or cached or written):
        return None
    return WireUsage(
        input_tokens=fresh,
        cache_creation_input_tokens=written,
        cache_read_input_tokens=cached,
        output_tokens=output,
    )


def bill(billed: Billed, usage: ChatUsage, service_tier: Any = None) -> None:
    """After the call `billed` holds what `usage` says beyond Messages' own counts, and in which way it was served."""
    details = usage.completion_tokens_details
    refresh(
        billed,
        thinking=count_of(details.reasoning_tokens) if details else 0,
        cost=cost_reported(usage.cost, usage.is_byok, usage.cost_details),
        service=service_of(service_tier),
    )


def _first(*numbers: Number) -> int:
    """The first count that is there and not zero."""
    return next((max(0, int(number)) for number in numbers if number), 0)
