"""From an upstream's bytes to the client's: the ways a streamed answer can take.

`Relay` is identity: the upstream speaks Messages and so does the client; frames pass, a tap looks on. `Passage` is the
same for any other dialect. `Translation` reads events with a dialect's reader and renders them, as Messages or as the
client's writer does. All have one shape: `feed(bytes) -> bytes`, `close() -> bytes`, and give whole frames only, so
that a keep-alive may be put between any two writes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from ccrouter.dialects.anthropic.reader import Tap
from ccrouter.dialects.base import Reader
from ccrouter.dialects.served import AnswerWriter, IdentityTap
from ccrouter.errors import Broken, RemoteProtocolError, UpstreamError
from ccrouter.gateway.reply import error_frame
from ccrouter.messages.events import (
    Billed,
    BlockStop,
    MessageDelta,
    MessageEvent,
    MessageStop,
    WireUsage,
    is_content,
    render,
)
from ccrouter.messages.fault import Fault
from ccrouter.sse import ServerSentEvent, SseReader, frame
from ccrouter.transforms.base import EventFilter

#: More than this is not held back, in bytes: who says so much without saying anything will not say anything.
MOST_HELD = 1024 * 1024


class Held:
    """Frames that wait for the first content: what follows them may yet be an error, and another target asked."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._size = 0

    def add(self, frames: bytes) -> None:
        """Raises RemoteProtocolError if it is too much to be kept."""
        self._frames.append(frames)
        self._size += len(frames)
        if self._size > MOST_HELD:
            raise RemoteProtocolError(f"the stream has {MOST_HELD} bytes and no content")

    def take(self, frames: bytes) -> bytes:
        """All of them, and `frames` behind them; nothing is held any more."""
        taken = b"".join((*self._frames, frames))
        self._frames.clear()
        self._size = 0
        return taken


class Pipe(Protocol):
    """An answer on its way.

    `has_content` is true once something worth committing to has come out, `is_done` once nothing more can come;
    `is_empty`, after `close`, if the turn ended and nothing was said in it. `partial` holds the frames that a raising
    `feed` or `close` had completed before it raised.
    """

    has_content: bool
    is_done: bool
    stop_reason: str
    partial: bytes

    @property
    def is_empty(self) -> bool: ...

    @property
    def usage(self) -> WireUsage: ...

    @property
    def billed(self) -> Billed: ...

    @property
    def answered_model(self) -> str: ...

    def feed(self, chunk: bytes) -> bytes:
        """The frames that `chunk` completes. Raises UpstreamStatus or RemoteProtocolError."""

    def close(self) -> bytes:
        """The closing frames. Raises RemoteProtocolError ("cut") if the upstream never said that it was finished."""

    def fault(self, fault: Fault) -> bytes:
        """The frames that end the stream, after those given so far, if it fails."""


class _Progress:
    """What the two kinds of pipe have in common: where they stand."""

    def __init__(self) -> None:
        self._sse = SseReader()
        self.has_content = False
        self.is_done = False
        self.stop_reason = ""
        self.partial = b""

    @property
    def is_empty(self) -> bool:
        return ends_empty(self.stop_reason, has_content=self.has_content)

    def fault(self, fault: Fault) -> bytes:
        return error_frame(fault)


class Relay(_Progress):
    """Messages to Messages. Only the model in `message_start` changes, and only if another was sent than asked."""

    def __init__(self, *, asked: str, sent: str, tap: Tap | None = None) -> None:
        super().__init__()
        self._tap = tap or Tap()
        self._renames = asked if asked != sent else ""

    @property
    def usage(self) -> WireUsage:
        return self._tap.usage

    @property
    def billed(self) -> Billed:
        return self._tap.billed

    @property
    def answered_model(self) -> str:
        return self._tap.answered_model

    def feed(self, chunk: bytes) -> bytes:
        return self._pass(self._sse.feed(chunk))

    def close(self) -> bytes:
        with _last_words():
            tail = self._pass(self._sse.close())
        if not self._tap.is_finished:
            self.partial = tail
            raise RemoteProtocolError("the stream ended before the message was finished", kind="cut")
        if not self._tap.is_done:  # the end was announced, its last event forgotten: SDK helpers insist on it
            tail += render(MessageStop())
        return tail

    def _pass(self, events: Iterable[ServerSentEvent]) -> bytes:
        out: list[bytes] = []
        tap = self._tap
        try:
            for event in events:
                data = event.data
                if data == b"[DONE]" or not data.strip():  # OpenRouter appends it; Messages has no such event
                    continue
                if _is_end(event) and tap.open_blocks:
                    out += self._missing_stops()
                tap.feed(event)
                if not data.isascii():
                    _check_text(data)
                if tap.name == "message_start" and self._renames:
                    data = _renamed(data, self._renames)
                elif tap.name == "message_delta" and not tap.tells_usage:
                    data = with_usage(data, tap.usage)
                out.append(frame(tap.name.encode(), data))  # what the data says it is: clients go by either
        except UpstreamError:
            self.partial = b"".join(out)
            raise
        self.has_content = tap.has_content
        self.is_done = tap.is_done
        self.stop_reason = tap.stop_reason or ""
        return b"".join(out)

    def _missing_stops(self) -> list[bytes]:
        """The ends of blocks that the upstream forgot: with the message they have ended too; clients wait for them."""
        stops = [BlockStop(index) for index in self._tap.open_blocks]
        for stop in stops:
            self._tap.feed(ServerSentEvent(b"content_block_stop", msgspec.json.encode(stop)))
        return [render(stop) for stop in stops]


