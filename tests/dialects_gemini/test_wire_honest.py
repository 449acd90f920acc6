"""The scripted Gemini is no invention of ours: Google's own SDK reads it, and writes what it expects."""

from __future__ import annotations

import base64
import json
import re

import pytest
from google import genai
from google.genai import errors, types

from ccrouter.dialects.gemini import DIALECT
from ccrouter.messages.events import render
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader
from tests.dialects.chat_law import folded
from tests.dialects_gemini.casefile import make_target, read_request
from tests.dialects_gemini.law import check_request
from tests.upstream import ThreadedUpstream, json_reply, sse_reply
from tests.upstream.gemini_wire import (
    SIGNATURE,
    blocked_json,
    error_frame,
    error_json,
    gemini_json,
    gemini_stream,
    usage_of,
)

CALLS = [("call_1", "Read", {"path": "/ä"}), ("call_2", "Grep", {"n": [1, 2.5, None]})]
SAID = {"text": "Reading two. 🦜", "thinking": "**Plan** it.", "tools": CALLS}
USAGE = {"promptTokenCount": 100, "cachedContentTokenCount": 20, "candidatesTokenCount": 7, "thoughtsTokenCount": 5}


@pytest.fixture(scope="module")
def server():
    with ThreadedUpstream() as upstream:
        yield upstream


@pytest.fixture
def client(server):
    client = genai.Client(api_key="AIzaScripted", http_options=types.HttpOptions(base_url=server.url))
    yield client
    client.close()


def ask(client, **config):
    return {"model": "gemini-3-pro-preview", "contents": "hello", "config": types.GenerateContentConfig(**config)}


def camel(value):
    """`value` with its members' names as they are documented: the server takes them in either form."""
    if isinstance(value, dict):
        return {re.sub(r"_(.)", lambda match: match[1].upper(), name): camel(inner) for name, inner in value.items()}
    return [camel(inner) for inner in value] if isinstance(value, list) else value


def test_stream(client, server):
    """The SDK finds in the streamed answer every thought, text, call, signature and figure that was scripted."""
    server.reply(sse_reply(gemini_stream(**SAID, usage=USAGE)))
    answers = list(client.models.generate_content_stream(**ask(client)))
    contents = [answer.candidates[0].content for answer in answers]
    parts = [part for content in contents if content for part in content.parts or ()]
    assert "".join(part.text for part in parts if part.thought) == SAID["thinking"]
    assert "".join(part.text for part in parts if part.text and not part.thought) == SAID["text"]
    calls = [part for part in parts if part.function_call]
    assert [(part.function_call.id, part.function_call.name, part.function_call.args) for part in calls] == CALLS
    assert calls[0].thought_signature == base64.b64decode(SIGNATURE)
    assert calls[1].thought_signature is None
    assert answers[-1].candidates[0].finish_reason is types.FinishReason.STOP
    usage = answers[-1].usage_metadata
    assert usage.total_token_count == 112
    assert (usage.cached_content_token_count, usage.thoughts_token_count) == (20, 5)
    assert answers[-1].model_version == "gemini-3-pro-preview"
    asked = server.requests[-1]
    assert asked.target.endswith("/models/gemini-3-pro-preview:streamGenerateContent?alt=sse")
    assert asked.headers["x-goog-api-key"] == "AIzaScripted"


def test_body(client, server):
    """And in the unstreamed one."""
    server.reply(json_reply(gemini_json("Hello.", "Plan.", usage=USAGE)))
    answer = client.models.generate_content(**ask(client))
    assert answer.text == "Hello."
    thought, text = answer.candidates[0].content.parts
    assert thought.thought
    assert text.thought_signature == base64.b64decode(SIGNATURE)
    assert server.requests[-1].path.endswith("/models/gemini-3-pro-preview:generateContent")


def test_blocked_and_failed(client, server):
    """Blocked prompts, error answers and errors within a stream are what the SDK takes them for."""
    server.reply(
        json_reply(blocked_json()),
        json_reply(error_json("Busy", 503, "UNAVAILABLE"), 503),
        sse_reply([*gemini_stream("Hi", finish=None), error_frame("Busy")]),
    )
    blocked = client.models.generate_content(**ask(client))
    assert blocked.prompt_feedback.block_reason is types.BlockedReason.PROHIBITED_CONTENT
    assert not blocked.candidates
    with pytest.raises(errors.ServerError) as failed:
        client.models.generate_content(**ask(client))
    assert (failed.value.code, failed.value.status) == (503, "UNAVAILABLE")
    with pytest.raises(errors.ServerError):
        list(client.models.generate_content_stream(**ask(client)))


def test_usage_adds_up():
    """The total is the sum that the SDK's documentation says it is."""
    counts = usage_of({"toolUsePromptTokenCount": 3, "thoughtsTokenCount": 4, "cachedContentTokenCount": 9})
    assert counts["totalTokenCount"] == 25 + 12 + 3 + 4


def test_sdk_requests_are_lawful(client, server):
    """The law that our requests are held to lets pass what the SDK itself sends, and our encoder sends the same members:
    the law is not of our own making.
    """
    server.reply(json_reply(gemini_json("ok")))
    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    declared = types.FunctionDeclaration(name="Read", description="r", parameters_json_schema=schema)
    client.models.generate_content(
        **ask(
            client,
            system_instruction="Be.",
            max_output_tokens=5096,
            top_p=0.9,
            stop_sequences=["END"],
            tools=[types.Tool(function_declarations=[declared])],
            tool_config=types.ToolConfig(
                function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["Read"])
            ),
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level="LOW"),
        )
    )
    theirs = camel(server.requests[-1].json())
    theirs["systemInstruction"].pop("role")
    check_request(theirs)
    request = read_request(
        system="Be.",
        max_tokens=5096,
        top_p=0.9,
        stop_sequences=["END"],
        tools=[{"name": "Read", "description": "r", "input_schema": schema}],
        tool_choice={"type": "tool", "name": "Read"},
        thinking={"type": "adaptive"},
        output_config={"effort": "low"},
    )
    assert theirs == json.loads(DIALECT.encode(request, make_target(), {}).body)


@pytest.mark.parametrize("split", [None, "bytes", "whole"])
def test_our_reader_agrees_with_the_sdk(split):
    """What our reader makes of the script is what was scripted, with the signature kept for its call."""
    target = make_target()
    sent = DIALECT.encode(read_request(stream=True), target, {})
    reader = DIALECT.reader(sent, target, MessageWriter(id="m", model="asked"))
    events, sse = [], SseReader()
    reply = sse_reply(gemini_stream(**SAID, usage=USAGE), split=split)
    for step in reply.steps:
        for event in sse.feed(step):
            events += reader.feed(event)
    for event in sse.close():
        events += reader.feed(event)
    events += reader.close()
    message = folded(events)
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "thinking", "tool_use", "tool_use"]
    assert message["content"][1]["text"] == SAID["text"]
    assert [(block["id"], block["name"], block["input"]) for block in message["content"][3:]] == CALLS
    assert message["usage"] == {
        "input_tokens": 80, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 20, "output_tokens": 12,
    }  # fmt: skip
    assert all(render(event) for event in events)
