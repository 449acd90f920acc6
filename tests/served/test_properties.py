"""Whatever a client sends, and whatever a provider answers: no crash, no unlawful stream, nothing lost in silence."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.dialects import openai_chat, openai_responses
from ccrouter.dialects.anthropic.reader import MessagesReader
from ccrouter.dialects.registry import SERVED
from ccrouter.dialects.seals import seal, unseal
from ccrouter.dialects.splices import with_model
from ccrouter.errors import ClientError, RemoteProtocolError, UnsupportedContent, UpstreamStatus
from ccrouter.messages.fault import TYPE_BY_STATUS, Fault
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import ServerSentEvent
from tests.dialects.casefile import make_target
from tests.served.law import chat_of, events_of, frames_of, response_of

FORMS = list(SERVED)
texts = st.text(max_size=12)
NAMES = (
    "type role content text name id call_id function arguments tool_calls tool_call_id image_url url input output file "
    "file_data input_audio refusal reasoning_content reasoning_details data summary encrypted_content custom namespace "
    "tools parameters format schema json_schema effort model input instructions messages stream tool_choice stop n user "
    "max_tokens max_output_tokens temperature response_format reasoning reasoning_effort action command operation status"
)
WORDS = (
    "user assistant system developer tool function message function_call function_call_output custom_tool_call reasoning "
    "local_shell_call shell_call apply_patch_call input_text output_text input_image input_file text image_url file custom "
    "web_search namespace local_shell json_schema json_object allowed_tools auto none required item_reference"
)
names = st.sampled_from(NAMES.split())
words = st.one_of(
    texts,
    st.sampled_from(WORDS.split()),
    st.just("data:image/png;base64,AAAA"),
    st.just('{"a": 1}'),
    st.just("ccrouter:e30="),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 2**70), st.floats(allow_nan=False), words),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=6)),
    max_leaves=20,
)


@pytest.mark.parametrize("form", FORMS)
@given(body=st.dictionaries(names, values, max_size=8), raw=st.one_of(st.none(), st.binary(max_size=40)))
def test_reading_raises_client_errors_only(form, body, raw):
    """Any body is read or refused with a status, and what is read is a Messages request that can be encoded and judged."""
    sent = json.dumps(body).encode() if raw is None else raw
    try:
        reading = SERVED[form].read(sent)
    except ClientError as error:
        status = error.status
    else:
        status = 400
        _check_request(reading)
    assert 400 <= status < 500


def _check_request(reading) -> None:
    request = MessagesRequest.read(reading.request.encode())
    request.validate()
    turns = request.turns
    assert [turn.role for turn in turns] == ["user", "assistant"] * (len(turns) // 2) + ["user"] * (len(turns) % 2)
    answered: list[str] = []
    for turn in turns:
        assert turn.content
        results = [block.tool_use_id for block in turn.content if block.type == "tool_result"]
        assert results == answered
        answered = [block.id for block in turn.content if block.type == "tool_use"] if turn.role == "assistant" else []
    assert not answered
    ids = [block.id for turn in turns for block in turn.content if block.type == "tool_use"]
    assert len(ids) == len(set(ids))
    for loss in reading.losses:
        assert reading.located(loss.path)
    _ = request.tools, request.tool_choice, request.thinking, request.output_config, request.system


chat_part = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.just({"type": "image_url", "image_url": {"url": "https://x.example/a"}}),
    st.just({"type": "input_audio", "input_audio": {}}),
)
chat_content = st.one_of(texts, st.lists(chat_part, max_size=3), st.none())
ids = st.sampled_from(["a", "b", "c", "functions.x:0", ""])
chat_message = st.one_of(
    st.builds(lambda r, c: {"role": r, "content": c}, st.sampled_from(["system", "user", "developer"]), chat_content),
    st.builds(
        lambda c, calls: {"role": "assistant", "content": c, "tool_calls": calls},
        chat_content,
        st.lists(
            st.builds(
                lambda i, a: {"id": i, "type": "function", "function": {"name": "f", "arguments": a}},
                ids,
                st.sampled_from(["", "{}", '{"x":1.50}', "{half", '"text"', '{"x":"\\ud800"}']),
            ),
            max_size=3,
        ),
    ),
    st.builds(lambda i, c: {"role": "tool", "tool_call_id": i, "content": c}, ids, chat_content),
)
item = st.one_of(
    st.builds(
        lambda r, c: {"role": r, "content": c}, st.sampled_from(["system", "user", "assistant", "developer"]), texts
    ),
    st.builds(
        lambda i, a: {"type": "function_call", "call_id": i, "name": "f", "arguments": a},
        ids,
        st.sampled_from(["", "{}", "{half"]),
    ),
    st.builds(lambda i: {"type": "custom_tool_call", "call_id": i, "name": "g", "input": "x"}, ids),
    st.builds(lambda i, o: {"type": "function_call_output", "call_id": i, "output": o}, ids, texts),
    st.builds(
        lambda t: {"type": "reasoning", "summary": [{"text": t}], "encrypted_content": seal({"type": "thinking"})},
        texts,
    ),
    st.just({"type": "web_search_call", "id": "ws"}),
    st.just({"type": "local_shell_call", "call_id": "a", "action": {"type": "exec", "command": ["ls"], "env": {}}}),
)


@given(messages=st.lists(chat_message, max_size=9))
def test_any_conversation_of_chat(messages):
    """Whatever order messages come in, the turns are lawful, and every upstream dialect takes them."""
    _check_conversation("openai_chat", {"model": "m", "messages": messages})


@given(items=st.lists(item, max_size=9))
def test_any_conversation_of_responses(items):
    """The same for items."""
    _check_conversation("openai_responses", {"model": "m", "input": items})


def _check_conversation(form, body) -> None:
    try:
        reading = SERVED[form].read(json.dumps(body).encode())
    except ClientError:
        return
    _check_request(reading)
    for dialect in (openai_chat.DIALECT, openai_responses.DIALECT):
        with contextlib.suppress(UnsupportedContent):  # an image in an answer
            dialect.encode(reading.request, make_target(), {})


pieces = st.lists(texts, max_size=4)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("text"), texts),
        st.tuples(st.just("think"), texts),
        st.tuples(st.just("sign"), texts),
        st.tuples(st.just("redact"), texts),
        st.tuples(st.just("call"), st.sampled_from(["f", "g", "local_shell"])),
        st.tuples(st.just("input"), st.sampled_from(['{"input"', ': "x"}', "{}", "{half", ""])),
        st.tuples(st.just("search"), st.just("")),
    ),
    max_size=12,
)
stops = st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal", "stop_sequence", "pause_turn", "novel"])
REQUESTS = {
    "openai_chat": {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "custom", "custom": {"name": "g"}}, {"type": "function", "function": {"name": "f"}}],
    },
    "openai_responses": {
        "model": "m",
        "input": "x",
        "tools": [{"type": "custom", "name": "g"}, {"type": "function", "name": "f"}, {"type": "local_shell"}],
    },
}


def written(acts, stop):
    writer = MessageWriter(id="msg_1", model="asked")
    calls = 0
    for act, what in acts:
        match act:
            case "text":
                writer.text(what)
            case "think":
                writer.thinking(what)
            case "sign":
                writer.signature(what)
            case "redact":
                writer.block({"type": "redacted_thinking", "data": what})
            case "call":
                calls += 1
                writer.tool_use(str(calls), id=f"t{calls}", name=what)
            case "input" if calls:
                try:
                    writer.tool_input(str(calls), what)
                except RemoteProtocolError:  # more than a whole object
                    continue
            case "search":
                writer.block({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}})
                writer.block({"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "https://x"}]})
    if stop:
        writer.finish(stop, msgspec.convert({"input_tokens": 1, "output_tokens": 2}, type(writer._head.usage)))
    return writer.take()


@pytest.mark.parametrize("form", FORMS)
@given(acts=acts, stop=stops, size=st.integers(1, 5))
def test_every_answer_is_lawful(form, acts, stop, size):
    """Any answer, in portions of any size, is a stream that keeps to the law of its API."""
    events = written(acts, stop)
    writer = SERVED[form].read(json.dumps(REQUESTS[form]).encode()).writer(asked="asked")
    raw = b"".join(writer.frames(events[at : at + size]) for at in range(0, len(events), size))
    if form == "openai_chat":
        answer = chat_of(raw)
        assert answer.get("content", "") == "".join(what for act, what in acts if act == "text")
        assert len(answer.get("calls", ())) == sum(act == "call" for act, _ in acts)
    else:
        response = response_of(raw)
        texts = [part["text"] for one in response["output"] if one["type"] == "message" for part in one["content"]]
        assert "".join(texts) == "".join(what for act, what in acts if act == "text")
        assert sum(one["type"].endswith("_call") and "call_id" in one for one in response["output"]) == sum(
            act == "call" for act, _ in acts
        )


@pytest.mark.parametrize("form", FORMS)
@given(acts=acts, status=st.sampled_from(sorted(TYPE_BY_STATUS)), words=texts)
def test_every_failure_is_lawful(form, acts, status, words):
    """A failure after any beginning is told, is the last, and finishes nothing."""
    writer = SERVED[form].read(json.dumps(REQUESTS[form]).encode()).writer(asked="asked")
    fault = Fault(status, TYPE_BY_STATUS[status], words, retry_after=3.0)
    raw = writer.frames(written(acts, "")) + writer.fault(fault)
    error = json.loads(frames_of(raw)[-1][1])["error"]
    assert error["message"] == words
    if form == "openai_chat":
        assert b"[DONE]" not in raw
        assert b'"finish_reason":"' not in raw
    else:
        kinds = [event["type"] for event in events_of(raw)]
        assert kinds[-2:] == ["response.failed", "error"]
        assert "response.completed" not in kinds


@pytest.mark.parametrize("form", FORMS)
@given(
    frames=st.lists(st.one_of(st.binary(max_size=30), values.map(lambda value: json.dumps(value).encode())), max_size=5)
)
def test_taps_raise_upstream_errors_only(form, frames):
    """Whatever a provider sends, an answer that passes is passed or is the provider's failure."""
    reading = SERVED[form].read(json.dumps(REQUESTS[form]).encode())
    for streamed in (True, False):
        tap = reading.tap(asked="a", sent="b")
        try:
            for data in frames:
                if streamed:
                    tap.feed(ServerSentEvent(b"", data))
                else:
                    tap.feed_body(data)
            tap.close()
        except (UpstreamStatus, RemoteProtocolError):
            tap.fault(Fault(502, "api_error", "x"))


