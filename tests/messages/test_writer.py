"""The writer: whatever is said to it in whatever order, the stream it writes obeys the grammar and loses nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.errors import LocalProtocolError, RemoteProtocolError
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    ErrorEvent,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    WireUsage,
    render,
)
from ccrouter.messages.fold import Fold
from ccrouter.messages.grammar import Grammar
from ccrouter.messages.writer import MessageWriter


def writer() -> MessageWriter:
    return MessageWriter(id="msg_1", model="asked", input_tokens=7)


def fold(events):
    folding = Fold()
    for event in events:
        folding.feed(event)
    return folding.close()


def kinds(events):
    return [type(event).__name__ for event in events]


def assert_strictly_sequential(events):
    """At most one block open at a time, indexes 0, 1, 2 ... without a gap."""
    grammar, opened = Grammar(), []
    for event in events:
        name = render(event).split(b"\n")[0].removeprefix(b"event: ").decode()
        grammar.step(name, getattr(event, "index", None))
        assert len(grammar.open) <= 1
        if isinstance(event, BlockStart):
            opened.append(event.index)
    assert opened == list(range(len(opened)))


def test_plain_text():
    """Text is message_start, one block, deltas as they came, its end, message_delta with usage, message_stop."""
    w = writer()
    w.text("Hel")
    w.text("")
    w.text("lo")
    w.finish("end_turn", WireUsage(3, 0, 0, 2))
    events = w.take()
    assert kinds(events) == [
        "MessageStart", "BlockStart", "BlockDelta", "BlockDelta", "BlockStop", "MessageDelta", "MessageStop",
    ]  # fmt: skip
    assert events[0].message.model == "asked"
    assert events[0].message.usage.input_tokens == 7
    message = fold(events)
    assert message.content == [{"type": "text", "text": "Hello"}]
    assert message.usage == WireUsage(3, 0, 0, 2)


def test_text_of_two_blocks():
    """After text_end further text begins a block; said twice, or in the middle of a call, it makes no empty one."""
    w = writer()
    w.text("a")
    w.text_end()
    w.text_end()
    w.text("b")
    w.tool_use("0", id="t", name="Read")
    w.tool_input("0", '{"x"')
    w.text("c")
    w.text_end()
    w.text("d")
    w.tool_input("0", ":1}")
    w.finish("tool_use", WireUsage())
    events = w.take()
    assert_strictly_sequential(events)
    content = fold(events).content
    assert [block.get("text", block.get("input")) for block in content] == ["a", "b", {"x": 1}, "c", "d"]


def test_thinking_text_thinking():
    """Each change of kind ends a block and begins the next; a signature seals its block."""
    w = writer()
    w.thinking("a")
    w.signature("s1")
    w.thinking("b")
    w.text("t")
    w.thinking("c")
    w.finish("end_turn", WireUsage())
    assert fold(w.take()).content == [
        {"type": "thinking", "thinking": "a", "signature": "s1"},
        {"type": "thinking", "thinking": "b", "signature": ""},
        {"type": "text", "text": "t"},
        {"type": "thinking", "thinking": "c", "signature": ""},
    ]


def test_parallel_calls_interleaved():
    """Arguments of two calls that arrive interleaved come out as two blocks, one after the other, each whole."""
    w = writer()
    w.tool_use("0", id="a", name="Read")
    w.tool_use("1", id="b", name="Bash")
    w.tool_input("1", '{"c":')
    w.tool_input("0", '{"p":')
    w.tool_input("1", "2}")
    w.tool_input("0", "1}")
    w.finish("tool_use", WireUsage())
    events = w.take()
    assert_strictly_sequential(events)
    assert [(block["id"], block["input"]) for block in fold(events).content] == [("a", {"p": 1}), ("b", {"c": 2})]


def test_arguments_stream_as_they_come():
    """The first call's arguments are passed on piece by piece, and the second call's once the first is whole."""
    w = writer()
    w.tool_use("0", id="a", name="Read")
    w.tool_input("0", '{"p":')
    assert [e.delta.partial_json for e in w.take() if isinstance(e, BlockDelta)] == ['{"p":']
    w.tool_input("0", "1}")
    w.take()
    w.tool_use("1", id="b", name="Read")
    w.tool_input("1", '{"q"')
    pieces = w.take()
    assert kinds(pieces) == ["BlockStop", "BlockStart", "BlockDelta"]
    assert isinstance(pieces[-1].delta, InputJsonDelta)


def test_text_after_a_whole_call_follows_at_once():
    """Text after a call whose arguments are a whole object does not wait."""
    w = writer()
    w.tool_use("0", id="a", name="Read")
    w.tool_input("0", '{"p":1}')
    w.text("after")
    assert kinds(w.take())[-3:] == ["BlockStop", "BlockStart", "BlockDelta"]


def test_text_inside_a_call_waits():
    """Text in the middle of a call's arguments is written after the call; neither is broken."""
    w = writer()
    w.tool_use("0", id="a", name="Read")
    w.tool_input("0", '{"p":')
    w.text("in the ")
    w.text("middle")
    w.tool_input("0", "1}")
    w.finish("tool_use", WireUsage())
    events = w.take()
    assert_strictly_sequential(events)
    assert fold(events).content == [
        {"type": "tool_use", "id": "a", "name": "Read", "input": {"p": 1}},
        {"type": "text", "text": "in the middle"},
    ]


