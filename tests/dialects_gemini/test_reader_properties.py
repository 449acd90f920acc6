"""Properties of the reader: however an answer is cut into chunks, what comes out is lawful and nothing is lost."""

from __future__ import annotations

import itertools
import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.dialects.base import UpstreamRequest
from ccrouter.dialects.gemini import DIALECT, Gemini
from ccrouter.errors import RemoteProtocolError, UpstreamStatus
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import ServerSentEvent, SseReader
from tests.dialects.chat_law import check_events, folded
from tests.dialects.test_reader_properties import arguments, cut, values
from tests.dialects_gemini.casefile import make_target, read_request
from tests.upstream.gemini_wire import chunk, gemini_json, gemini_stream

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True)


def make_reader(target="google gemini-3-pro-preview", **changes):
    numbers = itertools.count(1)
    dialect = Gemini(new_id=lambda: f"new_{next(numbers)}")
    where = make_target(target)
    sent = dialect.encode(read_request(**changes), where, {})
    return dialect.reader(sent, where, MessageWriter(id="msg_1", model="asked"))


def read(chunks, reader=None):
    reader = reader or make_reader()
    events = [event for one in chunks for event in reader.feed(ServerSentEvent(b"", json.dumps(one).encode()))]
    return events + reader.close()


def blocks(message, kind):
    return [block for block in message["content"] if block["type"] == kind]


# -- what is said ------------------------------------------------------------------------------------------------------

pieces = st.lists(st.tuples(st.booleans(), st.text(min_size=1, max_size=12)), max_size=12)


@SETTINGS
@given(pieces, st.lists(st.integers(0, 12), max_size=3))
def test_text_and_thinking_lose_nothing(said, breaks):
    """Text and thoughts come out as they went in, to the character, apart from white space that led to nothing; whether
    each piece is a chunk of its own or shares one.
    """
    parts = [{"text": text, **({"thought": True} if is_thought else {})} for is_thought, text in said]
    rows = [list(row) for row in _cut(parts, breaks)]
    try:
        events = read([*map(chunk, rows), chunk(finish="STOP")])
    except RemoteProtocolError:
        assert all(is_thought for is_thought, _ in said)
        return
    check_events(events)
    message = folded(events)
    thoughts = "".join(text for is_thought, text in said if is_thought)
    texts = "".join(text for is_thought, text in said if not is_thought)
    assert "".join(block["thinking"] for block in blocks(message, "thinking")) == thoughts
    told = "".join(block["text"] for block in blocks(message, "text"))
    assert "".join(told.split()) == "".join(texts.split())
    assert thoughts or told == texts


def _cut(items, places):
    cuts = sorted({place % (len(items) + 1) for place in places})
    return [items[a:b] for a, b in zip([0, *cuts], [*cuts, len(items)], strict=True)]


@SETTINGS
@given(
    st.lists(st.tuples(arguments, st.sampled_from(["", "c1", "c2", "toolu_1", "日本"])), min_size=1, max_size=4),
    st.lists(st.integers(0, 4), max_size=3),
    st.booleans(),
)
def test_calls_survive(calls, breaks, is_streamed):
    """Each call comes out with its name and its arguments, under an id that no other call has."""
    parts = [
        {"functionCall": {"name": f"tool_{number}", "args": given, **({"id": id} if id else {})}}
        for number, (given, id) in enumerate(calls)  # noqa: A001 - the protocol's own word
    ]
    reader = make_reader(stream=is_streamed)
    if is_streamed:
        events = read([*(chunk(row) for row in _cut(parts, breaks)), chunk(finish="STOP")], reader)
    else:
        events = reader.feed_body(json.dumps(chunk(parts, "STOP")).encode()) + reader.close()
    check_events(events)
    message = folded(events)
    assert message["stop_reason"] == "tool_use"
    got = blocks(message, "tool_use")
    assert [(block["name"], block["input"]) for block in got] == [
        (f"tool_{number}", given) for number, (given, _) in enumerate(calls)
    ]
    assert len({block["id"] for block in got}) == len(calls)
    assert all(block["id"] for block in got)