@given(block=st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts, "signature": texts}))
def test_seals_come_back(block):
    """What was sealed is unsealed, and nothing else is."""
    sealed = seal(block)
    assert unseal(sealed) == block
    assert unseal(sealed[:-3]) is None or sealed.endswith("=")
    assert unseal(block["thinking"]) is None


kinds = st.sampled_from(["thinking", "redacted_thinking", ["thinking"], {}, None, "x"])


@given(block=st.fixed_dictionaries({}, optional={"type": kinds, "thinking": values, "signature": values, "data": values, "x": values}) | values)  # fmt: skip
def test_forged_seals_are_refused(block):
    """A seal that somebody else made holds a thinking block or nothing, and a request with it is read or refused."""
    sealed = seal(block)
    opened = unseal(sealed)
    assert opened is None or opened["type"] in {"thinking", "redacted_thinking"}
    details = [{"type": "reasoning.encrypted", "data": sealed}]
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "reasoning_details": details}]
    items = [{"type": "reasoning", "summary": [], "encrypted_content": sealed}, {"role": "user", "content": "x"}]
    for form, body in (("openai_chat", {"messages": messages}), ("openai_responses", {"input": items})):
        _check_conversation(form, {"model": "m", **body})


@given(
    members=st.dictionaries(st.sampled_from(["model", "id", "x", "response"]), values, max_size=4),
    inner=st.booleans(),
    model=texts,
)
def test_only_the_model_changes(members, inner, model):
    """A model is replaced where it stands, at the top or in a member, and everything else means what it meant."""
    members = {**members, "model": "old"}
    whole = {"x": {"model": "other"}, "response": members} if inner else members
    spliced = with_model(json.dumps(whole).encode(), model, "response" if inner else "")
    expected = {**members, "model": model}
    assert json.loads(spliced) == ({**whole, "response": expected} if inner else expected)


def test_the_reader_of_these_tests_is_the_gateways():
    """The events that these tests write are of the kind that the gateway's readers give."""
    events = MessagesReader("asked").feed_body(
        json.dumps({"type": "message", "id": "m", "model": "x", "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn",
                    "usage": {}}).encode()
    )  # fmt: skip
    assert [type(event) for event in events] == [type(event) for event in written([("text", "x")], "end_turn")]
