"""The end of the real `ccr start`: who is waited for, who is told what, and what a second signal does."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from ccrouter.cli.stop import _Patience
from ccrouter.service.process import Identity
from ccrouter.service.state import ServiceState, record, update
from tests.cli.conftest import Ccr, ccr, port, read_until
from tests.upstream import anthropic_wire, json_reply
from tests.upstream.reply import Gate, Reply, Stall
from tests.upstream.threaded import ThreadedUpstream

__all__ = ["ccr", "port"]

LIMIT = 30
FOREVER = 600
BODY = {"model": "any", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
JSON = {"content-type": "application/json"}


@pytest.fixture
def up() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream() as threaded:
        yield threaded


def start(ccr: Ccr, up: ThreadedUpstream, port: int, **more) -> subprocess.Popen[str]:
    provider = {"name": "p", "api_base_url": f"{up.url}/v1/messages", "api_key": "k-1234567", "models": ["m"]}
    ccr.configure(PORT=port, Providers=[provider], Router={"default": "p,m"}, **more)
    return ccr.serve()


@contextlib.contextmanager
def connected(port: int) -> Iterator[http.client.HTTPConnection]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)) as connection:
        yield connection


def ask(connection: http.client.HTTPConnection, *, stream: bool) -> None:
    connection.request("POST", "/v1/messages", json.dumps({**BODY, "stream": stream}), JSON)


def wait_until_refused(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
        except (ConnectionRefusedError, ConnectionResetError):  # reset: closed with our connection in its queue
            return


def half_a_stream(*rest: Gate | bytes | Stall) -> Reply:
    frames = anthropic_wire.message_stream(["first", " last"])
    begin = next(number for number, frame in enumerate(frames) if b"first" in frame) + 1
    return Reply(200, {"content-type": "text/event-stream"}, (*frames[:begin], *rest))


def read_first(answer: http.client.HTTPResponse) -> bytes:
    told = b""
    while b"first" not in told:
        told += answer.readline()
    return told


def last_event(told: bytes) -> dict:
    frame = told.decode().rstrip("\n").rpartition("\n\n")[2]
    lines = dict(line.split(": ", 1) for line in frame.split("\n"))
    assert lines["event"] == json.loads(lines["data"])["type"]
    return dict(json.loads(lines["data"]))


def end_of(router: subprocess.Popen[str]) -> str:
    """What it printed on stderr; it has ended, in order."""
    code = router.wait(LIMIT)
    assert router.stderr is not None
    told = router.stderr.read()
    assert code == 0, told
    assert "Traceback" not in told
    return told


def test_after_the_drain(ccr: Ccr, up: ThreadedUpstream, port: int):
    """What is not over after `drainSeconds` is told that the router was stopped: a stream by an `error` event that
    clients ask again after, an answer that has not begun by a 503. The connection ends with either.
    """
    router = start(ccr, up, port, drainSeconds=0.3)
    up.reply(half_a_stream(Stall()))
    with connected(port) as streaming, connected(port) as waiting:
        ask(streaming, stream=True)
        answer = streaming.getresponse()
        told = read_first(answer)
        up.reply(Reply(200, {}, (Stall(),)))
        ask(waiting, stream=False)
        up.request(2)
        router.send_signal(signal.SIGTERM)
        other = waiting.getresponse()
        assert (other.status, other.getheader("connection")) == (503, "close")
        assert json.loads(other.read())["error"]["type"] == "overloaded_error"
        told += answer.read()
        event = last_event(told)
        assert (event["type"], event["error"]["type"]) == ("error", "overloaded_error")
        assert b"message_stop" not in told
    end_of(router)


def test_other_requests_after_the_drain(ccr: Ccr, up: ThreadedUpstream, port: int):
    """Also one that asks no model is told by a 503: here, one whose body never comes."""
    router = start(ccr, up, port, drainSeconds=0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as line:
        head = "POST /v1/messages/count_tokens HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        line.sendall(f"{head}content-length: 100\r\nexpect: 100-continue\r\n\r\n".encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 100")  # its body is being waited for
        router.send_signal(signal.SIGTERM)
        with line.makefile("rb") as reader:
            told = reader.read()
    assert told.startswith(b"HTTP/1.1 503")
    assert b"overloaded_error" in told
    end_of(router)


@pytest.mark.parametrize(
    "signals",
    [(first, second) for first in (signal.SIGTERM, signal.SIGINT) for second in (signal.SIGTERM, signal.SIGINT)],
    ids=lambda pair: "-".join(one.name for one in pair),
)
def test_a_second_signal(ccr: Ccr, up: ThreadedUpstream, port: int, signals):
    """Any second signal ends what is under way at once, however long the drain; clients are still told, the exit code is 0
    and nothing is printed.
    """
    router = start(ccr, up, port, drainSeconds=FOREVER)
    up.reply(half_a_stream(Stall()))
    with connected(port) as streaming:
        ask(streaming, stream=True)
        answer = streaming.getresponse()
        told = read_first(answer)
        router.send_signal(signals[0])
        wait_until_refused(port)
        router.send_signal(signals[1])
        told += answer.read()
    assert last_event(told)["error"]["type"] == "overloaded_error"
    end_of(router)


def test_signals_without_end(ccr: Ccr, up: ThreadedUpstream, port: int):
    """Whenever a signal comes, until the very end, the end is in order: exit code 0, no traceback, no file left."""
    router = start(ccr, up, port, drainSeconds=FOREVER)
    up.reply(half_a_stream(Stall()))
    with connected(port) as streaming:
        ask(streaming, stream=True)
        read_first(streaming.getresponse())
        count = 0
        while router.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                router.send_signal((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[count % 3])
            count += 1
            with contextlib.suppress(subprocess.TimeoutExpired):
                router.wait(0.005)
    assert count > 2
    end_of(router)
    assert not list(ccr.folder.glob(".claude-code-router.*"))


def test_connections_at_the_end(ccr: Ccr, up: ThreadedUpstream, port: int):
    """While answers under way go on, a connection without a request is closed and nobody new is let in; an answer that
    begins only now says that its connection ends with it.
    """
    router = start(ccr, up, port, drainSeconds=FOREVER)
    gate = up.event()
    with connected(port) as idle, connected(port) as busy:
        idle.request("GET", "/health")
        assert idle.getresponse().read()
        up.reply(Reply(200, {"content-type": "application/json"}, (Gate(gate), *json_reply(MESSAGE).steps)))
        ask(busy, stream=False)
        up.request(1)
        router.send_signal(signal.SIGTERM)
        wait_until_refused(port)
        assert idle.sock.recv(1) == b""
        up.set(gate)
        answer = busy.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        assert json.loads(answer.read())["content"][0]["text"] == "whole"
        assert busy.sock is None or busy.sock.recv(1) == b""
    end_of(router)


MESSAGE = anthropic_wire.message_json("whole")


def test_a_client_that_does_not_read(ccr: Ccr, up: ThreadedUpstream, port: int):
    """Somebody who reads nothing of a long answer keeps the router from ending no longer than the drain, and a moment."""
    router = start(ccr, up, port, drainSeconds=0.2)
    up.reply(Reply(200, {"content-type": "text/event-stream"}, anthropic_wire.message_stream(["x" * 65_536] * 1000)))
    with connected(port) as stuck:
        ask(stuck, stream=True)
        up.request(1)
        stuck.sock.recv(1)
        router.send_signal(signal.SIGTERM)
        end_of(router)


def test_the_same_port_at_once(ccr: Ccr, up: ThreadedUpstream, port: int):
    """A router that is started when another has just ended gets its port, though clients hold on to connections."""
    router = start(ccr, up, port, drainSeconds=0.1)
    with contextlib.ExitStack() as held:
        lines = [held.enter_context(connected(port)) for _ in range(5)]
        for line in lines:
            line.request("GET", "/health")
            line.getresponse().read()
        up.reply(half_a_stream(Stall()))
        streaming = held.enter_context(connected(port))
        ask(streaming, stream=True)
        answer = streaming.getresponse()
        read_first(answer)
        router.send_signal(signal.SIGTERM)
        end_of(router)
        ccr.serve()  # nobody has closed anything on the other side
        with connected(port) as fresh:
            fresh.request("GET", "/health")
            assert fresh.getresponse().status == 200


def test_stop_waits_for_answers(ccr: Ccr, up: ThreadedUpstream, port: int):
    """`ccr stop` returns when the last answer is over, which is whole."""
    router = start(ccr, up, port, drainSeconds=FOREVER)
    gate = up.event()
    frames = anthropic_wire.message_stream(["first", " last"])
    up.reply(half_a_stream(Gate(gate), *frames[3:]))
    with connected(port) as streaming:
        ask(streaming, stream=True)
        answer = streaming.getresponse()
        told = read_first(answer)
        stopping = ccr.spawn("stop")
        wait_until_refused(port)
        assert json.loads((ccr.folder / f".claude-code-router.{port}.json").read_text())["drainSeconds"] == FOREVER
        assert stopping.poll() is None
        up.set(gate)
        told += answer.read()
        assert last_event(told)["type"] == "message_stop"
        read_until(stopping, "successfully stopped")
    end_of(router)


def test_stop_now(ccr: Ccr, up: ThreadedUpstream, port: int):
    """`ccr stop --now` waits for nobody: clients are told, and the process ends by itself."""
    router = start(ccr, up, port, drainSeconds=FOREVER)
    up.reply(half_a_stream(Stall()))
    with connected(port) as streaming:
        ask(streaming, stream=True)
        answer = streaming.getresponse()
        told = read_first(answer)
        done = ccr.run("stop", "--now")
        assert (done.returncode, done.stdout) == (0, "claude code router service has been successfully stopped.\n")
        told += answer.read()
    assert last_event(told)["error"]["type"] == "overloaded_error"
    end_of(router)


def test_patience_of_stop(ccr: Ccr, port: int, capsys, monkeypatch):
    """`ccr stop` kills nothing before its drain is over, as long as that is by now; what it waits for is said once."""
    state = ServiceState(Identity(1, "x"), "127.0.0.1", port, "", "", drain=100)
    record(ccr.folder, state)
    patience = _Patience(ccr.folder, state)
    assert patience() == 106
    update(ccr.folder, ServiceState(Identity(1, "x"), "127.0.0.1", port, "", "", drain=FOREVER))
    assert patience() == FOREVER + 6
    update(ccr.folder, ServiceState(Identity(1, "another"), "127.0.0.1", port, "", "", drain=1))
    assert patience() == FOREVER + 6
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("ccrouter.cli.stop._SILENT", -1)
    assert (patience(), patience()) == (FOREVER + 6, FOREVER + 6)
    assert capsys.readouterr().err.count("Waiting for answers under way") == 1


def test_a_drain_that_a_reload_changed(ccr: Ccr, up: ThreadedUpstream, port: int):
    """The drain is that of the config in force: a reload changes it."""
    router = start(ccr, up, port, drainSeconds=FOREVER)
    path = ccr.folder / "config.json"
    path.write_text(path.read_text().replace(f'"drainSeconds": {FOREVER}', '"drainSeconds": 0.1'))
    with connected(port) as managing:
        managing.request("POST", "/api/restart", "{}", JSON)
        assert managing.getresponse().status == 200
    up.reply(half_a_stream(Stall()))
    with connected(port) as streaming:
        ask(streaming, stream=True)
        answer = streaming.getresponse()
        told = read_first(answer)
        killer = threading.Timer(LIMIT, router.kill)
        killer.start()
        router.send_signal(signal.SIGTERM)
        told += answer.read()
        killer.cancel()
    assert last_event(told)["error"]["type"] == "overloaded_error"
    end_of(router)
