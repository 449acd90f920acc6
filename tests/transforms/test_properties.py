"""Properties of filters: whatever streams in, in whatever cut, what comes out is lawful and says the same."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.config.schema import TransformSpec
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Ending,
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
from ccrouter.transforms.registry import built_in
from tests.transforms.workbench import check_lawful, context_of, target_at

SETTINGS = settings(max_examples=150, deadline=None, derandomize=True)
DELTAS = {"text": TextDelta, "thinking": ThinkingDelta, "tool_use": InputJsonDelta}
FILTERS = {
    "tooluse": {},
    "enhancetool": {},
    "extrathinktag": {"tag": ["think", "t"], "open": "[[", "close": "]]"},
    "extrathinktag at the start": {"where": "start"},
    "extrathinktag inside": {"begins_inside": True},
    "forcereasoning": {},
}


def filter_of(name):
    transform = built_in(TransformSpec(name.partition(" ")[0], FILTERS[name]))
    context = context_of(target_at())
    context.notes[transform] = True
    return transform.events(context)


texts = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<t>", "</t>", "[[", "]]", "<reasoning_content>", "</reasoning_content>", "<", "</", "\n", " "]
    )
    | st.text("ab<>/[] \n", max_size=4),
    max_size=8,
).map("".join)  # fmt: skip
arguments = st.one_of(
    st.dictionaries(st.sampled_from(["response", "a", "b"]), st.text(max_size=6) | st.integers(0, 99), max_size=3).map(json.dumps),
    st.text('{}[]":,\\\'\n x1ü', max_size=16),
)  # fmt: skip
usual = st.sampled_from(["text", "thinking", "tool_use"])


@st.composite
def messages(draw):
    """Blocks (kind, name, content) and a stop reason."""
    blocks = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(usual)
        name = draw(st.sampled_from(["ExitTool", "Read"]))
        blocks.append((kind, name, draw(arguments if kind == "tool_use" else texts)))
    reason = draw(st.sampled_from(["end_turn", "tool_use", "max_tokens"]))
    return blocks, reason


def start_of(kind, name):
    return {"text": TextBlock(), "thinking": ThinkingBlock(), "tool_use": ToolUseBlock("id", name)}[kind]


@st.composite
def streams(draw, message=None):
    """A message as a stream: its deltas cut anywhere, blocks one after the other or side by side, in batches."""
    blocks, reason = draw(messages()) if message is None else message
    queues = []
    for index, (kind, name, content) in enumerate(blocks):
        cuts = sorted({0, len(content), *draw(st.lists(st.integers(0, len(content)), max_size=6))})
        pieces = [BlockDelta(index, DELTAS[kind](content[a:b])) for a, b in pairwise(cuts)]
        sealed = [BlockDelta(index, SignatureDelta("s"))] if kind == "thinking" else []
        queues.append([BlockStart(index, start_of(kind, name)), *pieces, *sealed, BlockStop(index)])
    body = [event for queue in queues for event in queue]
    if message is None and draw(st.booleans()):  # side by side: starts in order, the rest in any
        body = [queue[0] for queue in queues]
        rest = [queue[1:] for queue in queues]
        while any(rest):
            queue = draw(st.sampled_from([queue for queue in rest if queue]))
            body.append(queue.pop(0))
    head = MessageHead("m", "asked", WireUsage())
    events = [MessageStart(head), Ping(), *body, MessageDelta(Ending(reason), WireUsage()), MessageStop()]
    cuts = sorted({0, len(events), *draw(st.lists(st.integers(0, len(events)), max_size=6))})
    return [events[a:b] for a, b in pairwise(cuts)], blocks, reason


def passed(name, batches):
    one = filter_of(name)
    return [event for batch in batches for event in one(batch)]


def told(events):
    """The message, its blocks' deltas joined."""
    blocks, order, reason = {}, [], None
    for event in events:
        match event:
            case BlockStart(index=index, content_block=block):
                blocks[index] = [type(block).__name__, getattr(block, "name", ""), ""]
                order.append(index)
            case BlockDelta(index=index, delta=SignatureDelta()):
                pass
            case BlockDelta(index=index, delta=delta):
                blocks[index][2] += next(iter(getattr(delta, field) for field in delta.__struct_fields__))
            case MessageDelta():
                reason = event.delta.stop_reason
    return [tuple(blocks[index]) for index in order], reason


@pytest.mark.parametrize("name", FILTERS)
def test_what_comes_out_is_lawful(name):
    """Whatever order and cut events come in, those that come out keep the order of the protocol, without a gap."""

    @SETTINGS
    @given(streams())
    def check(stream):
        batches, _, _ = stream
        events = passed(name, batches)
        check_lawful(events)
        assert isinstance(events[-1], MessageStop)

    check()


@pytest.mark.parametrize("name", FILTERS)
def test_cuts_do_not_matter(name):
    """The same message says the same, wherever its deltas and the reads of the network were cut."""

    @SETTINGS
    @given(st.data())
    def check(data):
        message = data.draw(messages())
        first, second = (data.draw(streams(message))[0] for _ in range(2))
        assert told(passed(name, first)) == told(passed(name, second))

    check()


@SETTINGS
@given(streams())
def test_valid_arguments_stay(stream):
    """`enhancetool` changes no valid arguments, makes objects of all others, and completes none that were cut off."""
    batches, blocks, reason = stream
    out, _ = told(passed("enhancetool", batches))
    for (kind, _, content), (_, _, sent) in zip(blocks, out, strict=True):
        if kind != "tool_use" or not content.strip():
            assert sent == content or not content.strip()
            continue
        try:
            is_valid = isinstance(json.loads(content), dict)
        except ValueError:
            is_valid = False
        if is_valid:
            assert sent == content.rstrip()
        elif reason != "max_tokens":
            assert isinstance(json.loads(sent), dict)


@SETTINGS
@given(messages().flatmap(streams))
def test_nothing_is_lost_between_tags(stream):
    """All that was said is said, but for tags, and white space beside them."""
    batches, blocks, _ = stream
    out, _ = told(passed("forcereasoning", batches))

    def bare(text):
        return "".join(text.replace("<reasoning_content>", "").replace("</reasoning_content>", "").split())

    said = "".join(bare(content) for kind, _, content in blocks if kind != "tool_use")
    assert "".join(bare(content) for kind, _, content in out if kind != "ToolUseBlock") == said


@SETTINGS
@given(streams())
def test_only_exits_are_told_otherwise(stream):
    """`tooluse` leaves every other block as it is, and no call of its own tool is left."""
    batches, blocks, reason = stream
    out, ended = told(passed("tooluse", batches))
    exits = [block for block in blocks if block[:2] == ("tool_use", "ExitTool")]
    assert not any(name == "ExitTool" for _, name, _ in out)
    others = [content for kind, name, content in blocks if (kind, name) != ("tool_use", "ExitTool")]
    left = [content for _, _, content in out]
    for content in others:
        assert content in left
    calls = [block for block in blocks if block[:2] == ("tool_use", "Read")]
    assert ended == ("end_turn" if reason == "tool_use" and exits and not calls else reason)
