"""Who broke a prompt cache: from what is known of two turns to one cause. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ccrouter.gateway.record import Exchange
from ccrouter.messages.divergence import Difference, first_difference
from ccrouter.messages.prefix import SECTIONS, Prefix, count_blocks, records
from ccrouter.store.lines import Line
from ccrouter.store.verdict import Cause, span, told

#: How long Anthropic's caches last after they were last used, in seconds; others' mostly about as long.
MINUTES, HOUR = 300.0, 3600.0
#: How many blocks before a marker Anthropic looks for what it has cached.
_LOOKBACK = 20

_ATTRIBUTION_HINT = "CLAUDE_CODE_ATTRIBUTION_HEADER=0 in Claude Code's environment leaves that line out."
_SEARCH_HINT = (
    "Claude Code adds a tool when it has searched for it; CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS=1 in its environment "
    "offers all tools from the start."
)
_THINKING_HINT = (
    "Older Claude models leave out the thinking of earlier answers once the user speaks again: what was cached behind "
    "it is of no use then."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A turn, the last one before it at the same account (`own`), and the last one at any (`before`).

    `pause` is the time since `own`, `lifetime` how long its cache was kept, in seconds; `same` is how much of what was
    sent then was sent again before the first difference, from 0 to 1.
    """

    exchange: Exchange
    now: Line
    own: Line
    before: Line
    is_explicit: bool
    pause: float
    lifetime: float
    asked_differs: Difference | None
    sent_differs: Difference | None
    same: float

    @classmethod
    def of(cls, exchange: Exchange, now: Line, own: Line, before: Line, *, is_explicit: bool) -> Comparison:
        asked = sent = None
        same = 1.0
        if own.asked and own.sent and now.asked and now.sent:
            asked, sent = first_difference(own.asked, now.asked), first_difference(own.sent, now.sent)
            same = sent.same / max(1, own.sent.size) if sent else 1.0
        waited = exchange.attempts[-1].began if exchange.attempts else 0.0
        pause = exchange.ended_at - exchange.total + waited - own.at
        lifetime = HOUR if own.keeps_hour and not own.keeps_minutes else MINUTES
        return cls(exchange, now, own, before, is_explicit, pause, lifetime, asked, sent, same)

    @property
    def is_late(self) -> bool:
        return self.pause > self.lifetime


def blame_switch(exchange: Exchange, now: Line, before: Line) -> Cause:
    """The turn was answered by another account than the turn before it, where its conversation has never been."""
    was, new = before.account, now.account
    why = _why(exchange, now, before)
    if was.provider != new.provider:
        there = "no provider has what another one has cached"
        return Cause(
            "provider", f"The request went to {new.provider}, the turn before to {was.provider}{why}: {there}."
        )
    if was.model != new.model:
        there = "each model has a cache of its own"
        return Cause("model", f"The request went to {new.model}, the turn before to {was.model}{why}: {there}.")
    there = "caches belong to an account"
    return Cause(
        "key", f"The request was sent with {new.key or 'one key'}, the turn before with {was.key}{why}: {there}."
    )


def blame(case: Comparison, expected: int) -> Cause:
    """Who it was that less than the `expected` tokens were read from the cache."""
    if case.before is not case.own and case.is_late and case.before.account != case.now.account:
        return _returned(case)
    if case.sent_differs is not None and _explains(case, expected):
        return _changed(case, case.sent_differs)
    if case.is_late:
        return _expired(case)
    if case.own.sent is None or case.now.sent is None:
        return Cause("unknown", "What was sent could not be looked at, so there is no telling who it was.")
    return _set(case) or _unmarked(case) or _outgrown(case) or _unexplained(case)


def _explains(case: Comparison, expected: int) -> bool:
    """True if the difference accounts for the loss. Where the cache had run out anyway it does only if what is before
    the difference was still read.
    """
    if not case.is_late or not case.is_explicit:
        return True
    return case.now.read > case.same * expected / 2


def _why(exchange: Exchange, now: Line, before: Line) -> str:
    failed = next((one for one in exchange.attempts if one.failure), None)
    if failed is not None:
        name = failed.target.replace(",", " ", 1)
        return f" ({name} failed{f': {failed.kind}' if failed.kind else ''})"
    if now.route != before.route and before.route:
        return f" (the route is {now.route}, it was {before.route})"
    return ""


def _returned(case: Comparison) -> Cause:
    new, was = case.now.account, case.before.account
    place, there = (new.provider, was.provider) if new.provider != was.provider else (new.model, was.model)
    by = "provider" if new.provider != was.provider else "model" if new.model != was.model else "key"
    if by == "key":
        place, there = new.key, was.key
    since = f"what {place} had cached was used last {span(case.pause)} ago"
    return Cause(by, f"The request came back to {place} from {there}: {since}.")  # type: ignore[arg-type] # three of By


def _changed(case: Comparison, sent: Difference) -> Cause:
    """What was sent differs: did the client change it, or did we?"""
    asked, after = case.asked_differs, case.now.sent
    assert after is not None
    if sent.kind == "attribution":
        words = f"The client changed {sent.path}: Claude Code's attribution line differs from request to request."
        return Cause("client", words, sent.path, hint=_ATTRIBUTION_HINT)
    if asked is not None and SECTIONS.index(asked.section) <= SECTIONS.index(sent.section):
        return _changed_by_client(case, asked)
    return _changed_by_us(case, sent, after)


