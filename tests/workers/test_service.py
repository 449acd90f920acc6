"""`ccr start --workers 3`: three processes that clients cannot tell from one."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import LIMIT
from tests.upstream import anthropic_wire
from tests.upstream.reply import Gate, Reply, json_reply, sse_reply
from tests.workers.conftest import Connection, Service, children_of, is_alive, linux, message, provider

pytestmark = linux

KEY = "router-key-0123456789"


def well() -> Reply:
    return sse_reply(anthropic_wire.message_stream("ok"))


def limited(seconds: int = 120) -> Reply:
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    return json_reply(error, status=429, headers={"retry-after": str(seconds)})


def broken() -> Reply:
    return json_reply({"type": "error", "error": {"type": "api_error", "message": "broken"}}, status=500)


def until(is_so: Callable[..., bool], *facts: Any) -> None:
    """Returns once `is_so(*facts)`: what one worker tells takes milliseconds to the others."""
    deadline = time.monotonic() + LIMIT
    while not is_so(*facts):
        assert time.monotonic() < deadline, "it does not come to that"


def stream(connection: Connection):
    return connection.ask("POST", "/v1/messages", message(stream=True))


def test_one_service(serve, up):
    """Requests spread over all workers; `ccr status`, its files and every worker name the supervising process; `ccr
    stop` ends all of them, and the audit chain is whole."""
    up.always(well())
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"})
    workers = service.workers
    assert len(workers) == 3
    each = service.each()
    assert set(each) == workers
    for connection in each.values():
        assert stream(connection).status == 200
        assert connection.ask("GET", "/api/policy").json["pid"] == service.child.pid
    told = json.loads(service.ccr.run("status", "--json").stdout)
    assert (told["running"], told["pid"]) == (True, service.child.pid)
    assert service.ccr.run("stop").returncode == 0
    assert service.child.wait(LIMIT) == 0
    assert not any(map(is_alive, workers))
    verified = service.ccr.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout
    assert " 8 lines unbroken" in verified.stdout  # start, three decisions and outcomes, stop


def test_a_rate_limit_seen_by_one(serve, up):
    """A key that one worker was told to rest rests in all; and a reset at one is a reset at all."""
    up.always(limited())
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"}, retry={"again": 0})
    each = list(service.each().values())
    assert stream(each[0]).status == 429
    asked = len(up.requests)
    for connection in each:
        until(lambda one: key_state(one) == "resting", connection)
        assert stream(connection).status == 429
    assert len(up.requests) == asked
    assert each[1].ask("POST", "/api/health/reset", {}).status == 200
    up.always(well())
    for connection in each:
        until(lambda one: key_state(one) == "ready", connection)
        assert stream(connection).status == 200


def key_state(connection: Connection, **headers: str) -> str:
    health = connection.ask("GET", "/api/health/targets", **headers).json
    return health["providers"][0]["keys"][0]["state"]


def target_state(connection: Connection) -> str:
    return connection.ask("GET", "/api/health/targets").json["targets"][0]["state"]


def test_failures_add_up(serve, up):
    """A target is passed over after so many failures, whichever workers saw them."""
    up.always(broken())
    service: Service = serve(
        Providers=[provider(up)], Router={"default": "p,m"}, retry={"again": 0, "openAfter": 3, "openSeconds": 300}
    )
    each = list(service.each().values())
    for connection in each:
        assert target_state(connection) != "open"
        assert stream(connection).status == 500
    for connection in each:
        until(lambda one: target_state(one) == "open", connection)


def test_a_session_is_everybodys(serve, up):
    """Who signs in at one worker is signed in at every one, and signed out by any."""
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"}, APIKEY=KEY)
    each = list(service.each().values())
    form = {"content_type": "application/x-www-form-urlencoded"}
    signed = each[0].ask("POST", "/ui/sign-in", f"key={KEY}", **form)
    assert signed.status == 303
    cookie = signed.headers["set-cookie"].partition(";")[0]
    for connection in each:
        assert connection.ask("GET", "/ui/").status == 303
        until(lambda one: one.ask("GET", "/ui/", cookie=cookie).status == 200, connection)
    assert each[2].ask("POST", "/ui/sign-out", "", cookie=cookie, **form).status == 303
    for connection in each:
        until(lambda one: one.ask("GET", "/ui/", cookie=cookie).status == 303, connection)


def test_an_exchange_is_found_everywhere(serve, up):
    """What became of a request is told by every worker, whichever served it, by its id and as the last one."""
    up.always(well())
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"})
    each = list(service.each().values())
    for server in each:
        request = stream(server).headers["request-id"]
        for connection in each:
            until(lambda one, path: one.ask("GET", path).status == 200, connection, f"/api/exchanges/{request}")
            assert connection.ask("GET", "/api/exchanges/last").json["id"] == request
    assert each[0].ask("GET", "/api/exchanges/req_unknown").status == 404


def test_a_reload_reaches_all(serve, up):
    """Once a reload is answered no worker serves by what was in force before; a refused one changes nothing in any, and
    each says so."""
    up.always(well())
    names = {"Providers": [provider(up, "old"), provider(up, "new")]}
    service: Service = serve(**names, Router={"default": "old,m"}, autoReload=False)
    each = list(service.each().values())
    assert stream(each[0]).headers["x-ccr-model"] == "old,m"
    service.ccr.configure(PORT=service.port, **names, Router={"default": "new,m"}, autoReload=False)
    done = each[1].ask("POST", "/api/restart", {})
    assert done.status == 200
    told = [stream(each[number % 3]).headers["x-ccr-model"] for number in range(99)]
    assert set(told) == {"new,m"}
    digest = done.json["config"]["digest"]
    service.ccr.configure(PORT=service.port, **names, Router={"default": "absent,m"}, autoReload=False)
    refused = each[2].ask("POST", "/api/restart", {})
    assert refused.status == 400
    assert "absent" in refused.json["error"]["message"]
    for connection in each:
        until(lambda one: one.ask("GET", "/api/policy").json["reload"]["state"] == "refused", connection)
        assert connection.ask("GET", "/api/policy").json["config"]["digest"] == digest


def test_a_hangup_and_an_edit_reload_all(serve, up):
    """SIGHUP at the supervising process reloads all, and so does an edit of the file, once."""
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"}, autoReload=False)
    each = list(service.each().values())

    def digests() -> set[str]:
        return {connection.ask("GET", "/health").json["config"]["digest"] for connection in each}

    (first,) = digests()
    service.ccr.configure(PORT=service.port, Providers=[provider(up)], Router={"default": "p,m"}, autoReload=True)
    service.child.send_signal(signal.SIGHUP)
    until(lambda: first not in digests())
    (second,) = digests()
    service.ccr.configure(
        PORT=service.port, Providers=[provider(up)], Router={"default": "p,m"}, autoReload=True, LOG_LEVEL="debug"
    )
    until(lambda: second not in digests())
    assert len(digests()) == 1
    log = next((service.ccr.folder / "logs").glob("ccr-*.log")).read_text()
    assert sum(json.loads(line)["msg"] == "reloaded" for line in log.splitlines()) == 2


def test_a_provider_added_in_memory(serve, up):
    """What one worker changes in memory is in force in all, in one that starts later too; and changes at several at once
    are all kept."""
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"})
    each = list(service.each().values())
    threads = [
        threading.Thread(
            target=connection.ask, args=("POST", "/providers", provider(up, f"q{number}", id=f"q{number}"))
        )
        for number, connection in enumerate(each)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    wanted = {"p", "q0", "q1", "q2"}
    for connection in each:
        assert {one["name"] for one in connection.ask("GET", "/providers").json} == wanted
    os.kill(min(service.workers), signal.SIGKILL)
    for connection in after_death(service).values():
        assert {one["name"] for one in connection.ask("GET", "/providers").json} == wanted


def after_death(service: Service) -> dict[int, Connection]:
    """A connection to each of the workers, once there are three again that serve."""
    until(lambda: len(service.workers) == 3)
    return service.each()


def test_a_worker_that_is_killed(serve, up):
    """Of those that live no request fails, another takes its place and knows what they know, and the audit chain is
    unbroken."""
    up.reply(limited())
    service: Service = serve(
        Providers=[provider(up), provider(up, "q")], Router={"default": "p,m"}, retry={"again": 0}, APIKEY=KEY
    )
    each = service.each()
    victim, *others = each
    lives = [each[pid] for pid in others]
    key = {"x_api_key": KEY}
    assert lives[0].ask("POST", "/v1/messages", message(stream=True), **key).status == 429
    up.always(well())
    os.kill(victim, signal.SIGKILL)

    def all_are_there() -> bool:
        for connection in lives:
            assert connection.ask("POST", "/v1/messages", message("q,m", stream=True), **key).status == 200
        return not is_alive(victim) and len(service.workers) == 3

    until(all_are_there)
    (born,) = service.workers - set(others)
    assert born != victim
    newcomer = service.each()[born]
    assert key_state(newcomer, **key) == "resting"
    assert newcomer.ask("POST", "/v1/messages", message("q,m", stream=True), **key).status == 200
    assert service.ccr.run("stop").returncode == 0
    verified = service.ccr.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout


def test_what_a_killed_worker_held_is_free(serve, up):
    """A key with room for one request is taken in every worker while one asks with it, and free when that one dies."""
    gate = up.event()
    up.reply(Reply(200, {"content-type": "text/event-stream"}, (Gate(gate),)))
    one = provider(up, api_key=[{"key": "k-only-0123456789", "label": "only", "concurrent": 1}])
    service: Service = serve(Providers=[one], Router={"default": "p,m"}, retry={"again": 0, "waitSeconds": 0})
    each = service.each()
    victim, other = list(each)[:2]

    def ask_in_vain() -> None:
        with pytest.raises((OSError, http.client.HTTPException)):
            stream(each[victim])

    waiting = threading.Thread(target=ask_in_vain)
    waiting.start()
    up.request()
    until(lambda: key_state(each[other]) == "limited")
    assert stream(each[other]).status == 429
    os.kill(victim, signal.SIGKILL)
    waiting.join(LIMIT)
    up.always(well())
    until(lambda: stream(each[other]).status == 200)
    assert len(up.requests) == 2
    up.set(gate)


def test_the_limit_of_requests_is_everybodys(serve, up):
    """`limits.concurrent` bounds the requests of all workers together."""
    gate = up.event()
    up.reply(Reply(200, {"content-type": "text/event-stream"}, (Gate(gate), *anthropic_wire.message_stream("ok"))))
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"}, limits={"concurrent": 1})
    each = list(service.each().values())
    first = threading.Thread(target=stream, args=(each[0],))
    first.start()
    up.request()
    up.always(well())
    until(lambda: stream(each[1]).status == 429)
    assert "limits.concurrent" in stream(each[1]).json["error"]["message"]
    up.set(gate)
    first.join(LIMIT)
    until(lambda: stream(each[1]).status == 200)


def test_the_end_in_order(serve, up):
    """SIGTERM in the middle of a stream: it is finished, nobody new is let in, no process is left, the code is 0."""
    frames = anthropic_wire.message_stream(["first", " last"])
    gate = up.event()
    begin = next(number for number, frame in enumerate(frames) if b"first" in frame) + 1
    up.reply(Reply(200, {"content-type": "text/event-stream"}, (*frames[:begin], Gate(gate), *frames[begin:])))
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"})
    workers = service.workers
    (connection, *_) = service.each().values()
    inner = connection._connection
    inner.request("POST", "/v1/messages", json.dumps(message(stream=True)), {"content-type": "application/json"})
    with inner.getresponse() as answer:
        told = b""
        while b"first" not in told:
            told += answer.readline()
        service.child.send_signal(signal.SIGTERM)
        while True:
            try:
                Connection(service.port).close()
            except OSError:
                break
        up.set(gate)
        told += answer.read()
    assert told.rstrip().endswith(b'data: {"type":"message_stop"}')
    assert service.child.wait(LIMIT) == 0
    assert not any(map(is_alive, workers))


@pytest.mark.parametrize("waits", [True, False])
def test_a_second_signal(waits, serve, up):
    """A second signal ends at once: what is under way is told so. Also if it comes in the moment of the first."""
    up.reply(
        Reply(200, {"content-type": "text/event-stream"}, (*anthropic_wire.message_stream("ok")[:3], Gate(up.event())))
    )
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"}, drainSeconds=300)
    (connection, *_) = service.each().values()
    inner = connection._connection
    inner.request("POST", "/v1/messages", json.dumps(message(stream=True)), {"content-type": "application/json"})
    with inner.getresponse() as answer:
        answer.readline()
        service.child.send_signal(signal.SIGTERM)
        while waits:
            try:
                Connection(service.port).close()
            except OSError:
                break
        service.child.send_signal(signal.SIGTERM if waits else signal.SIGINT)
        assert b"event: error" in answer.read()
    assert service.child.wait(LIMIT) == 0


def test_a_worker_that_hangs_in_the_end(serve, up):
    """`ccr stop` leaves no process behind, and so the port free, though a worker does not hear that it is to end."""
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"}, drainSeconds=0)
    workers = service.workers
    os.kill(min(workers), signal.SIGSTOP)
    try:
        stopped = service.ccr.run("stop")
        assert "successfully" in stopped.stdout
        assert not any(map(is_alive, workers))
    finally:
        for pid in filter(is_alive, workers):
            os.kill(pid, signal.SIGKILL)


def test_the_supervising_process_is_killed(serve, up):
    """Its workers notice and end: the port is free for another."""
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"})
    workers = service.workers
    service.child.kill()
    service.child.wait(LIMIT)
    until(lambda: not any(map(is_alive, workers)))
    with pytest.raises(OSError):
        Connection(service.port)


def test_a_restart_keeps_the_number(serve, up, port):
    """`ccr restart` starts as many workers again."""
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"})
    done = service.ccr.run("restart")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(service.ccr.run("status", "--json").stdout)
    assert told["pid"] != service.child.pid
    assert len(children_of(told["pid"])) == 3
    assert service.ccr.run("stop").returncode == 0


def test_a_worker_that_cannot_start(ccr, port):
    """Code that fails to load ends the start with its error, said once, and nothing is left."""
    script = ccr.home / "router.py"
    script.write_text("raise RuntimeError('not today')\n")
    ccr.configure(PORT=port, CUSTOM_ROUTER_PATH=str(script))
    done = ccr.run("start", "--workers=3")
    assert done.returncode == 1
    assert done.stderr.count("not today") == 1
    with pytest.raises(OSError):
        Connection(port)
    assert not list(ccr.folder.glob(".claude-code-router.*"))
