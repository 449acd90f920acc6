"""Who gives way when a provider refuses a member of a request: us, or the client, who is told.

A client that speaks the provider's own dialect chose its members itself: it sees the refusal. What we translated is
ours to mend, where the conversation, the tools and the asked format stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ccrouter.dialects.anthropic import concessions as to_anthropic
from ccrouter.dialects.base import Dialect, UpstreamRequest
from ccrouter.errors import UpstreamStatus
from ccrouter.gateway.question import Question


class Concession(Protocol):
    """Both as `dialects.base.Dialect` has them."""

    def refused_member(self, error: UpstreamStatus, sent: UpstreamRequest) -> str: ...

    def without(self, sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest: ...


class _None:
    """What was sent stands as it is."""

    def refused_member(self, error: UpstreamStatus, sent: UpstreamRequest) -> str:  # noqa: ARG002 - the protocol's
        return ""

    def without(self, sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest:  # noqa: ARG002 - as above
        return sent


_NONE = _None()


def concession_of(question: Question, dialect: Dialect, *, passes: bool) -> Concession:
    """What may be conceded for `question` where it is asked in `dialect`; `passes` for a client's own bytes."""
    if passes:
        return _NONE
    if question.reading is not None and dialect.name == "anthropic":
        return to_anthropic  # clients of Messages negotiate by themselves; this one does not know that it speaks it
    return dialect
