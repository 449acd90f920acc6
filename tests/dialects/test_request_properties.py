"""Properties of the encoder: any conversation becomes a Chat request that no strict server refuses, or a clear 400."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.dialects.openai_chat import DIALECT
from ccrouter.dialects.toolnames import sent_name
from ccrouter.errors import ClientError
from ccrouter.messages.request import MessagesRequest
from tests.dialects.casefile import make_target
from tests.dialects.chat_law import check_request

SETTINGS = settings(max_examples=400, deadline=None, derandomize=True)

ids = st.sampled_from(["t1", "t2", "t3", "functions.Read:0", "toolu_" + "x" * 50])
texts = st.sampled_from(["", " ", "a", "b\n", "<system-reminder>r</system-reminder>"])
text = st.fixed_dictionaries(
    {"type": st.just("text"), "text": texts}, optional={"cache_control": st.just({"type": "ephemeral"})}
)
image = st.just({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}})
document = st.just({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "doc"}})
reference = st.just({"type": "tool_reference", "tool_name": "WebFetch"})
result = st.fixed_dictionaries(
    {"type": st.just("tool_result"), "tool_use_id": ids},
    optional={
        "content": texts | st.lists(text | image | document | reference, max_size=3) | st.none(),
        "is_error": st.booleans(),
        "cache_control": st.just({"type": "ephemeral"}),
    },
)
call = st.fixed_dictionaries(
    {
        "type": st.just("tool_use"),
        "id": ids,
        "name": st.sampled_from(["Read", "mcp.a/b", "n" * 90]),
        "input": st.just({"a": 1}),
    }
)
thinking = st.fixed_dictionaries(
    {
        "type": st.just("thinking"),
        "thinking": texts,
        "signature": st.sampled_from(["", "c2ln", "ccr1:openai_chat:bG9jYWw:"]),
    }
)
user = st.fixed_dictionaries(
    {"role": st.just("user"), "content": texts | st.lists(text | image | document | result, max_size=5)}
)
assistant = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": texts | st.lists(text | thinking | call, max_size=5)}
)
system = st.fixed_dictionaries({"role": st.just("system"), "content": texts | st.lists(text, max_size=2)})
turns = st.lists(st.one_of(user, assistant, system), max_size=10)
targets = st.sampled_from(
    [
        "local m1",
        "openai gpt-5",
        "openrouter anthropic/claude-sonnet-5",
        "mistral devstral",
        "deepseek deepseek-chat",
        "gemini gemini-3-pro",
    ]
)
tool = st.fixed_dictionaries({"name": st.sampled_from(["Read", "mcp.a/b", "n" * 90, "n" * 91])})
choices = st.sampled_from([None, {"type": "auto"}, {"type": "any"}, {"type": "none"}, {"type": "tool", "name": "Read"}])


@SETTINGS
@given(turns, targets, st.lists(tool, max_size=3, unique_by=lambda one: one["name"]), choices)
def test_any_conversation_is_lawful_chat(messages, target, tools, choice):
    """Every tool message answers a call before it, every call is answered, nothing is empty, roles take turns."""
    request = {"model": "m", "messages": messages, "tools": tools, "tool_choice": choice}
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
    body = json.loads(sent.body)
    check_request(body)
    asked = {one["name"] for one in tools} | {
        block["name"]
        for turn in messages
        if isinstance(turn["content"], list)
        for block in turn["content"]
        if block["type"] == "tool_use"
    }
    assert set(sent.names.values()) <= asked


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
@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200), st.integers(20, 64))
def test_names_are_legal_stable_and_apart(one, other, limit):
    """A sent name is legal and short enough, the same each time, and two names never become one."""
    first, second = sent_name(one, limit), sent_name(other, limit)
    assert 0 < len(first) <= limit
    assert all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in first)
    assert sent_name(one, limit) == first
    assert (first == second) == (one == other)
