"""Reasoning state through a client and back: what a provider sent comes back to it, and to nobody else."""

from __future__ import annotations

import json

import pytest

from ccrouter.dialects.openai_chat import DIALECT
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from tests.dialects.casefile import BASE, make_target
from tests.dialects.chat_law import folded


def answer(target, message, finish="tool_calls"):
    """The Messages answer that a client keeps of an unstreamed Chat `message`."""
    request = DIALECT.encode(MessagesRequest.read(json.dumps(BASE).encode()), target, {})
    reader = DIALECT.reader(request, target, MessageWriter(id="msg_1", model="asked"))
    body = {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "model": "m"}
    return folded(reader.feed_body(json.dumps(body).encode()) + reader.close())


def next_turn(target, content):
    """The assistant message that is sent on the turn after, every call answered, and the losses."""
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
        for block in content
        if block["type"] == "tool_use"
    ]
    request = {
        **BASE,
        "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": content},
            {"role": "user", "content": [*results, {"type": "text", "text": "on"}]},
        ],
    }
    sent = DIALECT.encode(MessagesRequest.read(json.dumps(request).encode()), target, {})
    return json.loads(sent.body)["messages"][1], sent.losses


CALL = {"id": "functions.Read:0", "type": "function", "function": {"name": "Read", "arguments": '{"x": 1}'}}
DETAILS = [
    {"type": "reasoning.summary", "summary": "Plan.", "format": "openai-responses-v1", "index": 0, "id": None},
    {"type": "reasoning.text", "text": "let me", "signature": "SIG", "format": "anthropic-claude-v1", "index": 1},
    {"type": "reasoning.encrypted", "data": "AAAA", "id": "rs_1", "format": "openai-responses-v1", "index": 2},
]


def test_openrouter_details_come_back_unmodified():
    """reasoning_details come back in order and unmodified; calls with the ids that their maker gave."""
    target = make_target("openrouter anthropic/claude-sonnet-5")
    message = answer(
        target, {"content": None, "reasoning": "Plan.let me", "reasoning_details": DETAILS, "tool_calls": [CALL]}
    )
    sent, losses = next_turn(target, message["content"])
    assert sent["reasoning_details"] == DETAILS
    assert sent["tool_calls"] == [CALL]
    assert losses == ()


def test_text_of_thinking_is_carried_once():
    """A signature does not repeat what the thinking block itself says."""
    target = make_target("openrouter anthropic/claude-sonnet-5")
    long = "thought " * 500
    details = [{"type": "reasoning.text", "text": long, "signature": "SIG", "index": 0}]
    message = answer(target, {"content": "Yes", "reasoning": long, "reasoning_details": details}, "stop")
    assert len(message["content"][0]["signature"]) < 300
    assert next_turn(target, message["content"])[0]["reasoning_details"] == details


@pytest.mark.parametrize("other", ["openrouter x/y", "local m1", "openai gpt-5", "gemini gemini-3-pro"])
def test_state_goes_to_its_maker_only(other):
    """DeepSeek's thinking is not shown to another provider: it is left out, and told as a loss."""
    message = answer(
        make_target("deepseek deepseek-reasoner"),
        {"content": None, "reasoning_content": "secret plan", "tool_calls": [CALL]},
    )
    sent, losses = next_turn(make_target(other), message["content"])
    assert "secret plan" not in json.dumps(sent)
    assert [loss.path for loss in losses if loss.path != "max_tokens"] == ["messages[1].content[0]"]


def test_deepseek_gets_its_reasoning_over_three_turns():
    """Every assistant message with calls brings its own reasoning_content, also those of earlier turns."""
    target = make_target("deepseek deepseek-reasoner")
    messages = [{"role": "user", "content": "go"}]
    for number in range(3):
        call = {"id": f"call_{number}", "type": "function", "function": {"name": "Read", "arguments": "{}"}}
        got = answer(target, {"content": None, "reasoning_content": f"thought {number}", "tool_calls": [call]})
        messages += [
            {"role": "assistant", "content": got["content"]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"call_{number}", "content": "ok"}]},
        ]
        sent = json.loads(
            DIALECT.encode(MessagesRequest.read(json.dumps({**BASE, "messages": messages}).encode()), target, {}).body
        )
        replayed = [message.get("reasoning_content") for message in sent["messages"] if message["role"] == "assistant"]
        assert replayed == [f"thought {turn}" for turn in range(number + 1)]


def test_gemini_signatures_stay_on_their_calls():
    """thought_signature comes back on the call it came with; parallel calls without one stay without."""
    target = make_target("gemini gemini-3-pro")
    first = {**CALL, "extra_content": {"google": {"thought_signature": "SIG=="}}}
    second = {"id": "b", "type": "function", "function": {"name": "Grep", "arguments": "{}"}}
    message = answer(target, {"content": None, "tool_calls": [first, second]}, "stop")
    sent, _ = next_turn(target, message["content"])
    assert sent["tool_calls"] == [first, second]


@pytest.mark.parametrize(
    "id", ["call_1", "functions.Read:0", "chatcmpl-tool-" + "a" * 32, "日本", "x" * 300, "ccrid_!!"]
)
def test_ids_come_back_to_their_maker(id):  # noqa: A002 - the protocol's own word
    """Any id of a provider is fit for Anthropic on the way out and itself again on the way back."""
    target = make_target()
    message = answer(target, {"content": None, "tool_calls": [{**CALL, "id": id}]})
    given = message["content"][0]["id"]
    assert given.isascii()
    assert all(letter.isalnum() or letter in "_-" for letter in given)
    sent, _ = next_turn(target, message["content"])
    if len(id) <= 256:
        assert sent["tool_calls"][0]["id"] == id
    else:
        assert len(sent["tool_calls"][0]["id"]) == 256


def test_foreign_arguments_of_ours_are_refused_quietly():
    """A damaged signature is nobody's: the thinking is a loss, not an error."""
    target = make_target()
    content = [
        {"type": "thinking", "thinking": "x", "signature": "ccr1:openai_chat:bG9jYWw:!!!"},
        {"type": "text", "text": "y"},
    ]
    sent, losses = next_turn(target, content)
    assert sent == {"role": "assistant", "content": "y"}
    assert len(losses) == 1
