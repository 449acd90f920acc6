"""HTTP as it comes in: what a client may make us hold and wait for before there is a request.

uvicorn reads HTTP; this bounds it. A head has a size and a time to arrive in, a body has to keep moving, and a
connection that says nothing at all is closed. There is no timer a connection: one sweep a second looks at those that
owe us something (`ClientLines.beat`), and a request that comes in one piece is never among them. One request at a time
on a connection: what follows one that is being answered is not read, and the connection ends with that answer.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ccrouter.config.schema import Limits
from ccrouter.dialects.served import Served
from ccrouter.errors import ClientError
from ccrouter.messages.fault import Fault
from ccrouter.server.faults import fault_answer, fault_headers
from ccrouter.server.intake import Receive
from ccrouter.server.presets import split_preset
from ccrouter.server.respond import header_lines
from ccrouter.server.routes import form_of, served_path

#: Bytes a second that a body has to bring, over any `readSeconds`: a fiftieth of what the slowest mobile line does.
SLOWEST = 128
#: How long a connection that was told to close may take to read why, in seconds.
LINGER = 5.0
#: What is read and thrown away of a body that nobody wants any more, so that its sender comes to read the answer.
_MOST_UNREAD = 64 * 1024 * 1024
#: Headers that a request with a body has.
_BODY = frozenset({b"content-length", b"transfer-encoding"})
_TURNED_AWAY = "this router has as many connections as the system lets it have (`ulimit -n`)"

Refused = Callable[[str, Fault], None]
Tell = Callable[..., None]
Application = Callable[[Any, Receive, Any], Awaitable[None]]


class ClientLines:
    """The connections of clients, of one process. `refused` is told, with its id, of what never became a request.

    `most` is how many there may be, None for no bound: one more makes an idle one go, or is turned away with a 503.
    `tell(level, message, **facts)` hears of that when it begins, and when it is over.
    """

    def __init__(
        self,
        limits: Callable[[], Limits],
        clock: Callable[[], float],
        refused: Refused,
        tell: Tell,
        most: int | None = None,
    ) -> None:
        self.limits = limits
        self.clock = clock
        self.refused = refused
        self.most = most
        self.turned_away = 0  # since it began
        self.open: set[BoundedProtocol] = set()
        self.owing: set[BoundedProtocol] = set()
        self._tell = tell
        self._told = 0

    @property
    def protocol(self) -> type[asyncio.Protocol]:
        """What uvicorn is to read connections with (`http=`)."""
        return type("ClientProtocol", (BoundedProtocol,), {"lines": self})

    def beat(self) -> None:
        """Look at every connection that owes us something. To be called about once a second."""
        now, seconds = self.clock(), self.limits().read_seconds
        for line in tuple(self.owing):
            line.look(now, seconds)
        if self.turned_away > self._told:
            if not self._told:
                self._tell("error", _TURNED_AWAY, connections=self.most)
            self._told = self.turned_away
        elif self._told:
            self._tell("warn", "there is room for connections again", turnedAway=self.turned_away)
            self.turned_away = self._told = 0


class _HeadTooLarge(Exception):
    """More than `limits.header_bytes`."""


class _OneAtATime(Exception):
    """A request came before the answer to the last one was complete."""


class _Upgrade(Exception):
    """A request with a body offers another protocol."""


class _Reception:
    """A request's `receive`; raises `stalled`, once that is set, in the place of more of the body."""

    __slots__ = ("_receive", "stalled")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.stalled: ClientError | None = None

    async def __call__(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        if self.stalled is not None and message["type"] == "http.request":
            raise self.stalled
        return message


class BoundedProtocol(HttpToolsProtocol):
    """One connection of a client. `lines` is what it has in common with the others."""

    lines: ClassVar[ClientLines]

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._app: Application = self.app
        self.app = self._serve
        self._reception: _Reception | None = None
        self._is_open = False  # a message has begun and is not complete
        self._is_head = False  # ... and its head is not complete either
        self._is_over = False  # nothing that comes is read any more
        self._is_surplus = False
        self._begun = 0  # messages
        self._received = 0  # bytes, as all below
        self._reading = 0
        self._barren = 0  # since there was something of a body
        self._head = 0
        self._seen = self._marked = self._answered = 0
        self._since = self._mark = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        self._owe()
        self.lines.open.add(self)
        most = self.lines.most
        if most is not None and len(self.lines.open) > most and not self._displace():
            self._is_surplus = True
            if len(self.lines.open) > most + most // 2:
                self.lines.turned_away += 1
                transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lines.open.discard(self)
        self.lines.owing.discard(self)
        super().connection_lost(exc)
        self.app = self._app  # or it would hold itself

    def shutdown(self) -> None:
        super().shutdown()
        if self._is_over and not self._is_answering:
            self.transport.close()

    # -- what comes --------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._received += len(data)
        if self._is_over:
            return
        begun, was_open, was_head = self._begun, self._is_open, self._is_head
        self._reading = len(data)
        self._barren += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:  # it need not be taken up: RFC 9110 7.8
            if len(data) > offer.args[0]:
                self._break_off(_OneAtATime())
                return
        except httptools.HttpParserError as error:
            if not self._is_over:
                self._break_off(error.__context__ or error)
            return
        self._look_back(begun, was_open=was_open, was_head=was_head)

    def _look_back(self, begun: int, *, was_open: bool, was_head: bool) -> None:
        """After a read: see what the client owes us now."""
        has_begun = self._begun != begun
        if self._is_over:
            return
        if self._is_open and not self._is_head:
            if self._barren > self.lines.limits().header_bytes and not was_head:  # trailers, which the parser keeps
                self._break_off(_HeadTooLarge())
                return
            self._owe(is_new=has_begun or was_head)
        elif self._is_head or not (has_begun or was_open):  # blank lines before a head count as one
            is_first = has_begun or not self._head
            self._head = (0 if was_open else self._reading) if is_first else self._head + self._reading
            if self._head > self.lines.limits().header_bytes:
                self._break_off(_HeadTooLarge())
                return
            self._owe(is_new=is_first)
        else:
            self.lines.owing.discard(self)

    def on_message_begin(self) -> None:
        if self._is_over or self._is_answering:
            raise _OneAtATime
        self._is_open = self._is_head = True
        self._begun += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_surplus = self._is_surplus and len(self.lines.open) > (self.lines.most or 0)
        if self._is_surplus:
            self.lines.turned_away += 1
            self._refuse(Fault(503, "overloaded_error", _TURNED_AWAY, retry_after=1, should_retry=True))
            return
        most = self.lines.limits().header_bytes
        if self._head + self._reading > most and self._size_of_head() > most:
            raise _HeadTooLarge
        if self.parser.should_upgrade() and any(name in _BODY and value != b"0" for name, value in self.headers):
            raise _Upgrade  # the parser would take the body for the other protocol, or for the next request
        self._head, self._barren = 0, 0
        super().on_headers_complete()
        self._is_head = False

    def on_body(self, body: bytes) -> None:
        self._barren = 0
        if not self._is_over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_open = False
        if not self._is_over:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self._answered = self._received
        super().on_response_complete()

    def _serve(self, scope: Any, receive: Receive, send: Any) -> Awaitable[None]:
        self._reception = _Reception(receive)
        return self._app(scope, self._reception, send)

    # -- what does not come ------------------------------------------------------------------------------------------

    def look(self, now: float, seconds: float) -> None:
        """End this connection, or its request, if what it owes us has not come in `seconds`."""
        if self.transport.is_closing():
            self.lines.owing.discard(self)
        elif self._is_over:
            if not self._is_answering and now - self._since >= LINGER:
                self.transport.close()
        elif self._is_open and not self._is_head:
            self._look_at_body(now, seconds)
        elif self._is_answering:
            self._since = now
        elif not self._received:
            if now - self._since >= (LINGER if self._is_surplus else self.timeout_keep_alive):
                self.transport.close()
        elif now - self._since >= seconds:
            self._refuse(_late(f"the request's head did not arrive within {seconds:g} seconds"))

    def _look_at_body(self, now: float, seconds: float) -> None:
        if self.cycle.response_complete and self._received - self._answered > _MOST_UNREAD:
            self.transport.close()
        if self._received != self._seen:
            self._seen, self._since = self._received, now
        if now - self._since >= seconds:
            self._stall(f"nothing of the request's body came for {seconds:g} seconds")
        elif now - self._mark >= seconds:
            if self._received - self._marked < SLOWEST * seconds:
                self._stall(f"the request's body came at less than {SLOWEST} bytes a second")
            self._mark, self._marked = now, self._received

    def _stall(self, why: str) -> None:
        self.lines.owing.discard(self)
        if self.cycle.response_started or self._reception is None:
            self.transport.close()
            return
        late = _late(why)
        self._reception.stalled = ClientError(late.message, status=late.status, type=late.type)
        self.cycle.keep_alive = False
        self.cycle.message_event.set()

    # -- the end of it -----------------------------------------------------------------------------------------------

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _owe(self, *, is_new: bool = True) -> None:
        if is_new or self not in self.lines.owing:
            self._since = self._mark = self.lines.clock()
            self._seen = self._marked = self._received
            self.lines.owing.add(self)

    def _displace(self) -> bool:
        """True if a connection without a request was closed to make room for this one."""
        now = self.lines.clock()
        silent = None
        for other in self.lines.open:
            if other._is_busy or other.transport.is_closing():  # noqa: SLF001 - of the same class
                continue
            if other._begun:  # noqa: SLF001 - as above
                other.transport.close()
                return True
            if not other._received and now - other._since >= LINGER:  # noqa: SLF001 - as above
                silent = other
        if silent is not None:
            silent.transport.close()
        return silent is not None

    @property
    def _is_busy(self) -> bool:
        return self._is_answering or self._is_open or self._is_over

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _break_off(self, error: BaseException) -> None:
        """What comes is no HTTP, or more than we take: nothing is read after it."""
        is_in_body = self._is_open and not self._is_head
        if self._is_answering and not is_in_body:
            self._is_over = True
            self.cycle.keep_alive = False
        elif is_in_body and self.cycle.response_started:
            self.transport.close()
        elif isinstance(error, _HeadTooLarge):
            most = self.lines.limits().header_bytes
            words = f"the request's head is larger than {most} bytes (`limits.headerBytes` in the config raises it)"
            self._refuse(Fault(431, "invalid_request_error", words))
        elif isinstance(error, _Upgrade):
            words = "this router speaks HTTP/1.1 alone: a request with a body may not offer an upgrade of the protocol"
            self._refuse(Fault(400, "invalid_request_error", words))
        else:
            self._refuse(Fault(400, "invalid_request_error", "the request is not valid HTTP"))

    def _refuse(self, fault: Fault) -> None:
        """Answer with `fault`, in the form of the path as far as it is known, and read nothing more."""
        self._is_over = True
        self._owe()
        request_id = f"req_{secrets.token_hex(12)}"
        form = self._form()
        status, body = fault_answer(fault, request_id, form)
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
            "request-id": request_id,
            **fault_headers(fault),
            **({} if form is None else form.headers(request_id)),
        }
        lines = [*self.server_state.default_headers, *header_lines(headers)]
        head = b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode())
        self.transport.write(head + b"".join(b"%s: %s\r\n" % line for line in lines) + b"\r\n" + body)
        # Closed with unread bytes before it, the answer would be lost: its reader closes, or the sweep does.
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not self._is_surplus:
            self.lines.refused(request_id, fault)

    def _form(self) -> Served | None:
        if not self._begun:
            return None
        path = self.url.partition(b"?")[0].decode("latin-1")
        return form_of(split_preset(served_path(path))[1])


def _late(why: str) -> Fault:
    return Fault(408, "timeout_error", f"{why} (`limits.readSeconds` in the config is how long a client may take)")
