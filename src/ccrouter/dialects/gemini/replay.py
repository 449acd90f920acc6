"""What Gemini wants back of an earlier answer, and how it travels through a client: in `thinking.signature`. Pure.

Gemini signs parts: a call, the first of parallel ones, a text, a thought. A signature is of use on its part only
(ai.google.dev/gemini-api/docs/thought-signatures), so the state of a thinking block says where it belongs, seen from
the block: `own` on the thought itself, `before` on the text in front of it, `text` on the text that follows, `calls` on
calls by their ids; `parts` are whole parts that stood in its place, of searches that Google made beside functions. And
it names the model: another one takes it for a forgery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ccrouter.jsontypes import JsonObject
from ccrouter.messages import carrier

DIALECT = "gemini"


@dataclass(slots=True)
class State:
    """The state of one thinking block."""

    model: str = ""
    own: str = ""
    before: str = ""
    text: str = ""
    calls: dict[str, str] = field(default_factory=dict)
    parts: list[JsonObject] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.own or self.before or self.text or self.calls or self.parts)


def pack(provider: str, state: State) -> str:
    """A signature that brings `state` back to this provider."""
    members = {name: value for name in State.__slots__ if (value := getattr(state, name))}
    return carrier.pack(DIALECT, provider, msgspec.json.encode(members))


def unpack(signature: str, provider: str) -> State | None:
    """The state in a signature; None if it is another's, or damaged."""
    raw = carrier.unpack(signature, DIALECT, provider)
    if raw is None:
        return None
    try:
        members = msgspec.json.decode(raw or b"{}", type=JsonObject)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    calls, parts = members.get("calls"), members.get("parts")
    return State(
        **{name: _text(members, name) for name in ("model", "own", "before", "text")},
        calls={call: sign for call, sign in calls.items() if _is_signature(sign)} if isinstance(calls, dict) else {},
        parts=[part for part in parts if _is_replayed(part)] if isinstance(parts, list) else [],
    )


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _is_signature(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_replayed(part: object) -> bool:
    """True for a part that comes back as it was: a search of Google's own, or a signature alone. Anything else somebody
    made up.
    """
    if not isinstance(part, dict) or not _is_signature(part.get("thoughtSignature", "none")):
        return False
    match sorted(part.keys() - {"thoughtSignature"}):
        case ["toolCall" | "toolResponse" as name]:
            return isinstance(part[name], dict)
        case ["text"]:
            return part["text"] == "" and "thoughtSignature" in part
    return False
