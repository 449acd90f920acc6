"""Properties of the encoder: any conversation becomes a request that no strict server refuses, or a clear 400."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.dialects.gemini import DIALECT
from ccrouter.dialects.gemini.schema import answer, openapi, parameters
from ccrouter.dialects.profiles import profile_of
from ccrouter.dialects.toolnames import sent_name
from ccrouter.errors import ClientError, UnsupportedContent
from ccrouter.messages.request import MessagesRequest
from tests.dialects.test_request_properties import call, document, image, reference, result, system, text, texts
from tests.dialects_gemini.casefile import make_target, read_request
from tests.dialects_gemini.law import check_request, check_schema
from tests.dialects_gemini.test_round_trip import State, pack

SETTINGS = settings(max_examples=400, deadline=None, derandomize=True)

signatures = st.sampled_from(
    [
        "",
        "c2ln",
        pack("google", State("gemini-3-pro-preview", "own", "before", "text", {"t1": "S", "t2": "S"}, [{"text": ""}])),
        pack("google", State("gemini-3-pro-preview", parts=[{"toolCall": {"id": "x"}}])),
        pack("google", State("gemini-2.5-pro", calls={"t1": "S"})),
    ]
)
thinking = st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts, "signature": signatures})
linked = st.just({"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}})
gif = st.just({"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0lG"}})
pdf = st.just({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}})
odd = st.sampled_from([{"type": "hologram"}, {"type": "container_upload"}, {"type": "search_result", "source": "s"}])
blocks = st.one_of(text, image, document, reference, result, thinking, call, linked, gif, pdf, odd)
user = st.fixed_dictionaries({"role": st.just("user"), "content": texts | st.lists(blocks, max_size=5)})
assistant = st.fixed_dictionaries({"role": st.just("assistant"), "content": texts | st.lists(blocks, max_size=5)})
turns = st.lists(st.one_of(user, assistant, system), max_size=10)
targets = st.sampled_from(
    [
        "google gemini-3-pro-preview", "google gemini-2.5-pro", "google gemini-2.0-flash", "google gemini-3.8-flash",
        "vertex gemini-3.1-pro-preview", "google gemma-3-27b-it", "relay house-model",
    ]
)  # fmt: skip
tools = st.sampled_from(
    [
        {"name": "Read"}, {"name": "mcp.a/b"}, {"name": "n" * 90}, {"name": "n" * 91}, {"name": "9"},
        {"type": "web_search_20250305", "name": "web_search"}, {"type": "bash_20250124", "name": "bash"},
    ]
)  # fmt: skip
choices = st.sampled_from(
    [None, {"type": "auto"}, {"type": "any"}, {"type": "none"}, {"type": "tool", "name": "Read"}, {"type": "x"}]
)
thinkings = st.sampled_from(
    [None, {"type": "disabled"}, {"type": "adaptive"}, {"type": "enabled", "budget_tokens": 1}, {"type": "enabled", "budget_tokens": 99999}]
)  # fmt: skip
efforts = st.sampled_from([None, "none", "low", "xhigh", "max", "huge"])


@SETTINGS
@given(turns, targets, st.lists(tools, max_size=3, unique_by=lambda one: one["name"]), choices, thinkings, efforts)
def test_any_conversation_is_lawful(messages, target, offered, choice, thinks, effort):
    """Roles take turns, every call has its result behind it, nothing is empty; or the request is refused with a 400 that
    names the place.
    """
    request = {
        "model": "m",
        "messages": messages,
        "tools": offered,
        "tool_choice": choice,
        "thinking": thinks,
        "output_config": {"effort": effort},
    }
    read = MessagesRequest.read(json.dumps(request).encode())
    where = make_target(target)
    try:
        sent = DIALECT.encode(read, where, {})
    except ClientError as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        place = refusal.path if isinstance(refusal, UnsupportedContent) else ""
        assert refusal.status == 400
        assert place.startswith("messages[") or "nothing in them to answer" in str(refusal)
        return
    profile = profile_of(where)
    body = json.loads(sent.body)
    check_request(body, is_signed=bool(profile.placeholder_signature), has_ids=profile.has_call_ids)
    config = body.get("generationConfig", {}).get("thinkingConfig", {})
    assert ("thinkingLevel" not in config) or profile.reasoning_style == "level"
    assert ("thinkingBudget" not in config) or profile.reasoning_style == "budget"


@SETTINGS
@given(turns, targets)
def test_encoding_is_a_function(messages, target):
    """The same request is encoded to the same bytes, and the request itself is not changed by it."""
    raw = json.dumps({"model": "m", "messages": messages, "system": "s"}).encode()
    request = MessagesRequest.read(raw)
    try:
        first = DIALECT.encode(request, make_target(target), {})
    except ClientError:
        return
    assert DIALECT.encode(request, make_target(target), {}).body == first.body
    assert DIALECT.encode(MessagesRequest.read(raw), make_target(target), {}).body == first.body


@SETTINGS
@given(st.text(max_size=200), st.text(max_size=200))
def test_names_are_legal_stable_and_apart(one, other):
    """A sent name begins with a letter, is short enough, the same each time, and two names never become one."""
    first, second = sent_name(one, 64, is_identifier=True), sent_name(other, 64, is_identifier=True)
    assert 0 < len(first) <= 64
    assert first[0].isascii()
    assert first[0].isalpha() or first[0] == "_"
    assert all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in first)
    assert (first == second) == (one == other)


kinds = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null", "any", 7])
plain = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4)
references = st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#/properties/p", "#/nowhere", "https://x.example/s"])


def schemas(inner):
    return st.fixed_dictionaries(
        {},
        optional={
            "type": kinds | st.lists(kinds, max_size=3),
            "properties": st.dictionaries(st.sampled_from(["p", "q", "type", "$ref"]), inner, max_size=3) | plain,
            "required": st.lists(st.sampled_from(["p", "q", "z"]), max_size=3) | plain,
            "items": inner | st.lists(inner, max_size=2),
            "prefixItems": st.lists(inner, max_size=2),
            "additionalProperties": inner | st.booleans(),
            "anyOf": st.lists(inner, max_size=3),
            "oneOf": st.lists(inner, max_size=3),
            "allOf": st.lists(inner, max_size=3),
            "enum": st.lists(plain, max_size=3),
            "const": plain,
            "minimum": plain,
            "exclusiveMinimum": plain,
            "exclusiveMaximum": plain,
            "minItems": plain,
            "format": plain,
            "nullable": plain,
            "title": plain,
            "description": plain,
            "default": plain,
            "pattern": plain,
            "$ref": references,
            "$defs": st.fixed_dictionaries({}, optional={"a": inner, "b": inner}),
            "not": inner,
        },
    )


any_schema = st.recursive(st.just({}) | st.booleans() | plain, schemas, max_leaves=12)


@SETTINGS
@given(schemas(any_schema))
def test_any_schema_is_lowered(schema):
    """Whatever a tool says of its input, what is sent of it are words that Gemini reads, in both of its forms; a schema
    is not changed by that, and lowering it twice adds nothing.
    """
    before = json.dumps(schema)
    lowered = parameters(schema, set())
    assert json.dumps(schema) == before
    assert lowered["type"] == "object"
    assert isinstance(lowered["properties"], dict)
    check_schema(lowered)
    check_schema(openapi(lowered), is_openapi=True)
    check_schema(answer(schema, set()))
    assert parameters(lowered, set()) == lowered


def test_schemas_that_refer_to_each_other_end():
    """References in a circle, and in a thicket, are cut off; not followed for ever."""
    names = [f"n{number}" for number in range(12)]
    every = {"type": "object", "properties": {name: {"$ref": f"#/$defs/{name}"} for name in names}}
    unsaid: set[str] = set()
    lowered = parameters({**every, "$defs": dict.fromkeys(names, every)}, unsaid)
    check_schema(lowered)
    assert "$ref" in unsaid
    assert len(json.dumps(lowered)) < 1_000_000
    loop = {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#"}]}}}
    check_schema(parameters(loop, unsaid))


@pytest.mark.parametrize("format_", [["uri"], {"a": 1}, 5, None, "date"])
def test_formats_of_any_type(format_):
    """A `format` that is no word is left out of a schema like one that Gemini does not know."""
    schema = {"type": "object", "properties": {"u": {"type": "string", "format": format_}}}
    request = read_request(tools=[{"name": "Read", "input_schema": schema}])
    for target in ("google gemini-3-pro-preview", "google gemini-2.5-pro"):
        sent = json.loads(DIALECT.encode(request, make_target(target), {}).body)
        assert ("format" in json.dumps(sent["tools"])) is (format_ == "date")
