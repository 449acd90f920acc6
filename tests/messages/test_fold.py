"""A folded stream is the message that the same answer would have been unstreamed."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.dialects.anthropic.reader import MessagesReader
from ccrouter.errors import LocalProtocolError, RemoteProtocolError, UpstreamStatus
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
)
from ccrouter.messages.fold import Fold
from ccrouter.messages.writer import MessageWriter

START = MessageStart(MessageHead("msg_1", "asked", WireUsage(5)))
END = MessageDelta(Ending("end_turn"), WireUsage(5, 1, 2, 9))


def fold(*events):
    folding = Fold()
    for event in events:
        folding.feed(event)
    return folding.close()


def content(*events):
    return fold(START, *events, END, MessageStop()).content


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip
ARGUMENTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=12)),
    st.builds(
        lambda text, seal: {"type": "thinking", "thinking": text, "signature": seal},
        st.text(max_size=12), st.text(max_size=6),
    ),
    st.builds(lambda data: {"type": "redacted_thinking", "data": data}, st.text(max_size=6)),
    st.builds(
        lambda kind, arguments: {"type": kind, "id": "t", "name": "T", "input": arguments},
        st.sampled_from(["tool_use", "server_tool_use"]), ARGUMENTS,
    ),
    st.builds(
        lambda text: {"type": "text", "text": text, "citations": [{"type": "char_location", "cited_text": "x"}]},
        st.text(max_size=4),
    ),
    st.just({"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result", "url": "u"}]}),
    st.just({"type": "hologram", "depth": 1}),
)  # fmt: skip


@given(st.lists(BLOCKS, max_size=5), st.sampled_from(["end_turn", "tool_use", "max_tokens", "refusal"]))
def test_streamed_is_unstreamed(blocks, reason):
    """An unstreamed answer, read as the stream of its events and folded again, is the answer."""
    answer = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": blocks, "stop_reason": reason,
        "stop_sequence": None, "usage": {
            "input_tokens": 5, "output_tokens": 9, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 1,
        },
    }  # fmt: skip
    reader = MessagesReader("m")
    message = fold(*reader.feed_body(json.dumps(answer).encode()), *reader.close())
    assert json.loads(msgspec.json.encode(message)) == answer


def test_pieces_are_joined():
    """Text, thinking, its seal and arguments are whole again, in the order of their blocks."""
    assert content(
        BlockStart(0, ThinkingBlock()), BlockDelta(0, ThinkingDelta("a")), Ping(), BlockDelta(0, ThinkingDelta("b")),
        BlockDelta(0, SignatureDelta("seal")), BlockStop(0),
        BlockStart(1, TextBlock()), BlockDelta(1, TextDelta("c")), BlockDelta(1, TextDelta("d")), BlockStop(1),
        BlockStart(2, ToolUseBlock("t", "Read")), BlockDelta(2, InputJsonDelta('{"p"')), BlockDelta(2, InputJsonDelta(":1}")),
        BlockStop(2),
    ) == [
        {"type": "thinking", "thinking": "ab", "signature": "seal"},
        {"type": "text", "text": "cd"},
        {"type": "tool_use", "id": "t", "name": "Read", "input": {"p": 1}},
    ]  # fmt: skip


def test_interleaved_blocks_keep_their_pieces():
    """Where a provider interleaves blocks, each piece goes to the block whose index it carries."""
    assert content(
        BlockStart(0, TextBlock()), BlockStart(1, ToolUseBlock("t", "Read")), BlockDelta(1, InputJsonDelta('{"p":')),
        BlockDelta(0, TextDelta("a")), BlockDelta(1, InputJsonDelta("1}")), BlockStop(1), BlockDelta(0, TextDelta("b")),
        BlockStop(0),
    ) == [{"type": "text", "text": "ab"}, {"type": "tool_use", "id": "t", "name": "Read", "input": {"p": 1}}]  # fmt: skip


def test_what_a_block_began_with_counts():
    """Text and input that came with a block's start are part of it, as the SDKs count them."""
    assert content(
        BlockStart(0, {"type": "text", "text": "a"}), BlockDelta(0, TextDelta("b")), BlockStop(0),
        BlockStart(1, {"type": "tool_use", "id": "t", "name": "Read", "input": {"p": 1}}), BlockStop(1),
    ) == [{"type": "text", "text": "ab"}, {"type": "tool_use", "id": "t", "name": "Read", "input": {"p": 1}}]  # fmt: skip


