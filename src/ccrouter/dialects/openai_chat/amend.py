"""Doing without a parameter that a server refuses. Pure.

Profiles know what the known providers take. A server that nobody has described says it itself, in a 400 that names the
parameter; then the same request without it is a better answer than the error. Only what leaves the conversation, the
tools and the asked format as they are may go.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

import msgspec

from ccrouter.dialects.base import Loss, UpstreamRequest
from ccrouter.errors import UpstreamStatus

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


def refused_member(error: UpstreamStatus, sent: UpstreamRequest) -> str:
    """The member of `sent` that the error says the server does not take, if it can be done without; else ""."""
    text = str(error)
    if error.status not in {400, 422} or not _REFUSAL.search(text):
        return ""
    members = msgspec.json.decode(sent.body, type=dict[str, msgspec.Raw])
    named = [(match.start(), name) for name in _AMENDMENTS if name in members and (match := _word(name).search(text))]
    return min(named)[1] if named else ""  # what is refused is named before what to use instead


def without(sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest:
    """`sent` without the refused members, or with them under their other name; what is left out is a loss."""
    members = msgspec.json.decode(sent.body, type=dict[str, msgspec.Raw])
    losses = list(sent.losses)
    for name in refused:
        if name not in members:
            continue
        value, other = members.pop(name), _AMENDMENTS[name]
        if other:
            members[other] = value
        elif name != "stream_options":  # asks for usage figures; nothing of the request is lost with it
            losses.append(Loss(name, "the provider refuses it; sent without"))
    return dataclasses.replace(sent, body=msgspec.json.encode(members), losses=tuple(losses))


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w]){name}(?![\w])")
