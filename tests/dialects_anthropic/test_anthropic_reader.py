"""Reading Messages streams as real providers send them: what they may leave out, what they may not, and their errors."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.dialects.anthropic import DIALECT
from ccrouter.dialects.anthropic.reader import MessagesReader, Tap
from ccrouter.errors import RemoteProtocolError, UpstreamStatus
from ccrouter.messages.events import render
from ccrouter.messages.fold import Fold
from ccrouter.sse import ServerSentEvent, SseReader
from tests.upstream import anthropic_wire as wire

FRAMES = wire.message_stream("Hello wörld", thinking="hm", tools=[("t1", "Read", {"p": 1}), ("t2", "LS", {})])


def event(data, name: str | None = None) -> ServerSentEvent:
    """One event; its name is its type's unless told otherwise."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    if name is None:
        name = data["type"] if isinstance(data, dict) and "type" in data else ""
    return ServerSentEvent(name.encode(), raw)


def start(**message):
    message = {"id": "msg_1", "model": "answered", "usage": {"input_tokens": 3, "output_tokens": 1}, **message}
    return {"type": "message_start", "message": message}


BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
STOP = {"type": "content_block_stop", "index": 0}
END = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 9},
}
DONE = {"type": "message_stop"}
WHOLE = [start(), BLOCK, TEXT, STOP, END, DONE]


def tapped(*events) -> Tap:
    tap = Tap()
    for one in events:
        tap.feed(one if isinstance(one, ServerSentEvent) else event(one))
    return tap


def read(*events):
    """The typed events, and the reader."""
    reader = MessagesReader("asked")
    out = [new for one in events for new in reader.feed(one if isinstance(one, ServerSentEvent) else event(one))]
    return out + reader.close(), reader


def message(*events) -> dict:
    fold = Fold()
    for one in read(*events)[0]:
        fold.feed(one)
    return json.loads(msgspec.json.encode(fold.close()))


def both(*events):
    """What tap and reader make of a stream that must fail: the reader's exception, which is the tap's too."""
    with pytest.raises((RemoteProtocolError, UpstreamStatus)) as by_reader:
        read(*events)
    with pytest.raises((RemoteProtocolError, UpstreamStatus)) as by_tap:
        tapped(*events)
    assert type(by_tap.value) is type(by_reader.value)
    assert str(by_tap.value) == str(by_reader.value)
    return by_reader.value


# -- a whole stream ----------------------------------------------------------------------------------------------------


def test_a_stream_read_is_the_stream():
    """Typed and rendered again, a stream has the events that it had; only the model is the asked one."""
    sse = SseReader()
    events = [one for frame in FRAMES for one in sse.feed(frame)]
    rendered = b"".join(map(render, read(*events)[0]))
    expected = [json.loads(one.data) for one in events]
    expected[0]["message"]["model"] = "asked"
    got = [json.loads(frame.split(b"data: ")[1]) for frame in rendered.split(b"\n\n") if frame]
    for one in (*got, *expected):  # message_start may say more of usage; that is checked below
        one.get("message", {}).pop("usage", None)
    assert got == expected


def test_streamed_and_unstreamed_answers_are_the_same_message():
    """The same answer as a stream and as a body is read as the same message and the same facts."""
    sse = SseReader()
    arguments = {
        "text": "Hello", "thinking": "hm", "tools": [("t1", "Read", {"p": 1.5})],
        "usage": {"cache_read_input_tokens": 7, "cache_creation_input_tokens": 2},
    }  # fmt: skip
    streamed = message(*(one for frame in wire.message_stream(**arguments) for one in sse.feed(frame)))
    reader = MessagesReader("asked")
    fold = Fold()
    for one in [*reader.feed_body(json.dumps(wire.message_json(**arguments)).encode()), *reader.close()]:
        fold.feed(one)
    assert json.loads(msgspec.json.encode(fold.close())) == streamed
    assert streamed["model"] == "asked"
    assert reader.answered_model == wire.MODEL


def test_the_tap_sees_facts_only():
    """A tap knows the answered model, the usage, the reason and how far the stream is."""
    tap = Tap()
    seen = []
    for one in WHOLE:
        tap.feed(event(one))
        seen.append((tap.name, tap.has_content, tap.is_finished, tap.is_done))
    assert seen == [
        ("message_start", False, False, False),
        ("content_block_start", False, False, False),  # an empty block: nothing was said yet
        ("content_block_delta", True, False, False),
        ("content_block_stop", True, False, False),
        ("message_delta", True, True, False),
        ("message_stop", True, True, True),
    ]
    assert (tap.answered_model, tap.stop_reason, tap.usage.input_tokens, tap.usage.output_tokens) == (
        "answered",
        "end_turn",
        3,
        9,
    )


