"""What happened in one exchange: facts only, no content. The log line, the store and the metrics are made from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from ccrouter.config.schema import Fidelity, Target
from ccrouter.dialects.base import Loss, UpstreamRequest
from ccrouter.dialects.ledger import counted
from ccrouter.messages.events import Billed, WireUsage
from ccrouter.messages.fault import type_of_status
from ccrouter.routing.facts import RequestFacts, Thread

#: What the client's own leaving is written down as.
CLIENT_GONE = 499
_LONGEST_WORD = 200  # characters of what a client says of itself
#: What the target of an attempt ends in that only looked at an image for another.
IMAGE = " (image)"
LOSSES_HEADER = "x-ccr-losses"


class Auditor(Protocol):
    """Whoever keeps the account of decisions, denials and outcomes (see `ccrouter.audit`)."""

    def record(self, kind: str, facts: Mapping[str, object]) -> None:
        """Write one line. Raises RouterError if it must be written and cannot be: then nothing may be sent."""


@dataclass(slots=True)
class PromptNote:
    """What a request was made of, for whoever compares it with the one before: `asked` the members of the Messages
    request, raw, `sent` the body that went to the provider. Both are let go of (None) once they have been looked at,
    and `found` is what was seen; it stays None where there was no time to look.
    """

    asked: Mapping[str, msgspec.Raw] | None
    sent: bytes | None
    is_first_party: bool = False
    found: object = None


@dataclass(slots=True)
class Content:
    """What was said, where the user wants it kept: the client's body and the pieces of the answer as they went out,
    `most` bytes of each; `is_cut` if there was more.
    """

    most: int
    request: bytes = b""
    answer: list[bytes] = field(default_factory=list)
    is_cut: bool = False
    size: int = 0

    def note_request(self, body: bytes) -> None:
        self.request, self.is_cut = body[: self.most], self.is_cut or len(body) > self.most

    def note_answer(self, piece: bytes) -> None:
        room = self.most - self.size
        if len(piece) > room:
            self.is_cut = True
        if room > 0:
            self.answer.append(piece[:room])
            self.size += min(room, len(piece))


class PromptReader(Protocol):
    """Whoever looks at prompts, soon and elsewhere than on the event loop (see `ccrouter.store`)."""

    def note_prompt(self, note: PromptNote) -> None:
        """Take the note; never blocks and never raises."""


@dataclass(slots=True)
class Attempt:
    """One request to one target. `failure` is "" for the one that answered, `kind` its one word (routing/failures.py)
    and `status` the provider's, 0 without one; `began` and `ended` in seconds after the exchange, `waited` those
    before it in which nothing was done. `key` is the label of the key that it was asked with.

    As seconds after the exchange too, 0.0 for never: `sent`, when the encoded request was handed to the network,
    `connected`, when a connection for it was made (never, if one was there), `headers`, when the answer's were there,
    and `first`, when its first content was. `usage` and `billed` are what the provider reported of it, None if
    nothing.
    """

    target: str
    began: float
    failure: str = ""
    kind: str = ""
    status: int = 0
    key: str = ""
    waited: float = 0.0
    ended: float = 0.0
    sent: float = 0.0
    connected: float = 0.0
    headers: float = 0.0
    first: float = 0.0
    usage: WireUsage | None = None
    billed: Billed | None = None


@dataclass(slots=True)
class Exchange:
    """One client request and all its attempts. Times in seconds; `status` is what the client got, 499 if it left.

    `target` is the configured one that was tried or denied last ("provider,model"), `sent` the model that stood in what
    went out for it: another where a policy says so. `is_decided` once the auditor has been told what was decided.
    `fidelity` is what the route demands. `losses`, `kept` and `mapped` (dialects/base.py: UpstreamRequest) and the
    names of `transforms` are those of the last target that something was encoded for. `resumed` counts the answers that
    were cut off and gone on with by another, in the same message; `usage` is then that of all of them.

    `authorized`, `received` and `decided` say when the caller was let in, when the body was there, and when its targets
    were chosen and approved, in seconds after `began`, 0.0 for never. `policy` is "" where there is none, "allowed", or
    "denied: " and the rule. `facts` are what was decided by, without the conversation, `estimate` the input tokens if
    somebody had them counted. `answer_size` counts the bytes of the answer's body.
    """

    id: str
    path: str
    began: float
    asked: str = ""
    sent: str = ""
    answered: str = ""
    provider: str = ""
    target: str = ""
    is_decided: bool = False
    route: str = ""
    reason: str = ""
    fidelity: Fidelity = "any"
    session: str = ""
    client: str = ""
    streamed: bool = False
    size: int = 0
    status: int = 0
    error: str = ""
    stop_reason: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    losses: tuple[Loss, ...] = ()
    kept: frozenset[str] = frozenset()
    mapped: frozenset[str] = frozenset()
    transforms: tuple[str, ...] = ()
    told: dict[str, str] = field(default_factory=dict)  # the headers that tell the client of the decision
    upstream_id: str = ""
    usage: WireUsage = field(default_factory=WireUsage)
    ttft: float | None = None
    total: float = 0.0
    resumed: int = 0
    ended_at: float = 0.0  # of the calendar, seconds since 1970
    key: str = ""
    agent: str = ""
    agent_type: str = ""
    request_class: str = ""
    thread: Thread | None = None
    traceparent: str = ""
    policy: str = ""
    facts: RequestFacts | None = None
    estimate: int | None = None
    authorized: float = 0.0
    received: float = 0.0
    decided: float = 0.0
    answer_size: int = 0
    billed: Billed = field(default_factory=Billed)
    prompt: PromptNote | None = None
    prompts: PromptReader | None = None
    content: Content | None = None

    def note_facts(self, facts: RequestFacts) -> None:
        """What the request says of itself is known."""
        self.session, self.thread = facts.session_id, facts.thread
        self.agent, self.agent_type = facts.agent_id[:_LONGEST_WORD], facts.agent_type[:_LONGEST_WORD]
        self.request_class = facts.request_class[:_LONGEST_WORD]
        self.facts = facts

    def note_prompt(self, asked: Mapping[str, msgspec.Raw], sent: bytes, *, is_first_party: bool) -> None:
        """What was sent is being answered: whoever compares prompts may look at it now. Without a session there is no
        turn before to compare it with.
        """
        if self.prompts is not None and self.session:
            self.prompt = PromptNote(asked, sent, is_first_party)
            self.prompts.note_prompt(self.prompt)

    def note_departure(self, now: float) -> None:
        """A request of the attempt that is under way is ready, and is handed to the network: its first one counts."""
        attempt = self._current()
        if attempt is not None and not attempt.sent:
            attempt.sent = now - self.began

    def note_arrival(self, now: float, connected: float) -> None:
        """The headers of an answer to the attempt that is under way are here: its last one's count. A connection was
        made for it at `connected`, 0.0 if it was there.
        """
        attempt = self._current()
        if attempt is not None:
            attempt.headers = now - self.began
            if connected:
                attempt.connected = max(0.0, connected - self.began)

    def _current(self) -> Attempt | None:
        """The attempt that is under way. One that looked at an image for it stands behind it, and has ended."""
        return next((one for one in reversed(self.attempts) if not one.ended), None)

    def note_sent(self, target: Target, sent: UpstreamRequest, transforms: Sequence[str]) -> None:
        """`sent` is what goes to `target` now, by these transforms: what became of the request is so until the next."""
        self.sent, self.provider = target.model, target.provider.name
        self.losses, self.kept, self.mapped = sent.losses, sent.kept, sent.mapped
        self.transforms = tuple(transforms)
        self.told.pop(LOSSES_HEADER, None)

    def tell_losses(self) -> None:
        """After the call the headers that have not gone out yet say how many losses the answer was given with."""
        self.told[LOSSES_HEADER] = str(len(counted(self.losses)))

    def count_by_fate(self) -> dict[str, int]:
        """How many losses of each fate, hints left out; {} for none."""
        return dict(Counter(loss.fate for loss in counted(self.losses)))


def outcome_facts(exchange: Exchange) -> dict[str, object]:
    """What an auditor is told when an exchange has ended: which target answered, or how it failed, in one word; and the
    model that stood in what went out, and the one that the provider said it was answered by, as far as there is one.

    Empty for a request that no decision was made about (one that could not be read): such a one needs no line. No
    words of the client or the provider are in it.
    """
    if not exchange.is_decided:
        return {}
    result = "answered" if exchange.status < 400 else type_of_status(exchange.status)
    return {
        "request": exchange.id,
        "session": exchange.session,
        "path": exchange.path,
        "target": exchange.target,
        **({"sent": exchange.sent} if exchange.sent else {}),
        **({"answered": exchange.answered} if exchange.answered else {}),
        "route": exchange.route,
        "status": exchange.status,
        "result": "client_gone" if exchange.status == CLIENT_GONE else result,
    }


_WORD = re.compile(r"[^\s'\"=(){}\[\],;]*[^\s'\"=(){}\[\],;.:!?]")
_LEAST_WORDS = 3
_LEAST_LENGTH = 12
_LONG_WORD = 16


def without_content(text: str, content: Iterable[bytes]) -> str:
    """`text` with every run of words that the client wrote itself replaced by "…".

    Some servers quote a part of the request in their errors, and no conversation may reach a log by that way.
    `content` is JSON as the client sent it. Runs of less than three words stay, unless they are one long word: they
    are the server's own as likely as not.
    """
    pieces = tuple(content)
    words = [found.span() for found in _WORD.finditer(text)]
    told: list[str] = []
    at = kept = 0
    while at < len(words):
        end = _end_of_quotation(text, words, at, pieces)
        if end > at:
            told += (text[kept : words[at][0]], "…")
            kept = words[end - 1][1]
        at = max(end, at + 1)
    return "".join([*told, text[kept:]])


def _end_of_quotation(text: str, words: Sequence[tuple[int, int]], start: int, pieces: Sequence[bytes]) -> int:
    """The number of the word behind the quotation that begins with word `start`; `start` if none does."""

    def is_quoted(end: int, least: int) -> bool:
        run = text[words[start][0] : words[end - 1][1]].encode("utf-8", "surrogatepass")
        return len(run) >= least and any(run in piece for piece in pieces)

    end = start + 1 if is_quoted(start + 1, _LONG_WORD) else start
    following = max(end + 1, start + _LEAST_WORDS)
    while following <= len(words) and is_quoted(following, _LEAST_LENGTH):
        end = following
        following += 1
    return end
