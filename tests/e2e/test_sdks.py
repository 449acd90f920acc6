"""The official SDKs, two major versions each: straight to the scripted model (the control), and through the router."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.brain import GREETING, SIGNATURE, THOUGHT
from tests.e2e.conftest import CLIENT_KEY, Road
from tests.e2e.installs import HERE, npm_package, python_package

MODEL = "claude-opus-5-5"
LIMIT = 60
PARIS = {"city": "Paris", "days": 3}
PLAIN = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
]


class Sdk:
    """One installed SDK: `ask(road, check)` runs that check of its script and gives the outcome."""

    def __init__(self, command: list[str]) -> None:
        self.command = command

    def ask(self, road: Road, check: str, model: str = MODEL) -> dict[str, Any]:
        done = subprocess.run(
            [*self.command, road.url, CLIENT_KEY, check, model],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, f"{done.stderr[-4000:]}\n{road.told()}"
        assert not road.brain.failures, f"{done.stdout}\n{road.told()}"
        outcome: dict[str, Any] = json.loads(done.stdout)
        return outcome


SDKS = ["python-2", "python-0", "typescript-1", "typescript-0"]


def installed(name: str) -> Sdk:
    language, _, major = name.partition("-")
    if language == "python":
        return Sdk([str(python_package(f"anthropic-{major}")), str(HERE / "scripts/sdk.py")])
    return Sdk(["node", str(HERE / "scripts/sdk.mjs"), str(npm_package(f"sdk-{major}"))])


@pytest.fixture(params=SDKS)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return installed(request.param)


@pytest.fixture(params=SDKS[:2])
def python(request: pytest.FixtureRequest) -> Sdk:
    return installed(request.param)


def is_greeting(message: dict[str, Any]) -> None:
    assert [block["text"] for block in message["content"]] == [GREETING]
    assert message["stop_reason"] == "end_turn"
    assert message["model"] == MODEL
    assert message["usage"]["input_tokens"] == 25
    assert message["usage"]["output_tokens"] == 12


def in_order(kinds: list[str]) -> list[str]:
    """The event types, pings and the SDK's own events left out, repeated deltas once."""
    known = [kind for kind in kinds if kind in PLAIN]
    return [kind for at, kind in enumerate(known) if at == 0 or kind != known[at - 1]]


def told_twice(outcome: dict[str, Any]) -> list[dict[str, Any]]:
    """Both answers of a tool conversation: two calls with their inputs, then the conclusion."""
    first, last = outcome["answers"]
    calls = [block for block in first["content"] if block["type"] == "tool_use"]
    assert [(call["name"], call["input"]) for call in calls] == [
        ("get_weather", PARIS),
        ("get_weather", {"city": "Lyon"}),
    ]
    assert first["stop_reason"] == "tool_use"
    assert [block["text"] for block in last["content"] if block["type"] == "text"] == ["Both sunny."]
    return [first, last]


def test_create(sdk: Sdk, road: Road):
    """A message asked for whole arrives whole, under the name that was asked for, with its usage."""
    is_greeting(sdk.ask(road, "create")["message"])


def test_stream(sdk: Sdk, road: Road):
    """The stream helper sees every event in order and folds the same message."""
    outcome = sdk.ask(road, "stream")
    is_greeting(outcome["message"])
    assert in_order(outcome["kinds"]) == PLAIN


@pytest.mark.parametrize("check", ["tools", "tools_stream"])
def test_tools(sdk: Sdk, road: Road, check: str):
    """Two parallel calls, results given in the other order, and the answer to both."""
    told_twice(sdk.ask(road, check))


def test_tool_runner(sdk: Sdk, road: Road):
    """The tool runner finishes; where it opens with a message thread it is told so and recovers by itself."""
    told_twice(sdk.ask(road, "tool_runner"))


def test_thinking(sdk: Sdk, road: Road):
    """Thinking comes as a signed thinking block, and goes back to whoever can read it."""
    first, _ = told_twice(sdk.ask(road, "thinking_stream"))
    thought = first["content"][0]
    assert (thought["type"], thought["thinking"]) == ("thinking", THOUGHT)
    if road.route != "chat":
        assert thought["signature"] == SIGNATURE


def test_refusal_of_a_busy_provider(sdk: Sdk, road: Road):
    """429 stays 429: the SDK's own error class, the provider's words, and its retry-after."""
    outcome = sdk.ask(road, "refused")
    assert (outcome["kind"], outcome["status"]) == ("RateLimitError", 429)
    assert outcome["body"]["type"] == "error"
    assert outcome["body"]["error"]["type"] == "rate_limit_error"
    assert "tokens per minute" in outcome["body"]["error"]["message"]
    assert int(outcome["retry_after"]) in range(1, 8)


def test_broken_stream_is_an_error(sdk: Sdk, road: Road):
    """A stream the provider cut short never looks like a finished answer."""
    outcome = sdk.ask(road, "broken_stream")
    assert outcome["kind"] != "none", outcome


def test_raw_stream(python: Sdk, road: Road):
    """`stream=True` without the helper yields the protocol's events and ends."""
    assert in_order(python.ask(road, "raw_stream")["kinds"]) == PLAIN


def test_async_client(python: Sdk, road: Road):
    """The asynchronous client gets the same message, whole and streamed."""
    is_greeting(python.ask(road, "async_create")["message"])
    outcome = python.ask(road, "async_stream")
    is_greeting(outcome["message"])
    assert in_order(outcome["kinds"]) == PLAIN


def test_count_tokens(python: Sdk, road: Road):
    """Tokens are counted, with or without help of the provider."""
    assert python.ask(road, "count_tokens")["input_tokens"] > 0


def test_models(python: Sdk, routed: Road):
    """The model list pages as the API's does, and names what the config names."""
    listed = python.ask(routed, "models")["models"]
    assert all(model["type"] == "model" and model["display_name"] and model["created_at"] for model in listed)
    told = " ".join(model["id"] for model in listed)
    assert "scripted-large" in told
    assert "vendor/model-b:free" in told


def test_route_is_told(python: Sdk, routed: Road):
    """The response headers name the route and the model that answered."""
    headers = {name.lower(): value for name, value in python.ask(routed, "create")["headers"].items()}
    assert headers["x-ccr-route"].startswith("default")
    assert "scripted-large" in headers["x-ccr-model"]
