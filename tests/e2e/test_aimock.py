"""Somebody else's providers: `@copilotkit/aimock`, which has its own idea of each wire format, behind the router."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.e2e.conftest import config
from tests.e2e.installs import HERE, npm_package
from tests.e2e.router import Router

MODELS = [
    "anthropic,claude-sonnet-4-5",
    "chat,gpt-5-mini",
    "responses,gpt-5.2",
    "gemini,gemini-2.5-pro",
]
GREETING = "Hello 你好 🦜.\n\n\tIndented."
THOUGHT = "I must look ⚡ twice."
CALLS = [("get_weather", {"city": "Paris 蓝", "days": 3}), ("get_weather", {"city": "Lyon"})]
TOOL: Any = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "exclusiveMinimum": 0}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    """The URL of a running aimock."""
    program = npm_package("aimock") / "node_modules/.bin/llmock"
    command = [str(program), "-p", "0", "-f", str(HERE / "fixtures/aimock.json"), "--validate-on-load", "--strict"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if "listening on " in line:
                break
        assert told, "aimock said nothing"
        assert "listening on " in told[-1], told
        try:
            yield told[-1].rpartition("listening on ")[2].strip()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def client(mock: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[anthropic.Anthropic]:
    """The official client, of the router in front of aimock."""
    with (
        Router(config("aimock", mock), tmp_path_factory.mktemp("router"), {"MOCK_KEY": "a-key-of-the-mock"}) as router,
        anthropic.Anthropic(base_url=router.url, api_key="any", max_retries=0) as client,
    ):
        yield client


def ask(client: anthropic.Anthropic, model: str, messages: list[Any], *, streamed: bool) -> anthropic.types.Message:
    more: dict[str, Any] = {"model": model, "max_tokens": 4000, "messages": messages, "tools": [TOOL]}
    if not streamed:
        return client.messages.create(**more)
    with client.messages.stream(**more) as stream:
        return stream.get_final_message()


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("model", MODELS)
def test_text(client: anthropic.Anthropic, model: str, *, streamed: bool):
    """Text arrives character for character, under the model that was asked for."""
    message = ask(client, model, [{"role": "user", "content": "greet"}], streamed=streamed)
    assert [block.text for block in message.content if block.type == "text"] == [GREETING]
    assert (message.model, message.stop_reason) == (model, "end_turn")


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("model", MODELS)
def test_tool_loop(client: anthropic.Anthropic, model: str, *, streamed: bool):
    """Thinking, text and two parallel calls come in order; what the tools said reaches the model, and it concludes."""
    opening: Any = {"role": "user", "content": "weather"}
    first = ask(client, model, [opening], streamed=streamed)
    assert [block.type for block in first.content] == ["thinking", "text", "tool_use", "tool_use"]
    thinking, text, *calls = first.content
    assert (thinking.thinking, text.text) == (THOUGHT, "Looking 🔎.")
    assert [(call.name, call.input) for call in calls] == CALLS
    assert len({call.id for call in calls}) == 2
    assert first.stop_reason == "tool_use"
    said = ["Paris: sun", "Lyon: rain"]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": words}
        for call, words in zip(calls, said, strict=True)
    ]
    spoken: Any = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]}
    last = ask(client, model, [opening, spoken, {"role": "user", "content": results}], streamed=streamed)
    assert [block.text for block in last.content if block.type == "text"] == ["Sun and rain."]
    assert last.stop_reason == "end_turn"


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("model", MODELS)
def test_refusal(client: anthropic.Anthropic, model: str, *, streamed: bool):
    """429 stays 429, in the mock's words."""
    with pytest.raises(anthropic.RateLimitError, match="Rate limit of the mock"):
        ask(client, model, [{"role": "user", "content": "busy"}], streamed=streamed)
