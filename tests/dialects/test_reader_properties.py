"""Properties of the reader: whatever a provider interleaves, what comes out is lawful and nothing is lost."""

from __future__ import annotations

import itertools
import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.dialects.openai_chat import OpenAIChat
from ccrouter.errors import RemoteProtocolError, UpstreamStatus
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import ServerSentEvent
from tests.dialects.casefile import BASE, make_target
from tests.dialects.chat_law import check_events, folded

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True)


def make_reader(target, **changes):
    numbers = itertools.count(1)
    dialect = OpenAIChat(new_id=lambda: f"new_{next(numbers)}")
    sent = dialect.encode(MessagesRequest.read(json.dumps({**BASE, **changes}).encode()), target, {})
    return dialect.reader(sent, target, MessageWriter(id="msg_1", model="asked"))


def read(chunks, target=None):
    reader = make_reader(target or make_target())
    events = []
    for chunk in [*chunks, None]:
        data = json.dumps(chunk).encode() if chunk is not None else b"[DONE]"
        events += reader.feed(ServerSentEvent(b"", data))
    return events + reader.close(), reader


def delta(**members):
    return {"choices": [{"index": 0, "delta": members}]}


def cut(text, places):
    cuts = sorted({place % (len(text) + 1) for place in places})
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
arguments = st.dictionaries(st.text(max_size=5), values, max_size=3)


@st.composite
def interleaved_calls(draw):
    """Calls, and an order in which the pieces of their arguments arrive; each call's own pieces stay in order."""
    count = draw(st.integers(1, 4))
    inputs = [draw(arguments) for _ in range(count)]
    # Places in escapes are fine: a piece is not JSON by itself.
    pieces = [cut(json.dumps(one), draw(st.lists(st.integers(0, 200), max_size=4))) for one in inputs]
    queue = [index for index in range(count) for _ in pieces[index]]
    order = draw(st.permutations(queue))
    style = draw(st.sampled_from(["plain", "id repeated", "id and name repeated", "no id", "name late"]))
    return inputs, pieces, order, style


def chunks_of(pieces, order, style):
    taken = [0] * len(pieces)
    for index in order:
        number = taken[index]
        taken[index] += 1
        call = {"index": index, "function": {"arguments": pieces[index][number]}}
        is_first, is_last = number == 0, number == len(pieces[index]) - 1
        if style != "no id" and (is_first or "id" in style):
            call["id"] = f"call_{index}"
        named_now = is_last if style == "name late" else is_first
        if named_now or "name repeated" in style:
            call["function"]["name"] = f"tool_{index}"
        yield delta(tool_calls=[call])


@SETTINGS
@given(interleaved_calls(), st.booleans())
def test_arguments_survive_any_interleaving(case, text_between):
    """Each call's block holds exactly the concatenation of its pieces, whatever the order of arrival."""
    inputs, pieces, order, style = case
    chunks = list(chunks_of(pieces, order, style))
    if text_between:
        chunks.insert(len(chunks) // 2, delta(content="between"))
    events, _ = read([*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}])
    check_events(events)
    message = folded(events)
    assert message["stop_reason"] == "tool_use"
    got = {block["name"]: block["input"] for block in message["content"] if block["type"] == "tool_use"}
    assert got == {f"tool_{index}": given for index, given in enumerate(inputs)}
    ids = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
    assert len(set(ids)) == len(inputs)
    assert [block["text"] for block in message["content"] if block["type"] == "text"] == ["between"] * text_between


@SETTINGS
@given(
    st.lists(
        st.tuples(st.sampled_from(["content", "reasoning_content"]), st.text(min_size=1, max_size=12)), max_size=12
    )
)
def test_text_and_thinking_lose_nothing(pieces):
    """Text and thinking come out as they went in, to the character, apart from white space that led to nothing."""
    finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    try:
        events, _ = read([*(delta(**{kind: text}) for kind, text in pieces), finish], make_target("openai gpt-4.1"))
    except RemoteProtocolError:
        assert not pieces
        return
    check_events(events)
    message = folded(events)
    thought = "".join(text for kind, text in pieces if kind == "reasoning_content")
    assert "".join(b["thinking"] for b in message["content"] if b["type"] == "thinking") == thought
    said = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    sent = "".join(text for kind, text in pieces if kind == "content")
    assert "".join(said.split()) == "".join(sent.split())
    if not thought:
        assert said == sent


odd = st.none() | st.text(max_size=6)
index = st.none() | st.integers(0, 2)
call = st.fixed_dictionaries(
    {},
    optional={
        "index": index,
        "id": odd,
        "function": st.none()
        | st.fixed_dictionaries(
            {}, optional={"name": st.none() | st.sampled_from(["Read", "Grep", ""]), "arguments": odd | arguments}
        ),
        "extra_content": st.none() | st.just({"google": {"thought_signature": "S"}}),
    },
)
detail = st.fixed_dictionaries(
    {"type": st.sampled_from(["reasoning.text", "reasoning.summary", "reasoning.encrypted"])},
    optional={"text": odd, "summary": odd, "data": odd, "signature": odd, "index": index, "id": odd},
)
any_delta = st.fixed_dictionaries(
    {},
    optional={
        "content": odd | st.lists(st.fixed_dictionaries({"type": st.just("text")}, optional={"text": odd}), max_size=2),
        "reasoning_content": odd,
        "reasoning": odd,
        "reasoning_details": st.none() | st.lists(detail, max_size=2),
        "tool_calls": st.none() | st.lists(call, max_size=3),
        "function_call": st.none() | st.just({"name": "Read", "arguments": "{}"}),
        "refusal": odd,
    },
)
any_chunk = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(
            st.fixed_dictionaries(
                {}, optional={"index": index, "delta": st.none() | any_delta, "finish_reason": odd | st.just("stop")}
            ),
            max_size=2,
        ),
        "usage": st.none() | st.fixed_dictionaries({}, optional={"prompt_tokens": st.none() | st.integers(-5, 50)}),
        "model": odd,
    },
)
targets = st.sampled_from(
    ["local m1", "openrouter x/y", "gemini gemini-3-pro", "minimax MiniMax-M2", "deepseek deepseek-chat"]
)


@SETTINGS
@given(st.lists(any_chunk, max_size=10), targets)
def test_chaos_is_lawful_or_nonsense(chunks, target):
    """Any chunks at all become a lawful stream, or the provider's error; never a defect of ours."""
    reader = make_reader(make_target(target))
    events = []
    try:
        for chunk in chunks:
            events += reader.feed(ServerSentEvent(b"", json.dumps(chunk).encode()))
        events += reader.feed(ServerSentEvent(b"", b"[DONE]"))
        events += reader.close()
    except (RemoteProtocolError, UpstreamStatus):
        check_events(events)
        return
    check_events(events)
    assert type(events[-1]).__name__ == "MessageStop"


@SETTINGS
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    """Bytes that are no chunk raise the provider's error, as an event and as a body."""
    for feed in ("feed", "feed_body"):
        reader = make_reader(make_target())
        try:
            getattr(reader, feed)(ServerSentEvent(b"", data) if feed == "feed" else data)
        except (RemoteProtocolError, UpstreamStatus):
            continue


@SETTINGS
@given(
    st.recursive(
        values, lambda inner: st.dictionaries(st.sampled_from(["error", "choices", "message"]), inner), max_leaves=6
    )
)
def test_any_json_is_read_or_refused(value):
    """JSON of any shape too."""
    reader = make_reader(make_target())
    try:
        reader.feed_body(msgspec.json.encode(value))
        reader.close()
    except (RemoteProtocolError, UpstreamStatus):
        return
