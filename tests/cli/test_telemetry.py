"""Telemetry by the real command: what is sent when it is on, and who refuses it where it may not be."""

from __future__ import annotations

import http.client
import json

import pytest

from tests.cli.conftest import LIMIT, Ccr
from tests.server.collector import Collector, told
from tests.upstream import anthropic_wire, json_reply
from tests.upstream.threaded import ThreadedUpstream

POLICY = {"name": "ours", "hosts": {"allowed": ["api.anthropic.com"]}}
PROVIDER = {
    "name": "anthropic",
    "api_base_url": "https://api.anthropic.com/v1/messages",
    "api_key": "k-0123",
    "models": ["m"],
}


@pytest.mark.parametrize("command", [["verify"], ["start"]])
def test_a_policy_forbids_the_collector(ccr: Ccr, port: int, command):
    """`ccr verify` says so, with the exit code of places that may not be reached; the router does not start."""
    telemetry = {"enabled": True, "endpoint": "https://otel.example"}
    ccr.configure(PORT=port, Providers=[PROVIDER], Router={"default": "anthropic,m"}, telemetry=telemetry)
    policy = ccr.folder / "policy.json"
    policy.write_text(json.dumps(POLICY))
    policy.chmod(0o600)
    done = ccr.run(*command)
    assert done.returncode == (34 if command == ["verify"] else 1)
    assert "telemetry: Host not allowed: otel.example" in done.stderr
    assert "telemetry.endpoint" in done.stderr or command == ["verify"]


def test_what_a_router_tells(ccr: Ccr, port: int):
    """A request, with the client's own trace, reaches the collector; the last ones when the router ends."""
    with ThreadedUpstream() as up, Collector() as collector:
        up.always(json_reply(anthropic_wire.message_json("Hi")))
        provider = {**PROVIDER, "api_base_url": f"{up.url}/v1/messages"}
        telemetry = {"enabled": True, "endpoint": collector.url, "headers": {"x-tenant": "7"}}
        ccr.configure(PORT=port, Providers=[provider], Router={"default": "anthropic,m"}, telemetry=telemetry)
        router = ccr.serve()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        body = json.dumps({"model": "x", "max_tokens": 9, "messages": [{"role": "user", "content": "a secret"}]})
        headers = {"content-type": "application/json", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        connection.request("POST", "/v1/messages", body, headers)
        answer = connection.getresponse()
        assert (answer.status, answer.read()[:1]) == (200, b"{")
        connection.close()
        router.terminate()
        assert router.wait(LIMIT) == 0
        client, server = sorted(collector.spans, key=lambda span: span.kind, reverse=True)
        assert {client.trace_id.hex(), server.trace_id.hex()} == {trace}
        assert (server.name, client.name) == ("chat x", "chat m")
        assert told(client.attributes)["gen_ai.usage.output_tokens"] > 0
        assert told(server.attributes)["ccrouter.request.id"] == answer.headers["request-id"]
        assert "gen_ai.client.token.usage" in collector.metrics
        assert all(headers["x-tenant"] == "7" for _, headers in collector.asked)
        assert not any(b"a secret" in raw for raw in collector.raw)
