"""OpenTelemetry: what the collector is told, and where nothing may go."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccrouter.compliance.document import parse_policy, read_policy
from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config import collector as config_collector
from ccrouter.config.schema import Config
from ccrouter.config.schema import Telemetry as Settings
from ccrouter.errors import ConfigError
from ccrouter.gateway.record import IMAGE, Attempt
from ccrouter.messages.events import WireUsage
from ccrouter.server.log import ExchangeLog
from ccrouter.server.telemetry import Telemetry, check_telemetry
from ccrouter.server.telemetry_facts import FIRST_TOKEN, Sites, spans_of
from ccrouter.server.voice import Voice
from tests.server.collector import Collector, told
from tests.server.entries import ENDED_AT, configured, entry

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Desk:
    """Telemetry whose configuration and policy the test can change, and the log that it complains in."""

    def __init__(self, config: Config, policy: Policy, folder: Path) -> None:
        self.config, self.policy = config, policy
        self._path = folder / "log"
        self._log = ExchangeLog(self._path, "info")
        self.environ: dict[str, str] = {}
        self.telemetry = Telemetry(lambda: (self.config, self.policy), Voice(self._log), self.environ)

    def turn_on(self, endpoint: str = "", **headers: str) -> None:
        self.config = dataclasses.replace(
            self.config, telemetry=Settings(enabled=True, endpoint=endpoint, headers=headers)
        )

    @property
    def log(self) -> list[str]:
        return self._path.read_text().splitlines()

    def close(self) -> None:
        self.config = dataclasses.replace(self.config, telemetry=Settings())  # no farewell to who is gone already
        self.telemetry.close()
        self._log.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def desk(tmp_path: Path, collector: Collector) -> Iterator[Desk]:
    desk = Desk(configured(tmp_path), NO_POLICY, tmp_path)
    yield desk
    desk.close()


def test_off(desk, collector, monkeypatch):
    """Unless it is turned on nothing is sent, even if the environment names a collector."""
    desk.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
    desk.telemetry.note(entry())
    desk.telemetry.flush()
    assert collector.asked == []


def test_spans(desk, collector):
    """A SERVER span of the request, below it a CLIENT span of each attempt, at the times they had; by the GenAI
    conventions, tokens at the attempt that took them.
    """
    desk.turn_on(collector.url)
    desk.telemetry.note(entry())
    desk.telemetry.flush()
    failed, answered, server = sorted(collector.spans, key=lambda span: (span.kind != 3, span.start_time_unix_nano))
    began = (ENDED_AT - 2.0) * 1e9
    assert (server.name, server.kind, server.parent_span_id) == ("chat claude-x", 2, b"")
    assert server.end_time_unix_nano - server.start_time_unix_nano == pytest.approx(2e9, abs=1e3)
    assert server.start_time_unix_nano == pytest.approx(began, abs=1e3)
    assert told(server.attributes) == {
        "http.request.method": "POST", "http.route": "/v1/messages", "http.response.status_code": 200,
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-x", "gen_ai.response.model": "m1-2026",
        "gen_ai.conversation.id": "s-1", "ccrouter.request.id": "req_1", "ccrouter.route": "default", "ccrouter.provider": "p",
        "ccrouter.attempts": 2, "ccrouter.cost.usd": 0.25, "ccrouter.losses.dropped": 1,
    }  # fmt: skip
    assert {failed.parent_span_id, answered.parent_span_id} == {server.span_id}
    assert {failed.trace_id, answered.trace_id} == {server.trace_id}
    assert (failed.name, failed.kind, failed.status.code) == ("chat n", 3, 2)
    assert failed.start_time_unix_nano == pytest.approx(began + 0.1e9, abs=1e3)
    assert failed.end_time_unix_nano == pytest.approx(began + 0.4e9, abs=1e3)
    assert told(failed.attributes) == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "q", "gen_ai.request.model": "n", "gen_ai.request.stream": True,
        "server.address": "127.0.0.1", "server.port": 8080, "error.type": "rate_limit", "http.response.status_code": 429,
        "ccrouter.provider": "q", "ccrouter.key": "key",
    }  # fmt: skip
    assert (answered.name, answered.kind, answered.status.code) == ("chat m1", 3, 0)
    facts = told(answered.attributes)
    assert facts.pop("gen_ai.response.time_to_first_chunk") == pytest.approx(0.9)
    assert facts == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "m1",
        "gen_ai.request.stream": True, "gen_ai.response.model": "m1-2026", "gen_ai.response.finish_reasons": ["end_turn"],
        "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 40, "gen_ai.usage.cache_read.input_tokens": 80,
        "gen_ai.usage.cache_creation.input_tokens": 10, "gen_ai.usage.reasoning.output_tokens": 5,
        "server.address": "api.anthropic.com", "server.port": 443, "ccrouter.provider": "p", "ccrouter.key": "key",
        "ccrouter.waited_seconds": 0.1, "ccrouter.upstream_request.id": "up-1",
    }  # fmt: skip
    assert collector.resource["service.name"] == "ccrouter"
    assert {"service.version", "service.instance.id"} <= set(collector.resource)


def test_metrics(desk, collector):
    """Tokens, duration and time to first token, with the bounds that the conventions recommend; models that the
    configuration does not name are "other".
    """
    desk.turn_on(collector.url)
    desk.telemetry.note(entry())
    desk.telemetry.note(entry(attempts=entry().exchange.attempts[1:], sent="whatever", target="p,whatever"))
    exchange = entry().exchange
    exchange.attempts[1].target = "p,of a client's own"
    desk.telemetry.note(dataclasses.replace(entry(), exchange=exchange))
    desk.telemetry.flush()
    found = collector.metrics
    assert set(found) == {
        "gen_ai.client.token.usage",
        "gen_ai.client.operation.duration",
        "gen_ai.server.time_to_first_token",
    }
    assert {name: metric.unit for name, metric in found.items()} == {
        "gen_ai.client.token.usage": "{token}", "gen_ai.client.operation.duration": "s", "gen_ai.server.time_to_first_token": "s",
    }  # fmt: skip
    tokens = {
        (told(point.attributes)["gen_ai.token.type"], told(point.attributes)["gen_ai.request.model"]): (
            point.count,
            point.sum,
        )
        for point in found["gen_ai.client.token.usage"].histogram.data_points
    }
    assert tokens == {
        ("input", "m1"): (2, 200), ("output", "m1"): (2, 80), ("input", "other"): (1, 100), ("output", "other"): (1, 40),
    }  # fmt: skip
    (point, *_) = found["gen_ai.client.token.usage"].histogram.data_points
    assert list(point.explicit_bounds)[:4] == [1, 4, 16, 64]
    durations = {
        (told(point.attributes)["gen_ai.request.model"], told(point.attributes).get("error.type")): (
            point.count,
            point.sum,
        )
        for point in found["gen_ai.client.operation.duration"].histogram.data_points
    }
    assert durations == {
        ("n", "rate_limit"): (2, pytest.approx(0.6)), ("m1", None): (2, pytest.approx(3.0)), ("other", None): (1, pytest.approx(1.5)),
    }  # fmt: skip
    assert sum(point.count for point in found["gen_ai.server.time_to_first_token"].histogram.data_points) == 3


def test_nothing_of_what_was_said(desk, collector):
    """No error's text goes out, and no reason: names, counts and times alone."""
    desk.turn_on(collector.url)
    desk.telemetry.note(entry(status=502, error="secret words of an error", reason="secret words of a reason"))
    desk.telemetry.flush()
    assert collector.spans[0]
    assert not any(b"secret words" in body for body in collector.raw)


