"""Claudable's profile: who gets it, what is added to the request, and a stream that its adapter reads without loss."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.dialects.anthropic.reader import MessagesReader
from ccrouter.errors import ClientError
from ccrouter.messages.claudable import TOOLS, ClaudableFilter, is_claudable, prepare
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Ending,
    ErrorBody,
    ErrorEvent,
    InputJsonDelta,
    MessageDelta,
    MessageHead,
    MessageStart,
    MessageStop,
    Ping,
    SignatureDelta,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolUseBlock,
    WireUsage,
    render,
)
from ccrouter.messages.grammar import Grammar
from ccrouter.messages.request import MessagesRequest

HEADERS = {"user-agent": "python-httpx/0.27.0", "accept": "*/*", "content-type": "application/json", "x-api-key": "K"}
BODY: dict[str, Any] = {
    "model": "openrouter,qwen/qwen3-coder",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Build a page\n\n<initial_context>\na.txt\n</initial_context>"}]}],
    "system": [{"type": "text", "text": "You are Claudable, …"}],
    "stream": True,
    "metadata": {"user_id": "project_p1_session_s1"},
}  # fmt: skip


def request(**changes) -> MessagesRequest:
    body = {name: value for name, value in {**BODY, **changes}.items() if value is not ...}
    return MessagesRequest.read(json.dumps(body).encode())


# -- who gets it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "is_it"),
    [
        ({}, {}, True),
        ({"user-agent": "python-httpx/1.0"}, {}, True),
        ({}, {"metadata": {"user_id": "project_a b_session_x_session_y"}}, True),
        ({"anthropic-version": "2023-06-01"}, {}, False),
        ({"user-agent": "claude-cli/2.1.330 (external, cli)"}, {}, False),
        ({"user-agent": "Anthropic/Python 2.12.0 python-httpx/0.27"}, {}, False),
        ({"user-agent": ""}, {}, False),
        ({}, {"tools": [{"name": "Mine"}]}, False),
        ({}, {"tools": []}, False),
        ({}, {"metadata": {"user_id": "user_abc_account__session_s1"}}, False),
        ({}, {"metadata": {"user_id": "project__session_"}}, False),
        ({}, {"metadata": {"user_id": "my project_p_session_s"}}, False),
        ({}, {"metadata": {}}, False),
        ({}, {"metadata": None}, False),
        ({}, {"metadata": ...}, False),
    ],
)
def test_fingerprint(headers, body, is_it):
    """Only all four marks together are Claudable: no version, httpx, a project's user id, no tools."""
    assert is_claudable(request(**body), {**HEADERS, **headers}, "auto") is is_it


@pytest.mark.parametrize(
    ("header", "mode", "fits", "is_it"),
    [
        ("claudable", "off", False, True),
        ("Claudable", "auto", False, True),
        ("standard", "on", True, False),
        ("STANDARD", "auto", True, False),
        ("nonsense", "auto", True, True),
        ("nonsense", "off", True, False),
        ("", "on", False, True),
        ("", "off", True, False),
        ("", "auto", True, True),
        ("", "auto", False, False),
    ],
)
def test_header_before_config_before_fingerprint(header, mode, fits, is_it):
    """The header decides; without one the config; and the fingerprint only where the config says auto."""
    headers = {**HEADERS, "user-agent": HEADERS["user-agent"] if fits else "curl/8"}
    assert is_claudable(request(), {**headers, "x-ccr-client": header}, mode) is is_it


# -- the request -------------------------------------------------------------------------------------------------------


def test_tools_are_the_ones_that_the_adapter_carries_out():
    """Seven tools, with the argument names that the adapter accepts; every required argument is described."""
    required = {tool["name"]: tool["input_schema"]["required"] for tool in TOOLS}
    assert required == {
        "Read": ["file_path"],
        "Write": ["file_path", "content"],
        "Edit": ["file_path", "old_content", "replacement"],
        "LS": ["path"],
        "Glob": ["pattern"],
        "Grep": ["pattern"],
        "Bash": ["command"],
    }
    for tool in TOOLS:
        assert set(tool["input_schema"]["required"]) <= set(tool["input_schema"]["properties"])
        assert tool["description"]


def test_tools_are_offered_and_the_rest_is_untouched():
    """The prepared request offers the tools, lets the model choose, and keeps every other member."""
    prepared = json.loads(prepare(request()).encode())
    assert [tool["name"] for tool in prepared.pop("tools")] == [tool["name"] for tool in TOOLS]
    assert prepared.pop("tool_choice") == {"type": "auto"}
    assert prepared == BODY


def test_own_tools_are_kept():
    """A corrected adapter that brings its own tools keeps them and its choice."""
    own = [{"name": "Mine", "input_schema": {}}]
    prepared = json.loads(prepare(request(tools=own, tool_choice={"type": "any"})).encode())
    assert (prepared["tools"], prepared["tool_choice"]) == (own, {"type": "any"})


