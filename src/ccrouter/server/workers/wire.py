"""Messages between the processes of one service: msgpack, each behind its length. Knows no topic."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Literal, cast

import msgspec

#: From a worker: `hello` (it is there, and waits to be told what to serve by), `ready` (it serves, or a reload is
#: over), `reloading`, `failed` (it cannot
#: start, and why), `join`, `publish`, `ask`, `answer`, `lock`, `unlock`. To a worker: `welcome`, `joined`, `publish`,
#: `ask`, `answered`, `granted`, `gone`, `wish`.
Kind = Literal[
    "hello", "ready", "reloading", "failed", "join", "publish", "ask", "answer", "lock", "unlock",
    "welcome", "joined", "answered", "granted", "gone", "wish",
]  # fmt: skip

_HEAD = 4
#: No message is longer, in bytes: a configuration has far fewer.
LARGEST = 256 * 1024 * 1024


class Message(msgspec.Struct, frozen=True, array_like=True):
    """One message. `origin` is the worker that it comes from or is about, `number` ties an answer to its question."""

    kind: Kind
    topic: str = ""
    body: bytes = b""
    number: int = 0
    origin: int = 0
    seconds: float = 0.0
    is_kept: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def frame(message: Message) -> bytes:
    """`message` as it travels."""
    packed = _encoder.encode(message)
    return len(packed).to_bytes(_HEAD) + packed


class Frames:
    """Messages out of bytes as they arrive."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole with `data`. Raises ValueError for what is none."""
        self._held += data
        while len(self._held) >= _HEAD:
            size = int.from_bytes(self._held[:_HEAD])
            if size > LARGEST:
                raise ValueError("a message is too long")
            if len(self._held) < _HEAD + size:
                return
            packed = bytes(self._held[_HEAD : _HEAD + size])
            del self._held[: _HEAD + size]
            yield _decoder.decode(packed)


class Line(asyncio.Protocol):
    """One end of a connection in an event loop. `hear` is called with each message, `lost` when it is closed."""

    def __init__(self, hear: Callable[[Message], None], lost: Callable[[], None]) -> None:
        self._hear = hear
        self._lost = lost
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no such base, and all that it has

    def data_received(self, data: bytes) -> None:
        for message in self._frames.feed(data):
            self._hear(message)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended, it ended
        self._transport = None
        self._lost()

    @property
    def waiting(self) -> int:
        """Bytes that the other end has not taken yet, as far as they are held here."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, framed: bytes) -> None:
        """Never waits; what is sent to an end that is gone is nothing."""
        if self._transport is not None:
            self._transport.write(framed)

    def close(self) -> None:
        """What was sent still goes out."""
        if self._transport is not None:
            self._transport.close()


async def connect(line: Line, sock: socket.socket) -> None:
    """After the call `line` talks through `sock`, one of a pair."""
    await asyncio.get_running_loop().create_unix_connection(lambda: line, sock=sock)


def send_now(sock: socket.socket, message: Message) -> None:
    """Before there is an event loop: waits until it is sent. Raises OSError."""
    sock.sendall(frame(message))


def read_now(sock: socket.socket) -> Message:
    """The next message, waited for, and no byte more. Raises EOFError if the other end is gone, OSError, ValueError."""
    size = int.from_bytes(_read_exactly(sock, _HEAD))
    if size > LARGEST:
        raise ValueError("a message is too long")
    return _decoder.decode(_read_exactly(sock, size))


def _read_exactly(sock: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        piece = sock.recv(min(size - len(got), 1 << 20))
        if not piece:
            raise EOFError("the other end is gone")
        got += piece
    return bytes(got)
