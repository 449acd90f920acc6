"""Why the prompt cache of a conversation was not read as it could have been: who changed what, what it cost, and all
that in words. Knows nothing of how that is found out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ccrouter.jsontypes import JsonObject
from ccrouter.messages.divergence import Difference
from ccrouter.messages.prefix import Prefix

By: TypeAlias = Literal[
    "client", "transform", "provider", "model", "key", "ttl", "settings", "compaction", "provider_side", "unknown"
]

_KINDS = {
    "text": "a text",
    "string": "a text",
    "thinking": "thinking",
    "redacted_thinking": "thinking",
    "tool_use": "a tool call",
    "server_tool_use": "a tool call",
    "tool_result": "a tool result",
    "image": "an image",
    "document": "a document",
    "tool": "a tool",
    "attribution": "Claude Code's attribution",
    "user": "a message",
    "assistant": "an answer",
    "system": "a system message",
    "tool_reference": "a tool reference",
}
_CHANGES = {
    "changed": "was changed",
    "shortened": "was cleared or shortened",
    "inserted": "was inserted",
    "removed": "was removed",
    "appended": "was added",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """Who it was, where (a JSON path), a sentence about it, and what one can do about it, "" for nothing. `transform`
    is the one that did it, if it can be told.
    """

    by: By
    words: str
    at: str | None = None
    transform: str | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A turn of a conversation whose cache was lost, or that is new by nature (`compaction`: nothing lost, and nobody
    to blame). Shares are of the prompt, from 0 to 1; `lost_usd` is None where the price is not known.
    """

    cause: Cause
    share_before: float
    share: float
    lost_tokens: int
    expected_tokens: int
    lost_usd: float | None

    @property
    def is_break(self) -> bool:
        """True if tokens were lost."""
        return self.lost_tokens > 0

    @property
    def words(self) -> str:
        """What happened, for somebody who knows nothing of caches."""
        if not self.is_break:
            return self.cause.words
        cost = f" ({dollars(self.lost_usd)} more)" if self.lost_usd else ""
        lost, expected = f"{self.lost_tokens:,}", f"{self.expected_tokens:,}"
        return f"Cache lost: {lost} of {expected} tokens were read again at full price{cost}. {self.cause.words}"

    def facts(self) -> JsonObject:
        """As the records and the API have it: docs/cache.md."""
        return {
            "at": self.cause.at,
            "by": self.cause.by,
            "words": self.words,
            "shareBefore": round(self.share_before, 4),
            "share": round(self.share, 4),
            "lostTokens": self.lost_tokens,
            "expectedTokens": self.expected_tokens,
            "lostUsd": None if self.lost_usd is None else round(self.lost_usd, 6),
            "transform": self.cause.transform,
            "hint": self.cause.hint or None,
        }


def dollars(usd: float | None) -> str:
    """A sum as one reads it: "$0.12", "$0.0004"; "unknown" for None."""
    if usd is None:
        return "unknown"
    return f"${usd:,.2f}" if usd >= 0.01 or usd == 0 else f"${usd:.4f}"


def told(difference: Difference, after: Prefix) -> str:
    """What is known of a difference beyond its place, in brackets: how far back, and what became of what."""
    what = f"{_KINDS.get(difference.kind, 'a part')} {_CHANGES.get(difference.change, 'differs')}"
    if difference.section == "messages":
        back = len(after.messages) - difference.place - 1
        where = f", {back} message{'' if back == 1 else 's'} before the end" if back > 0 else ", the last message"
        return f"{where} ({what})"
    if difference.section == "system":
        what = what.replace("a text", "the system prompt", 1)
    return f" ({what})"


def span(seconds: float) -> str:
    """A time as one says it: "40 s", "7 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
