"""Properties: any conversation becomes a lawful request or a clear 400; whatever a provider sends, a lawful stream."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.dialects.openai_responses import DIALECT
from ccrouter.dialects.openai_responses.reasoning import pack
from ccrouter.errors import ClientError, RemoteProtocolError, UpstreamStatus
from ccrouter.messages.request import MessagesRequest
from ccrouter.sse import ServerSentEvent
from tests.dialects.chat_law import check_events, folded
from tests.dialects.test_reader_properties import arguments, cut, values
from tests.dialects.test_request_properties import choices, document, ids, image, reference, system, text, texts, tool
from tests.dialects_responses.casefile import make_reader, make_target
from tests.dialects_responses.law import check_request

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True)

# -- requests ----------------------------------------------------------------------------------------------------------

sealed = st.sampled_from(
    [
        pack("openai", "gpt-5", {"type": "reasoning", "id": "rs_1", "encrypted_content": "S", "summary": []}, ""),
        pack("openai", "gpt-5", {"type": "reasoning", "id": "rs_2", "content": [{"type": "reasoning_text", "text": "a"}]}, "a"),
        pack("openai", "gpt-4", {"type": "reasoning", "id": "rs_3", "encrypted_content": "S", "summary": []}, ""),
        pack("openai", "gpt-5", {}, ""),
        "", "c2ln", "ccr1:openai_responses:b3BlbmFp:!!!",
    ]
)  # fmt: skip
thinking = st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts, "signature": sealed})
redacted = st.just({"type": "redacted_thinking", "data": "x"})
call = st.fixed_dictionaries(
    {"type": st.just("tool_use"), "name": st.sampled_from(["Read", "mcp.a/b", "n" * 90])},
    optional={"id": ids, "input": st.just({"a": 1})},
)
pdf = st.just({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}})
result = st.fixed_dictionaries(
    {"type": st.just("tool_result"), "tool_use_id": ids},
    optional={
        "content": texts | st.lists(text | image | document | pdf | reference, max_size=3) | st.none(),
        "is_error": st.booleans(),
    },
)
user = st.fixed_dictionaries(
    {"role": st.just("user"), "content": texts | st.lists(text | image | document | pdf | result, max_size=5)}
)
assistant = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": texts | st.lists(text | thinking | redacted | call, max_size=6)}
)
turns = st.lists(st.one_of(user, assistant, system), max_size=10)
targets = st.sampled_from(["openai gpt-5", "openai gpt-4.1", "openrouter openai/gpt-5", "xai grok-4", "local m1"])
ways_to_think = st.sampled_from(
    [None, {"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled"}, {"type": "enabled", "budget_tokens": 5000}]
)
efforts = st.sampled_from([{}, {"effort": "low"}, {"effort": "max"}, {"effort": "?"}])
search = st.fixed_dictionaries(
    {"type": st.just("web_search_20250305"), "name": st.just("web_search")},
    optional={"allowed_domains": st.just(["a.example"]), "blocked_domains": st.just(["b.example"])},
)
tools = st.lists(tool | search, max_size=3, unique_by=lambda one: one["name"])


@SETTINGS
@given(turns, targets, tools, choices, ways_to_think, efforts)
def test_any_conversation_is_lawful(messages, target, offered, choice, thinking, effort):
    """Every call has its output, reasoning what it led to, nothing is empty, and each item is of the SDK's own type."""
    request = {
        "model": "m", "messages": messages, "tools": offered, "tool_choice": choice, "thinking": thinking,
        "output_config": effort, "max_tokens": 3000,
    }  # fmt: skip
    read = MessagesRequest.read(json.dumps(request).encode())
    try:
        sent = DIALECT.encode(read, make_target(target), {})
    except ClientError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert "nothing in them to answer" in refusal
        return
    check_request(json.loads(sent.body))
    assert not {loss.path for loss in sent.losses} & sent.kept
    assert DIALECT.encode(read, make_target(target), {}).body == sent.body


@SETTINGS
@given(
    st.dictionaries(
        st.sampled_from(["messages", "system", "tools", "tool_choice", "thinking", "output_config", "max_tokens", "metadata"]),
        st.recursive(values, lambda inner: st.dictionaries(st.sampled_from(["type", "role", "content", "name"]), inner)),
    )
)  # fmt: skip
def test_any_request_is_encoded_or_the_clients_fault(members):
    """Whatever stands in a request, the encoder raises nothing but the client's own fault."""
    read = MessagesRequest.read(msgspec.json.encode({"model": "m", **members}))
    try:
        DIALECT.encode(read, make_target("openai gpt-5"), {})
    except ClientError:
        return