# -- usage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "usage"),
    [
        ({"input_tokens": 3, "output_tokens": 1}, {"output_tokens": 9}, (3, 0, 0, 9)),
        ({"input_tokens": 3}, {"input_tokens": 4, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 6, "output_tokens": 9}, (4, 6, 5, 9)),
        ({"input_tokens": 3, "cache_read_input_tokens": 5}, {"input_tokens": 0, "cache_read_input_tokens": None, "output_tokens": 9}, (3, 0, 5, 9)),
        ({"input_tokens": None, "output_tokens": None}, {"input_tokens": 4, "output_tokens": None}, (4, 0, 0, 0)),
        (None, None, (0, 0, 0, 0)),
        (..., ..., (0, 0, 0, 0)),
        ({}, {"output_tokens": 9.0, "input_tokens": 3.0}, (3, 0, 0, 9)),
        ({}, {"output_tokens": "9", "input_tokens": -3}, (0, 0, 0, 0)),
        ({"input_tokens": 1, "cost": 0.1}, {"output_tokens": 9, "cache_creation": {"x": 1}, "server_tool_use": None}, (1, 0, 0, 9)),
        ([], "none", (0, 0, 0, 0)),
    ],
)  # fmt: skip
def test_usage_wherever_and_however_it_comes(first, last, usage):
    """Nulls, zeros, fractions, strings and nothing at all: what is a number counts, later before earlier, and nothing
    about usage can break a stream.
    """
    head = {name: value for name, value in start(usage=first)["message"].items() if value is not ...}
    end = {name: value for name, value in {**END, "usage": last}.items() if value is not ...}
    events = [{"type": "message_start", "message": head}, BLOCK, TEXT, STOP, end, DONE]
    expected = dict(
        zip(
            ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"],
            usage,
            strict=True,
        )
    )
    assert msgspec.to_builtins(tapped(*events).usage) == expected
    assert message(*events)["usage"] == expected


def test_message_start_reports_the_cache_too():
    """What a client adds up from message_start holds the cached tokens as well."""
    first = read(start(usage={"input_tokens": 3, "cache_read_input_tokens": 5}), END)[0][0]
    assert first.message.usage.context == 8


# -- what providers add and leave out ----------------------------------------------------------------------------------


def test_done_and_blank_data_are_nothing():
    """`[DONE]`, and events whose data is blank, are no events of Messages."""
    done = [
        ServerSentEvent(b"", b"[DONE]"),
        ServerSentEvent(b"data", b"[DONE]"),
        ServerSentEvent(b"", b" "),
        ServerSentEvent(b"ping", b""),
    ]
    assert read(*WHOLE, *done)[0] == read(*WHOLE)[0]


@pytest.mark.parametrize(
    "novelty",
    [
        event({"type": "novelty", "x": 1}),
        event(
            {
                "type": "novelty",
                "message": "words",
                "delta": "more",
                "index": "one",
                "content_block": 7,
                "error": {},
                "usage": [],
            }
        ),
        event({"type": "novelty", "message": "words"}, ""),
        event({"type": "novelty", "delta": []}, "message"),
        event({"message": {"model": "other"}}, "novelty"),
        event(b"not JSON", "novelty"),
        event(b"\xff", "novelty"),
        event(b"[1]", "novelty"),
    ],
)
def test_unknown_events_pass(novelty):
    """Events that the protocol did not have pass unjudged, whatever is in them, and change nothing."""
    for place in range(len(WHOLE) + 1):
        events = [*WHOLE[:place], novelty, *WHOLE[place:]]
        assert read(*events)[0] == read(*WHOLE)[0]
        tap = tapped(*events)
        assert (tap.answered_model, tap.is_done) == ("answered", True)


def test_the_name_of_an_unknown_event_is_known():
    """A relay can name the event that it passes on."""
    tap = tapped(start(), event({"type": "novelty", "message": 1}, ""))
    assert tap.name == "novelty"
    tap.feed(event(b"x", "other"))
    assert tap.name == "other"


