"""Server-sent events: bytes to events, by the WHATWG rules, without any I/O.

Source of the rules: html.spec.whatwg.org, "Server-sent events", 9.2.5-9.2.6. Two departures, both needed in the field:
an event at the very end that lacks its blank line is delivered by `close` (several servers forget it), and comments
and `id:`/`retry:` lines are dropped (they carry nothing of a message).
"""

from __future__ import annotations

import msgspec

from ccrouter.errors import RemoteProtocolError

#: An event larger than this is an attack or a defect, not an answer.
MAX_EVENT_BYTES = 64 * 1024 * 1024


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One event. `event` is b"" where the server named none; `data` is its data lines joined by newlines."""

    event: bytes
    data: bytes


class SseReader:
    """Turns chunks of any cut into events. Line ends may be LF, CRLF or CR, also mixed, also split between chunks."""

    __slots__ = ("_buffer", "_further", "_held_cr", "_size", "_started")

    def __init__(self) -> None:
        self._buffer = b""  # an event that is not whole yet: its first bytes,
        self._further: list[bytes] = []  # and the others, joined once it is: it may come in many small pieces
        self._size = 0
        self._held_cr = False
        self._started = False

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that `chunk` completes, in order.

        Raises RemoteProtocolError when one event grows beyond MAX_EVENT_BYTES.
        """
        if self._held_cr or b"\r" in chunk:
            chunk = self._normalise(chunk)
        if self._started and self._buffer:
            if not self._ends_event(chunk):
                return self._keep(chunk)
            buffer = self._joined() + chunk
        else:
            buffer = self._buffer + chunk
        if not self._started and buffer:
            # A byte order mark may precede the stream; it can be cut like anything else.
            if len(buffer) < 3 and b"\xef\xbb\xbf".startswith(buffer):
                self._buffer = buffer
                return []
            self._started = True
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
        *frames, self._buffer = buffer.split(b"\n\n")
        self._size = 0
        self._keep(b"")
        events: list[ServerSentEvent] = []
        for frame in frames:
            # Nearly every event has one of two shapes: a data line alone, or an event line and a data line.
            head, lines, data = frame.partition(b"\ndata: ")
            if not lines and head[:6] == b"data: " and b"\n" not in head:
                events.append(ServerSentEvent(b"", head[6:]))
            elif lines and head[:7] == b"event: " and b"\n" not in head and b"\n" not in data:
                events.append(ServerSentEvent(head[7:], data))
            elif (event := _parse(frame)) is not None:
                events.append(event)
        return events

    def close(self) -> list[ServerSentEvent]:
        """The event that the end of the stream cut short of its blank line, if there is one."""
        frame, self._buffer = self._joined(), b""
        event = _parse(frame)
        return [event] if event is not None else []

    def _ends_event(self, chunk: bytes) -> bool:
        last = self._further[-1] if self._further else self._buffer
        return b"\n\n" in chunk or (chunk.startswith(b"\n") and last.endswith(b"\n"))

    def _keep(self, chunk: bytes) -> list[ServerSentEvent]:
        """No event: `chunk` belongs to the one that is not whole yet."""
        if chunk:
            self._further.append(chunk)
            self._size += len(chunk)
        if len(self._buffer) + self._size > MAX_EVENT_BYTES:
            raise RemoteProtocolError(f"one event of the stream is larger than {MAX_EVENT_BYTES} bytes")
        return []

    def _joined(self) -> bytes:
        if not self._further:
            return self._buffer
        whole = b"".join((self._buffer, *self._further))
        self._further.clear()
        return whole

    def _normalise(self, chunk: bytes) -> bytes:
        if self._held_cr:
            chunk = b"\r" + chunk
        self._held_cr = chunk.endswith(b"\r")
        if self._held_cr:  # its LF may be the first byte of the next chunk
            chunk = chunk[:-1]
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _parse(frame: bytes) -> ServerSentEvent | None:
    event, data = b"", []
    for line in frame.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event":
            event = value.removeprefix(b" ")
    if not data:
        return None
    return ServerSentEvent(event, data[0] if len(data) == 1 else b"\n".join(data))


def frame(event: bytes, data: bytes) -> bytes:
    """The event as bytes on the wire, without an event line if `event` is b""; data of several lines is written as
    several data lines.

    U+0085, U+2028 and U+2029 inside the JSON text of `data` are written as escapes: clients that split lines the
    Python way (`str.splitlines`) take them for line ends and lose the event.
    """
    if b"\xe2\x80" in data or b"\xc2\x85" in data:
        data = escape_separators(data)
    if b"\n" in data:  # pretty-printed JSON of another server: a bare second line would be no data at all
        data = data.replace(b"\n", b"\ndata: ")
    if not event:
        return b"data: %b\n\n" % data
    return b"event: %b\ndata: %b\n\n" % (event, data)


def escape_separators(data: bytes) -> bytes:
    """JSON text with the three Unicode line separators as JSON escapes; anything else unchanged."""
    if b"\xe2\x80" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    if b"\xc2\x85" in data:
        data = data.replace(b"\xc2\x85", b"\\u0085")
    return data