def result(id_, content):
    return {"type": "tool_result", "tool_use_id": id_, "content": content, "is_error": False}


def test_history_is_repaired():
    """Empty turns and texts go, each turn of results joins its neighbours, and empty results stay: they answer a call."""
    calls = [{"type": "tool_use", "id": id_, "name": "Read", "input": {"file_path": id_}} for id_ in "ab"]
    history = [
        {"role": "user", "content": [{"type": "text", "text": "one"}]},
        {"role": "assistant", "content": []},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "\n"}, *calls]},
        {"role": "user", "content": [result("a", "")]},
        {"role": "user", "content": [result("b", "text")]},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "go on"}]},
    ]
    assert json.loads(prepare(request(messages=history)).encode())["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": calls},
        {"role": "user", "content": [result("a", ""), result("b", "text"), {"type": "text", "text": "go on"}]},
    ]


def test_kept_blocks_keep_their_bytes():
    """Blocks pass as they were written, in numbers and spelling, also in joined turns."""
    body = (
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"\\u00e9", "n":1.50}]},'
        b'{"role":"user","content":[{"type":"hologram","x": 99999999999999999999999999999999999999e0}]}]}'
    )
    sent = prepare(MessagesRequest.read(body)).encode()
    assert (
        b'[{"type":"text","text":"\\u00e9", "n":1.50},{"type":"hologram","x": 99999999999999999999999999999999999999e0}]'
        in sent
    )


@pytest.mark.parametrize(
    "messages",
    [[1], ["text"], [{}], [{"role": "user", "content": 7}], [{"role": "user", "content": [1]}], [{"role": "user", "content": [{}]}], [{"content": "x"}]],
)  # fmt: skip
def test_turns_that_are_none(messages):
    """A conversation that cannot be read is a 400 that names the place."""
    with pytest.raises(ClientError, match=r"messages\[0\]"):
        prepare(request(messages=messages))


# -- the stream --------------------------------------------------------------------------------------------------------


def adapter(frames: bytes) -> dict[str, Any]:
    """What Claudable's adapter makes of a stream, by its rules: frames need an event line, lines end as in Python, text
    is read from output_text blocks only, a call's input is parsed at the end of its block.
    """
    seen: dict[str, Any] = {"blocks": [], "usage": {}, "error": None}
    blocks: dict[int, dict[str, Any]] = {}
    event, data = None, []
    for line in frames.decode().splitlines():
        if line.startswith("event:"):
            event = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].lstrip())
        elif not line and event and data:
            take(seen, blocks, event, json.loads("\n".join(data)))
            event, data = None, []
        elif not line:
            event, data = None, []
    return seen


def take(seen, blocks, event, data):
    if event == "content_block_start" and data["content_block"]["type"] in {"output_text", "tool_use"}:
        block = data["content_block"]
        kept = (
            {"type": "text", "text": ""}
            if block["type"] == "output_text"
            else {"type": "tool_use", "id": block["id"], "name": block["name"], "json": ""}
        )
        blocks[data["index"]] = kept
        seen["blocks"].append(kept)
    elif event == "content_block_delta" and data["index"] in blocks:
        block, delta = blocks[data["index"]], data["delta"]
        if block["type"] == "text" and delta["type"] == "output_text_delta":
            block["text"] += delta["text"]
        elif delta["type"] == "input_json_delta":
            block["json"] += delta["partial_json"]
    elif event == "content_block_stop" and data["index"] in blocks:
        block = blocks[data["index"]]
        if block["type"] == "tool_use":
            block["input"] = json.loads(block.pop("json") or "{}")
    elif event == "message_delta":
        seen["usage"].update(data["usage"])
    elif event == "error":
        seen["error"] = data["error"]


START = MessageStart(MessageHead("msg_1", "asked", WireUsage(5)))
END = (MessageDelta(Ending("end_turn"), WireUsage(5, 0, 0, 9)), MessageStop())


def text(index, *pieces):
    return (
        BlockStart(index, TextBlock()),
        *(BlockDelta(index, TextDelta(piece)) for piece in pieces),
        BlockStop(index),
    )


def call(index, *pieces, name="Read", id_="toolu_1"):
    deltas = (BlockDelta(index, InputJsonDelta(piece)) for piece in pieces)
    return (BlockStart(index, ToolUseBlock(id_, name)), *deltas, BlockStop(index))


def thinking(index):
    return (
        BlockStart(index, ThinkingBlock()),
        BlockDelta(index, ThinkingDelta("hm")),
        BlockDelta(index, SignatureDelta("s")),
        BlockStop(index),
    )