def test_a_call_without_arguments():
    """A call that gets no arguments has the input {} and no delta."""
    w = writer()
    w.tool_use("0", id="a", name="ListAgents")
    w.finish("tool_use", WireUsage())
    events = w.take()
    assert not any(isinstance(event, BlockDelta) for event in events)
    assert fold(events).content[0]["input"] == {}


def test_nothing_after_failure():
    """A failed stream ends in an error event: no message_delta, no message_stop, and no way to add one."""
    w = writer()
    w.text("half")
    w.fail("api_error", "it broke")
    events = w.take()
    assert isinstance(events[-1], ErrorEvent)
    assert not any(isinstance(event, (MessageDelta, MessageStop)) for event in events)
    with pytest.raises(LocalProtocolError):
        w.finish("end_turn", WireUsage())


def test_arguments_after_the_end_of_a_call():
    """More arguments for a call that was whole are the provider's breach; white space is none."""
    w = writer()
    w.tool_use("0", id="a", name="Read")
    w.tool_input("0", "{}")
    w.text("t")
    w.tool_input("0", " \n")
    with pytest.raises(RemoteProtocolError):
        w.tool_input("0", "{}")


def test_misuse_is_ours():
    """A call begun twice or never is a defect of the reader that says so."""
    w = writer()
    w.tool_use("0", id="a", name="Read")
    with pytest.raises(LocalProtocolError):
        w.tool_use("0", id="a", name="Read")
    with pytest.raises(LocalProtocolError):
        w.tool_input("9", "{}")
    with pytest.raises(LocalProtocolError):
        w.tool_end("9")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.text(max_size=5)),
        st.tuples(st.just("thinking"), st.text(max_size=5)),
        st.tuples(st.just("signature"), st.text(max_size=3)),
        st.tuples(st.just("piece"), st.integers(0, 3)),
        st.tuples(st.just("end"), st.integers(0, 3)),
    ),
    max_size=40,
)


@settings(max_examples=400, deadline=None)
@given(steps=STEPS, reason=st.sampled_from(["end_turn", "tool_use", "max_tokens"]))
def test_any_order_is_well_formed_and_complete(steps, reason):
    """For every order of steps: the grammar holds, indexes are gapless, every text and every argument comes out once."""
    w = writer()
    arguments = [list(json.dumps({"value": f"argument {n}", "n": n})) for n in range(4)]
    begun: dict[int, list[str]] = {}
    texts = {"text": "", "thinking": ""}
    ended: set[int] = set()
    for name, value in steps:
        if name in texts:
            getattr(w, name)(value)
            texts[name] += value
        elif name == "signature":
            w.signature(value)
        else:
            if value not in begun:
                w.tool_use(str(value), id=f"id{value}", name="T")
                begun[value] = arguments[value]
            if name == "piece" and value not in ended and begun[value]:
                w.tool_input(str(value), "".join(begun[value][:7]))
                begun[value] = begun[value][7:]
            elif name == "end" and value not in ended:
                w.tool_input(str(value), "".join(begun[value]))
                begun[value] = []
                w.tool_end(str(value))
                ended.add(value)
    for value, rest in begun.items():
        w.tool_input(str(value), "".join(rest))
    w.finish(reason, WireUsage())
    events = w.take()
    assert isinstance(events[0], MessageStart)
    assert_strictly_sequential(events)
    assert sum(isinstance(e, BlockStart) for e in events) == sum(isinstance(e, BlockStop) for e in events)
    content = fold(events).content
    for kind, expected in texts.items():
        assert "".join(block[kind] for block in content if block["type"] == kind) == expected
    assert {block["id"]: block["input"] for block in content if block["type"] == "tool_use"} == {
        f"id{n}": {"value": f"argument {n}", "n": n} for n in begun
    }
