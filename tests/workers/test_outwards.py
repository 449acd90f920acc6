"""What several processes tell of themselves as one: figures, the level of the log, its files."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.upstream import anthropic_wire
from tests.upstream.reply import Reply, sse_reply
from tests.workers.conftest import Connection, Service, is_alive, linux, provider
from tests.workers.test_service import stream, until

pytestmark = linux


def well() -> Reply:
    return sse_reply(anthropic_wire.message_stream("ok"))


def figures(connection: Connection) -> dict[str, float]:
    """Every value by its name and the values of its labels."""
    answer = connection.ask("GET", "/metrics")
    assert answer.status == 200, answer.raw
    return {
        " ".join([one.name, *(one.labels[name] for name in sorted(one.labels))]): one.value
        for family in text_string_to_metric_families(answer.raw.decode())
        for one in family.samples
    }


ANSWERED = "ccrouter_requests_total m ok p default"


def test_one_scrape_tells_of_all(serve, up):
    """Whichever worker is asked, requests of all are in its counters and buckets; what is known to all is told once."""
    up.always(well())
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"})
    each = service.each()
    for number, connection in enumerate(each.values()):
        for _ in range(number + 1):
            assert stream(connection).status == 200
    for connection in each.values():
        until(lambda one: figures(one).get(ANSWERED) == 6, connection)
        found = figures(connection)
        assert found["ccrouter_request_duration_seconds_count m p"] == 6
        assert found["ccrouter_request_duration_seconds_bucket +Inf m p"] == 6
        assert found["ccrouter_tokens_total output m p"] == 6 * found["ccrouter_tokens_total output m p"] / 6 > 0
        assert found["ccrouter_workers"] == 3
        assert found["ccrouter_target_state m p well"] == 1
        assert found["ccrouter_key_state key p ready"] == 1
        assert found["process_resident_memory_bytes"] > 3 * 20e6


def test_a_worker_that_dies_takes_nothing_back(serve, up):
    """What a worker had counted when it was last heard stays in the sum, also for those who take its place."""
    up.always(well())
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"})
    each = service.each()
    for connection in each.values():
        assert stream(connection).status == 200
    first, second, _ = each
    until(lambda one: figures(one).get(ANSWERED) == 3, each[second])
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_alive(first) and len(service.workers) == 3)
    new = service.each()
    assert first not in new
    for connection in new.values():
        until(lambda one: figures(one).get("ccrouter_workers") == 3, connection)
        assert figures(connection)[ANSWERED] == 3


def test_the_level_of_all(serve, up):
    """A level that one worker is told is that of all, and of those that start later, until a reload."""
    up.always(well())
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"})
    each = service.each()
    first, second, _ = each
    assert each[first].ask("POST", "/api/logs/level", {"level": "error"}).json["level"] == "error"
    for connection in each.values():
        until(lambda one: one.ask("GET", "/api/logs/level").json["level"] == "error", connection)
    os.kill(second, signal.SIGKILL)
    until(lambda: not is_alive(second) and len(service.workers) == 3)
    for connection in service.each().values():
        assert connection.ask("GET", "/api/logs/level").json == {"level": "error", "configured": "info"}
    (log,) = (service.ccr.folder / "logs").glob("ccr-*.log")
    before = log.read_text()
    for connection in service.each().values():
        assert stream(connection).status == 200
    assert log.read_text() == before, "an exchange is told at level info"
    connection = service.connect()
    assert connection.ask("POST", "/api/restart").status == 200
    for connection in service.each().values():
        assert connection.ask("GET", "/api/logs/level").json["level"] == "info"
        assert stream(connection).status == 200


def test_one_log_that_is_put_away(serve, up):
    """All workers write to one log; one of them puts it away, and no exchange of any is missing or torn."""
    up.always(well())
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"}, logFiles={"megabytes": 1, "keep": 5})
    each = service.each()
    (log,) = (service.ccr.folder / "logs").glob("ccr-*.log")
    filler = json.dumps({"level": 30, "time": "2026-11-22T10:00:00.000Z", "msg": "filler", "text": "x" * 1000}) + "\n"
    sent = 0

    def served() -> None:
        nonlocal sent
        for connection in each.values():
            assert stream(connection).status == 200
            sent += 1

    def numbered() -> list[Path]:
        return sorted(log.parent.glob(f"{log.name}.*"))

    for wanted in (1, 2):
        served()
        with log.open("a") as file:
            file.write(filler * 1100)
        until(lambda count: served() or len(numbered()) >= count, wanted)
    served()
    files = [*numbered(), log]
    assert [one.name for one in files] == [f"{log.name}.1", f"{log.name}.2", log.name]
    told = [json.loads(line) for one in files for line in one.read_text().splitlines()]
    ids = [one["reqId"] for one in told if one["msg"] == "exchange"]
    assert len(ids) == len(set(ids)) == sent
    listed = service.connect().ask("GET", "/api/logs/files").json
    assert [one["name"] for one in listed] == [log.name, f"{log.name}.2", f"{log.name}.1"]
