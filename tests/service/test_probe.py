"""Asking an address who is there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ccrouter.service.probe import Health, probe, probe_until


@contextmanager
def answering(reply: bytes) -> Iterator[int]:
    """A listener that gives `reply` to each connection and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # the test is over
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (status.encode(), len(body), body)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (http(b'{"status":"ok","service":"ccrouter","version":"1.2.3"}'), Health(is_ours=True, version="1.2.3")),
        (http(b'{"status":"ok","timestamp":"2026-11-22T04:05:06Z"}'), Health(is_ours=False)),
        (http(b'{"status":"ok","service":"ccrouter"}', "503 Busy"), Health(is_ours=False)),
        (http(b'["ccrouter"]'), Health(is_ours=False)),
        (http(b"<html>"), Health(is_ours=False)),
        (b"SSH-2.0-OpenSSH_9\r\n", Health(is_ours=False)),
        (b"", Health(is_ours=False)),
    ],
)
def test_who(reply: bytes, expected: Health) -> None:
    """Only a 200 that names this program is ours; the Node router, other servers and other protocols are not."""
    with answering(reply) as port:
        assert probe("127.0.0.1", port) == expected


def test_nobody() -> None:
    """A closed port: None, at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert probe("127.0.0.1", port) is None
    assert probe_until("127.0.0.1", port, 0.0) is None


def test_silence() -> None:
    """One that accepts and says nothing is nobody, after the time-out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert probe("127.0.0.1", listener.getsockname()[1], timeout=0.05) is None


def test_every_address_is_reached_by_loopback() -> None:
    """A router bound to all addresses is asked on the loopback."""
    with answering(http(b'{"service":"ccrouter"}')) as port:
        health = probe("0.0.0.0", port)
    assert health is not None
    assert health.is_ours
