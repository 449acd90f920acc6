"""Transforms in a running router: what goes out on the wire, and what the client gets, streamed and not."""

from __future__ import annotations

import json

import pytest

from ccrouter.config.load import load
from ccrouter.errors import ConfigError
from tests.gateway.conftest import events_of, provider, running, text_of, upstream
from tests.upstream import Upstream, chat_wire, json_reply, sse_reply
from tests.upstream import anthropic_wire as wire

__all__ = ["upstream"]  # a fixture, asked for by name

TOOLS = [{"name": "Read", "input_schema": {"type": "object", "properties": {}}}]
EXIT = ("call_1", "ExitTool", {"response": "Done, 🙂"})


def one(upstream: Upstream, dialect: str, **more) -> dict:
    """A configuration of one provider, whose m1 is the default."""
    return {"Providers": [provider(upstream, dialect, **more)], "Router": {"default": f"{dialect},m1"}}


@pytest.mark.parametrize(
    ("options", "sent", "left"),
    [
        ({"UseBearer": True}, "authorization", "x-api-key"),
        ({"UseBearer": False}, "x-api-key", "authorization"),
    ],
)
async def test_bearer(upstream: Upstream, tmp_path, options, sent, left):
    """T22: `UseBearer` says in which of the two headers a Messages provider gets the key, and it is in no other."""
    config = one(upstream, "anthropic", transformer={"use": [["Anthropic", options]]})
    upstream.reply(json_reply(wire.message_json("ok")))
    async with running(config, tmp_path) as router:
        assert (await router.ask(headers={"x-api-key": "mine", "authorization": "Bearer mine"}))[0] == 200
    headers = upstream.requests[0].headers
    assert config["Providers"][0]["api_key"] in headers[sent]
    assert left not in headers
    assert headers[sent].startswith("Bearer ") == options["UseBearer"]


def test_unknown_and_empty(tmp_path):
    """T22: an unknown transformer is an error at start that says what was meant; an empty key is none for a local server."""
    path = tmp_path / "config.json"
    config = {
        "Providers": [{"name": "p", "api_base_url": "http://127.0.0.1:9/v1/chat/completions", "api_key": "", "models": ["m"], "transformer": {"use": ["tool-use"]}}],
        "Router": {"default": "p,m"},
    }  # fmt: skip
    path.write_text(json.dumps(config))
    with pytest.raises(ConfigError, match='no transformer is called "tool-use"') as refused:
        load(path, {})
    assert refused.value.problems[0].path == "Providers[0].transformer.use[0]"
    assert refused.value.problems[0].hint == 'did you mean "tooluse"?'
    config["Providers"][0]["transformer"]["use"] = ["tooluse"]
    path.write_text(json.dumps(config))
    assert load(path, {}).providers[0].key is None


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_exit_of_a_messages_endpoint(upstream: Upstream, tmp_path, is_streamed):
    """A Messages endpoint, whose bytes pass otherwise: its exit is text, streamed and not, and the turn has ended."""
    config = one(upstream, "anthropic", transformer={"use": ["tooluse"]})
    upstream.reply(
        sse_reply(wire.message_stream(None, tools=[EXIT], stop_reason="tool_use"), split="bytes")
        if is_streamed
        else json_reply(wire.message_json(None, tools=[EXIT], stop_reason="tool_use"))
    )
    async with running(config, tmp_path) as router:
        if is_streamed:
            events = await router.stream(tools=TOOLS)
            assert text_of(events) == EXIT[2]["response"]
            assert [event["delta"]["stop_reason"] for event in events if event["type"] == "message_delta"] == [
                "end_turn"
            ]
        else:
            message = json.loads((await router.ask(tools=TOOLS))[2])
            assert [(block["type"], block["text"]) for block in message["content"]] == [("text", EXIT[2]["response"])]
            assert message["stop_reason"] == "end_turn"
    sent = json.loads(upstream.requests[0].body)
    assert sent["tool_choice"] == {"type": "any"}
    assert [tool["name"] for tool in sent["tools"]] == ["Read", "ExitTool"]


async def test_bytes_pass_where_nothing_is_to_do(upstream: Upstream, tmp_path):
    """With the same transform a request without tools goes and comes as it is, byte for byte."""
    config = one(upstream, "anthropic", transformer={"use": ["tooluse", "maxtoken", "cleancache"]})
    config["Providers"][0]["transformer"]["use"][1] = ["maxtoken", {"max_tokens": 5000}]
    frames = wire.message_stream("Hello", thinking="hm")
    upstream.reply(sse_reply(frames, split=5))
    body = b'{"model":"m1","max_tokens":100, "messages":[{"role":"user","content":[{"type":"hologram","n":1.50}]}],"stream":true}'
    async with (
        running(config, tmp_path) as router,
        router.client.post(f"{router.url}/v1/messages", data=body) as answer,
    ):
        assert await answer.read() == b"".join(frames)
    assert upstream.requests[0].body == body.replace(b', "messages"', b',"messages"')


async def test_a_chain_of_both_levels(upstream: Upstream, tmp_path):
    """Provider and model level together: the limit is lowered, thinking in tags is thinking, broken arguments are mended."""
    transformer = {
        "use": [["maxtoken", {"max_tokens": 50}], "enhancetool"],
        "m1": {"use": [["extrathinktag", {"tag": "why"}], ["customparams", {"seed": 3}]]},
    }
    chunks = [
        chat_wire.chunk({"role": "assistant", "content": "<why>be"}),
        chat_wire.chunk({"content": "cause</why>So:"}),
        chat_wire.chunk(
            {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "Read", "arguments": "{'p': "}}]}
        ),
        chat_wire.chunk({"tool_calls": [{"index": 0, "function": {"arguments": "'a'}"}}]}),
        chat_wire.chunk({}, "tool_calls"),
    ]
    upstream.reply(sse_reply([*chunks, b"data: [DONE]\n\n"], split="bytes"))
    async with running(one(upstream, "openai", transformer=transformer), tmp_path) as router:
        _, _, raw = await router.ask(tools=TOOLS, stream=True)
    events = events_of(raw)
    starts = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert starts == ["thinking", "text", "tool_use"]
    pieces = [event["delta"].get("partial_json", "") for event in events if event["type"] == "content_block_delta"]
    assert json.loads("".join(pieces)) == {"p": "a"}
    sent = json.loads(upstream.requests[0].body)
    assert (sent["max_completion_tokens"], sent["seed"]) == (50, 3)