# -- answers -----------------------------------------------------------------------------------------------------------


def feed(events, target="openai gpt-5"):
    reader = make_reader(make_target(target), stream=True)
    written = []
    for event in events:
        written += reader.feed(ServerSentEvent(b"", json.dumps(event).encode()))
    return written + reader.close()


DONE = {"type": "response.completed", "response": {"status": "completed", "output": []}}


@st.composite
def interleaved_calls(draw):
    """Calls, and events that tell of them: pieces in any order between calls, and some of what repeats them left out."""
    inputs = draw(st.lists(arguments, min_size=1, max_size=4))
    whole = [json.dumps(one) for one in inputs]
    pieces = [cut(one, draw(st.lists(st.integers(0, 200), max_size=4))) for one in whole]
    is_numbered = draw(st.booleans())

    def place(index):
        return {"item_id": f"fc_{index}"} | ({"output_index": index} if is_numbered else {})

    def item(index, text):
        return {
            "type": "function_call",
            "id": f"fc_{index}",
            "call_id": f"c{index}",
            "name": f"f{index}",
            "arguments": text,
        }

    events = []
    is_announced = [draw(st.booleans()) for _ in inputs]
    for index, announced in enumerate(is_announced):
        if announced:
            events.append({"type": "response.output_item.added", **place(index), "item": item(index, "")})
    taken = [0] * len(inputs)
    for index in draw(st.permutations([number for number, own in enumerate(pieces) for _ in own])):
        delta = pieces[index][taken[index]]
        taken[index] += 1
        events.append({"type": "response.function_call_arguments.delta", **place(index), "delta": delta})
    for index in draw(st.permutations(range(len(inputs)))):
        if draw(st.booleans()):
            done = {"type": "response.function_call_arguments.done", **place(index), "arguments": whole[index]}
            events.append(done)
        if not is_announced[index] or draw(st.booleans()):
            events.append({"type": "response.output_item.done", **place(index), "item": item(index, whole[index])})
    output = [item(index, whole[index]) for index in range(len(inputs))] if draw(st.booleans()) else []
    return inputs, [*events, {"type": "response.completed", "response": {"status": "completed", "output": output}}]


@SETTINGS
@given(interleaved_calls())
def test_arguments_survive_any_interleaving(case):
    """Each call's block holds exactly its arguments, whatever is interleaved, repeated or left out."""
    inputs, events = case
    written = feed(events)
    check_events(written)
    message = folded(written)
    assert message["stop_reason"] == "tool_use"
    got = {block["name"]: (block["id"], block["input"]) for block in message["content"]}
    assert got == {f"f{index}": (f"c{index}", given) for index, given in enumerate(inputs)}


index = st.none() | st.integers(0, 2)
odd = st.none() | st.text(max_size=6)
item_ids = st.none() | st.sampled_from(["a", "b"])
part = st.fixed_dictionaries(
    {"type": st.sampled_from(["output_text", "refusal", "reasoning_text", "summary_text", "x"])},
    optional={"text": odd, "refusal": odd, "annotations": st.none() | st.just([{"type": "url_citation", "url": "u"}])},
)
any_item = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "reasoning", "web_search_call", "mcp_call", "compaction", "", "x"])},
    optional={
        "id": item_ids, "call_id": item_ids, "name": odd, "arguments": odd | arguments, "content": st.none() | st.lists(part, max_size=2),
        "summary": st.none() | st.lists(part, max_size=2), "encrypted_content": odd, "phase": odd, "status": odd, "action": st.none() | arguments,
    },
)  # fmt: skip
any_response = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["completed", "incomplete", "in_progress", "failed", None]),
        "output": st.none() | st.lists(any_item, max_size=3), "model": odd, "error": st.none() | st.just({"code": "server_error"}),
        "usage": st.none() | st.fixed_dictionaries({}, optional={"input_tokens": st.none() | st.integers(-5, 50), "total_tokens": index}),
        "incomplete_details": st.none() | st.fixed_dictionaries({"reason": odd}),
    },
)  # fmt: skip
any_event = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "response.created", "response.output_item.added", "response.output_item.done", "response.content_part.done",
                "response.output_text.delta", "response.output_text.done", "response.refusal.delta", "response.refusal.done",
                "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done", "response.reasoning_text.delta",
                "response.reasoning_summary_part.done", "response.function_call_arguments.delta",
                "response.function_call_arguments.done", "response.output_text.annotation.added", "x",
            ]
        )
    },
    optional={
        "output_index": index, "item_id": item_ids, "content_index": index, "summary_index": index, "item": st.none() | any_item,
        "part": st.none() | part, "delta": odd | arguments, "text": odd, "refusal": odd, "arguments": odd | arguments,
        "annotation": st.none() | st.just({"type": "url_citation", "url": "u", "title": "t"}), "response": st.none() | any_response,
    },
)  # fmt: skip


