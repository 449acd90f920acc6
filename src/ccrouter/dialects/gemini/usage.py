"""Token counts, Gemini → Messages. Pure.

Gemini's prompt tokens include those read from a cache; Messages' input tokens do not. Its candidates do not include
thoughts; Messages' output tokens do. What searches brought in counts as input.
"""

from __future__ import annotations

from ccrouter.dialects.bills import count_of, refresh
from ccrouter.dialects.gemini.chunks import Number, Usage
from ccrouter.messages.events import Billed, WireUsage


def wire_usage(usage: Usage) -> WireUsage | None:
    """The counts in Messages' terms; None if nothing was counted yet."""
    prompt = _count(usage.prompt_token_count) + _count(usage.tool_use_prompt_token_count)
    cached = min(_count(usage.cached_content_token_count), prompt)
    output = _count(usage.candidates_token_count) + _count(usage.thoughts_token_count)
    if prompt:
        output = max(output, _count(usage.total_token_count) - prompt)
    if not (prompt or output):
        return None
    return WireUsage(input_tokens=prompt - cached, cache_read_input_tokens=cached, output_tokens=output)


def bill(billed: Billed, usage: Usage) -> None:
    """After the call `billed` holds what `usage` says beyond Messages' own counts."""
    refresh(billed, thinking=count_of(usage.thoughts_token_count))


def _count(number: Number) -> int:
    return max(0, int(number)) if number else 0