def test_names_and_types_stand_for_each_other():
    """Events without an event line are known by their type, events without a type by their event line."""
    without_lines = [event(one, "") for one in WHOLE]
    without_types = [
        event({name: value for name, value in one.items() if name != "type"}, one["type"]) for one in WHOLE
    ]
    under_message = [event(one, "message") for one in WHOLE]
    for events in (without_lines, without_types, under_message):
        assert read(*events)[0] == read(*WHOLE)[0]
        assert tapped(*events).is_done


def test_a_forgotten_message_stop_is_added():
    """Once message_delta has come the message is finished: the forgotten message_stop is added, once."""
    assert read(*WHOLE[:-1])[0] == read(*WHOLE)[0]
    assert tapped(*WHOLE[:-1]).is_finished


@pytest.mark.parametrize("length", range(5))
def test_a_stream_cut_short_is_an_error(length):
    """A stream that ends before message_delta was not finished, wherever it ends, and no end is invented."""
    with pytest.raises(RemoteProtocolError, match="ended before"):
        read(*WHOLE[:length])
    assert not tapped(*WHOLE[:length]).is_finished


def test_a_message_stop_without_message_delta_is_an_error():
    """A message_stop alone does not say why the message ended: that is a breach."""
    assert isinstance(both(*WHOLE[:4], DONE), RemoteProtocolError)


@pytest.mark.parametrize(
    "breach",
    [
        [BLOCK],
        [TEXT],
        [start(), TEXT],
        [start(), STOP],
        [start(), start()],
        [start(), BLOCK, BLOCK],
        [start(), BLOCK, {**TEXT, "index": 1}],
        [start(), BLOCK, {"type": "content_block_delta", "delta": {}}],
        [start(), BLOCK, END],
        [start(), END, BLOCK],
        [*WHOLE, start()],
        [event(b"{", "message_start")],
        [event(b"{", "content_block_delta")],
        [event(b"[]", "content_block_delta")],
        [start(), event(b"\xff", "content_block_start")],
        [event(b"not JSON", "")],
        [event(b"[" * 100_000, "message_start")],
        [start(), event({**BLOCK, "content_block": "text"})],
        [start(), event({"type": "content_block_start", "content_block": {"type": "text"}})],
    ],
)  # fmt: skip
def test_breaches(breach):
    """Events out of order, or of a known name that cannot be read, are the provider's breach."""
    assert isinstance(both(*breach), RemoteProtocolError)


def test_null_and_missing_facts_do_no_harm():
    """A message_start without id, model or usage, or with nulls there, begins a message like any other."""
    for head in ({}, {"id": None, "model": None, "usage": None}):
        events, reader = read({"type": "message_start", "message": head}, *WHOLE[1:])
        assert events[0].message.id == ""
        assert events[0].message.model == "asked"
        assert reader.answered_model == ""
    assert read({"type": "message_start"}, *WHOLE[1:])[0][0].message.model == "asked"


def test_blocks_begin_with_what_sdks_add_to():
    """Text and thinking blocks that begin without their text get it, empty: SDKs add to it without looking."""
    for kind, members in (("text", {"text": ""}), ("thinking", {"thinking": "", "signature": ""})):
        block = {"type": "content_block_start", "index": 0, "content_block": {"type": kind}}
        assert read(start(), block, STOP, END)[0][1].content_block == {"type": kind, **members}


def test_two_message_deltas():
    """Two message_deltas are allowed; a reason told once is not untold by the second."""
    second = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 11}}
    tap = tapped(*WHOLE[:5], second, DONE)
    assert (tap.stop_reason, tap.usage.output_tokens) == ("end_turn", 11)
    assert message(*WHOLE[:5], second, DONE)["stop_reason"] == "end_turn"


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "kind", "words"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, 529, "overloaded_error", "Overloaded"),
        ({"type": "rate_limit_error", "message": "Slow"}, 429, "rate_limit_error", "Slow"),
        ({"type": "api_error", "message": "Internal"}, 500, "api_error", "Internal"),
        ({"type": "invalid_request_error", "message": "No"}, 400, "invalid_request_error", "No"),
        ({"type": "authentication_error", "message": "No"}, 401, "authentication_error", "No"),
        ({"type": "invented_error", "message": "Hm"}, 500, "api_error", "Hm"),
        ({"type": None, "message": "Hm"}, 500, "api_error", "Hm"),
        ({"message": "Hm"}, 500, "api_error", "Hm"),
        ({"code": 402, "message": "Insufficient credits"}, 402, "billing_error", "Insufficient credits"),
        ({"code": 429, "message": "Slow"}, 429, "rate_limit_error", "Slow"),
        ({"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"}, 400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        ("words alone", 500, "api_error", "words alone"),
        (None, 500, "api_error", "no message"),
    ],
)  # fmt: skip
def test_an_error_in_a_200(error, status, kind, words):
    """An error event is the error it would have been as a status, with the provider's words; as a body it is the same."""
    frame = {"type": "error", "error": error}
    for events in ([frame], [start(), BLOCK, frame], [event(frame, "")]):
        caught = both(*events)
        assert isinstance(caught, UpstreamStatus)
        assert (caught.status, caught.type) == (status, kind)
        assert words in str(caught)
    with pytest.raises(UpstreamStatus) as by_body:
        MessagesReader("asked").feed_body(json.dumps(frame).encode())
    assert (by_body.value.status, by_body.value.type) == (status, kind)


