"""What the pages of providers tell in a service of several processes: a test of one is known to all, so are quotas."""

from __future__ import annotations

import asyncio

from tests.upstream import Gate, Reply, anthropic_wire, json_reply
from tests.workers.conftest import Service, linux, provider
from tests.workers.test_service import until

pytestmark = linux


def last_test(connection) -> dict | None:
    return connection.ask("GET", "/api/providers").json["test"]


def test_a_test_is_known_to_all(serve, up):
    """One worker carries it out, every worker tells of it, and none begins a second one meanwhile."""
    gate: asyncio.Event = up.event()
    up.always(Reply(200, {"content-type": "application/json"}, (Gate(gate),)))
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"})
    each = list(service.each().values())
    wanted = {"provider": "p", "model": "m"}
    assert each[0].ask("POST", "/api/providers/test", wanted).status == 202
    for connection in each:
        told = last_test(connection)
        assert told is not None
        assert (told["state"], told["provider"]) == ("running", "p")
        assert connection.ask("POST", "/api/providers/test", wanted).status == 409
    up.set(gate)
    for connection in each:
        until(lambda one: last_test(one)["state"] != "running", connection)
    assert len({str(last_test(connection)) for connection in each}) == 1


def test_quotas_are_known_to_all(serve, up):
    """What a provider says to one worker of a key's limits, all workers tell."""
    headers = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "7"}
    up.always(json_reply(anthropic_wire.message_json("x"), headers=headers))
    service: Service = serve(Providers=[provider(up)], Router={"default": "p,m"})
    each = list(service.each().values())
    assert each[0].message().status == 200
    for connection in each:
        until(lambda one: remaining(one) == 7, connection)


def remaining(connection) -> float | None:
    quota = connection.ask("GET", "/api/providers").json["providers"][0]["keys"][0]["quota"]
    return None if quota is None else quota["limits"][0]["remaining"]
