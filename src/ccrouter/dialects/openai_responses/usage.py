"""Token counts, Responses → Messages. Pure.

Input tokens of the one include those read from and written to a cache; those of the other do not.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ccrouter.dialects.bills import cost_reported, count_of, refresh, service_of
from ccrouter.dialects.openai_responses.items import Number, Response, ResponseUsage
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


def bill(billed: Billed, response: Response) -> None:
    """After the call `billed` holds what `response` says of its bill beyond Messages' own counts."""
    usage = response.usage or ResponseUsage()
    details = usage.output_tokens_details or usage.completion_tokens_details
    refresh(
        billed,
        thinking=count_of(details.reasoning_tokens) if details else 0,
        cost=cost_reported(usage.cost, usage.is_byok, usage.cost_details),
        searches=searches_in(response.output),
        service=service_of(response.service_tier),
    )


class _Action(msgspec.Struct):
    type: str | None = None


class _Call(msgspec.Struct):
    type: str | None = None
    action: _Action | None = None


_call = msgspec.json.Decoder(_Call)


def searches_in(output: Iterable[msgspec.Raw] | None) -> int:
    """How many web searches the provider made for an answer with these items. Pages that were opened are none."""
    found = 0
    for item in output or ():
        if b"web_search_call" not in bytes(item):
            continue
        try:
            call = _call.decode(item)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # read as an item, it says what is wrong
            continue
        found += call.type == "web_search_call" and (call.action is None or call.action.type in {None, "search"})
    return found


def _count(*numbers: Number) -> int:
    """The first count that is there and not zero."""
    return next((max(0, int(number)) for number in numbers if number), 0)
