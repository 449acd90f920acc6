"""Answers on their way out: one `HttpReply` an exchange, and the `Pulse` that keeps silent ones alive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any
from urllib.parse import quote

from ccrouter.gateway.record import Content
from ccrouter.gateway.reply import error_frame
from ccrouter.messages.events import Ping, render
from ccrouter.messages.fault import Fault

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Claude Code 2.1 gives up after 300 s of silence and SDKs after 600; proxies in between after 60 or less.
SILENCE_LIMIT = 15.0
_PING = render(Ping())
_LONGEST_VALUE = 600  # characters; encoded, each takes up to twelve bytes
_STREAM_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


def header_lines(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them. Values that are not plain ASCII (model names can be anything) are percent-encoded,
    and long ones cut: clients refuse an answer with more than 8 KiB in one header.
    """
    return [(name.encode("ascii"), _header_value(value)) for name, value in headers.items()]


def _header_value(value: str) -> bytes:
    value = value[:_LONGEST_VALUE]
    if value.isascii() and value.isprintable():
        return value.encode("ascii")
    return quote(value, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~").encode("ascii")


class HttpReply:
    """A Reply (gateway/reply.py) over ASGI. `clock` is the event loop's; `keep_alive` the frame for silent streams."""

    def __init__(
        self,
        send: Send,
        pulse: Pulse,
        common: Mapping[str, str],
        clock: Callable[[], float],
        keep_alive: bytes = _PING,
    ) -> None:
        self.fault_frames: Callable[[Fault], bytes] = error_frame
        self._send = send
        self._pulse = pulse
        self._common = common
        self._clock = clock
        self._keep_alive = keep_alive
        self._stream_headers: Mapping[str, str] = {}
        self._is_writing = False
        self._beginning = asyncio.Lock()  # a keep-alive may begin the answer while the answer itself does
        self._last_write = clock()
        self.is_committed = False
        self.has_begun = False
        self.has_ended = False
        self.size = 0  # of the body, in bytes
        self.content: Content | None = None  # what went out is noted there

    def expect_stream(self, headers: Mapping[str, str]) -> None:
        self._stream_headers = headers
        self._last_write = self._clock()
        self._pulse.watch(self)

    async def write(self, frames: bytes) -> None:
        self.is_committed = True
        await self._put(frames)

    async def end(self) -> None:
        self._pulse.forget(self)
        if not self.has_begun:
            await self._begin()
        self.has_ended = True
        await self._send({"type": "http.response.body", "body": b""})

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._pulse.forget(self)
        self.has_begun = self.is_committed = self.has_ended = True
        self._count(body)
        lines = header_lines({**self._common, **headers})
        lines += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await self._send({"type": "http.response.start", "status": status, "headers": lines})
        await self._send({"type": "http.response.body", "body": body})

    def forget(self) -> None:
        """The exchange is over: no more keep-alives, and what was said is the recorder's now."""
        self._pulse.forget(self)
        self.content = None

    async def keep_alive(self, now: float) -> None:
        """A frame that means nothing, if none has gone out for SILENCE_LIMIT. A write that waits for a slow client is
        not silence.
        """
        if not self._is_writing and not self.has_ended and now - self._last_write >= SILENCE_LIMIT:
            await self._put(self._keep_alive)

    def _count(self, frames: bytes) -> None:
        self.size += len(frames)
        if self.content is not None:
            self.content.note_answer(frames)

    async def _begin(self) -> None:
        async with self._beginning:
            if not self.has_begun:
                lines = [*_STREAM_HEADERS, *header_lines({**self._common, **self._stream_headers})]
                await self._send({"type": "http.response.start", "status": 200, "headers": lines})
                self.has_begun = True

    async def _put(self, frames: bytes) -> None:
        self._is_writing = True
        self._count(frames)
        try:
            if not self.has_begun:
                await self._begin()
            await self._send({"type": "http.response.body", "body": frames, "more_body": True})
        finally:
            self._is_writing = False
            self._last_write = self._clock()


class Pulse:
    """One task for the whole process that looks at every waiting stream once a second, and calls `also` then."""

    def __init__(
        self, clock: Callable[[], float], interval: float = 1.0, also: Sequence[Callable[[], None]] = ()
    ) -> None:
        self._clock = clock
        self._interval = interval
        self._also = also
        self._replies: dict[int, HttpReply] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def watch(self, reply: HttpReply) -> None:
        self._replies[id(reply)] = reply

    def forget(self, reply: HttpReply) -> None:
        self._replies.pop(id(reply), None)

    def beat(self) -> None:
        """Start a keep-alive for every stream that is due one, each in a task: a stuck client holds up only itself."""
        now = self._clock()
        for reply in list(self._replies.values()):
            if now - reply._last_write >= SILENCE_LIMIT:  # noqa: SLF001 - two halves of one mechanism
                task = asyncio.create_task(reply.keep_alive(now))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            self.beat()
            for look in self._also:
                look()