def test_keys_in_errors_are_masked():
    """A key that a provider prints in its error does not go on."""
    caught = both({"type": "error", "error": {"type": "api_error", "message": "bad key sk-ant-0123456789abcdef"}})
    assert "0123456789" not in str(caught)


# -- unstreamed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"text", b"{", b"\xff", b'{"a":"\xff"}', b"{}", b'{"content":null}', b'{"content":"text"}',
        b'{"content":["text"]}', b'{"content":[{}]}', b"<html>", b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_body_that_is_no_message(body):
    """Whatever is not a message with a list of blocks is a breach, and never a crash."""
    with pytest.raises(RemoteProtocolError):
        MessagesReader("asked").feed_body(body)
    with pytest.raises(RemoteProtocolError):
        Tap().note_body(body)


def test_a_body_tells_its_facts():
    """A tap reads model, usage and reason off a body; odd usage does no harm; the body is finished by being whole."""
    tap = Tap()
    tap.note_body(b'{"model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":null,"output_tokens":"x"}}')
    assert (tap.answered_model, tap.stop_reason, tap.is_finished, tap.is_done, tap.has_content) == (
        "m",
        None,
        True,
        True,
        True,
    )
    reader = MessagesReader("asked")
    events = reader.feed_body(b'{"content":[]}')
    assert [type(one).__name__ for one in events] == ["MessageStart", "MessageDelta", "MessageStop"]
    assert reader.close() == []


@given(st.binary(max_size=40), st.sampled_from([b"", b"message_start", b"content_block_delta", b"error", b"novelty"]))
def test_any_event(data, name):
    """Whatever comes, a tap and a reader pass it or raise what the gateway understands."""
    for take in (Tap().feed, MessagesReader("asked").feed):
        try:
            take(ServerSentEvent(name, data))
        except (RemoteProtocolError, UpstreamStatus) as error:
            assert str(error)  # noqa: PT017 - either outcome is right


# -- error answers -----------------------------------------------------------------------------------------------------


def explain(status: int, error, **more):
    body = error if isinstance(error, bytes) else json.dumps({"type": "error", "error": error, **more}).encode()
    return DIALECT.explain(status, {"content-type": "application/json"}, body, "anthropic"), body


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"type": "invalid_request_error", "message": "capability_rejected: mid_conv_system"}),
        (400, {"type": "invalid_request_error", "message": "x", "details": {"error_code": "thread_not_found"}}),
        (429, {"type": "rate_limit_error", "message": "Slow down"}),
        (529, {"type": "overloaded_error", "message": "Overloaded"}),
        (500, {"type": "api_error", "message": "Internal server error"}),
    ],
)
def test_a_providers_own_error_passes(status, error):
    """An error that needs no explanation is kept as a body, details and all: clients negotiate by it."""
    explained, body = explain(status, error, request_id="req_1")
    assert (explained.status, explained.type, explained.body) == (status, error["type"], body)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, {"type": "authentication_error", "message": "invalid x-api-key"}),
        (400, {"type": "invalid_request_error", "message": "Your credit balance is too low"}),
        (400, {"type": "invalid_request_error", "message": "no: sk-ant-0123456789abcdef"}),
        (500, {"type": "api_error", "message": "x" * 5000}),
        (502, b"<html><title>Bad gateway</title></html>"),
        (400, b'{"error":{"message":"of another shape"}}'),
        (400, b'{"type":"error","error":{"type":"x","message":"\xff"}}'),
        (400, b'{"type":"error","error":"words"}'),
        (400, b"[" * 100_000),
        (500, b""),
    ],
)  # fmt: skip
def test_an_error_that_was_explained_does_not(status, error):
    """Where the words had to be put differently, masked or shortened, or the body is no Messages error, ours is sent."""
    explained, _ = explain(status, error)
    assert explained.body is None
    assert str(explained)
    assert len(str(explained)) < 3000
    assert "0123456789" not in str(explained)