class Passage(_Progress):
    """A dialect to itself, other than Messages: frames pass as the tap gives them."""

    def __init__(self, tap: IdentityTap) -> None:
        super().__init__()
        self._tap = tap

    @property
    def usage(self) -> WireUsage:
        return self._tap.usage

    @property
    def billed(self) -> Billed:
        return self._tap.billed

    @property
    def answered_model(self) -> str:
        return self._tap.answered_model

    def feed(self, chunk: bytes) -> bytes:
        return self._pass(self._sse.feed(chunk))

    def close(self) -> bytes:
        with _last_words():
            tail = self._pass(self._sse.close())
        try:
            return tail + self._tap.close()
        except UpstreamError:
            self.partial = tail
            raise

    def fault(self, fault: Fault) -> bytes:
        return self._tap.fault(fault)

    def _pass(self, events: Iterable[ServerSentEvent]) -> bytes:
        out: list[bytes] = []
        try:
            for event in events:
                if not event.data.strip():
                    continue
                data = self._tap.feed(event)  # raises: what was passed before is kept
                out.append(frame(event.event, data))
        except UpstreamError:
            self.partial = b"".join(out)
            raise
        self.has_content, self.is_done = self._tap.has_content, self._tap.is_done
        self.stop_reason = self._tap.stop_reason
        return b"".join(out)


class Translation(_Progress):
    """Any dialect to Messages, through its reader, and through filters in their order; and on to the client's own
    dialect if it has a `writer`.
    """

    def __init__(self, reader: Reader, filters: Sequence[EventFilter] = (), writer: AnswerWriter | None = None) -> None:
        super().__init__()
        self._reader = reader
        self._filters = filters
        self._writer = writer

    @property
    def usage(self) -> WireUsage:
        return self._reader.usage

    @property
    def billed(self) -> Billed:
        return self._reader.billed

    @property
    def answered_model(self) -> str:
        return self._reader.answered_model

    def feed(self, chunk: bytes) -> bytes:
        return self._read(self._sse.feed(chunk))

    def feed_body(self, body: bytes) -> bytes:
        """An unstreamed answer where a streamed one was asked for."""
        return b"".join(self._rendered(self._reader.feed_body(body)))

    def close(self) -> bytes:
        with _last_words():
            tail = self._read(self._sse.close())
        try:
            return tail + b"".join(self._rendered(self._reader.close()))
        except UpstreamError:
            self.partial = tail
            raise

    def fault(self, fault: Fault) -> bytes:
        return error_frame(fault) if self._writer is None else self._writer.fault(fault)

    def _read(self, events: Iterable[ServerSentEvent]) -> bytes:
        out: list[bytes] = []
        try:
            for event in events:
                if event.data == b"[DONE]":
                    self.is_done = True
                out += self._rendered(self._reader.feed(event))
        except UpstreamError:
            self.partial = b"".join(out)
            raise
        return b"".join(out)

    def _rendered(self, events: list[MessageEvent]) -> list[bytes]:
        if not events:
            return []
        for event in events:
            kind = type(event)
            if not self.has_content:
                self.has_content = is_content(event)
            if kind is MessageStop:  # whatever the connection does now, the message is whole
                self.is_done = True
            elif kind is MessageDelta:
                self.stop_reason = event.delta.stop_reason or ""  # type: ignore[union-attr] # mypy sees no identity of types
        for filter_events in self._filters:
            events = filter_events(events)
        if self._writer is not None:
            return [self._writer.frames(events)]
        return [render(event) for event in events]


@contextlib.contextmanager
def _last_words() -> Iterator[None]:
    """For an event that its stream's end cut short of its own: if it cannot be read, it is because it was cut."""
    try:
        yield
    except RemoteProtocolError as error:
        kind: Broken = "cut" if error.kind == "protocol" else error.kind
        raise RemoteProtocolError(str(error), provider=error.provider, kind=kind) from error


def ends_empty(stop_reason: str, *, has_content: bool) -> bool:
    """True if an answer that is finished says nothing, and no limit, tool or refusal is the reason."""
    return not has_content and stop_reason in {"", "end_turn"}


def _check_text(data: bytes) -> None:
    """Raises RemoteProtocolError for bytes that are no UTF-8: no client could read the stream any further."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"an event of the stream is no UTF-8: {error.reason}") from error


def with_usage(data: bytes, usage: WireUsage) -> bytes:
    """A message, or its end, with figures: SDK helpers add them up without looking."""
    members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    members["usage"] = msgspec.Raw(msgspec.json.encode(usage))
    return msgspec.json.encode(members)


def _is_end(event: ServerSentEvent) -> bool:
    return event.event == b"message_delta" or (not event.event and b'"message_delta"' in event.data[:60])


def _renamed(data: bytes, asked: str) -> bytes:
    """`message_start` with the asked model; every other byte of its members as it was.

    Raises RemoteProtocolError if there is no message in it: no client could go on from there.
    """
    members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    try:
        message = msgspec.json.decode(members["message"], type=dict[str, msgspec.Raw])
    except (KeyError, msgspec.DecodeError) as error:
        raise RemoteProtocolError("the stream begins with a message_start without a message") from error
    message["model"] = msgspec.Raw(msgspec.json.encode(asked))
    members["message"] = msgspec.Raw(msgspec.json.encode(message))
    return msgspec.json.encode(members)


def renamed_body(body: bytes, asked: str) -> bytes:
    """An unstreamed message with the asked model; every other byte of its members as it was."""
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    members["model"] = msgspec.Raw(msgspec.json.encode(asked))
    return msgspec.json.encode(members)
