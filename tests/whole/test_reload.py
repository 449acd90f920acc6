"""The real `ccr start` while its config is edited: by itself, by signal and by request, with clients that never stop."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

import pytest

from tests.cli.conftest import Ccr, ccr, port
from tests.upstream import Gate, Reply, anthropic_wire, json_reply
from tests.upstream.reply import sse_reply
from tests.upstream.threaded import ThreadedUpstream

__all__ = ["ccr", "port"]

LIMIT = 60
CLIENTS = 4
BODY = {"model": "any", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
JSON = {"content-type": "application/json"}


def answer(received) -> Reply:
    body = received.json()
    text = [f"I am {body['model']}", " and this", " is the end."]
    if body.get("stream"):
        return sse_reply(anthropic_wire.message_stream(text))
    return json_reply(anthropic_wire.message_json("".join(text)))


@pytest.fixture
def up() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream() as threaded:
        threaded.always(answer)
        yield threaded


def configure(ccr: Ccr, up: ThreadedUpstream, port: int, number: int, **more) -> None:
    model = f"m{number}"
    provider = {"name": "p", "api_base_url": f"{up.url}/v1/messages", "api_key": "k-1234567", "models": [model]}
    ccr.configure(PORT=port, Providers=[provider], Router={"default": f"p,{model}"}, **more)


def ask_api(port: int, method: str, path: str) -> tuple[int, dict]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)) as connection:
        connection.request(method, path, "{}" if method == "POST" else None, JSON)
        found = connection.getresponse()
        return found.status, json.loads(found.read())


def reload_of(port: int) -> dict:
    return dict(ask_api(port, "GET", "/api/policy")[1]["reload"])


def wait_for(port: int, is_so: Callable[[dict], bool]) -> dict:
    """What is said of the last reload, asked until it is so."""
    deadline = time.monotonic() + LIMIT
    while not is_so(told := reload_of(port)):
        assert time.monotonic() < deadline, told
    return told


class Clients:
    """Threads that ask on connections of their own, which they keep; `faults` is what was not as it should be."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.faults: list[str] = []
        self.done = 0
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number % 2 == 0,)) for number in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(LIMIT)

    def _run(self, streamed: bool) -> None:  # noqa: FBT001 - a thread's argument
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)) as connection:
            while not self._is_over.is_set():
                try:
                    connection.request("POST", "/v1/messages", json.dumps({**BODY, "stream": streamed}), JSON)
                    found = connection.getresponse()
                    told = found.read().decode()
                    is_whole = ('"message_stop"' if streamed else '"end_turn"') in told and "is the end." in told
                    if found.status != 200 or not is_whole:
                        self.faults.append(f"{found.status}: {told}")
                except (OSError, http.client.HTTPException) as error:
                    self.faults.append(repr(error))
                    return
                self.done += 1


@pytest.mark.parametrize("way", ["SIGHUP", "POST /api/restart"])
def test_reloads_that_are_asked_for(ccr: Ccr, up: ThreadedUpstream, port: int, way: str):
    """Thirty edits, a third of which cannot be used: no request fails, none is cut, connections last; each good edit is in
    force after its reload, and the stream that began before the first is finished by what was in force then.
    """
    configure(ccr, up, port, 0, autoReload=False)
    router = ccr.serve()
    gate = up.event()
    frames = anthropic_wire.message_stream(["begun", " long ago"])
    up.reply(Reply(200, {"content-type": "text/event-stream"}, (*frames[:3], Gate(gate), *frames[3:])))
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)) as early:
        early.request("POST", "/v1/messages", json.dumps({**BODY, "stream": True}), JSON)
        begun = early.getresponse()
        with Clients(port) as clients:
            for number in range(1, 31):
                is_good = number % 3 != 1
                configure(ccr, up, port, number if is_good else 0, autoReload=False)
                if not is_good:
                    ccr.configure(PORT=port, autoReload=False, Router={"default": "nowhere,m"})
                before = reload_of(port)
                if way == "SIGHUP":
                    router.send_signal(signal.SIGHUP)
                    told = wait_for(port, lambda told, at=before["at"]: told["at"] != at)
                else:
                    assert (ask_api(port, "POST", "/api/restart")[0] == 200) is is_good
                    told = reload_of(port)
                assert told["state"] == ("ok" if is_good else "refused")
        assert clients.faults == []
        assert clients.done > CLIENTS
        up.set(gate)
        assert b" long ago" in (rest := begun.read())
        assert b"message_stop" in rest
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)) as late:
        late.request("POST", "/v1/messages", json.dumps(BODY), JSON)
        assert b"I am m30" in late.getresponse().read()


def test_edits_take_effect_by_themselves(ccr: Ccr, up: ThreadedUpstream, port: int):
    """With nobody asking for it, an edit is in force within seconds; one that cannot be used is told by `ccr status`, the
    log and the API, and a good one after it clears that. No request fails meanwhile.
    """
    configure(ccr, up, port, 0)
    ccr.serve()
    first = reload_of(port)
    assert first["auto"] is True
    with Clients(port) as clients:
        configure(ccr, up, port, 1)
        told = wait_for(port, lambda told: told["at"] != first["at"])
        assert told["state"] == "ok"
        (ccr.folder / "config.json").write_text("{ broken")
        refused = wait_for(port, lambda told: told["state"] == "refused")
        status = json.loads(ccr.run("status", "--json").stdout)
        assert status["reload"] == refused
        shown = ccr.run("status").stdout
        assert f"Reload:  refused at {refused['at']}" in shown
        configure(ccr, up, port, 2)
        assert wait_for(port, lambda told: told["state"] == "ok")["config"] != first["config"]
        assert "Reload:" not in ccr.run("status").stdout
    assert clients.faults == []
    (log,) = (ccr.folder / "logs").glob("*.log")
    events = [line["msg"] for line in map(json.loads, log.read_text().splitlines()) if line["msg"] != "exchange"]
    assert [one for one in events if "reload" in one] == ["reloaded", "reload refused", "reloaded"]


def test_what_is_saved_by_the_api_is_in_force(ccr: Ccr, up: ThreadedUpstream, port: int):
    """POST /api/config: what it says about when the change takes effect is so."""
    configure(ccr, up, port, 0)
    ccr.serve()
    first = reload_of(port)
    new = {**json.loads((ccr.folder / "config.json").read_text()), "LOG_LEVEL": "debug"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)) as managing:
        managing.request("POST", "/api/config", json.dumps(new), JSON)
        told = managing.getresponse()
        assert told.status == 200
        assert "within seconds" in json.loads(told.read())["note"]
    assert wait_for(port, lambda told: told["at"] != first["at"])["state"] == "ok"
