"""Reasoning through a client and back: what a provider sent comes back to it unmodified, and to nobody else."""

from __future__ import annotations

import json

import pytest

from ccrouter.dialects.ledger import counted
from ccrouter.dialects.openai_responses import DIALECT
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader
from tests.dialects.chat_law import folded
from tests.dialects_responses.casefile import make_reader, make_target, read_request
from tests.dialects_responses.law import check_request
from tests.upstream import responses_wire

GPT = make_target("openai gpt-5.2")
CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "Read", "arguments": '{"x": 1}'}
REASONING = {
    "id": "rs_1", "type": "reasoning", "encrypted_content": "gAAAA-SEALED",
    "summary": [{"type": "summary_text", "text": "Plan."}, {"type": "summary_text", "text": "Look – 🙂."}],
}  # fmt: skip
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
           "content": [{"type": "output_text", "text": "Look:", "annotations": []}]}  # fmt: skip


def answer(target, *output):
    """The Messages answer that a client keeps of an unstreamed response."""
    reader = make_reader(target)
    body = {"model": "m", "status": "completed", "output": output}
    return folded(reader.feed_body(json.dumps(body).encode()) + reader.close())


def next_turn(target, content):
    """The items that are sent for an earlier answer, every call answered, and the losses."""
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
        for block in content
        if block["type"] == "tool_use"
    ]
    request = read_request(
        messages=[
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": content},
            {"role": "user", "content": [*results, {"type": "text", "text": "on"}]},
        ],
    )
    sent = DIALECT.encode(request, target, {})
    body = json.loads(sent.body)
    check_request(body)
    return body["input"][1:-1], [loss for loss in counted(sent.losses) if loss.path.startswith("messages")]


def test_items_come_back_unmodified_and_in_order():
    """Reasoning comes back with its id, seal and summary, before the message and the call that it led to."""
    message = answer(GPT, REASONING, MESSAGE, {**REASONING, "id": "rs_2", "summary": []}, CALL)
    items, losses = next_turn(GPT, message["content"])
    assert items[0] == REASONING
    assert items[1] == {"type": "message", "role": "assistant", "content": "Look:"}
    assert items[2] == {**REASONING, "id": "rs_2", "summary": []}
    assert items[3] == {name: value for name, value in CALL.items() if name != "id"}
    assert items[4] == {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
    assert losses == []


@pytest.mark.parametrize("interleaved", [False, True])
def test_streamed_reasoning_comes_back(interleaved):
    """What a stream says in deltas comes back as what its finished items said."""
    frames = responses_wire.response_stream(
        "Look:",
        ["First.", "Second 🙂."],
        [("call_1", "Read", {"x": 1}), ("call_2", "Read", {})],
        interleaved=interleaved,
    )
    reader = make_reader(GPT, stream=True)
    events = [new for event in SseReader().feed(b"".join(frames)) for new in reader.feed(event)] + reader.close()
    items, losses = next_turn(GPT, folded(events)["content"])
    assert items[0] == responses_wire.items(thinking=["First.", "Second 🙂."])[0]
    assert [item["type"] for item in items] == [
        "reasoning", "message", "function_call", "function_call", "function_call_output", "function_call_output",
    ]  # fmt: skip
    assert losses == []


def test_text_of_thinking_is_carried_once():
    """A signature does not repeat what the thinking block itself says."""
    long = "thought " * 500
    item = {**REASONING, "summary": [{"type": "summary_text", "text": long}]}
    message = answer(GPT, item, MESSAGE)
    assert len(message["content"][0]["signature"]) < 400
    assert next_turn(GPT, message["content"])[0][0] == item


@pytest.mark.parametrize("other", ["openai gpt-5.1", "azure gpt-5.2", "local m1", "openrouter openai/gpt-5.2"])
def test_items_go_to_their_maker_only(other):
    """Another model or provider gets none of it: it would refuse the request. The loss is told."""
    message = answer(GPT, REASONING, CALL)
    items, losses = next_turn(make_target(other), message["content"])
    assert "SEALED" not in json.dumps(items)
    assert [item["type"] for item in items] == ["function_call", "function_call_output"]
    assert [loss.path for loss in losses] == ["messages[1].content[0]"]


def test_three_turns():
    """Over three turns of calls every turn brings all of the reasoning so far, each before its own call."""
    messages = [{"role": "user", "content": "go"}]
    for number in range(3):
        item = {**REASONING, "id": f"rs_{number}"}
        got = answer(GPT, item, {**CALL, "call_id": f"call_{number}"})
        messages += [
            {"role": "assistant", "content": got["content"]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"call_{number}", "content": "ok"}]},
        ]
        body = json.loads(DIALECT.encode(read_request(messages=messages), GPT, {}).body)
        check_request(body)
        order = [item.get("id") or item.get("call_id") for item in body["input"][1:]]
        wanted = [(f"rs_{turn}", f"call_{turn}", f"call_{turn}") for turn in range(number + 1)]
        assert order == [name for turn in wanted for name in turn]


