"""Run by an interpreter that has the official Python SDK: one check by name, its outcome as JSON on stdout.

Arguments: base URL, key, check, model. It prints facts; what they must be is judged by the test.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import anthropic
from anthropic import Anthropic, AsyncAnthropic, beta_tool

URL, KEY, CHECK, MODEL = sys.argv[1:5]
WEATHER = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}
ASKED: dict[str, Any] = {"model": MODEL, "max_tokens": 1000}


def sync_client() -> Anthropic:
    return Anthropic(base_url=URL, api_key=KEY, max_retries=0)


def async_client() -> AsyncAnthropic:
    return AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0)


def prompt(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def facts(message: Any) -> dict[str, Any]:
    return json.loads(message.model_dump_json())


def create() -> dict[str, Any]:
    answer = sync_client().messages.with_raw_response.create(**ASKED, messages=prompt("[[GREET]]"))
    return {"message": facts(answer.parse()), "headers": dict(answer.headers)}


def stream() -> dict[str, Any]:
    with sync_client().messages.stream(**ASKED, messages=prompt("[[GREET]]")) as events:
        kinds = [event.type for event in events]
        return {"message": facts(events.get_final_message()), "kinds": kinds}


def raw_stream() -> dict[str, Any]:
    events = sync_client().messages.create(**ASKED, messages=prompt("[[GREET]]"), stream=True)
    return {"kinds": [event.type for event in events]}


def thinking_stream() -> dict[str, Any]:
    more = {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "tools": [WEATHER],
        **ASKED,
        "max_tokens": 4000,
    }
    messages = prompt("[[WEATHER-THINKING]]")
    return tool_loop(messages, more, streamed=True)


def tool_loop(messages: list[dict[str, Any]], more: dict[str, Any], *, streamed: bool) -> dict[str, Any]:
    client = sync_client()
    answers = []
    for _ in range(5):
        if streamed:
            with client.messages.stream(**more, messages=messages) as events:
                message = events.get_final_message()
        else:
            message = client.messages.create(**more, messages=messages)
        answers.append(facts(message))
        if message.stop_reason != "tool_use":
            break
        messages.append({"role": "assistant", "content": message.content})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": weather(**block.input)}
            for block in message.content
            if block.type == "tool_use"
        ]
        messages.append({"role": "user", "content": results[::-1]})  # completion order is not call order
    return {"answers": answers}


def weather(city: str, days: int = 1) -> str:
    return f"{city}: sunny for {days} days"


def tools() -> dict[str, Any]:
    return tool_loop(prompt("[[WEATHER]]"), {**ASKED, "tools": [WEATHER]}, streamed=False)


def tools_stream() -> dict[str, Any]:
    return tool_loop(prompt("[[WEATHER]]"), {**ASKED, "tools": [WEATHER]}, streamed=True)


def tool_runner() -> dict[str, Any]:
    @beta_tool
    def get_weather(city: str, days: int = 1) -> str:
        """Weather of a city.

        Args:
            city: Its name.
            days: How many.
        """
        return weather(city, days)

    runner = sync_client().beta.messages.tool_runner(**ASKED, messages=prompt("[[WEATHER]]"), tools=[get_weather])
    return {"answers": [facts(message) for message in runner]}


def refused() -> dict[str, Any]:
    try:
        sync_client().messages.create(**ASKED, messages=prompt("[[REFUSE-BUSY]]"))
    except anthropic.APIStatusError as error:
        return {
            "kind": type(error).__name__,
            "status": error.status_code,
            "body": error.body,
            "retry_after": error.response.headers.get("retry-after"),
        }
    return {"kind": "none"}


def broken_stream() -> dict[str, Any]:
    try:
        with sync_client().messages.stream(**ASKED, messages=prompt("[[BREAK]]")) as events:
            text = "".join(events.text_stream)
    except anthropic.APIStatusError as error:
        return {"kind": type(error).__name__, "body": error.body}
    except Exception as error:  # noqa: BLE001  # whatever it is, the test judges it
        return {"kind": type(error).__name__, "words": str(error)}
    return {"kind": "none", "text": text}


def count_tokens() -> dict[str, Any]:
    counted = sync_client().messages.count_tokens(model=MODEL, messages=prompt("Hello there"), tools=[WEATHER])
    return facts(counted)


def models() -> dict[str, Any]:
    return {"models": [facts(model) for model in sync_client().models.list()]}


async def async_create() -> dict[str, Any]:
    async with async_client() as client:
        return {"message": facts(await client.messages.create(**ASKED, messages=prompt("[[GREET]]")))}


async def async_stream() -> dict[str, Any]:
    async with (
        async_client() as client,
        client.messages.stream(**ASKED, messages=prompt("[[GREET]]")) as events,
    ):
        kinds = [event.type async for event in events]
        return {"message": facts(await events.get_final_message()), "kinds": kinds}


def main() -> None:
    outcome = globals()[CHECK]()
    if asyncio.iscoroutine(outcome):
        outcome = asyncio.run(outcome)
    print(json.dumps(outcome))


main()
