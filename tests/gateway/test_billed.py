"""The bill of an exchange: on record whatever way the answer took, added up where answers are, never the client's."""

from __future__ import annotations

import json

import pytest

from ccrouter.messages.events import Billed
from tests.gateway.conftest import provider, running
from tests.gateway.test_image_agent import HISTORY, LOOK, TOOLS, Minds
from tests.gateway.test_image_agent import config as sighted_config
from tests.upstream import Upstream, anthropic_wire, chat_wire, json_reply, sse_reply

MESSAGES = {
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_1h_input_tokens": 10},
    "server_tool_use": {"web_search_requests": 2},
    "output_tokens_details": {"thinking_tokens": 7},
    "cost": 0.0125,
}
CHAT = {"completion_tokens_details": {"reasoning_tokens": 7}, "cost": 0.0125}
#: Ways of an answer: what the client speaks, whether it streams, what the provider speaks.
WAYS = [
    ("/v1/messages", True, "anthropic"),
    ("/v1/messages", False, "anthropic"),
    ("/v1/messages", True, "openai"),
    ("/v1/messages", False, "openai"),
    ("/v1/chat/completions", True, "openai"),
    ("/v1/chat/completions", False, "openai"),
    ("/v1/chat/completions", True, "anthropic"),
]


def watched(router) -> list:
    seen, finish = [], router.app.finish
    router.app.finish = lambda exchange: (seen.append(exchange), finish(exchange))
    return seen


def answer_of(spoken: str, *, streamed: bool):
    if spoken == "anthropic":
        made = anthropic_wire.message_stream if streamed else anthropic_wire.message_json
        made = made("Hi", usage=MESSAGES)
    else:
        made = (chat_wire.chat_stream if streamed else chat_wire.chat_json)("Hi", usage=CHAT)
    return sse_reply(made) if streamed else json_reply(made)


@pytest.mark.parametrize("name", ["openrouter", "somebody"])
@pytest.mark.parametrize(("path", "streamed", "spoken"), WAYS)
async def test_on_record(path, streamed, spoken, name, upstream: Upstream, tmp_path):
    """Passed on or translated, streamed or whole: the record has the bill. What a provider says that it charged counts
    only from one that is known to say it in dollars.
    """
    tree = {"Providers": [provider(upstream, spoken, name=name)], "Router": {"default": f"{name},m1"}}
    upstream.reply(answer_of(spoken, streamed=streamed))
    async with running(tree, tmp_path) as router:
        seen = watched(router)
        body = {"model": "any", "max_tokens": 100, "stream": streamed, "messages": [{"role": "user", "content": "x"}]}
        async with router.client.post(router.url + path, json=body) as response:
            raw = await response.read()
            assert response.status == 200, raw
    (exchange,) = seen
    told = Billed(7, 10, 2) if spoken == "anthropic" else Billed(7)
    told.cost = 0.0125 if name == "openrouter" else None
    assert exchange.billed == told
    is_passed = (path == "/v1/messages") == (spoken == "anthropic")
    assert is_passed or b"0.0125" not in raw


async def test_rounds_of_the_image_agent(upstream: Upstream, tmp_path):
    """The rounds of a model that looks at images are one bill, and the viewer's answer has its tokens in its attempt."""
    usage = {"completion_tokens_details": {"reasoning_tokens": 3}}
    call = {"name": LOOK[1], "arguments": json.dumps(LOOK[2])}
    first = chat_wire.chat_json(None, None, (LOOK,), usage=usage)
    minds = Minds(json_reply(first), json_reply(chat_wire.chat_json("Red.", usage=usage)))
    upstream.always(minds)
    assert call["name"] == "analyzeImage"
    async with running(sighted_config(upstream), tmp_path) as router:
        seen = watched(router)
        status, _, raw = await router.ask(messages=HISTORY, tools=TOOLS)
        assert status == 200, raw
    (exchange,) = seen
    assert exchange.billed.thinking_tokens == 6
    assert exchange.usage.output_tokens == 24
    (looked,) = [one for one in exchange.attempts if one.target.endswith("(image)")]
    assert (looked.usage.input_tokens, looked.usage.output_tokens) == (25, 12)


@pytest.mark.parametrize("tells", [True, False])
async def test_an_answer_that_was_gone_on_with(tells, upstream: Upstream, tmp_path):
    """Two answers that make one message make one bill. If the one that was cut off had not come to saying what it
    costs, nobody knows what both cost.
    """
    usage = {"cache_creation": {"ephemeral_1h_input_tokens": 10}, "output_tokens_details": {"thinking_tokens": 2}}
    told = {**usage, "cost": 0.25}
    begun = anthropic_wire.message_stream("Hello wor", usage=told if tells else usage, size=3)
    del begun[-3:]  # cut in its text: the figures of message_start are all that was told
    rest = anthropic_wire.message_stream("ld.", usage=told)
    upstream.reply(sse_reply(begun), sse_reply(rest))
    one = provider(upstream, "anthropic", name="openrouter")
    tree = {"Providers": [one], "Router": {"default": "openrouter,m1"}, "resume": True, "retry": {"again": 1}}
    async with running(tree, tmp_path) as router:
        seen = watched(router)
        events = await router.stream()
    (exchange,) = seen
    assert (exchange.resumed, events[-1]["type"]) == (1, "message_stop")
    assert exchange.billed == Billed(4, 20, 0, 0.5 if tells else None)