def filtered(*events, one_by_one=True):
    """The filter's events; whole in one go, or one at a time. They obey the grammar, one block at a time, no gaps."""
    filter_events = ClaudableFilter(prepare(request()))
    out = [new for event in events for new in filter_events([event])] if one_by_one else filter_events(events)
    grammar, opened = Grammar(), []
    for event in out:
        grammar.step(render(event).split(b"\n")[0].removeprefix(b"event: ").decode(), getattr(event, "index", None))
        assert len(grammar.open) <= 1
        if isinstance(event, BlockStart):
            opened.append(event.index)
    assert opened == list(range(len(opened)))
    return out


def seen_by_adapter(*events):
    return adapter(b"".join(map(render, filtered(*events))))


def test_exact_frames():
    """Text, thinking and a call: the frames are those of the standard stream, thinking left out, text renamed."""
    out = filtered(START, *thinking(0), *text(1, "Hel", "lo"), *call(2, '{"file_path"', ':"a"}'), *END)
    assert [json.loads(render(event).split(b"data: ")[1]) for event in out] == [
        {"type": "message_start", "message": json.loads(render(START).split(b"data: ")[1])["message"]},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "output_text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "output_text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "output_text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"file_path"'}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ':"a"}'}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
         "usage": {"input_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 9}},
        {"type": "message_stop"},
    ]  # fmt: skip


def test_the_adapter_sees_all_of_it():
    """By the adapter's own rules: text with line separators in it, parallel calls, one without arguments, the usage."""
    seen = seen_by_adapter(
        START, *thinking(0), *text(1, "a\u2028b\u0085c"), *call(2, '{"file_path":"a"}'), *call(3, name="LS", id_="toolu_2"), *END
    )  # fmt: skip
    assert seen == {
        "blocks": [
            {"type": "text", "text": "a\u2028b\u0085c"},
            {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "a"}},
            {"type": "tool_use", "id": "toolu_2", "name": "LS", "input": {}},
        ],
        "usage": {
            "input_tokens": 5,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 9,
        },
        "error": None,
    }


LEAKED = "<tool_call>\n<function=Read>\n<parameter=file_path>\na.py\n</parameter>\n</function>\n</tool_call>"


def test_leaked_calls_are_made_real():
    """Calls written as text reach the adapter as calls with ids of their own, and the message ends in tool_use."""
    out = filtered(START, *text(0, "I look.\n", *LEAKED, "\n", *LEAKED), *END)
    seen = adapter(b"".join(map(render, out)))
    assert [{**block, "id": ""} for block in seen["blocks"]] == [
        {"type": "text", "text": "I look.\n", "id": ""},
        {"type": "tool_use", "name": "Read", "input": {"file_path": "a.py"}, "id": ""},
        {"type": "tool_use", "name": "Read", "input": {"file_path": "a.py"}, "id": ""},
    ]
    ids = {block["id"] for block in seen["blocks"][1:]}
    assert len(ids) == 2
    assert all(id_.startswith("toolu_") for id_ in ids)
    assert next(event for event in out if isinstance(event, MessageDelta)).delta.stop_reason == "tool_use"


def test_a_half_leaked_call_is_text():
    """Markup that never becomes a call reaches the adapter as the text that it is, at the end or before the next block."""
    half = "<function=Read><parameter=file_path>a"
    assert seen_by_adapter(START, *text(0, half), *END)["blocks"] == [{"type": "text", "text": half}]
    seen = seen_by_adapter(START, *text(0, half), *call(1, "{}"), *text(2, "x"), *END)
    assert [block.get("text", block.get("id")) for block in seen["blocks"]] == [half, "toolu_1", "x"]


def test_what_blocks_begin_with_is_kept():
    """Blocks that pass from a provider may begin with text or input: the adapter, which reads deltas only, gets both."""
    seen = seen_by_adapter(
        START, BlockStart(0, {"type": "text", "text": "a"}), BlockDelta(0, TextDelta("b")), BlockStop(0),
        BlockStart(1, {"type": "tool_use", "id": "t", "name": "LS", "input": {"path": "."}}), BlockStop(1), *END,
    )  # fmt: skip
    assert seen["blocks"] == [
        {"type": "text", "text": "ab"},
        {"type": "tool_use", "id": "t", "name": "LS", "input": {"path": "."}},
    ]


def test_pieces_of_input_replace_what_the_block_began_with():
    """Where a call's input comes in both ways, the pieces are the input, as for the SDKs."""
    block = {"type": "tool_use", "id": "t", "name": "LS", "input": {"path": "old"}}
    seen = seen_by_adapter(
        START, BlockStart(0, block), BlockDelta(0, InputJsonDelta('{"path":"new"}')), BlockStop(0), *END
    )  # fmt: skip
    assert [one["input"] for one in seen["blocks"]] == [{"path": "new"}]