@pytest.mark.parametrize("odd", [{"type": "x"}, ["end_turn"], 3, True])
def test_a_reason_that_is_no_word_is_none(odd):
    """A stop reason of another type than text, which relays have sent, says nothing: nobody who looks it up breaks."""
    end = {**END, "delta": {"stop_reason": odd, "stop_sequence": odd}}
    out, _ = read(*WHOLE[:4], end, DONE)
    assert (out[-2].delta.stop_reason, out[-2].delta.stop_sequence) == (None, None)
    assert tapped(*WHOLE[:4], end).stop_reason is None
    body = json.dumps({"model": "m", "content": [], "stop_reason": odd, "stop_sequence": odd}).encode()
    whole = MessagesReader("asked").feed_body(body)
    assert (whole[-2].delta.stop_reason, whole[-2].delta.stop_sequence) == (None, None)
    tap = Tap()
    tap.note_body(body)
    assert tap.stop_reason is None


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": [[]]},
        {"type": "text", "text": "x", "citations": 5},
        {"type": "thinking", "thinking": 1},
        {"type": "thinking", "thinking": "x", "signature": {}},
        {"type": "redacted_thinking", "data": []},
        {"type": "tool_use", "id": {}, "name": "Read", "input": {}},
        {"type": "tool_use", "id": "t", "name": ["Read"], "input": {}},
        {"type": ["text"]},
    ],
)
def test_blocks_of_wrong_types_are_the_providers_fault(block):
    """A block whose text is no text is refused where it is read, streamed or not: nobody who folds it breaks."""
    reader = MessagesReader("asked")
    reader.feed(event(start()))
    with pytest.raises(RemoteProtocolError, match="of a wrong type"):
        reader.feed(event({"type": "content_block_start", "index": 0, "content_block": block}))
    with pytest.raises(RemoteProtocolError, match="of a wrong type"):
        MessagesReader("asked").feed_body(json.dumps({"model": "m", "content": [block]}).encode())


odd = st.none() | st.integers(-3, 3) | st.text(max_size=5) | st.just([[]]) | st.just({"type": "text"})
block = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "tool_use", "redacted_thinking", "server_tool_use", "novelty", 5])},
    optional=dict.fromkeys(["text", "thinking", "signature", "id", "name", "input", "citations", "data"], odd),
)
delta = st.fixed_dictionaries(
    {"type": st.sampled_from(["text_delta", "input_json_delta", "thinking_delta", "signature_delta", "citations_delta", "x"])},
    optional=dict.fromkeys(["text", "partial_json", "thinking", "signature", "citation"], odd),
)  # fmt: skip
part = st.fixed_dictionaries(
    {"type": st.sampled_from(["content_block_start", "content_block_delta", "content_block_stop", "ping", "novelty"])},
    optional={"index": st.integers(0, 2), "content_block": block, "delta": delta},
)
ending = st.fixed_dictionaries({}, optional={"stop_reason": odd, "stop_sequence": odd})
one_block = st.tuples(block, st.lists(delta, max_size=3)).map(
    lambda made: [
        {"type": "content_block_start", "index": 0, "content_block": made[0]},
        *({"type": "content_block_delta", "index": 0, "delta": piece} for piece in made[1]),
        STOP,
    ]
)


@given(st.lists(part, max_size=6) | one_block, ending, odd)
def test_any_answer_can_be_folded_or_is_nonsense(parts, last, usage):
    """Events with members of any type are read into a lawful stream that can be folded, or are the provider's error;
    so is the body that they would be.
    """
    blocks = [one["content_block"] for one in parts if "content_block" in one]
    body = {"model": "m", "content": blocks, "usage": usage, **last}
    for is_streamed in (True, False):
        reader, fold = MessagesReader("asked"), Fold()
        try:
            if is_streamed:
                feed = [start(usage=usage), *parts, {**END, "delta": last}, DONE]
                out = [new for one in feed for new in reader.feed(event(one))] + reader.close()
            else:
                out = reader.feed_body(json.dumps(body).encode()) + reader.close()
            for new in out:
                render(new)
                fold.feed(new)
            fold.close()
        except (RemoteProtocolError, UpstreamStatus):
            continue
