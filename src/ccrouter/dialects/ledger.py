"""What becomes of a request on its way to a provider: the words for it, and the line between losses and hints. Pure.

Four things can become of what a client asks. It is *kept* (goes out as it came), *mapped* (goes out in the provider's
words, nothing missing), *approximated* (weaker: the nearest that the provider has, or told in words) or *dropped*.
The last two are losses. A **hint** is left out too and is no loss: a member that changes neither what the model reads,
nor what it may answer, nor whom the data may reach. It tells the service something about price, speed, accounting or
presentation, and another service has no use for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from ccrouter.dialects.base import Fate, Loss, UpstreamRequest
from ccrouter.messages.request import MessagesRequest

T = TypeVar("T", bound=UpstreamRequest)

#: Top-level members that are hints, and what they are about.
HINTS = {
    "metadata": "names the user's device and account: nobody else's business",
    "cache_control": "a wish about caching, which is automatic there or does not exist",
    "service_tier": "a choice among Anthropic's own tiers",
    "speed": "a choice among Anthropic's own speeds",
    "betas": "names features of Anthropic's API",
    "anthropic_beta": "names features of Anthropic's API",
    "anthropic_version": "names a version of Anthropic's API",
    "safeguards": "asks Anthropic for a check that clients make themselves where no result comes",
    "diagnostics": "asks Anthropic why a cache was missed",
    "fallback_credit_token": "is about Anthropic's bill",
    "billing_policy": "is about Anthropic's bill",
    "user_profile_id": "names an account at Anthropic",
    "workspace_id": "names an account at Anthropic",
}
_HINTS = {name: Loss(name, what, "hint") for name, what in HINTS.items()}

BETA_HEADER = Loss("headers.anthropic-beta", "names features of Anthropic's API", "hint")
ATTRIBUTION = Loss("system[]", "Claude Code's attribution block: differs each time and spoils prefix caches", "hint")
PLACEHOLDER = Loss("tools[]", "Claude Code's stand-in for tools not loaded yet: tells a model nothing", "hint")
_DISPLAY = Loss("thinking.display", "how thinking is shown is the provider's own", "hint")
_BINDING = Loss("thinking.block_binding", "says how Anthropic checks the thinking that comes back", "hint")

#: Of `citations`, by whether they stand in a text, where they are those of an earlier answer.
CITATIONS = {
    True: "which places an earlier answer cited is not sent",
    False: "the provider cites no places in documents: answers come without citations",
}
#: Of `caller`, where it is another than the model itself.
CALLER = "that another tool's code made the call is not told"

_TOOL_HINTS = {
    "cache_control": HINTS["cache_control"],
    "defer_loading": "sent like the others, at once: costs tokens and loses nothing",
    "eager_input_streaming": "arguments stream as the provider streams them",
}
_UNKNOWN = "not sent: the provider does not know it"
_TOOL_LOSSES = {"strict": "not sent: each server has rules of its own for strict schemas"}
_CACHE_CONTROL = HINTS["cache_control"]
#: Names of unknown members are the client's, and may be of any length.
_LONGEST = 200
_MOST_PLACES = 5
_INDEX = re.compile(r"\[\d+\]")
_NOTHING = frozenset({b"null", b"false", b"[]", b"{}", b'["direct"]'})  # the last is what `allowed_callers` is anyway
_null = b"null"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def pattern_of(path: str) -> str:
    """`path` with `[]` for every index."""
    return _INDEX.sub("[]", path)


def counted(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """The losses among `losses`: without the hints."""
    return tuple(loss for loss in losses if loss.fate != "hint")


@dataclass(frozen=True, slots=True)
class Entry:
    """The losses of one kind at one place: `count` of them, `places` are the paths of the first few."""

    path: str
    what: str
    fate: Fate
    count: int
    places: tuple[str, ...]


def summed_up(losses: Iterable[Loss]) -> tuple[Entry, ...]:
    """One entry for all losses that differ in their indexes alone; a long conversation has hundreds of them. In the
    order of the first of each.
    """
    found: dict[tuple[str, str, Fate], list[str]] = {}
    for loss in losses:
        found.setdefault((pattern_of(loss.path)[:_LONGEST], loss.what[:_LONGEST], loss.fate), []).append(loss.path)
    return tuple(
        Entry(path, what, fate, len(paths), tuple(one[:_LONGEST] for one in paths[:_MOST_PLACES]))
        for (path, what, fate), paths in found.items()
    )


def left_out(keywords: Iterable[str]) -> str:
    """What is told of a schema without `keywords`."""
    return f"left out, as the provider refuses them: {', '.join(sorted(keywords))}"


def is_asked(raw: msgspec.Raw) -> bool:
    """True if `raw`, the `citations` or `caller` of a block, says more than its absence would."""
    value = msgspec.json.decode(raw)
    if isinstance(value, dict):
        return value.get("enabled") is True or value.get("type", "direct") != "direct"
    return bool(value)


def lessened(sent: T, body: bytes, losses: Sequence[Loss]) -> T:
    """`sent` with less in it: what the losses are about that have come to its own is neither kept nor mapped."""
    lost = {loss.path for loss in losses[len(sent.losses) :]}
    return replace(
        sent,
        body=body,
        losses=tuple(losses),
        kept=frozenset(path for path in sent.kept if not _is_within(path, lost)),
        mapped=frozenset(path for path in sent.mapped if not _is_within(path, lost)),
    )


def _is_within(path: str, places: set[str]) -> bool:
    return path in places or path.partition(".")[0] in places


def cache_hint(place: str) -> Loss:
    """That cache marks at `place` ("system[]", "messages[].content[]", "tools[]") are not sent."""
    return Loss(f"{place}.cache_control", _CACHE_CONTROL, "hint")


def unsent_members(request: MessagesRequest, known: frozenset[str]) -> list[Loss]:
    """One entry for each top-level member that is not among the `known` ones: a hint, or a loss."""
    losses = [
        _HINTS.get(name) or Loss(name, _UNKNOWN)
        for name, raw in request.members.items()
        if name not in known and bytes(raw) != _null
    ]
    losses += [Loss(path, _UNKNOWN) for path in request.unread]
    managed = request.members.get("context_management")
    if managed is not None and "context_management" not in known:
        losses = [loss for loss in losses if loss.path != "context_management"] + _context_management(bytes(managed))
    return losses


def _context_management(raw: bytes) -> list[Loss]:
    value = msgspec.json.decode(raw)
    edits = value.get("edits") if isinstance(value, dict) else None
    if value is None or value == {}:
        return []
    if isinstance(edits, list) and all(isinstance(edit, dict) and edit.get("keep") == "all" for edit in edits):
        # Claude Code asks on every turn that all thinking be kept, and so it is.
        return [Loss("context_management", "asks that everything be kept, and it is", "hint")]
    return [Loss("context_management", "not sent: only Anthropic edits the context by itself")]


def unsent_within(request: MessagesRequest, member: str, known: frozenset[str]) -> list[Loss]:
    """One loss for each member of the object `member` that is not among the `known` ones."""
    raw = request.members.get(member)
    if raw is None or not bytes(raw).startswith(b"{"):
        return []
    return [
        Loss(f"{member}.{name}", _UNKNOWN)
        for name, value in _members.decode(raw).items()
        if name not in known and bytes(value) != _null
    ]


def thinking_hints(request: MessagesRequest) -> list[Loss]:
    """What `thinking` says about no more than the way in which thinking is shown or comes back."""
    raw = bytes(request.members.get("thinking", b""))
    return [hint for name, hint in ((b"display", _DISPLAY), (b"block_binding", _BINDING)) if b'"%b"' % name in raw]


def unsent_of_tool(path: str, tool: Mapping[str, msgspec.Raw], sent: frozenset[str]) -> Iterator[Loss]:
    """The members of the tool at `path` that are not among those `sent`. Hints are told for all tools at once."""
    for name, value in tool.items():
        if name in sent or bytes(value) in _NOTHING:
            continue
        if name in _TOOL_HINTS:
            yield Loss(f"tools[].{name}", _TOOL_HINTS[name], "hint")
        else:
            yield Loss(f"{path}.{name}", _TOOL_LOSSES.get(name, _UNKNOWN))