def _changed_by_client(case: Comparison, asked: Difference) -> Cause:
    prefix = case.now.asked
    assert prefix is not None
    if asked.change == "cut":
        words = f"The client went back to an earlier point of the conversation: it ends before {asked.path} now."
        return Cause("client", words, asked.path)
    hint = ""
    words = f"The client changed {asked.path}{told(asked, prefix)}"
    if asked.section != "messages":
        words += ": it stands before the conversation, so nothing after it could be read from the cache"
    if asked.section == "tools" and asked.change in {"appended", "inserted"}:
        hint = _SEARCH_HINT
    return Cause("client", words + ".", asked.path, hint=hint)


def _changed_by_us(case: Comparison, sent: Difference, after: Prefix) -> Cause:
    now, was = case.now.transforms, case.own.transforms
    grew = "changed elsewhere" if case.asked_differs else "only grew"
    place = f"{sent.path} of what was sent{told(sent, after)}"
    if set(now) != set(was):
        others = ", ".join(sorted(set(now) ^ set(was)))
        name = others if len(set(now) ^ set(was)) == 1 else None
        return Cause("transform", f"Other transforms than before ({others}) changed {place}.", sent.path, name)
    if len(now) == 1:
        words = f"The client's request {grew}, but {place} is different: the transform {now[0]} or the translation."
        return Cause("transform", words, sent.path, now[0])
    who = f"one of the transforms {', '.join(now)}" if now else "the translation into the provider's format"
    return Cause("transform", f"The client's request {grew}, but {place} is different: {who} did that.", sent.path)


def _expired(case: Comparison) -> Cause:
    kept = "1 h" if case.lifetime == HOUR else "5 min"
    certain = "this cache is kept for" if case.is_explicit else "most caches are kept for about"
    words = f"The last request of this conversation was {span(case.pause)} before, and {certain} {kept}."
    hint = "" if case.lifetime == HOUR else "A shorter pause, or a cache that is kept for an hour, would have kept it."
    return Cause("ttl", words, hint=hint)


def _set(case: Comparison) -> Cause | None:
    """Settings that caches depend on: thinking, tool_choice, effort, and whether there are images at all."""
    own, now = case.own.sent, case.now.sent
    assert own is not None and now is not None  # noqa: PT018 - one fact
    changed = sorted(
        name for name in own.settings.keys() | now.settings.keys() if own.settings.get(name) != now.settings.get(name)
    )
    if changed:
        asked = case.own.asked, case.now.asked
        is_client = asked[0] is not None and asked[1] is not None and asked[0].settings != asked[1].settings
        who = "The client" if is_client else "A transform, or the translation,"
        words = f"{who} changed {' and '.join(changed)}: what is cached of a conversation holds for one setting of it."
        return Cause("settings", words, changed[0])
    if now.has_image and not own.has_image:
        words = "The first image came into the conversation: what is cached without images does not hold with them."
        return Cause("settings", words)
    return None


def _unmarked(case: Comparison) -> Cause | None:
    own, now = case.own, case.now
    assert own.sent is not None and now.sent is not None  # noqa: PT018 - one fact
    if not case.is_explicit or now.sent.is_marked or not own.sent.is_marked:
        return None
    if now.asked is not None and now.asked.is_marked:
        return Cause("transform", "The client marked what to cache (cache_control), but what was sent has no marks.")
    return Cause("client", "The client no longer marks what to cache (cache_control).")


def _outgrown(case: Comparison) -> Cause | None:
    """Anthropic looks a number of blocks back from each mark, and no further."""
    own, now = case.own.sent, case.now.sent
    assert own is not None and now is not None  # noqa: PT018 - one fact
    added = now.messages[len(own.messages) :]
    blocks = sum(map(count_blocks, added))
    if not case.is_explicit or blocks <= _LOOKBACK:
        return None
    path = f"{now.names[2]}[{len(own.messages)}]"
    words = (
        f"The client added {blocks} blocks in one turn, from {path} on: a provider looks for what it has cached only "
        f"{_LOOKBACK} blocks back from a mark (cache_control)."
    )
    return Cause("client", words, path)


def _unexplained(case: Comparison) -> Cause:
    earlier = span(max(0.0, case.pause))
    words = (
        f"Nothing that was sent differs from the turn before, {earlier} earlier: the provider let go of its cache, or "
        "answered from another machine."
    )
    return Cause("provider_side", words, hint=_THINKING_HINT if _may_have_dropped_thinking(case) else "")


def _may_have_dropped_thinking(case: Comparison) -> bool:
    """True if the user speaks again after an answer with thinking, and only a part of the cache was lost."""
    asked = case.now.asked
    if not case.is_explicit or not case.now.read or asked is None or not asked.messages:
        return False
    last = {one.kind for one in records(asked.messages[-1])[1:]}
    has_thought = any(one.kind == "thinking" for item in asked.messages[:-1] for one in records(item)[1:])
    return has_thought and "tool_result" not in last
