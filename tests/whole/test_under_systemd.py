"""The real `ccr start` under somebody who speaks systemd's protocols: sockets handed over, and word of how it is."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import time
from contextlib import closing

import pytest

from tests.cli.conftest import LIMIT, Ccr, ccr, free_port, port, read_until

__all__ = ["ccr", "port"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors are handed over on POSIX")

#: Opens what its first argument says as descriptor 3 and becomes the program of the others.
OPENER = """
import os, socket, sys
kind, command = sys.argv[1], sys.argv[2:]
if kind == "udp":
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.bind(("127.0.0.1", 0))
elif kind == "unix":
    one = socket.socket(socket.AF_UNIX); one.bind("socket"); one.listen()
elif kind == "deaf":
    one = socket.socket(); one.bind(("127.0.0.1", 0))
elif kind == "file":
    one = open("file", "w")
else:
    one = socket.create_server(("127.0.0.1", int(kind)))
if one.fileno() != 3:
    os.dup2(one.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="ccrouter.socket")
os.execv(command[0], command)
"""


def opening(kind: object) -> list[str]:
    return [sys.executable, "-c", OPENER, str(kind)]


def get(port: int, path: str) -> dict:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)) as connection:
        connection.request("GET", path)
        return dict(json.loads(connection.getresponse().read()))


def test_a_socket_that_was_given(ccr: Ccr, port: int):
    """It is served at, and at no other; the commands find the router there, and a reload has nothing to say about it."""
    ccr.configure(PORT=free_port())
    child = ccr.spawn("start", prefix=opening(port))
    assert f"listens on http://127.0.0.1:{port}" in "\n".join(read_until(child, "listens on"))
    assert get(port, "/health")["service"] == "ccrouter"
    status = json.loads(ccr.run("status", "--json").stdout)
    assert (status["running"], status["port"], status["pid"]) == (True, port, child.pid)
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)) as connection:
        connection.request("POST", "/api/restart", "{}", {"content-type": "application/json"})
        told = json.loads(connection.getresponse().read())
    assert told["success"] is True
    assert "notes" not in told
    child.send_signal(signal.SIGTERM)
    assert child.wait(LIMIT) == 0


@pytest.mark.parametrize(
    ("kind", "words"),
    [("udp", "is no TCP socket"), ("unix", "is no TCP socket"), ("deaf", "does not listen"), ("file", "is no socket")],
)
def test_what_is_not_served_at(ccr: Ccr, port: int, kind: str, words: str):
    """Whatever is no listening TCP socket is refused by name, and nothing starts."""
    ccr.configure(PORT=port)
    child = ccr.spawn("start", prefix=opening(kind))
    told = child.communicate(timeout=LIMIT)[1]
    assert child.returncode == 1
    assert f"descriptor 3 (ccrouter.socket): {words}" in told or f"descriptor 3 (ccrouter.socket) {words}" in told
    assert "Traceback" not in told


def test_not_for_the_background(ccr: Ccr, port: int):
    """`--daemon` would lose the socket: it is refused."""
    ccr.configure(PORT=port)
    child = ccr.spawn("start", "--daemon", prefix=opening(port))
    assert "leave out --daemon" in child.communicate(timeout=LIMIT)[1]
    assert child.returncode == 1


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(LIMIT)
        yield listener


def heard(manager: socket.socket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in manager.recv(65_536).decode().split("\n"))


def test_how_it_is(ccr: Ccr, port: int, manager):
    """READY once requests are answered; of a reload that it has begun, with the time, and that it is over, also when it
    was refused; and STOPPING: in this order, and nothing else.
    """
    ccr.configure(PORT=port, autoReload=False)
    child = ccr.spawn("start", NOTIFY_SOCKET=manager.getsockname())
    assert heard(manager) == {"READY": "1", "STATUS": f"serving at 127.0.0.1:{port}"}
    assert get(port, "/health")["status"] == "ok"
    for text, status in (("{ broken", "; the last reload was refused"), (json.dumps({"PORT": port}), "")):
        (ccr.folder / "config.json").write_text(text)
        before = time.monotonic_ns() // 1000
        child.send_signal(signal.SIGHUP)
        told = heard(manager)
        assert told["RELOADING"] == "1"
        assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        assert heard(manager) == {"READY": "1", "STATUS": f"serving at 127.0.0.1:{port}{status}"}
    child.send_signal(signal.SIGTERM)
    told = heard(manager)
    assert told["STOPPING"] == "1"
    assert "answers under way have" in told["STATUS"]
    assert child.wait(LIMIT) == 0
    manager.settimeout(0)
    with pytest.raises(BlockingIOError):
        manager.recv(1)


def test_the_watchdog(ccr: Ccr, port: int, manager):
    """With WatchdogSec= the router tells that its event loop turns, more often than is asked for."""
    ccr.configure(PORT=port, autoReload=False)
    child = ccr.spawn("start", NOTIFY_SOCKET=manager.getsockname(), WATCHDOG_USEC="400000")
    assert "READY" in heard(manager)
    begun = time.monotonic()
    for _ in range(5):
        assert heard(manager) == {"WATCHDOG": "1"}
    assert time.monotonic() - begun < 5 * 0.4
    child.send_signal(signal.SIGTERM)
    assert child.wait(LIMIT) == 0
