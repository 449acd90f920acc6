"""Amazon's event stream read as server-sent events: whole, cut anywhere, damaged, and with exceptions in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import MappingProxyType

import pytest

from ccrouter.errors import RemoteProtocolError
from ccrouter.upstream.eventstream import EventStreamResponse
from tests.cloud.frames import chunk, chunks, exception, failure, message
from tests.gateway.conftest import events_of
from tests.upstream import anthropic_wire

STREAM = anthropic_wire.message_stream("Hi 🙂", tools=[("t1", "Read", {"path": "ä"})], pings=False, size=4)


class Pieces:
    """An answer that comes in these pieces."""

    status = 200
    headers = MappingProxyType({"content-type": "application/vnd.amazon.eventstream", "x-kept": "1"})

    def __init__(self, pieces: Iterator[bytes] | list[bytes]) -> None:
        self._pieces = iter(pieces)
        self.is_closed = False

    async def read(self) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        self.is_closed = True


async def read(pieces: list[bytes]) -> bytes:
    response = EventStreamResponse(Pieces(pieces), "b")
    whole = b""
    while piece := await response.read():
        whole += piece
    return whole


async def test_what_is_inside_passes() -> None:
    """Each event comes out as the bytes that it was, under its name, and the answer says that it is an event stream."""
    response = EventStreamResponse(Pieces([b"".join(chunks(STREAM))]), "b")
    assert await response.read() == b"".join(STREAM)
    assert await response.read() == b""
    assert response.headers == {"content-type": "text/event-stream", "x-kept": "1"}


async def test_cut_at_every_byte() -> None:
    """Wherever a read of the network ends, the events are the same; none comes before it is whole."""
    wire, plain = b"".join(chunks(STREAM)), b"".join(STREAM)
    for at in range(1, len(wire)):
        assert await read([wire[:at], wire[at:]]) == plain
    assert await read([wire[at : at + 1] for at in range(len(wire))]) == plain


async def test_an_end_within_a_frame() -> None:
    """A stream that ends anywhere but between frames is broken, not finished."""
    wire = b"".join(chunks(STREAM[:2]))
    whole = len(chunks(STREAM[:1])[0])
    for at in range(1, len(wire)):
        if at == whole:
            assert await read([wire[:at]]) == STREAM[0]
        else:
            with pytest.raises(RemoteProtocolError, match="within a frame"):
                await read([wire[:at]])


async def test_damage() -> None:
    """Every damaged byte of a frame is noticed: by a checksum, or by lengths that cannot be."""
    wire = chunk({"type": "ping"})
    for at in range(len(wire)):
        damaged = bytes([*wire[:at], wire[at] ^ 0x41, *wire[at + 1 :]])
        with pytest.raises(RemoteProtocolError, match="event stream is broken"):
            await read([damaged])


@pytest.mark.parametrize("broken", [chunk(b"[]"), chunk({"type": "ping"})[:-1] + b"x"])
async def test_what_came_before_damage_comes_out(broken: bytes) -> None:
    """Events that were whole are given out before the damage is told, however many came in one read; nothing after."""
    response = EventStreamResponse(Pieces([b"".join([*chunks(STREAM[:3]), broken]), *chunks(STREAM[3:])]), "b")
    assert await response.read() == b"".join(STREAM[:3])
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="event stream is broken"):
            await response.read()


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b'{"bytes":"%%%"}', b'{"bytes":"\\u2028"}', b'{"bytes":"AAA"}', b'{"bytes":"e30"}', b'{"bytes":"W10="}', b'{"bytes":3}', b"\xff"],
)  # fmt: skip
async def test_chunks_that_cannot_be_read(payload: bytes) -> None:
    """A chunk without a Messages event in it is an error, whatever its checksum says."""
    wire = message({":message-type": "event", ":event-type": "chunk"}, payload)
    with pytest.raises(RemoteProtocolError, match="cannot be read"):
        await read([wire])


async def test_what_is_not_known_is_passed_over() -> None:
    """Kinds of events that came later, and empty chunks, are nothing to a client."""
    wire = message({":message-type": "event", ":event-type": "novelty"}, b"{}") + chunk(b"") + message({}, b"")
    assert await read([wire, *chunks(STREAM)]) == b"".join(STREAM)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("throttlingException", "rate_limit_error"),
        ("serviceUnavailableException", "overloaded_error"),
        ("modelTimeoutException", "timeout_error"),
        ("modelStreamErrorException", "api_error"),
        ("internalServerException", "api_error"),
        ("validationException", "invalid_request_error"),
        ("accessDeniedException", "permission_error"),
        ("noveltyException", "api_error"),
    ],
)
async def test_exceptions(kind: str, expected: str) -> None:
    """An exception within the stream is an `error` event of Messages' own type, with Amazon's name and words."""
    [event] = events_of(await read([exception(kind, message="some words")]))
    assert event == {"type": "error", "error": {"type": expected, "message": f"{kind}: some words"}}


async def test_the_models_own_words() -> None:
    """What the model said is told where Amazon only passes it on."""
    wire = exception(
        "modelStreamErrorException", message="failed", originalMessage="overheated", originalStatusCode=500
    )
    [event] = events_of(await read([wire]))
    assert event["error"]["message"] == "modelStreamErrorException: failed (overheated)"


async def test_errors_of_the_protocol() -> None:
    """An error without a payload is told by its headers; an exception without JSON by its text."""
    told = events_of(await read([failure("internalServerException", "line down")]))
    assert told[0]["error"] == {"type": "api_error", "message": "internalServerException: line down"}
    named = {":message-type": "exception", ":exception-type": "validationException"}
    told = events_of(await read([message(named, b"no json")]))
    assert told[0]["error"]["message"] == "validationException: no json"


async def test_numbers_and_order_stay() -> None:
    """The JSON inside is not written anew: numbers, spaces and unknown members are as they were."""
    data = b'{"type": "message_stop",  "x": 1.50, "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9}}'
    assert await read([chunk(data)]) == b"event: message_stop\ndata: " + data + b"\n\n"
    json.loads(data)


async def test_closing() -> None:
    """Closing it closes the answer below."""
    inner = Pieces([])
    EventStreamResponse(inner, "b").close()
    assert inner.is_closed