def test_the_clients_trace_goes_on(desk, collector):
    """With a `traceparent` the request is a part of the client's trace; one that is nonsense begins a new one."""
    desk.turn_on(collector.url)
    desk.telemetry.note(entry(traceparent=f"00-{TRACE}-{PARENT}-01", attempts=[]))
    desk.telemetry.note(entry(traceparent="nonsense", attempts=[]))
    desk.telemetry.flush()
    first, second = collector.spans
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert second.trace_id.hex() != TRACE
    assert second.parent_span_id == b""


def test_a_count_of_tokens(desk, collector):
    """It is a request of its own kind: a span, no model called, nothing measured."""
    desk.turn_on(collector.url)
    desk.telemetry.note(entry(path="/v1/messages/count_tokens", attempts=[], usage=WireUsage()))
    desk.telemetry.flush()
    (span,) = collector.spans
    assert span.name == "/v1/messages/count_tokens"
    assert "gen_ai.operation.name" not in told(span.attributes)
    assert collector.measured == []


def test_headers_and_environment(desk, collector, monkeypatch):
    """What the config says of headers goes along; without an endpoint there the environment names the collector."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-of-environment=yes")
    desk.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"{collector.url}/base/"
    desk.turn_on("", authorization="Bearer of-the-config")
    desk.telemetry.note(entry())
    desk.telemetry.flush()
    paths = {path for path, _ in collector.asked}
    assert paths == {"/base/v1/traces", "/base/v1/metrics"}
    for _, headers in collector.asked:
        assert headers["authorization"] == "Bearer of-the-config"
        assert headers["x-of-environment"] == "yes"
        assert headers["content-type"] == "application/x-protobuf"


def test_a_collector_that_fails(desk, collector):
    """No request pays for it; it is told once, and once more when it is over."""
    collector.status = 500
    desk.turn_on(collector.url)
    for _ in range(3):
        desk.telemetry.note(entry())
        desk.telemetry.flush()
    assert len(desk.log) == 1
    assert '"telemetry does not reach its collector"' in desk.log[0]
    collector.status = 200
    desk.telemetry.note(entry())
    desk.telemetry.flush()
    assert [re.findall('"msg":"([^"]*)"', line)[0] for line in desk.log] == [
        "telemetry does not reach its collector", "telemetry reaches its collector again",
    ]  # fmt: skip


def test_no_redirect(desk, collector):
    """A collector that redirects is told nothing more, and whoever it names nothing at all."""
    with Collector() as elsewhere:
        collector.status, collector.headers = 307, {"location": f"{elsewhere.url}/v1/traces"}
        desk.turn_on(collector.url)
        desk.telemetry.note(entry())
        desk.telemetry.flush()
        assert collector.asked
        assert elsewhere.asked == []
    assert "a redirect of the collector is not followed" in desk.log[0]


def test_proxies(desk, collector, monkeypatch):
    """The proxy that the environment names is taken where no policy forbids it, and judged where one does."""
    with Collector() as proxy:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # what the library would take by itself
        desk.environ["HTTP_PROXY"] = proxy.url
        desk.turn_on("http://collector.example:4318")
        desk.telemetry.note(entry())
        desk.telemetry.flush()
        assert {path for path, _ in proxy.asked} == {
            "http://collector.example:4318/v1/traces", "http://collector.example:4318/v1/metrics",
        }  # fmt: skip
        seen = len(proxy.asked)
        desk.policy = parse_policy('{"name": "p", "proxies": {"allowed": []}}', "test", {})
        desk.telemetry.note(entry())
        desk.telemetry.flush()
        assert len(proxy.asked) == seen
    assert "Proxy not allowed: 127.0.0.1" in desk.log[0]


def test_a_reload_ends_it(desk, collector):
    """What is turned off, or sent elsewhere, is so with the next export: also what had gathered before."""
    desk.turn_on(collector.url)
    desk.telemetry.note(entry())
    desk.config = dataclasses.replace(desk.config, telemetry=Settings())
    desk.telemetry.flush()
    assert collector.asked == []
    with Collector() as other:
        desk.turn_on(other.url)
        desk.telemetry.note(entry())
        desk.telemetry.flush()
        assert other.spans
    assert collector.asked == []
    assert desk.log == []


def test_the_end(desk, collector):
    """What has gathered leaves when the router ends, and nothing after it."""
    desk.turn_on(collector.url)
    desk.telemetry.note(entry())
    desk.telemetry.close(limit=30)
    assert len(collector.spans) == 3
    assert collector.metrics
    seen = len(collector.asked)
    desk.telemetry.flush()
    assert len(collector.asked) == seen


# -- policies ----------------------------------------------------------------------------------------------------------


def test_a_policy_at_the_export(desk, collector):
    """A policy that comes into force forbids the collector at once; this very machine is no place elsewhere."""
    desk.turn_on(f"http://localhost:{collector.url.rpartition(':')[2]}")
    desk.policy = read_policy("anthropic-only", {})
    desk.telemetry.note(entry())
    desk.telemetry.flush()
    assert collector.spans, "loopback is no place that data leaves to"
    desk.turn_on("https://collector.example")
    desk.telemetry.note(entry())
    desk.telemetry.flush()
    assert "Host not allowed: collector.example" in desk.log[-1]


def test_the_address_is_judged(desk, collector, monkeypatch):
    """A name that the policy allows, and that leads to an address that it does not, is told nothing."""
    port = collector.url.rpartition(":")[2]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_a, **_k: [(2, 1, 6, "", ("127.0.0.1", int(port)))])
    desk.policy = parse_policy(
        '{"name": "p", "hosts": {"allowed": ["collector.example:*"]}, "addresses": {"banned": ["127.0.0.0/8"]}}',
        "test",
        {},
    )
    desk.turn_on(f"http://collector.example:{port}")
    desk.telemetry.note(entry())
    desk.telemetry.flush()
    assert collector.asked == []
    assert "Address not allowed: 127.0.0.1" in desk.log[0]
    desk.policy = NO_POLICY
    desk.telemetry.note(entry())
    desk.telemetry.flush()
    assert collector.spans, "it was the policy"


def test_at_the_start(tmp_path, monkeypatch):
    """Without its library telemetry that is turned on is refused, with what to install; so is a collector that the
    policy forbids. Turned off, nothing is asked.
    """
    config = dataclasses.replace(configured(tmp_path), telemetry=Settings(enabled=True, endpoint="https://c.example"))
    check_telemetry(config, NO_POLICY, {})
    with pytest.raises(ConfigError, match=r"Host not allowed: c\.example"):
        check_telemetry(config, read_policy("anthropic-only", {}), {})
    monkeypatch.setattr(config_collector, "LIBRARIES", ("no_such_library",))
    with pytest.raises(ConfigError, match=r"needs OpenTelemetry") as raised:
        check_telemetry(config, NO_POLICY, {})
    assert raised.value.problems[0].hint == "pip install 'ccrouter[otel]'"
    check_telemetry(configured(tmp_path), NO_POLICY, {})


def test_a_look_at_an_image_is_not_the_answer(tmp_path):
    """What answered is told with the attempt that answered, and not with one that looked at an image for it; who lost
    the cache stands at the request.
    """
    verdict = {"by": "client", "lostTokens": 5000}
    told = entry(verdict=verdict)
    look = Attempt(f"q,n{IMAGE}", 0.6, ended=0.9, usage=WireUsage(input_tokens=3, output_tokens=2))
    told.exchange.attempts.append(look)
    whole, parts, figures = spans_of(told, Sites(configured(tmp_path)))
    assert whole.attributes["ccrouter.cache.broken_by"] == "client"
    answering, looking = parts[-2:]
    assert answering.attributes["gen_ai.response.model"] == "m1-2026"
    assert "gen_ai.response.model" not in looking.attributes
    assert looking.attributes["gen_ai.request.model"] == "n"
    first = [of["gen_ai.request.model"] for name, _, of in figures if name == FIRST_TOKEN]
    assert first == ["m1"]


def test_a_key_for_one_collector_is_not_sent_to_another(desk, collector, monkeypatch):
    """The environment's headers are for the collector that it names: to one that the config names go the config's."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=key-of-another,x-both=of-the-environment")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-traces=key-of-another")
    desk.turn_on(collector.url, **{"X-Both": "of-the-config"})
    desk.telemetry.note(entry())
    desk.telemetry.flush()
    assert len(collector.asked) == 2
    for _, headers in collector.asked:
        assert headers["x-both"] == "of-the-config"
        assert not {"x-team", "x-traces"} & headers.keys()


def test_without_an_endpoint_the_headers_of_the_environment_count(desk, collector, monkeypatch):
    """Who names collector and key in the environment is understood."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=key")
    desk.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
    desk.turn_on()
    desk.telemetry.note(entry())
    desk.telemetry.flush()
    assert [headers["x-team"] for _, headers in collector.asked] == ["key", "key"]
