"""What it takes to serve clients that speak a dialect: requests read into Messages, answers and errors written from it.

The other half of a dialect. Messages needs none: it is what requests and answers are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ccrouter.config.schema import DialectName, Target
from ccrouter.dialects.base import Amend, UpstreamRequest
from ccrouter.messages.events import Message, MessageEvent, WireUsage
from ccrouter.messages.fault import Fault
from ccrouter.messages.request import MessagesRequest
from ccrouter.sse import ServerSentEvent


class AnswerWriter(Protocol):
    """Writes one answer in the client's dialect."""

    def frames(self, events: Iterable[MessageEvent]) -> bytes:
        """Whole SSE frames for these events, b"" if they mean nothing; the end of the stream with the last of them."""

    def whole(self, message: Message) -> bytes:
        """The unstreamed answer, JSON."""

    def fault(self, fault: Fault) -> bytes:
        """The frames that end a stream that has begun and fails."""


class IdentityTap(Protocol):
    """Looks on while an answer passes to a client that speaks the provider's own dialect. Its facts are a Reader's.

    `feed` gives the event's data as it is to go on (with the asked model in the place of the sent one), and raises
    UpstreamStatus or RemoteProtocolError as a Reader does.
    """

    has_content: bool
    is_done: bool
    usage: WireUsage
    answered_model: str
    stop_reason: str

    def feed(self, event: ServerSentEvent) -> bytes: ...

    def feed_body(self, body: bytes) -> bytes: ...

    def close(self) -> None:
        """Raises RemoteProtocolError if the provider never said that it was finished."""


class Served(Protocol):
    """One dialect as clients speak it."""

    name: DialectName

    def read(self, body: bytes) -> MessagesRequest:
        """The Messages request that `body` means. Raises ClientError with the JSON path at fault, and
        UnsupportedContent for what Messages cannot say and must not be lost.
        """

    def pass_on(self, body: bytes, target: Target, amend: Amend | None) -> UpstreamRequest:
        """`body` for a provider that speaks this dialect too: its members' own bytes, but for the model."""

    def tap(self, *, asked: str, sent: str) -> IdentityTap:
        """For the answer to what `pass_on` made."""

    def writer(self, body: bytes, *, asked: str, id: str) -> AnswerWriter:  # noqa: A002 - the protocol's own word
        """For the answer to `body`."""

    def error(self, fault: Fault, request_id: str) -> bytes:
        """The body of an answer that is an error, JSON."""

    def keep_alive(self) -> bytes:
        """A frame that means nothing, for a silent stream."""

    def headers(self) -> Mapping[str, str]:
        """Headers that every answer of this dialect carries."""
