"""The real `ccr start` on a machine that fails it: no disk, no log folder, a read-only home, no descriptors. Requests are
served all the same, and each fault is told once.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import LIMIT, Ccr, ccr, port, read_until
from tests.upstream import Gate, Reply, anthropic_wire, json_reply
from tests.upstream.threaded import ThreadedUpstream

if sys.platform != "linux":
    pytest.skip("limits of a process that runs are changed by prlimit(2)", allow_module_level=True)

import resource

__all__ = ["ccr", "port"]


@pytest.fixture
def up() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream() as threaded:
        threaded.always(json_reply(anthropic_wire.message_json("ok")))
        yield threaded


def configure(ccr: Ccr, up: ThreadedUpstream, port: int, **more) -> None:
    providers = [{"name": "p", "api_base_url": f"{up.url}/v1/messages", "api_key": "k-1234567", "models": ["m"]}]
    ccr.configure(PORT=port, Providers=providers, Router={"default": "p,m"}, retry={"again": 0}, **more)


@contextlib.contextmanager
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)) as one:
        yield one


def begin(one: http.client.HTTPConnection, **more) -> http.client.HTTPResponse:
    body = {"model": "any", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}], **more}
    one.request("POST", "/v1/messages", json.dumps(body), {"content-type": "application/json"})
    return one.getresponse()


def ask(one: http.client.HTTPConnection) -> tuple[int, dict]:
    with begin(one) as answer:
        return answer.status, json.loads(answer.read())


def log_of(ccr: Ccr) -> Path:
    (path,) = (ccr.folder / "logs").glob("ccr-*.log")
    return path


def lines_of(path: Path) -> list[dict]:
    """The lines of a log, all of them whole; but the last, which may be being written just now."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def ask_until(one: http.client.HTTPConnection, is_so: Callable[[], bool]) -> None:
    """One request after the other, all of them answered, until it is so."""
    for _ in range(20_000):
        if is_so():
            return
        assert ask(one)[0] == 200
    raise AssertionError("it never is")


def told(router: subprocess.Popen[str]) -> str:
    """What it said on stderr, after its end in order."""
    router.send_signal(signal.SIGTERM)
    assert router.wait(LIMIT) == 0
    assert router.stderr is not None
    return router.stderr.read()