def test_citations_are_gathered():
    """Citations, which stream as deltas of their own, end up in their text block."""
    one, two = {"type": "char_location", "cited_text": "a"}, {"type": "char_location", "cited_text": "b"}
    assert content(
        BlockStart(0, {"type": "text", "text": ""}), BlockDelta(0, {"type": "citations_delta", "citation": one}),
        BlockDelta(0, TextDelta("t")), BlockDelta(0, {"type": "citations_delta", "citation": two}), BlockStop(0),
    ) == [{"type": "text", "text": "t", "citations": [one, two]}]  # fmt: skip


def test_the_start_event_is_not_changed():
    """Folding works on its own copy: the events may still be rendered afterwards."""
    start = {"type": "text", "text": ""}
    content(BlockStart(0, start), BlockDelta(0, TextDelta("b")), BlockStop(0))
    assert start == {"type": "text", "text": ""}


def test_a_call_without_arguments_has_an_empty_input():
    """No pieces, or pieces of white space, are {}."""
    call = ToolUseBlock("t", "ListAgents")
    assert content(BlockStart(0, call), BlockStop(0))[0]["input"] == {}
    assert content(BlockStart(0, call), BlockDelta(0, InputJsonDelta(" ")), BlockStop(0))[0]["input"] == {}


@pytest.mark.parametrize("arguments", ['{"p":', "[1]", "null", '"x"', "{} {}", "[" * 3000])
def test_arguments_that_are_no_object_are_an_error(arguments):
    """A call that is not whole cannot be part of an unstreamed answer; the error names the tool."""
    with pytest.raises(RemoteProtocolError, match="tool Read"):
        content(BlockStart(0, ToolUseBlock("t", "Read")), BlockDelta(0, InputJsonDelta(arguments)), BlockStop(0))


def test_a_second_message_delta_adds_and_does_not_erase():
    """Two message_deltas are one ending: a reason told once stays told, the later usage counts."""
    first = MessageDelta(Ending("stop_sequence", "END"), WireUsage(5))
    message = fold(START, first, MessageDelta(Ending(None), WireUsage(5, 0, 0, 9)))
    assert (message.stop_reason, message.stop_sequence, message.usage.output_tokens) == ("stop_sequence", "END", 9)


def test_an_unfinished_stream_is_no_message():
    """Without message_delta there is no message, and never an invented end."""
    with pytest.raises(RemoteProtocolError):
        fold()
    with pytest.raises(RemoteProtocolError):
        fold(START, BlockStart(0, TextBlock()), BlockDelta(0, TextDelta("half")), BlockStop(0))


def test_an_error_event_is_an_error():
    """An error in the stream is the error of the unstreamed answer."""
    with pytest.raises(UpstreamStatus) as caught:
        fold(START, ErrorEvent(ErrorBody("overloaded_error", "busy")))
    assert (caught.value.type, str(caught.value)) == ("overloaded_error", "busy")


def test_what_cannot_be_folded_is_an_error():
    """A delta of an unknown kind is not dropped in silence; events in the wrong order are a defect of ours."""
    with pytest.raises(RemoteProtocolError, match="hologram_delta"):
        content(BlockStart(0, TextBlock()), BlockDelta(0, {"type": "hologram_delta"}))
    with pytest.raises(LocalProtocolError):
        fold(BlockStart(0, TextBlock()))
    with pytest.raises(LocalProtocolError):
        fold(START, BlockDelta(0, TextDelta("x")))


def test_half_a_call_cut_by_max_tokens_is_left_out():
    """A call that max_tokens cut in two is left out of the message, whose stop reason says so; any other half is an error."""
    for reason in ("max_tokens", "tool_use"):
        writer = MessageWriter(id="m", model="m")
        writer.text("before")
        writer.tool_use("0", id="a", name="Write")
        writer.tool_input("0", '{"content": "half')
        writer.finish(reason, WireUsage(1, 0, 0, 1))
        folding = Fold()
        for event in writer.take():
            folding.feed(event)
        if reason == "max_tokens":
            assert folding.close().content == [{"type": "text", "text": "before"}]
        else:
            with pytest.raises(RemoteProtocolError, match="Write"):
                folding.close()