names = st.text("ab_ .'[]\\\"é", min_size=1, max_size=4)
leaves = st.booleans() | st.none() | st.integers(-9, 9) | st.text(max_size=9)
grown = st.recursive(
    leaves, lambda inner: st.dictionaries(names, inner, min_size=1) | st.lists(inner, min_size=1), max_leaves=6
)


@SETTINGS
@given(st.dictionaries(names, grown, min_size=1, max_size=3), st.lists(st.integers(0, 20), max_size=4))
def test_arguments_in_pieces_survive(given, places):
    """Arguments that come value by value, long texts in several pieces, are the ones that were meant."""
    calls = [{"name": "Write", "willContinue": True}]
    for path, value in _leaves("$", given):
        if not isinstance(value, str):
            member = "boolValue" if isinstance(value, bool) else "nullValue" if value is None else "numberValue"
            calls.append({"partialArgs": [{"jsonPath": path, member: value}], "willContinue": True})
            continue
        calls += [
            {"partialArgs": [{"jsonPath": path, "stringValue": piece, "willContinue": True}], "willContinue": True}
            for piece in cut(value, places)
        ]
    events = read([*(chunk([{"functionCall": call}]) for call in [*calls, {}]), chunk(finish="STOP")])
    check_events(events)
    (call,) = blocks(folded(events), "tool_use")
    assert (call["name"], call["input"]) == ("Write", given)


def _leaves(path, value):
    """The values that stand in `value`, with their paths, in order."""
    if isinstance(value, dict):
        for name, inner in value.items():
            escaped = name.replace("\\", "\\\\").replace("'", "\\'")
            yield from _leaves(f"{path}['{escaped}']", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(f"{path}[{index}]", inner)
    else:
        yield path, value


# -- chaos -------------------------------------------------------------------------------------------------------------

odd = st.none() | st.text(max_size=6)
signs = st.none() | st.sampled_from(["", "S1", "S2"])
piece = st.fixed_dictionaries(
    {},
    optional={
        "jsonPath": st.sampled_from(
            ["$.a", "$.a.b", "$.a[0]", "$['x']", "$", "a", "$.a[99999]", "", "$" + ".a" * 5000]
        ),
        "stringValue": odd,
        "numberValue": st.none() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False),
        "boolValue": st.none() | st.booleans(),
    },
)
call = st.fixed_dictionaries(
    {},
    optional={
        "id": odd,
        "name": st.none() | st.sampled_from(["Read", "Grep", ""]),
        "args": st.none() | arguments | values,
        "partialArgs": st.none() | st.lists(piece, max_size=2),
        "willContinue": st.none() | st.booleans(),
    },
)
blob = st.fixed_dictionaries({}, optional={"mimeType": odd, "data": odd, "fileUri": odd})
part = st.fixed_dictionaries(
    {},
    optional={
        "text": odd | st.just("said"),
        "thought": st.none() | st.booleans(),
        "thoughtSignature": signs,
        "functionCall": st.none() | call,
        "inlineData": st.none() | blob,
        "fileData": st.none() | blob,
        "executableCode": st.none() | st.just({"language": "PYTHON", "code": "1"}),
        "codeExecutionResult": st.none() | st.just({"outcome": "OUTCOME_OK"}),
        "toolCall": st.none() | arguments,
        "toolResponse": st.none() | arguments,
    },
)
grounding = st.fixed_dictionaries(
    {},
    optional={
        "webSearchQueries": st.none() | st.lists(st.text(max_size=3), max_size=2),
        "groundingChunks": st.none() | st.lists(st.just({"web": {"uri": "https://a.example", "title": "A"}}) | st.just({})),
        "groundingSupports": st.lists(
            st.fixed_dictionaries(
                {}, optional={"segment": st.none() | st.just({"text": "x"}), "groundingChunkIndices": st.lists(st.integers(-2, 9))}
            ),
            max_size=2,
        ),
    },
)  # fmt: skip
finishes = st.sampled_from(
    [None, "", "STOP", "MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL", "FINISH_REASON_UNSPECIFIED", "stop", "NEW"]
)
counts = st.none() | st.integers(-5, 50) | st.floats(0, 9) | st.just("7")
any_chunk = st.fixed_dictionaries(
    {},
    optional={
        "candidates": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": st.none() | st.integers(0, 1),
                    "content": st.none()
                    | st.fixed_dictionaries({}, optional={"parts": st.none() | st.lists(part, max_size=3)}),
                    "finishReason": finishes,
                    "finishMessage": odd,
                    "groundingMetadata": st.none() | grounding,
                },
            ),
            max_size=2,
        ),
        "promptFeedback": st.none()
        | st.fixed_dictionaries({}, optional={"blockReason": odd, "blockReasonMessage": odd}),
        "usageMetadata": st.none()
        | st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(
                ["promptTokenCount", "cachedContentTokenCount", "candidatesTokenCount", "totalTokenCount"], counts
            ),
        ),
        "modelVersion": odd,
    },
)
targets = st.sampled_from(["google gemini-3-pro-preview", "vertex gemini-2.5-pro", "relay house-model"])
searching = st.sampled_from([[], [{"type": "web_search_20250305", "name": "web_search"}]])


