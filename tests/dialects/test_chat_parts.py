"""The small parts of the Chat dialect: tags, schemas, retry times, explanations, the request that a plain reader gets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.dialects.base import UpstreamRequest
from ccrouter.dialects.callids import random_id
from ccrouter.dialects.jsonschema import is_closed, tool_parameters
from ccrouter.dialects.openai_chat import DIALECT
from ccrouter.dialects.openai_chat.reasoning import nearest_effort
from ccrouter.dialects.openai_chat.tags import ThinkTags
from ccrouter.dialects.profiles import profile_of
from ccrouter.dialects.retry_after import MAX_RETRY_AFTER, retry_after
from ccrouter.dialects.upstream_error import explain_error, explain_error_object
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import ServerSentEvent
from tests.dialects.casefile import make_target

TAGGED = [
    ("<think>\nhm\n</think>\n\nYes", "hm", "Yes"),
    ("  <think>a</think>b", "a", "b"),
    ("<think>a</thin</think>b", "a</thin", "b"),
    ("<think></think>b", "", "b"),
    ("<think>open", "open", ""),
    ("<thinking>x", "", "<thinking>x"),
    ("<thi", "", "<thi"),
    ("plain <think>x</think>", "", "plain <think>x</think>"),
    ("<think>a\n\nb</think>c", "a\n\nb", "c"),
]


@pytest.mark.parametrize(("text", "thought", "said"), TAGGED)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_tags_in_any_cut(text, thought, said, size):
    """What is thinking and what is text does not depend on how the text is cut."""
    tags = ThinkTags()
    pieces = [piece for at in range(0, len(text), size) for piece in tags.feed(text[at : at + size])]
    pieces += tags.close()
    assert "".join(piece.text for piece in pieces if piece.is_thinking) == thought
    assert "".join(piece.text for piece in pieces if not piece.is_thinking) == said


@pytest.mark.parametrize(
    ("asked", "known", "expected"),
    [
        ("high", ("low", "medium", "high"), "high"),
        ("max", ("low", "medium", "high"), "high"),
        ("medium", ("low", "high", "max"), "high"),
        ("minimal", ("low", "high"), "low"),
        ("low", ("none", "high"), "high"),
        ("medium", (), ""),
        ("huge", ("low",), ""),
    ],
)
def test_nearest_effort(asked, known, expected):
    """The nearest word that is known, the stronger one of two; never "none" for somebody who asked for some."""
    assert nearest_effort(asked, known) == expected


def parameters(schema, target="gemini gemini-2.5-pro"):
    return tool_parameters(schema, profile_of(make_target(target)))


def test_schema_input_is_not_changed():
    """Cleaning makes a new schema; the request's own is as it was."""
    schema = {"$schema": "x", "type": "object", "properties": {"a": {"allOf": [{"type": "object", "properties": {}}]}}}
    before = json.dumps(schema)
    parameters(schema)
    assert json.dumps(schema) == before


def test_schema_that_refers_to_itself_ends():
    """A recursive schema is cut off somewhere deep, not followed for ever."""
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    cleaned = parameters({"type": "object", "properties": {"n": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}})
    assert "$ref" not in json.dumps(cleaned)
    assert len(json.dumps(cleaned)) < 5000


def test_schema_reference_to_nowhere():
    """A reference that leads nowhere allows anything, and is no error."""
    assert parameters({"type": "object", "properties": {"n": {"$ref": "#/$defs/gone"}, "m": {"$ref": "http://x"}}}) == {
        "type": "object",
        "properties": {"n": {}, "m": {}},
    }


def test_schema_without_type():
    """Whatever was given, a tool's parameters are an object with properties."""
    for schema in (None, {}, {"type": "object"}, {"properties": None, "type": "object"}):
        assert parameters(schema, "local m1") == {"type": "object", "properties": {}}