@pytest.mark.parametrize("id", ["call_1", "functions.Read:0", "日本", "x" * 64, "x" * 300, "ccrid_!!"])
def test_ids_come_back_to_their_maker(id):  # noqa: A002 - the protocol's own word
    """Any id of a provider is fit for Anthropic on the way out and itself again on the way back, if it may be so long."""
    message = answer(GPT, {**CALL, "call_id": id})
    given = message["content"][0]["id"]
    assert given.isascii()
    assert all(letter.isalnum() or letter in "_-" for letter in given)
    items, _ = next_turn(GPT, message["content"])
    assert items[0]["call_id"] == items[1]["call_id"]
    assert items[0]["call_id"] == id or (len(id) > 64 and len(items[0]["call_id"]) == 64)


def test_usage_is_what_the_provider_counted():
    """Cached tokens are told apart from fresh ones, for streams and bodies alike."""
    counts = {"input_tokens": 100, "output_tokens": 30, "cached": 60, "written": 10, "reasoning": 20}
    whole = make_reader(GPT)
    whole.feed_body(json.dumps(responses_wire.response_json("Hi", usage=counts)).encode())
    streamed = make_reader(GPT, stream=True)
    for event in SseReader().feed(b"".join(responses_wire.response_stream("Hi", usage=counts))):
        streamed.feed(event)
    for reader in (whole, streamed):
        usage = reader.usage
        assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (30, 60, 10)
        assert usage.output_tokens == 30
        assert reader.answered_model == responses_wire.MODEL


def test_t11():
    """Parallel calls, two parts of reasoning, usage; failed and incomplete answers: what the classic router got wrong."""
    calls = [("a", "Read", {"path": "1"}), ("b", "Read", {"path": "2"})]
    frames = responses_wire.response_stream("Look:", ["One.", "Two."], calls, interleaved=True, size=3)
    reader = make_reader(GPT, stream=True)
    events = [new for event in SseReader().feed(b"".join(frames)) for new in reader.feed(event)] + reader.close()
    message = folded(events)
    thinking, text, first, second = message["content"]
    assert thinking["thinking"] == "One.\n\nTwo."
    assert text["text"] == "Look:"
    assert [(block["id"], block["input"]) for block in (first, second)] == [("a", {"path": "1"}), ("b", {"path": "2"})]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"]["input_tokens"] == 25
    assert message["model"] == "asked"


def test_a_plain_request_is_enough_for_a_reader():
    """A reader for a request that somebody else made reads text and calls all the same."""
    sent = DIALECT.encode(read_request(), GPT, {})
    plain = type(sent).__mro__[1](sent.body, names={"a": "b.c"})
    reader = DIALECT.reader(plain, GPT, MessageWriter(id="m", model="m"))
    body = {"status": "completed", "output": [{**CALL, "name": "a"}]}
    message = folded(reader.feed_body(json.dumps(body).encode()) + reader.close())
    assert message["content"][0]["name"] == "b.c"