def test_a_full_disk(ccr: Ccr, port: int, up: ThreadedUpstream):
    """While no file can grow every request is answered; the log and the audit say so once each. When there is room again
    both go on by themselves: the log tells how many lines are missing, and the audit's chain is whole.
    """
    configure(ccr, up, port)
    router = ccr.serve()
    with connection(port) as one:
        assert ask(one)[0] == 200
        _, hard = resource.prlimit(router.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(router.pid, resource.RLIMIT_FSIZE, (0, hard))
        before = len(lines_of(log_of(ccr)))
        for _ in range(20):
            assert ask(one)[0] == 200
        assert len(lines_of(log_of(ccr))) == before
        resource.prlimit(router.pid, resource.RLIMIT_FSIZE, (hard, hard))
        ask_until(one, lambda: len(lines_of(log_of(ccr))) > before)
        ask(one)
    again = lines_of(log_of(ccr))[before]
    assert again["msg"] == "the log can be written again"
    assert again["lost"] >= 20
    errors = told(router)
    assert errors.count(f"the log {log_of(ccr)} cannot be written: File too large") == 1
    assert errors.count("can be written again") == 1
    assert errors.count("the audit log") <= 1
    checked = ccr.run("audit", "verify")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_log_folder_that_goes_away(ccr: Ccr, port: int, up: ThreadedUpstream):
    """Removed with all that is in it: requests are answered, and the log begins anew by itself, without a word."""
    configure(ccr, up, port)
    router = ccr.serve()
    path = log_of(ccr)
    with connection(port) as one:
        assert ask(one)[0] == 200
        shutil.rmtree(path.parent)
        ask_until(one, lambda: bool(lines_of(path)))
    assert {line["msg"] for line in lines_of(path)} == {"exchange"}
    assert "log" not in told(router)


@pytest.mark.parametrize("when", ["before the start", "while it runs"])
def test_a_folder_that_is_read_only(when, ccr: Ccr, port: int, up: ThreadedUpstream):
    """In a home that cannot be written to the router starts, serves and stops; what it cannot write is told once. So it
    is where the folder becomes read-only under a router that runs.
    """
    configure(ccr, up, port)
    # For root permissions mean something only without the right to pass over them.
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if prefix and shutil.which(prefix[0]) is None:
        pytest.skip("root without setpriv is stopped by no permission")
    folders = [ccr.home, ccr.folder]
    if when == "before the start":
        for one in folders:
            one.chmod(0o500)
    try:
        router = ccr.spawn("start", prefix=prefix)
        read_until(router, "listens on")
        folders = [ccr.home, *(path for path in ccr.home.rglob("*") if path.is_dir())]
        for one in folders:
            one.chmod(0o500)
        with connection(port) as one:
            for _ in range(3):
                assert ask(one)[0] == 200
            one.request("POST", "/api/restart", headers={"content-type": "application/json"})
            with one.getresponse() as answer:
                assert answer.status == 200
                answer.read()
            assert ask(one)[0] == 200
        if when == "before the start":
            errors = told(router)
            assert errors.count("the log ") == errors.count("the audit log ") == 1
            assert "Traceback" not in errors
            assert [path.name for path in ccr.folder.iterdir()] == ["config.json"]
        else:
            router.send_signal(signal.SIGTERM)
            router.wait(LIMIT)
            assert len(lines_of(log_of(ccr))) >= 4
    finally:
        for one in folders:
            one.chmod(0o700)


def cpu_of(pid: int) -> float:
    """Seconds of computing of a process, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_no_descriptors(ccr: Ccr, port: int, up: ThreadedUpstream):
    """When the last descriptor is gone a stream under way goes on, a request on a connection that is there gets an error
    in form, the fault is one line of the log however many requests it costs, and nothing spins. As soon as descriptors
    are free everybody is served again, and that is one line too.
    """
    configure(ccr, up, port)
    frames = anthropic_wire.message_stream(["first", " last"])
    gate = up.event()
    begun = next(number for number, frame in enumerate(frames) if b"first" in frame) + 1
    streamed = Reply(200, {"content-type": "text/event-stream"}, (*frames[:begun], Gate(gate), *frames[begun:]))
    router = ccr.serve()
    path = log_of(ccr)

    def faults() -> list[str]:
        return [line["msg"] for line in lines_of(path) if "descriptor" in line["msg"]]

    with connection(port) as streaming, connection(port) as one:
        assert ask(one)[0] == 200
        up.reply(streamed)
        answer = begin(streaming, stream=True)
        text = b""
        while b"first" not in text:
            text += answer.readline()
        soft, hard = resource.prlimit(router.pid, resource.RLIMIT_NOFILE)
        open_now = len(list(Path(f"/proc/{router.pid}/fd").iterdir()))
        # The pool's connection to the upstream is the streaming one's: another request needs another.
        resource.prlimit(router.pid, resource.RLIMIT_NOFILE, (3, hard))
        assert open_now > 3
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=LIMIT))
            spent, statuses = cpu_of(router.pid), []
            while not faults():
                statuses.append(ask(one)[0])
            few = [ask(one) for _ in range(3)]
            assert set(statuses) <= {502, 503}
            for status, body in few:
                assert status in {502, 503}
                assert body["type"] == "error"
                assert "Too many open files" in body["error"]["message"]
            asked = len(statuses) + len(few)
            up.set(gate)
            text += answer.read()
            assert b" last" in text
            assert text.rstrip().endswith(b'data: {"type":"message_stop"}')
            assert cpu_of(router.pid) - spent < 1 + asked * 0.05
        resource.prlimit(router.pid, resource.RLIMIT_NOFILE, (soft, hard))
        ask_until(one, lambda: len(faults()) > 1)
    with connection(port) as new:
        assert ask(new)[0] == 200
    assert len(faults()) == 2
    assert "Traceback" not in told(router)


def ask_anew(port: int) -> int:
    """The status of a request on a connection of its own, 0 if that was closed without one."""
    try:
        with connection(port) as new:
            return ask(new)[0]
    except (ConnectionError, http.client.HTTPException):
        return 0


def test_more_connections_than_descriptors(ccr: Ccr, port: int, up: ThreadedUpstream):
    """With few descriptors from the start there are as many connections as leave one each for the provider: the others
    are turned away, with a 503 or without a word, and whoever is served is served. Once some are gone others are let in.
    """
    configure(ccr, up, port)
    router = ccr.spawn("start", prefix=["sh", "-c", 'ulimit -n 96; exec "$@"', "sh"])
    read_until(router, "listens on")
    with connection(port) as one, contextlib.ExitStack() as stack:
        assert ask(one)[0] == 200
        one.close()
        for _ in range(60):
            half = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=LIMIT))
            with contextlib.suppress(ConnectionError):
                half.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\n")
        assert {ask_anew(port) for _ in range(5)} <= {0, 503}
        stack.close()
        while (status := ask_anew(port)) != 200:
            assert status in {0, 503}
    errors = told(router)
    assert "Traceback" not in errors
    assert not [line for line in lines_of(log_of(ccr)) if line["msg"] == "exchange" and line["status"] != 200]
