"""Watches the prompt caches: compares each turn of a conversation with the one before it, and says why less of it came
from the provider's cache than could have. Runs beside the requests, never in their way; keeps hashes, no content.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ccrouter.gateway.record import CLIENT_GONE, Exchange, PromptNote
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.divergence import first_difference, has_answers, is_rewritten
from ccrouter.messages.prefix import Prefix
from ccrouter.messages.prefix_reader import Reader
from ccrouter.prices.price import Cost, Price
from ccrouter.routing.facts import Thread
from ccrouter.store.blame import Comparison, blame, blame_switch
from ccrouter.store.lines import Account, Line, Lines, ThreadStates
from ccrouter.store.openings import Opening, Openings
from ccrouter.store.verdict import Cause, Verdict

#: Fewer tokens are not worth a word; no provider caches a prompt of less.
LEAST = 1024
#: Prompts below this many tokens are not cached by every model.
_SMALL = 4096
#: The part of what could have been read that has to be lost: where the client marks what to cache, and where the
#: provider caches what it likes.
_PART_EXPLICIT, _PART_AUTOMATIC = 1 / 16, 1 / 5
#: A conversation that begins with so much less than the last one of its session had was compacted.
_COMPACTED = 1.3


@dataclass(frozen=True, slots=True)
class Look:
    """What a prompt was made of: as the client asked, and as it was sent."""

    asked: Prefix
    sent: Prefix
    salt: bytes = b""


class CacheWatch:
    """Judges exchanges in the order in which they end. Not for several threads at once.

    `states` keeps what has to be known of a conversation until its next turn, and the salt of the hashes in it.
    """

    def __init__(self, states: ThreadStates) -> None:
        self._lines = Lines(states)
        self._openings = Openings(states)
        self._reader = Reader()
        self._salt = b""

    def note_prompt(self, note: PromptNote) -> None:
        """After the call `note.found` is what `judge` needs, and the prompt itself is let go of. Never raises for a
        prompt: one that cannot be read is one that nobody looked at.
        """
        asked, sent, is_first_party = note.asked, note.sent, note.is_first_party
        note.asked = note.sent = None
        if asked is None or sent is None:
            return
        self._settle_salt()
        try:
            read = self._reader.read(asked, is_first_party=is_first_party)
            read_sent = self._reader.read_sent(sent, asked, read, is_first_party=is_first_party)
            note.found = Look(read, read_sent, self._salt)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            note.found = None

    def judge(self, exchange: Exchange, cost: Cost) -> JsonObject | None:
        """As `verdict`, in the form in which it is recorded; what was found in the prompt is let go of."""
        verdict = self.verdict(exchange, cost)
        if exchange.prompt is not None:
            exchange.prompt.found = None
        return None if verdict is None else verdict.facts()

    def verdict(self, exchange: Exchange, cost: Cost) -> Verdict | None:
        """Why the cache was lost in this turn; None if it was not, if nothing can be said, and for the first turn.

        Only a turn whose prompt the provider has read is remembered: one that failed before changes nothing. Nor does
        an answer that broke off and was gone on with: its usage is that of several prompts.
        """
        thread, usage = exchange.thread, exchange.usage
        if thread is None or not thread.session or usage.context <= 0 or exchange.resumed:
            return None
        if exchange.status >= 400 and exchange.status != CLIENT_GONE:
            return None
        known = self._openings.of(thread)
        homes = {one.opening: one.home for one in known}
        home = thread._replace(opening=homes.get(thread.opening, thread.opening))
        lines = self._lines.lines(home)
        now = _line(exchange, self._lines.salt())
        if not lines:
            home, lines = self._find(home, known, now)
        reads, writes = self._lines.note_account(
            now.account, reads=usage.cache_read_input_tokens > 0, writes=usage.cache_creation_input_tokens > 0
        )
        verdict: Verdict | None
        own = _nearest(lines, now)
        if not lines:
            verdict = _opened(thread, known, now)
        elif _begins_apart(own or lines[-1], now):
            verdict = own = None
        elif own is None:
            verdict = _judge_switch(exchange, now, lines[-1], cost)
        else:
            verdict = _judge_turn(exchange, now, own, lines[-1], (reads, writes), cost)
        self._remember(home, lines, own, now)
        if now.asked is not None and now.asked.tools:
            self._openings.note(thread, known, Opening.of(thread, home, now.asked, now.context))
        return verdict

    def _settle_salt(self) -> None:
        """After the call the hashes are made with the salt of the records: the first one that anybody wrote there."""
        salt = self._lines.salt()
        if salt != self._salt:
            self._salt, self._reader = salt, Reader(salt)

    def _find(self, home: Thread, known: list[Opening], now: Line) -> tuple[Thread, list[Line]]:
        """What is kept of a conversation that begins as none did before, and where: its first turn may have been
        rewritten. Else it is a new one, to be kept at `home`. Side requests, which offer no tools, are not looked for.
        """
        if now.asked is None or not now.asked.tools or not has_answers(now.asked):
            return home, []
        for one in dict.fromkeys(one.home for one in reversed(known)):
            there = home._replace(opening=one)
            lines = self._lines.lines(there)
            if any(line.asked is not None and is_rewritten(line.asked, now.asked) for line in lines):
                return there, lines
        return home, []

    def _remember(self, home: Thread, lines: list[Line], own: Line | None, now: Line) -> None:
        """After the call the conversation has `now` as its last line, in the place of the one that it goes on."""
        if own is not None:
            now.keeps_hour, now.keeps_minutes = now.keeps_hour or own.keeps_hour, now.keeps_minutes or own.keeps_minutes
            if now.asked is None:
                now.asked, now.sent = own.asked, own.sent
            if own.asked is None or now.asked is None or first_difference(own.asked, now.asked) is None:
                lines = [line for line in lines if line is not own]
        self._lines.keep(home, [*lines, now])


def _begins_apart(before: Line, now: Line) -> bool:
    """True for two conversations that begin with the same words, each of an agent with its own tools or orders: Claude
    Code warms up the caches of all its agents so.
    """
    if before.asked is None or now.asked is None or has_answers(before.asked) or has_answers(now.asked):
        return False
    difference = first_difference(before.asked, now.asked)
    return difference is not None and difference.section != "messages"


def _opened(thread: Thread, known: list[Opening], now: Line) -> Verdict | None:
    """The first turn of a conversation: it may go on from one that was compacted.

    One with fewer tools than another of the session is a subagent's, which some clients do not tell apart: the one
    before it with the same tools is another's.
    """
    if now.asked is None or not now.asked.tools:
        return None
    opening = Opening.of(thread, thread, now.asked, now.context)
    before = next((one.context for one in reversed(known) if one.tools == opening.tools), 0)
    if before < now.context * _COMPACTED or before < LEAST or any(one.many > opening.many for one in known):
        return None
    words = (
        "A new conversation begins here, with the tools of the one before and less text: the client compacted it, "
        "or started over. What is new has never been in a cache."
    )
    return Verdict(Cause("compaction", words), 0.0, now.share, 0, 0, 0.0)


def _line(exchange: Exchange, salt: bytes) -> Line:
    usage, billed = exchange.usage, exchange.billed
    found = exchange.prompt.found if exchange.prompt is not None else None
    look = found if isinstance(found, Look) and found.salt == salt else None
    written = usage.cache_creation_input_tokens
    began = exchange.ended_at - exchange.total
    return Line(
        Account(exchange.provider, exchange.sent, exchange.key),
        at=began + (exchange.total if exchange.ttft is None else exchange.ttft),
        context=usage.context,
        read=usage.cache_read_input_tokens,
        written=written,
        keeps_hour=billed.cache_write_1h > 0,
        keeps_minutes=written > billed.cache_write_1h,
        route=exchange.route,
        transforms=exchange.transforms,
        asked=look.asked if look else None,
        sent=look.sent if look else None,
    )


def _nearest(lines: list[Line], now: Line) -> Line | None:
    """The line at the same account that has most in common with `now`; the newest of those that have as much."""

    def common(line: Line) -> int:
        if line.sent is None or now.sent is None:
            return 0
        difference = first_difference(line.sent, now.sent)
        return line.sent.size if difference is None else difference.same

    own = [line for line in reversed(lines) if line.account == now.account]
    return max(own, key=common) if len(own) > 1 else next(iter(own), None)


def _judge_switch(exchange: Exchange, now: Line, before: Line, cost: Cost) -> Verdict | None:
    """The conversation has never been at this account."""
    expected = min(before.read + before.written if before.written else before.context, now.context)
    if before.read + before.written == 0:
        return None  # there was no cache to lose
    lost = expected - now.read
    if lost < max(LEAST, expected * _PART_EXPLICIT):
        return None
    return _verdict(blame_switch(exchange, now, before), exchange, now, before, (lost, expected), cost)


def _judge_turn(  # noqa: PLR0913, PLR0917 - a turn, those it is compared with, and what is known of the account
    exchange: Exchange,
    now: Line,
    own: Line,
    before: Line,
    told: tuple[bool, bool],
    cost: Cost,
) -> Verdict | None:
    """The conversation goes on where it has been before."""
    reads, is_explicit = told
    if not reads and not is_explicit:
        return None
    case = Comparison.of(exchange, now, own, before, is_explicit=is_explicit)
    if is_explicit:
        could, part = own.read + own.written, _PART_EXPLICIT
    else:
        could, part = own.context, _PART_AUTOMATIC
        if own.read == 0 and (case.sent_differs is None or now.context < _SMALL):
            return None  # nothing was cached before, and nothing that was done explains it
    expected = min(could, now.context)
    lost = expected - now.read
    if lost < max(LEAST, expected * part):
        return None
    return _verdict(blame(case, expected), exchange, now, before, (lost, expected), cost)


def _verdict(  # noqa: PLR0913, PLR0917 - what a verdict consists of
    cause: Cause, exchange: Exchange, now: Line, before: Line, tokens: tuple[int, int], cost: Cost
) -> Verdict:
    lost, expected = tokens
    return Verdict(cause, before.share, now.share, lost, expected, _price_of_loss(lost, exchange, cost.price))


def _price_of_loss(lost: int, exchange: Exchange, price: Price | None) -> float | None:
    """What the lost tokens cost more than if they had been read from the cache. Those that were written to it again
    cost what writing does, the others what input does.
    """
    if price is None:
        return None
    usage = exchange.usage
    rates = price.at(usage.context)
    rewritten = min(lost, usage.cache_creation_input_tokens)
    is_hour = exchange.billed.cache_write_1h * 2 > usage.cache_creation_input_tokens
    write = (rates.cache_write_1h if is_hour else rates.cache_write_5m) if rewritten else rates.input
    if rates.cache_read is None or write is None:
        return None
    return (rewritten * (write - rates.cache_read) + (lost - rewritten) * (rates.input - rates.cache_read)) / 1e6
