"""The environment that points Claude Code at the router."""

from __future__ import annotations

import pytest

from ccrouter.config.schema import Config
from ccrouter.secret import Secret
from ccrouter.service.environ import (
    REMOVED,
    claude_environment,
    claude_settings,
    client_variables,
    key_variables,
    wants_status_line,
)


def variables(config: Config | None = None, *, host="127.0.0.1", base=None, version=None) -> dict[str, str]:
    return client_variables(config or Config(), host=host, port=3456, base=base or {}, version=version)


def test_whole() -> None:
    """With the defaults exactly these variables are set."""
    assert variables() == {
        "ANTHROPIC_AUTH_TOKEN": "test",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:3456",
        "ANTHROPIC_API_KEY": "",
        "NO_PROXY": "127.0.0.1",
        "DISABLE_COST_WARNINGS": "true",
        "DISABLE_ERROR_REPORTING": "true",
        "API_TIMEOUT_MS": "600000",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
    }


def test_key_of_a_launch() -> None:
    """A key of this launch goes before the configured one."""
    told = client_variables(
        Config(api_key=Secret("sk-1")), host="127.0.0.1", port=1, base={}, version=None, key="ccr-launch-x"
    )
    assert told["ANTHROPIC_AUTH_TOKEN"] == "ccr-launch-x"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"APIKEY": "${CCR_APIKEY}"}, ("CCR_APIKEY",)),
        ({"apiKey": "$CCR_APIKEY"}, ("CCR_APIKEY",)),
        ({"api-key": "${CCR_APIKEY:-***}"}, ("CCR_APIKEY",)),
        ({"APIKEY": "***"}, ()),
        ({"APIKEY": "$$CCR_APIKEY"}, ()),
        ({"APIKEY": "${UNSET}"}, ()),
        ({"Providers": [{"api_key": "${CCR_APIKEY}"}]}, ()),
        ({}, ()),
    ],
)
def test_variables_of_the_routers_key(raw, expected) -> None:
    """The variables that the router's own key comes from, however the setting is spelled; not those of providers."""
    assert key_variables(Config(raw=raw), {"CCR_APIKEY": "sk-0123456789"}) == expected


def test_withheld() -> None:
    """What is withheld is not in the environment, whatever else is."""
    assert claude_environment({"A": "1"}, {"B": "2", "C": "3"}, withheld=["B"]) == {"C": "3", "A": "1"}


def test_proxy_exceptions_in_settings() -> None:
    """Settings have both spellings: a repository could otherwise name the other one, and a proxy."""
    env = claude_settings({"NO_PROXY": "127.0.0.1"})["env"]
    assert (env["NO_PROXY"], env["no_proxy"]) == ("127.0.0.1", "127.0.0.1")
    env = claude_settings({"NO_PROXY": "a", "no_proxy": "b"})["env"]
    assert (env["NO_PROXY"], env["no_proxy"]) == ("a", "b")


def test_config_says_more() -> None:
    """Key, time-out (in milliseconds), small model and the non-interactive extras come from the config."""
    config = Config(api_key=Secret("sk-1"), api_timeout=1.5, small_fast_model="p,m", is_non_interactive=True)
    told = variables(config)
    assert told["ANTHROPIC_AUTH_TOKEN"] == "sk-1"
    assert told["API_TIMEOUT_MS"] == "1500"
    assert told["ANTHROPIC_SMALL_FAST_MODEL"] == "p,m"
    assert (told["CI"], told["FORCE_COLOR"], told["NODE_NO_READLINE"], told["TERM"]) == ("true", "0", "1", "dumb")


@pytest.mark.parametrize(
    ("version", "is_set"),
    [
        (None, False),
        ((1, 0, 128), True),
        ((2, 0, 77), True),
        ((2, 1, 0), False),
        ((2, 1, 330), False),
        ((3, 0, 0), False),
    ],
)
def test_telemetry(version, is_set) -> None:
    """DISABLE_TELEMETRY goes only to versions known to have no auto mode, which it would break."""
    assert ("DISABLE_TELEMETRY" in variables(version=version)) is is_set


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ({}, {"NO_PROXY": "127.0.0.1"}),
        ({"NO_PROXY": "a, b"}, {"NO_PROXY": "a,b,127.0.0.1"}),
        ({"NO_PROXY": "127.0.0.1,a"}, {"NO_PROXY": "127.0.0.1,a"}),
        ({"NO_PROXY": "*"}, {"NO_PROXY": "*"}),
        ({"no_proxy": "a"}, {"NO_PROXY": "a,127.0.0.1", "no_proxy": "a,127.0.0.1"}),
        ({"NO_PROXY": "a", "no_proxy": "b"}, {"NO_PROXY": "a,b,127.0.0.1", "no_proxy": "a,b,127.0.0.1"}),
    ],
)
def test_no_proxy(base: dict[str, str], expected: dict[str, str]) -> None:
    """The user's exceptions are kept, ours is added once, in the spellings that are in use."""
    told = variables(base=base)
    assert {name: value for name, value in told.items() if name.lower() == "no_proxy"} == expected


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:3456"),
        ("localhost", "http://127.0.0.1:3456"),
        ("::", "http://[::1]:3456"),
        ("192.168.1.5", "http://192.168.1.5:3456"),
    ],
)
def test_url(host: str, url: str) -> None:
    """The URL is one that this machine can reach, whatever the router is bound to; the proxy is told to leave it alone."""
    told = variables(host=host)
    assert told["ANTHROPIC_BASE_URL"] == url
    assert told["NO_PROXY"] in url


def test_environment_and_settings() -> None:
    """Process environment: removed variables are gone. Settings: blank, since settings cannot remove. Nothing else is lost."""
    base = {"PATH": "/bin", "ANTHROPIC_API_KEY": "sk-other", **dict.fromkeys(REMOVED, "1")}
    environ = claude_environment({"ANTHROPIC_API_KEY": ""}, base)
    assert environ == {"PATH": "/bin", "ANTHROPIC_API_KEY": ""}
    assert claude_settings({"A": "1"}) == {"env": {**dict.fromkeys(REMOVED, ""), "A": "1"}}
    assert claude_settings({}, status_line="ccr statusline")["statusLine"] == {
        "type": "command",
        "command": "ccr statusline",
        "padding": 0,
    }


@pytest.mark.parametrize(
    ("status_line", "expected"), [(None, False), ({}, False), ({"enabled": True}, True), ({"enabled": "true"}, True)]
)
def test_status_line(status_line, expected) -> None:
    """Wanted only where the config says so."""
    assert wants_status_line(status_line) is expected
