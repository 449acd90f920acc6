"""Doing without a parameter that a server refuses. Pure.

A server that no profile describes says in a 400 what it does not take; then the same request without it is a better
answer than the error. Only what leaves the conversation, the tools and the asked format as they are may go; a length
limit that is too high goes down to the one that the error names.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ccrouter.dialects.base import Fate, Loss, UpstreamRequest
from ccrouter.dialects.ledger import lessened
from ccrouter.dialects.refusals import highest_limit, refused_name, whole_number
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
_SESSION = "metadata"
#: Where in a Messages request a member was asked for.
_PATHS = {
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning_effort": "thinking",
    "reasoning": "thinking",
    "enable_thinking": "thinking",
    "thinking_budget": "thinking.budget_tokens",
    "chat_template_kwargs": "thinking",
    "prompt_cache_key": _SESSION,
}
_LIMIT = "max_tokens<="


def refused_member(error: UpstreamStatus, sent: UpstreamRequest) -> str:
    """The member of `sent` that the error says the server does not take, if it can be done without; else "". Where a
    lower limit is asked for, that is "max_tokens<=N", under whatever name the limit is sent.
    """
    text = str(error)
    if error.status not in {400, 422}:
        return ""
    members = msgspec.json.decode(sent.body, type=dict[str, msgspec.Raw])
    most = highest_limit(text)
    if most and any(whole_number(members.get(name)) > most for name in LIMITS):
        return f"{_LIMIT}{most}"
    return refused_name(text, (name for name in _AMENDMENTS if name in members))


def without(sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest:
    """`sent` without the refused members, or with them under their other name, or lowered; what is lost is told."""
    names = tuple(refused)
    if not names:
        return sent
    members = msgspec.json.decode(sent.body, type=dict[str, msgspec.Raw])
    losses = list(sent.losses)
    for name in names:
        if name.startswith(_LIMIT):
            _lower(members, int(name.removeprefix(_LIMIT)), losses)
            continue
        if name not in members:
            continue
        value, other = members.pop(name), _AMENDMENTS[name]
        if other:
            members[other] = value
        elif name != "stream_options":  # asks for usage figures; nothing of the request is lost with it
            path = _PATHS.get(name, name)
            fate: Fate = "hint" if path == _SESSION else "dropped"
            losses.append(Loss(path, f"the provider refuses {name}; sent without", fate))
    return lessened(sent, msgspec.json.encode(members), losses)


def _lower(members: dict[str, msgspec.Raw], most: int, losses: list[Loss]) -> None:
    for name in LIMITS:
        asked = whole_number(members.get(name))
        if asked > most:
            members[name] = msgspec.Raw(str(most).encode())
            what = f"{asked} sent as {most}, the most that the provider takes"
            losses.append(Loss("max_tokens", what, "approximated"))