def test_closed_schemas():
    """Strict is only what lists all of its properties and forbids others, at every depth."""
    inner = {
        "type": "object",
        "properties": {"b": {"type": "string"}},
        "required": ["b"],
        "additionalProperties": False,
    }
    closed = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": inner}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert is_closed(closed)
    assert not is_closed({**closed, "properties": {"a": {**inner, "additionalProperties": True}}})
    assert not is_closed({**closed, "required": []})
    for wrong in (-1, "a", ["a"]):
        assert not is_closed({**closed, "properties": wrong})


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-reset-tokens", "date"]),
        st.text(max_size=20) | st.integers(-(10**30), 10**30).map(str) | st.just("Fri, 99 Foo 2026 99:99:99 GMT"),
    ),
    st.none() | st.floats(0, 2e9),
)
def test_retry_after_is_safe_with_garbage(headers, now):
    """Whatever the headers say, the time to wait is none or within bounds."""
    headers["x-ratelimit-remaining-tokens"] = "0"
    seconds = retry_after(429, headers, {}, "", now)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


def test_openrouter_reset_is_an_epoch_in_milliseconds():
    """x-ratelimit-reset as OpenRouter sends it."""
    assert retry_after(429, {"x-ratelimit-reset": "1795176010000"}, {}, "", 1795176000.0) == 10.0


def test_words_that_name_a_time():
    """ "Please try again in 7.66s" without any header."""
    assert retry_after(429, {}, {}, "Limit reached. Please try again in 1m7.66s.", None) == pytest.approx(67.66)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.sampled_from([400, 401, 403, 404, 429, 500, 529]))
def test_any_error_body_is_explained(body, status):
    """No body makes the explanation itself fail."""
    error = explain_error(status, {}, body, "acme", None)
    assert str(error)
    assert error.provider == "acme"


@pytest.mark.parametrize(
    "error", [None, 5, "x", [], [1], {}, {"message": None}, {"error": {"error": "x"}}, {"metadata": {"raw": 5}}]
)
def test_any_error_object_is_explained(error):
    """Nor does an error object of any shape."""
    assert explain_error_object(error, "acme").status >= 400


def test_a_plain_request_is_enough_for_a_reader():
    """A reader for a request that somebody else made reads text and calls all the same."""
    target = make_target()
    reader = DIALECT.reader(UpstreamRequest(b"{}", names={"a": "b.c"}), target, MessageWriter(id="m", model="m"))
    chunk = {"choices": [{"delta": {"tool_calls": [{"id": "x", "function": {"name": "a", "arguments": "{}"}}]}}]}
    reader.feed(ServerSentEvent(b"", json.dumps(chunk).encode()))
    events = reader.feed(ServerSentEvent(b"", b'{"choices":[{"delta":{},"finish_reason":"stop"}]}')) + reader.close()
    assert events[-2].delta.stop_reason == "tool_use"


def test_generated_ids_differ():
    """Ids that the router makes up are of Anthropic's form, and never the same twice."""
    assert random_id().startswith("toolu_")
    assert len({random_id() for _ in range(100)}) == 100


def test_explain_names_the_provider():
    """The dialect's own explanation says whose error it is."""
    error = DIALECT.explain(401, {}, b'{"error":{"message":"no"}}', "openrouter")
    assert str(error).startswith("Invalid API key for provider 'openrouter'")
    assert (error.status, error.type, error.provider) == (401, "authentication_error", "openrouter")


def test_tools_are_remembered_by_their_bytes():
    """The same tools in another request of the session are not made anew; other tools are."""

    def encode(tools):
        body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": tools}
        return json.loads(DIALECT.encode(MessagesRequest.read(json.dumps(body).encode()), make_target(), {}).body)[
            "tools"
        ]

    one = [{"name": "A", "input_schema": {"type": "object", "properties": {}}}]
    assert encode(one) == encode(one)
    assert encode([{**one[0], "name": "B"}])[0]["function"]["name"] == "B"
