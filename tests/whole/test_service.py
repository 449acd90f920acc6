"""The real `ccr start`, between a real client and the scripted upstream."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Ccr, ccr, port
from tests.upstream import anthropic_wire, chat_wire
from tests.upstream.reply import Gate, Reply, sse_reply
from tests.upstream.threaded import ThreadedUpstream

__all__ = ["ccr", "port"]

LIMIT = 30


@pytest.fixture
def up() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream() as threaded:
        yield threaded


def _configure(ccr: Ccr, up: ThreadedUpstream, port: int, **more) -> None:
    providers = [
        {"name": "anthropic", "api_base_url": f"{up.url}/v1/messages", "api_key": "k-1234567", "models": ["m"]},
        {"name": "chat", "api_base_url": f"{up.url}/v1/chat/completions", "api_key": "k-1234567", "models": ["m"]},
    ]
    ccr.configure(PORT=port, Providers=providers, Router={"default": "anthropic,m"}, **more)


@contextlib.contextmanager
def _ask(host: str, port: int, *, model: str = "any", **headers: str) -> Iterator[http.client.HTTPResponse]:
    """A streamed answer whose headers are here."""
    body = {"model": model, "max_tokens": 50, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=LIMIT)) as connection:
        connection.request("POST", "/v1/messages", json.dumps(body), {"content-type": "application/json", **headers})
        with connection.getresponse() as answer:
            yield answer


def _wait_until_refused(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
        except (ConnectionRefusedError, ConnectionResetError):  # reset: closed with our connection in its queue
            return


def test_an_answer_under_way_at_the_end(ccr: Ccr, port: int, up: ThreadedUpstream):
    """SIGTERM in the middle of a stream: nobody new is let in, the stream is finished, and the exit code is 0."""
    _configure(ccr, up, port)
    frames = anthropic_wire.message_stream(["first", " last"])
    gate = up.event()
    begin = next(number for number, frame in enumerate(frames) if b"first" in frame) + 1
    up.reply(Reply(200, {"content-type": "text/event-stream"}, (*frames[:begin], Gate(gate), *frames[begin:])))
    router = ccr.serve()
    with _ask("127.0.0.1", port) as answer:
        told = b""
        while b"first" not in told:
            told += answer.readline()
        router.send_signal(signal.SIGTERM)
        _wait_until_refused(port)
        up.set(gate)
        told += answer.read()
    assert b" last" in told
    assert told.rstrip().endswith(b'data: {"type":"message_stop"}')
    assert router.wait(LIMIT) == 0


def test_both_loopbacks(ccr: Ccr, port: int, up: ThreadedUpstream):
    """Where no HOST is named, "localhost" works whichever address it means to the client."""
    _configure(ccr, up, port)
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    up.always(sse_reply(anthropic_wire.message_stream("ok")))
    ccr.serve()
    for host in ("127.0.0.1", "::1", "localhost"):
        with _ask(host, port) as answer:
            assert answer.status == 200
            assert b"message_stop" in answer.read()


@pytest.mark.parametrize("model", ["anthropic,m", "chat,m"])
def test_streams_are_not_compressed(model, ccr: Ccr, port: int, up: ThreadedUpstream):
    """A client that takes any encoding gets its stream in none, and nothing on the way is told that it may buffer it."""
    _configure(ccr, up, port)
    wire = chat_wire.chat_stream("ok") if model == "chat,m" else anthropic_wire.message_stream("ok")
    up.always(sse_reply(wire, gzip=True))
    ccr.serve()
    with _ask("127.0.0.1", port, model=model, **{"accept-encoding": "gzip, deflate, br, zstd"}) as answer:
        assert answer.getheader("content-encoding") is None
        assert answer.getheader("content-length") is None
        assert "no-transform" in answer.getheader("cache-control", "")
        assert answer.getheader("x-accel-buffering") == "no"
        assert answer.read().startswith(b"event: message_start\n")


@pytest.mark.parametrize("model", ["anthropic,m", "chat,m"])
def test_a_client_that_does_not_read(model, ccr: Ccr, port: int, up: ThreadedUpstream):
    """The upstream is held back by a client that does not read: what is under way stays far below the answer's size. When
    that client leaves, so does the upstream's request.
    """
    _configure(ccr, up, port)
    piece = "x" * 65_536
    wire = chat_wire.chat_stream([piece] * 1000) if model == "chat,m" else anthropic_wire.message_stream([piece] * 1000)
    up.always(sse_reply(wire))
    ccr.serve()
    with _ask("127.0.0.1", port, model=model):
        received = up.request()
        # Until the kernel's buffers, ours and the upstream's are full something moves; then nothing does any more.
        before, still = -1, 0
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)) as probe:
            while still < 20:
                probe.request("GET", "/health")
                assert probe.getresponse().read()
                still, before = (still + 1 if received.written == before else 0), received.written
        assert received.written < 32 * 1024 * 1024
        assert not received.done.is_set()
    up.wait(received.closed)
