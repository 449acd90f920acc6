"""The official `openai` client through the router process, on both of its APIs, to providers of other dialects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.brain import GREETING
from tests.e2e.conftest import CLIENT_KEY, Road, Roads

MODEL = "any-model"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
FORECAST = {"Paris": "Paris: sunny for 3 days", "Lyon": "Lyon: sunny for 1 days"}
CALLS = [{"city": "Paris", "days": 3}, {"city": "Lyon"}]

streamed = pytest.mark.parametrize("is_streamed", [True, False], ids=["streamed", "whole"])


@pytest.fixture(params=["anthropic", "gemini"])
def taken(request: pytest.FixtureRequest, roads: Roads) -> Road:
    return roads.take(request.param)


@pytest.fixture
def client(taken: Road) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{taken.url}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        yield client


def complete(client: openai.OpenAI, messages: list[Any], *, is_streamed: bool) -> Any:
    """One chat completion."""
    function = {"name": "get_weather", "description": "The weather of a city", "parameters": PARAMETERS}
    more: dict[str, Any] = {
        "model": MODEL,
        "messages": messages,
        "tools": [{"type": "function", "function": function}],
    }
    if not is_streamed:
        return client.chat.completions.create(**more)
    with client.chat.completions.stream(**more, stream_options={"include_usage": True}) as stream:
        return stream.get_final_completion()


def respond(client: openai.OpenAI, items: list[Any], *, is_streamed: bool) -> Any:
    """One response."""
    tool = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": False}
    more: dict[str, Any] = {"model": MODEL, "input": items, "tools": [tool], "store": False}
    if not is_streamed:
        return client.responses.create(**more)
    with client.responses.stream(**more) as stream:
        return stream.get_final_response()


@streamed
def test_chat(client: openai.OpenAI, taken: Road, *, is_streamed: bool):
    """Chat: text and usage arrive, two parallel calls run, their results come back to them."""
    whole = complete(client, [{"role": "user", "content": "[[GREET]]"}], is_streamed=is_streamed)
    assert whole.choices[0].message.content == GREETING
    assert (whole.choices[0].finish_reason, whole.usage.prompt_tokens) == ("stop", 25)
    messages: list[Any] = [{"role": "user", "content": "[[WEATHER]]"}]
    first = complete(client, messages, is_streamed=is_streamed).choices[0]
    assert (first.finish_reason, first.message.content) == ("tool_calls", "Looking.")
    calls = first.message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == CALLS
    messages.append(first.message.model_dump(exclude_none=True))
    for call in reversed(calls):
        text = FORECAST[json.loads(call.function.arguments)["city"]]
        messages.append({"role": "tool", "tool_call_id": call.id, "content": text})
    assert complete(client, messages, is_streamed=is_streamed).choices[0].message.content == "Both sunny."
    assert not taken.brain.failures, taken.told()


@streamed
def test_responses(client: openai.OpenAI, taken: Road, *, is_streamed: bool):
    """Responses: the same, with thinking, whose seal comes back to its maker."""
    whole = respond(client, [{"role": "user", "content": "[[GREET]]"}], is_streamed=is_streamed)
    assert (whole.output_text, whole.status, whole.usage.input_tokens) == (GREETING, "completed", 25)
    items: list[Any] = [{"role": "user", "content": "[[WEATHER-THINKING]]"}]
    first = respond(client, items, is_streamed=is_streamed)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in calls] == CALLS
    assert [item for item in first.output if item.type == "reasoning"]
    unsent = {"parsed_arguments", "parsed"}
    items += [item.model_dump(exclude_none=True, exclude=unsent) for item in first.output]
    for call in reversed(calls):
        text = FORECAST[json.loads(call.arguments)["city"]]
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": text})
    assert respond(client, items, is_streamed=is_streamed).output_text == "Both sunny."
    assert not taken.brain.failures, taken.told()