@SETTINGS
@given(st.lists(any_event, max_size=12), any_response, st.booleans())
def test_chaos_is_lawful_or_nonsense(events, last, asks_search):
    """Any events at all become a lawful stream, or the provider's error; never a defect of ours."""
    search = {"tools": [{"type": "web_search_20250305", "name": "web_search"}]} if asks_search else {}
    reader = make_reader(make_target("openai gpt-5"), stream=True, **search)
    written = []
    try:
        for event in [*events, {"type": "response.completed", "response": last}]:
            written += reader.feed(ServerSentEvent(b"", json.dumps(event).encode()))
        written += reader.close()
    except (RemoteProtocolError, UpstreamStatus):
        check_events(written)
        return
    check_events(written)
    assert type(written[-1]).__name__ == "MessageStop"


texts_of_parts = st.lists(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=3), min_size=1, max_size=4)


@SETTINGS
@given(texts_of_parts, st.sampled_from(["deltas", "done", "item", "response"]))
def test_text_is_said_once_and_whole(messages, where):
    """Messages come out as they went in, to the character, wherever in the stream their text stands."""
    events, output = [], []
    for number, pieces in enumerate(messages):
        whole = "".join(pieces)
        place = {"item_id": f"m{number}", "output_index": number, "content_index": 0}
        item = {"type": "message", "id": f"m{number}", "content": [{"type": "output_text", "text": whole}]}
        if where == "deltas":
            events += [{"type": "response.output_text.delta", **place, "delta": piece} for piece in pieces]
        if where in {"deltas", "done"}:
            events.append({"type": "response.output_text.done", **place, "text": whole})
        if where != "response":
            events.append({"type": "response.output_item.done", "output_index": number, "item": item})
        output.append(item)
    written = feed([*events, {"type": "response.completed", "response": {"status": "completed", "output": output}}])
    check_events(written)
    said = [block["text"] for block in folded(written)["content"]]
    wanted = ["".join(pieces) for pieces in messages]
    if any(one.strip() for one in wanted):
        assert said == [one for one in wanted if one.strip()]
    else:
        assert said == [wanted[-1]]


@SETTINGS
@given(st.binary(max_size=60) | values.map(msgspec.json.encode))
def test_any_bytes_are_read_or_refused(data):
    """Bytes that are no event, and JSON of any shape, raise the provider's error, as an event and as a body."""
    for is_event in (True, False):
        reader = make_reader()
        try:
            reader.feed(ServerSentEvent(b"", data)) if is_event else reader.feed_body(data)
            reader.close()
        except (RemoteProtocolError, UpstreamStatus):
            continue


ITEMS = ("reasoning", "web_search_call", "mcp_call", "image")


@pytest.mark.parametrize("kind", ITEMS)
@pytest.mark.parametrize("broken", [b'"\xed\xa0\xbd"', b'"\\ud83d"', b"[" * 2000 + b"]" * 2000])
def test_members_that_nobody_knows_are_read_or_refused(kind, broken):
    """Broken text in a member that only a provider's own items have raises the provider's error, or is read as far as
    it can be: in an event of its own and in the finished response.
    """
    item = b'{"type": "%b", "x": %b}' % (kind.encode(), broken)
    frame = b'{"type": "response.output_item.done", "output_index": 0, "item": %b}' % item
    for is_event in (True, False):
        reader = make_reader()
        try:
            if is_event:
                reader.feed(ServerSentEvent(b"", frame))
            else:
                reader.feed_body(b'{"status": "completed", "output": [%b]}' % item)
        except RemoteProtocolError:
            continue
        if kind in {"mcp_call", "image"}:
            assert broken == b'"\\ud83d"'
