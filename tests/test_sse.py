"""Server-sent events: the same events whatever the line ends and wherever the bytes are cut."""

from __future__ import annotations

import random

import pytest

from ccrouter.errors import RemoteProtocolError
from ccrouter.sse import MAX_EVENT_BYTES, SseReader, frame

STREAM = (
    'event: message_start\ndata: {"a":1}\n\n'
    ": a comment\n\n"
    "data:no space\n\n"
    "data: two\ndata: lines\nid: 7\nretry: 3\n\n\n"
    "event: ping\n\n"
    "data: größe 中文 🙂\n\n"
    "data: [DONE]\n\n"
).encode()
EVENTS = [
    (b"message_start", b'{"a":1}'),
    (b"", b"no space"),
    (b"", b"two\nlines"),
    (b"", "größe 中文 🙂".encode()),
    (b"", b"[DONE]"),
]


def read(*chunks: bytes) -> list[tuple[bytes, bytes]]:
    reader = SseReader()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return [(event.event, event.data) for event in (*events, *reader.close())]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_and_cuts_do_not_matter(end):
    """LF, CRLF and CR streams, whole, byte by byte and cut at every place, hold the same events."""
    stream = STREAM.replace(b"\n", end)
    assert read(stream) == EVENTS
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == EVENTS
    for cut in range(len(stream)):
        assert read(stream[:cut], stream[cut:]) == EVENTS


def test_random_cuts():
    """Any way to cut a stream with mixed line ends gives the same events."""
    rng = random.Random(7)
    stream = STREAM.replace(b"lines\n", b"lines\r\n").replace(b"[DONE]\n\n", b"[DONE]\r\r")
    for _ in range(300):
        cuts = sorted(rng.sample(range(len(stream)), rng.randint(0, 12)))
        assert read(*(stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True))) == EVENTS


def test_the_last_event_needs_no_blank_line():
    """An event whose stream ended before its blank line is delivered at the end, with or without a newline."""
    assert read(b"data: a\n\ndata: b") == [(b"", b"a"), (b"", b"b")]
    assert read(b"data: a\r\n\r\ndata: b\r\n") == [(b"", b"a"), (b"", b"b")]


def test_byte_order_mark():
    """A BOM before the first event is no part of it, even cut in three."""
    assert read(b"\xef", b"\xbb", b"\xbfdata: a\n\n") == [(b"", b"a")]


def test_an_event_is_bounded(monkeypatch):
    """An event that grows beyond the limit is a protocol error, not memory."""
    monkeypatch.setattr("ccrouter.sse.MAX_EVENT_BYTES", 1000)
    reader = SseReader()
    for _ in range(142):
        assert reader.feed(b"data: x") == []
    with pytest.raises(RemoteProtocolError):
        reader.feed(b"data: x")
    assert MAX_EVENT_BYTES > 1024


def test_frame_escapes_line_separators():
    """What Python's splitlines takes for a line end inside the data is written as an escape, and reads back the same."""
    data = '{"text":"a\u2028b\u2029c\u0085d é"}'.encode()
    written = frame(b"x", data)
    assert len(written.decode().splitlines()) == 3
    assert b"\\u2028" in written
    assert b"\\u2029" in written
    assert b"\\u0085" in written
    assert "é".encode() in written
    assert read(written)[0][0] == b"x"
