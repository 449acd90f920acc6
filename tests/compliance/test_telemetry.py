"""Telemetry under a policy: the collector is a place that data leaves to, and is judged as one."""

from __future__ import annotations

import pytest

from ccrouter.compliance.document import parse_policy
from ccrouter.compliance.judge import Collector, judge
from ccrouter.compliance.policy import NO_POLICY
from ccrouter.config import collector
from tests.compliance.configs import ANTHROPIC_ONLY, OPEN, changed

#: A collector of the organisation's own is allowed by name.
WITH_COLLECTOR = parse_policy(
    '{"name": "p", "hosts": {"allowed": ["api.anthropic.com", "otel.example:4318"]}}', "test", {}
)


def telling(**settings):
    return changed(lambda tree: tree.update(telemetry={"enabled": True, **settings}))


def found(verdict):
    return [(one.path, one.rule, one.code) for one in verdict.errors]


@pytest.mark.parametrize(
    ("policy", "settings", "expected"),
    [
        (ANTHROPIC_ONLY, {"endpoint": "https://otel.example"}, [("telemetry.endpoint", "hosts.allowed", 34)]),
        (ANTHROPIC_ONLY, {"endpoint": "http://otel.example"}, [("telemetry.endpoint", "httpsOnly", 34)]),
        (ANTHROPIC_ONLY, {"endpoint": "http://localhost:4318"}, []),
        (ANTHROPIC_ONLY, {"endpoint": "http://127.0.0.1:4318"}, []),
        (ANTHROPIC_ONLY, {"endpoint": "http://[::1]:4318"}, []),
        (ANTHROPIC_ONLY, {"endpoint": "http://127.0.0.1.otel.example:4318"}, [("telemetry.endpoint", "httpsOnly", 34)]),
        (ANTHROPIC_ONLY, {}, []),  # http://localhost:4318
        (WITH_COLLECTOR, {"endpoint": "http://otel.example:4318"}, []),
        (WITH_COLLECTOR, {"endpoint": "http://otel.example:4319"}, [("telemetry.endpoint", "hosts.allowed", 34)]),
        (OPEN, {"endpoint": "http://otel.example:4319"}, []),
        (NO_POLICY, {"endpoint": "http://otel.example:4319"}, []),
    ],
)
def test_the_collector(desk, policy, settings, expected):
    """Its host must be allowed like a provider's, but for this very machine."""
    assert found(desk.examine(telling(**settings), policy)) == expected


def test_turned_off(desk):
    """A collector that nothing is sent to is nobody's business."""
    assert found(desk.examine(telling(enabled=False, endpoint="https://otel.example"), ANTHROPIC_ONLY)) == []


def test_from_the_environment(desk):
    """The collector that the environment names is judged, by its variable's name, unless the config names one."""
    environ = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://a.example/x",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://b.example",
    }
    verdict = desk.examine(telling(), ANTHROPIC_ONLY, **environ)
    assert [(one.file, one.path, one.message) for one in verdict.errors] == [
        ("environment", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "telemetry: Host not allowed: a.example"),
        ("environment", "OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry: Host not allowed: b.example"),
    ]
    assert found(desk.examine(telling(endpoint="http://localhost:4318"), ANTHROPIC_ONLY, **environ)) == []


def test_its_proxy(desk):
    """The proxy on the way to it is judged as every proxy is."""
    policy = parse_policy('{"name": "p", "proxies": {"allowed": ["good.example"]}}', "test", {})
    config = telling(endpoint="http://otel.example")
    (finding,) = desk.examine(config, policy, http_proxy="http://bad.example:3128").errors
    assert (finding.path, finding.rule, finding.code) == ("http_proxy", "proxies.allowed", 39)
    assert finding.message == "telemetry goes through http_proxy: Proxy not allowed: bad.example"
    assert found(desk.examine(config, policy, http_proxy="http://good.example:3128")) == []


def test_its_key(desk):
    """A header of telemetry that holds a key comes from where the policy lets keys come from."""
    literal = telling(headers={"authorization": "Bearer some-token", "x-tenant": "7"})
    (finding,) = desk.examine(literal, ANTHROPIC_ONLY).errors
    assert (finding.rule, finding.code) == ("keySources", 36)
    assert finding.message == 'header "authorization" of telemetry comes from the file itself'
    assert "some-token" not in str(finding)
    named = telling(headers={"authorization": "Bearer ${OTEL_TOKEN}"})
    assert found(desk.examine(named, ANTHROPIC_ONLY, OTEL_TOKEN="some-token")) == []


def test_the_library(desk, monkeypatch):
    """Turned on without its library it is an error whatever the policy, with what to install; turned off it is none."""
    monkeypatch.setattr(collector, "LIBRARIES", ("no_such_library",))
    (finding,) = desk.examine(telling(), NO_POLICY).errors
    assert (finding.path, finding.rule, finding.hint) == ("telemetry", "", "pip install 'ccrouter[otel]'")
    assert found(desk.examine(telling(enabled=False), NO_POLICY)) == []


@pytest.mark.parametrize(("host", "address", "is_allowed"), [
    ("localhost", "127.0.0.1", True),
    ("localhost", "::1", True),
    ("localhost", "192.0.2.1", False),
    ("otel.example", "192.0.2.1", True),
    ("otel.example", "10.0.0.1", False),
])  # fmt: skip
def test_where_its_name_leads(host, address, is_allowed):
    """What a name resolved to is judged too: "localhost" that is another machine is none of ours."""
    policy = parse_policy('{"name": "p", "addresses": {"banned": ["10.0.0.0/8"]}}', "test", {})
    assert (judge(policy, Collector("http", host, 4318, address)) is None) == is_allowed
