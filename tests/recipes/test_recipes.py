"""The recipes that users of the classic router have, as they are written, each through the whole router to a provider of
that kind at its own address.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import msgspec
import pytest

from ccrouter.config.load import load
from tests.gateway.conftest import running
from tests.recipes.providers import RECIPES, SAYS, THOUGHTS, Model, Recipe
from tests.recipes.world import World

FILE = Path(__file__).with_name("recipes.json")
WRITTEN = msgspec.json.decode(FILE.read_bytes())
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
SYSTEM: Any = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]


def test_they_load():
    """The file loads as it is, and nothing is said to be left out, ignored or not done."""
    config = load(FILE, {})
    assert config.warnings == ()
    assert config.unavailable == {}
    assert {provider.name for provider in config.providers} >= {provider["name"] for provider in WRITTEN["Providers"]}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's way out."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.provider}-{recipe.model.rpartition('/')[2]}")
async def test_recipe(recipe: Recipe, *, streamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A tool loop of three turns, with thinking, works; each request is one that this provider takes, at its own path and
    with its key; what the model wrote arrives as the client's own protocol, character for character.
    """
    written = next(each for each in WRITTEN["Providers"] if each["name"] == recipe.provider)
    address = urlsplit(written["api_base_url"])
    port = address.port or 443
    model = Model(recipe)
    async with World(address.scheme, address.hostname or "", port, tmp_path, monkeypatch) as world:
        world.always(model)
        async with (
            running(FILE.read_text(), tmp_path) as router,
            anthropic.AsyncAnthropic(base_url=router.url, api_key="any", max_retries=0) as client,
        ):
            await converse(client, f"{recipe.provider},{recipe.model}", model, streamed=streamed)
    assert not model.complaints, "\n".join(model.complaints)
    assert len(world.requests) == len(SAYS)


async def converse(client: anthropic.AsyncAnthropic, asked: str, model: Model, *, streamed: bool) -> None:
    """The user asks, tools are run, until the model has nothing to call."""
    recipe = model.recipe
    messages: list[Any] = [{"role": "user", "content": "What is the weather?"}]
    for step, (text, tools) in enumerate(SAYS):
        answer = await ask(client, asked, messages, recipe, streamed=streamed)
        assert not model.complaints, "\n".join(model.complaints)
        assert answer.model == asked
        thoughts = [block.thinking for block in answer.content if block.type == "thinking" and block.thinking]
        assert thoughts == ([THOUGHTS[step]] if model.thought[-1] else [])
        assert "".join(block.text for block in answer.content if block.type == "text") == (text or "")
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert [(call.name, call.input) for call in calls] == [(name, given) for _, name, given in tools]
        assert len({call.id for call in calls}) == len(calls)
        assert answer.stop_reason == ("tool_use" if tools else "end_turn")
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (25, 12)
        said = [block.model_dump(exclude_none=True) for block in answer.content]
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.input['city']}: sun"} for call in calls
        ]
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": results}]


async def ask(
    client: anthropic.AsyncAnthropic, asked: str, messages: list[Any], recipe: Recipe, *, streamed: bool
) -> Any:
    thinking: Any = {"type": "enabled", "budget_tokens": 2048} if recipe.asks_thinking else {"type": "disabled"}
    more: dict[str, Any] = {
        "model": asked,
        "max_tokens": 100_000,
        "messages": messages,
        "system": SYSTEM,
        "tools": [TOOL],
        "thinking": thinking,
        "timeout": 30,
    }
    if not streamed:
        return await client.messages.create(**more)
    async with client.messages.stream(**more) as stream:
        return await stream.get_final_message()