def test_interleaved_blocks_come_one_by_one():
    """A provider's interleaved calls and text come out whole, one after the other."""
    events = (
        BlockStart(0, ToolUseBlock("t0", "Read")), BlockStart(1, ToolUseBlock("t1", "LS")), BlockStart(2, TextBlock()),
        BlockDelta(1, InputJsonDelta('{"path":')), BlockDelta(0, InputJsonDelta('{"file_path":')), BlockDelta(2, TextDelta("x")),
        BlockDelta(1, InputJsonDelta('"b"}')), BlockDelta(0, InputJsonDelta('"a"}')), BlockStop(2), BlockStop(1), BlockStop(0),
    )  # fmt: skip
    seen = seen_by_adapter(START, *events, *END)
    assert {block.get("id", "text"): block.get("input", block.get("text")) for block in seen["blocks"]} == {
        "t0": {"file_path": "a"}, "t1": {"path": "b"}, "text": "x",
    }  # fmt: skip


def test_other_blocks_are_left_out():
    """Blocks that the adapter does not know are left out without a gap in the numbers."""
    seen = seen_by_adapter(
        START, BlockStart(0, {"type": "redacted_thinking", "data": "d"}), BlockStop(0),
        BlockStart(1, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
        BlockDelta(1, InputJsonDelta('{"query":"x"}')), BlockStop(1), *text(2, "Hi"), *END,
    )  # fmt: skip
    assert seen["blocks"] == [{"type": "text", "text": "Hi"}]


def test_endings_are_kept():
    """The reason, the stop sequence and the usage are the provider's; tool_use is said only where there was a call."""
    out = filtered(START, *text(0, "Hi"), MessageDelta(Ending("stop_sequence", "END"), WireUsage(1)), MessageStop())
    assert out[-2] == MessageDelta(Ending("stop_sequence", "END"), WireUsage(1))
    out = filtered(START, *call(0, '{"file_path":"a"}'), MessageDelta(Ending("max_tokens"), WireUsage()), MessageStop())
    assert out[-2].delta.stop_reason == "max_tokens"
    out = filtered(START, *text(0, "Hi"), *END)
    assert out[-2].delta.stop_reason == "end_turn"


def test_two_message_deltas_are_one_ending():
    """A provider that sends message_delta twice does not break the stream; the later one counts."""
    out = filtered(START, *text(0, "Hi"), MessageDelta(Ending("end_turn"), WireUsage(1)), *END)
    assert [type(event) for event in out[-2:]] == [MessageDelta, MessageStop]
    assert out[-2].usage.output_tokens == 9


def test_errors_and_pings_pass():
    """An error in the middle reaches the adapter as one; pings pass wherever they come, also before the message."""
    error = ErrorEvent(ErrorBody("overloaded_error", "busy"))
    out = filtered(Ping(), START, Ping(), *text(0, "Hi")[:-1], error)
    assert [type(event) for event in out] == [Ping, Ping, MessageStart, BlockStart, BlockDelta, ErrorEvent]
    assert adapter(b"".join(map(render, out)))["error"] == {"type": "overloaded_error", "message": "busy"}
    assert filtered(error) == [error]


PIECES = st.lists(
    st.one_of(
        st.builds(lambda pieces: ("text", pieces), st.lists(st.text(alphabet="ab <\n", max_size=4), max_size=3)),
        st.just(("thinking", [])),
        st.builds(lambda value: ("call", [f'{{"file_path":"{value}"}}']), st.sampled_from("xyz")),
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(PIECES)
def test_any_standard_stream_is_read_by_the_adapter(blocks):
    """Of any standard stream the adapter reads all text and every call, in order, whether it comes whole or piecewise."""
    make = {"text": text, "call": call, "thinking": thinking}
    events = [
        START,
        *(event for index, (kind, pieces) in enumerate(blocks) for event in make[kind](index, *pieces)),
        *END,
    ]
    seen = adapter(b"".join(map(render, filtered(*events))))
    assert "".join(block.get("text", "") for block in seen["blocks"]) == "".join(
        "".join(p) for kind, p in blocks if kind == "text"
    )
    assert [block["input"] for block in seen["blocks"] if "input" in block] == [
        json.loads(p[0]) for kind, p in blocks if kind == "call"
    ]
    assert adapter(b"".join(map(render, filtered(*events, one_by_one=False)))) == seen


def test_an_unstreamed_answer_through_the_filter():
    """An answer that came as one JSON body is the same to the adapter."""
    reader = MessagesReader("asked")
    body = {
        "id": "m", "content": [{"type": "text", "text": LEAKED}, {"type": "tool_use", "id": "t", "name": "LS", "input": {"path": "."}}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 2},
    }  # fmt: skip
    seen = seen_by_adapter(*reader.feed_body(json.dumps(body).encode()), *reader.close())
    assert [block["name"] for block in seen["blocks"]] == ["Read", "LS"]
