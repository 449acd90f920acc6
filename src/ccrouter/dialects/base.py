"""What a dialect is: what it can do, and the values that it deals in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ccrouter.config.schema import Target
from ccrouter.errors import UpstreamStatus
from ccrouter.messages.events import Billed, MessageEvent, WireUsage
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import ServerSentEvent

#: What became of something asked. `hint`: left out, and neither what the model reads nor what it may answer is another
#: without it: a wish about price, speed, accounting or presentation (dialects/ledger.py draws the line). Hints are
#: listed, not counted, and no strictness minds them.
Fate = Literal["dropped", "approximated", "hint"]

#: What transforms make of the top-level members of a request in the provider's words, before it becomes bytes. Values
#: may be `msgspec.Raw`. It may change its argument, and returns what counts.
Amend = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Loss:
    """Something of the request that the target does not get as it was asked: where (a JSON path; with `[]` for every
    index where it is told once for all of them), what became of it, and whether anything of it is left.
    """

    path: str
    what: str
    fate: Fate = "dropped"


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request in the provider's words. `headers` are the dialect's own; authentication is added where it is sent.

    `final_headers` win over all others, authentication included: those that transforms set; "" leaves one out.
    `url` is where to POST if that depends on the request (its model, whether it streams), "" for the endpoint's own.
    `names` maps tool names as sent to tool names as asked, for those that had to be changed. `kept` and `mapped` tell,
    with `losses`, what became of everything asked: JSON paths, `[]` for every index, of what went out as it came and of
    what went out in the provider's words.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    losses: tuple[Loss, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    kept: frozenset[str] = frozenset()
    mapped: frozenset[str] = frozenset()
    final_headers: Mapping[str, str] = field(default_factory=dict)


class Reader(Protocol):
    """Reads one answer. `feed` for a streamed one, `feed_body` for an unstreamed one; then `close`, once.

    `usage`, `billed` and `answered_model` hold what the provider reported so far.
    """

    @property
    def usage(self) -> WireUsage: ...

    @property
    def billed(self) -> Billed: ...

    @property
    def answered_model(self) -> str: ...

    def feed(self, event: ServerSentEvent) -> list[MessageEvent]:
        """The events that one server-sent event means. Raises UpstreamStatus for an error object in the stream,
        RemoteProtocolError for what cannot be read.
        """

    def feed_body(self, body: bytes) -> list[MessageEvent]:
        """The events of an unstreamed answer. Raises as `feed`."""

    def close(self) -> list[MessageEvent]:
        """The closing events. Raises RemoteProtocolError if the answer had not said that it was finished."""


class Dialect(Protocol):
    """One wire format."""

    name: str

    def encode(
        self,
        request: MessagesRequest,
        target: Target,
        client_headers: Mapping[str, str],
        amend: Amend | None = None,
    ) -> UpstreamRequest:
        """The request in this dialect, for `target.endpoint`, with what `amend` makes of its members; the provider's
        `extra_body` is merged after that. Raises UnsupportedContent for what it cannot carry and must not lose.

        `client_headers` are lower-case.
        """

    def models_sent(self, url: str, body: bytes) -> list[str]:
        """Every model that a POST of `body` to `url` asks for, read from these bytes; [] if it names none.

        Raises LocalProtocolError for a body that two readers could read differently.
        """

    def reader(self, request: UpstreamRequest, target: Target, writer: MessageWriter) -> Reader:
        """A reader for the answer to `request`, writing through `writer`."""

    def explain(self, status: int, headers: Mapping[str, str], body: bytes, provider: str) -> UpstreamStatus:
        """The provider's error in Messages terms. `headers` are lower-case."""

    def refused_member(self, error: UpstreamStatus, sent: UpstreamRequest) -> str:
        """The member of `sent` that the provider does not take by `error`, if the request can do without; else ""."""

    def without(self, sent: UpstreamRequest, refused: Iterable[str]) -> UpstreamRequest:
        """`sent` without the members that `refused_member` named."""