@SETTINGS
@given(st.lists(any_chunk, max_size=8), targets, searching, st.sampled_from(["frames", "row", "rows in a frame"]))
def test_chaos_is_lawful_or_nonsense(chunks, target, tools, form):
    """Any chunks at all become a lawful stream, or the provider's error; never a defect of ours. Usage is never below
    nothing.
    """
    reader = make_reader(target, tools=tools)
    events = []
    whole = json.dumps(chunks).encode()
    try:
        if form == "row":
            events += reader.feed_body(whole)
        elif form == "rows in a frame":
            events += reader.feed(ServerSentEvent(b"", whole))
        else:
            for one in chunks:
                events += reader.feed(ServerSentEvent(b"", json.dumps(one).encode()))
        events += reader.close()
    except (RemoteProtocolError, UpstreamStatus):
        check_events(events)
        return
    finally:
        usage = reader.usage
        assert min(usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) >= 0
    check_events(events)
    assert type(events[-1]).__name__ == "MessageStop"
    message = folded(events)
    for block in message["content"]:
        assert block["type"] != "tool_use" or block["id"]
    spoken = [block["type"] for block in message["content"]]
    assert spoken[-1:] != ["thinking"] or set(spoken) == {"thinking"} or message["stop_reason"] == "max_tokens"


@SETTINGS
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    """Bytes that are no chunk raise the provider's error, as an event and as a body."""
    for feed in ("feed", "feed_body"):
        reader = make_reader()
        try:
            getattr(reader, feed)(ServerSentEvent(b"", data) if feed == "feed" else data)
        except (RemoteProtocolError, UpstreamStatus):
            continue


@SETTINGS
@given(
    st.recursive(
        values,
        lambda inner: (
            st.dictionaries(st.sampled_from(["error", "candidates", "content", "parts", "text"]), inner)
            | st.lists(inner, max_size=2)
        ),
        max_leaves=6,
    )
)
def test_any_json_is_read_or_refused(value):
    """JSON of any shape too."""
    reader = make_reader()
    try:
        reader.feed_body(msgspec.json.encode(value))
        reader.close()
    except (RemoteProtocolError, UpstreamStatus):
        return


# -- what a reader needs -----------------------------------------------------------------------------------------------


def test_a_plain_request_is_enough():
    """An answer can be read by any request's leave, such as one that a transform replaced."""
    target = make_target()
    reader = DIALECT.reader(UpstreamRequest(b"{}"), target, MessageWriter(id="m", model="asked"))
    frames = b"".join(gemini_stream("Hi.", tools=[("", "Read", {})], with_ids=False)).replace(b"\r\n", b"\n")
    events = [event for sse in SseReader().feed(frames) for event in reader.feed(sse)] + reader.close()
    (call,) = blocks(folded(events), "tool_use")
    assert call["id"].startswith("toolu_")


def test_ids_made_up_are_apart():
    """Two answers with calls that have no ids do not give them the same ones."""
    ids = set()
    for _ in range(2):
        target = make_target("google gemini-2.5-pro")
        sent = DIALECT.encode(read_request(), target, {})
        reader = DIALECT.reader(sent, target, MessageWriter(id="m", model="asked"))
        body = gemini_json(tools=[("", "Read", {}), ("", "Read", {})], with_ids=False)
        events = reader.feed_body(json.dumps(body).encode()) + reader.close()
        ids |= {block["id"] for block in blocks(folded(events), "tool_use")}
    assert len(ids) == 4
