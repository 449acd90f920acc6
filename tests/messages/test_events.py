"""Events as bytes: what real clients insist on is there, and no text can break a frame."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Ending,
    ErrorBody,
    ErrorEvent,
    InputJsonDelta,
    Message,
    MessageDelta,
    MessageHead,
    MessageStart,
    MessageStop,
    Ping,
    RedactedThinkingBlock,
    SignatureDelta,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolUseBlock,
    WireUsage,
    render,
)
from ccrouter.sse import SseReader, frame

USAGE = {"input_tokens": 1, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 3, "output_tokens": 4}


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (
            MessageStart(MessageHead("msg_1", "m", WireUsage(1, 2, 3, 4))),
            {
                "type": "message_start",
                "message": {
                    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                    "stop_reason": None, "stop_sequence": None, "usage": USAGE,
                },
            },
        ),
        (BlockStart(0, TextBlock()), {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        (
            BlockStart(1, ThinkingBlock()),
            {"type": "content_block_start", "index": 1, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        ),
        (
            BlockStart(2, ToolUseBlock("t", "Read")),
            {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "Read", "input": {}}},
        ),
        (
            BlockStart(3, RedactedThinkingBlock("d")),
            {"type": "content_block_start", "index": 3, "content_block": {"type": "redacted_thinking", "data": "d"}},
        ),
        (BlockStart(4, {"type": "hologram"}), {"type": "content_block_start", "index": 4, "content_block": {"type": "hologram"}}),
        (BlockDelta(0, TextDelta("a")), {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}),
        (
            BlockDelta(0, ThinkingDelta("a")),
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "a"}},
        ),
        (
            BlockDelta(0, SignatureDelta("s")),
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
        ),
        (
            BlockDelta(0, InputJsonDelta("{")),
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        ),
        (BlockStop(0), {"type": "content_block_stop", "index": 0}),
        (
            MessageDelta(Ending("end_turn"), WireUsage(1, 2, 3, 4)),
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE},
        ),
        (MessageStop(), {"type": "message_stop"}),
        (Ping(), {"type": "ping"}),
        (ErrorEvent(ErrorBody("api_error", "x")), {"type": "error", "error": {"type": "api_error", "message": "x"}}),
        (
            ErrorEvent(ErrorBody("api_error", "x", {"error_code": "y"})),
            {"type": "error", "error": {"type": "api_error", "message": "x", "details": {"error_code": "y"}}},
        ),
    ],
)  # fmt: skip
def test_wire_form(event, data):
    """Each event is one frame whose event line agrees with its type and whose data has every member that clients read."""
    lines = render(event).decode().split("\n")
    assert lines[0] == f"event: {data['type']}"
    assert json.loads(lines[1].removeprefix("data: ")) == data
    assert lines[2:] == ["", ""]


@given(st.text())
def test_no_text_breaks_a_frame(text):
    """Whatever the text, a client that splits lines the Python way sees one event line, one data line, and the text."""
    lines = render(BlockDelta(0, TextDelta(text))).decode().splitlines()
    assert len(lines) == 3
    assert json.loads(lines[1].removeprefix("data: "))["delta"]["text"] == text


def test_unstreamed_message():
    """The unstreamed message has every member of the API's, null ones too."""
    message = Message("msg_1", "m", [{"type": "text", "text": "a"}], "end_turn", WireUsage(1, 2, 3, 4))
    assert json.loads(msgspec.json.encode(message)) == {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "a"}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": USAGE,
    }  # fmt: skip


def test_heads_do_not_share_their_content():
    """Two messages never have one list."""
    first = MessageHead("1", "m", WireUsage())
    first.content.append({})
    assert MessageHead("2", "m", WireUsage()).content == []


def test_context_is_all_that_was_read():
    """What fills a model's window is input, whether a cache had it or not."""
    assert WireUsage(1, 2, 3, 100).context == 6


def test_data_of_several_lines_reads_back():
    """Data that came in several data lines, as pretty-printed JSON does, goes on in several, and reads back the same."""
    data = b'{\n  "type": "ping"\n}'
    written = frame(b"ping", data)
    assert all(line.startswith((b"event: ", b"data: ")) for line in written.rstrip(b"\n").split(b"\n"))
    assert [(event.event, event.data) for event in SseReader().feed(written)] == [(b"ping", data)]
