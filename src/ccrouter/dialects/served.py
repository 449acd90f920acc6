"""What it takes to serve clients that speak a dialect: requests read into Messages, answers and errors written from it.

The other half of a dialect. Messages needs none: it is what requests and answers are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ccrouter.config.schema import DialectName, Target
from ccrouter.dialects.base import Amend, Loss, UpstreamRequest
from ccrouter.messages.events import Billed, Message, MessageEvent, WireUsage
from ccrouter.messages.fault import Fault
from ccrouter.messages.request import MessagesRequest
from ccrouter.sse import ServerSentEvent


class AnswerWriter(Protocol):
    """Writes one answer in the client's dialect: streamed by `frames`, or by `whole`."""

    def frames(self, events: Iterable[MessageEvent]) -> bytes:
        """Whole SSE frames for these events, b"" if they mean nothing; the end of the stream with the last of them."""

    def whole(self, message: Message) -> bytes:
        """The unstreamed answer, JSON."""

    def fault(self, fault: Fault) -> bytes:
        """The frames that end a stream that fails, after the frames given so far."""


class IdentityTap(Protocol):
    """Looks on while an answer passes to a client that speaks the provider's own dialect. Its facts are a Reader's.

    `feed` gives the event's data as it is to go on (with the asked model in the place of the sent one), and raises
    UpstreamStatus or RemoteProtocolError as a Reader does. `has_content` is true once there is something worth
    committing to, which a finished answer without anything in it is not; `is_done` once nothing more can come.
    """

    has_content: bool
    is_done: bool
    usage: WireUsage
    billed: Billed
    answered_model: str
    stop_reason: str

    def feed(self, event: ServerSentEvent) -> bytes:
        """The data of `event` for the client."""

    def feed_body(self, body: bytes) -> bytes:
        """The unstreamed answer for the client."""

    def close(self) -> bytes:
        """The closing frames that the provider forgot. Raises RemoteProtocolError if it never said that it was
        finished.
        """

    def fault(self, fault: Fault) -> bytes:
        """As an AnswerWriter's."""


class Reading(Protocol):
    """One request of a client, read: what it means in Messages, and how it is answered.

    `request` is what routing and policy go by, and what is encoded for targets of another dialect; `losses` is what of
    it Messages cannot say, by the client's own JSON paths.
    """

    dialect: DialectName
    request: MessagesRequest
    losses: tuple[Loss, ...]

    def check(self) -> None:
        """Raises UnsupportedContent if Messages cannot say all that must not be lost: only a target of the client's own
        dialect can serve it then.
        """

    def located(self, path: str) -> str:
        """Where in the client's own request stands what is at `path` in `request`."""

    def pass_on(self, target: Target, client_headers: Mapping[str, str], amend: Amend | None) -> UpstreamRequest:
        """The request for a target that speaks this dialect too: its members' own bytes, but for the model. Opaque
        state that other providers made is left out, and told as a loss.
        """

    def tap(self, *, asked: str, sent: str) -> IdentityTap:
        """For the answer to what `pass_on` made."""

    def writer(self, *, asked: str) -> AnswerWriter:
        """For an answer that was translated. `asked` is the model that it is to name."""


class Served(Protocol):
    """One dialect as clients speak it. Without state."""

    name: DialectName

    def read(self, body: bytes) -> Reading:
        """The request in `body`. Raises ClientError, with the JSON path at fault as `param` in its details, for what is
        no request of this dialect or asks for what no router could give.
        """

    def status(self, fault: Fault) -> int:
        """The HTTP status that clients of this dialect know for the fault."""

    def error(self, fault: Fault, request_id: str) -> bytes:
        """The body of an answer that is an error, JSON."""

    def keep_alive(self) -> bytes:
        """A frame that means nothing, for a silent stream."""

    def headers(self, request_id: str) -> Mapping[str, str]:
        """Headers that every answer of this dialect carries."""
