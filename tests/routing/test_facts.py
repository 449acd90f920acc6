"""Facts: read from raw bytes, and tags stripped from them with nothing else touched."""

from __future__ import annotations

import json

import pytest

from ccrouter.errors import ClientError
from ccrouter.messages.request import MessagesRequest
from ccrouter.routing.facts import RequestFacts, read_facts, strip_subagent_tags

TAG = "<CCR-SUBAGENT-MODEL>p,m</CCR-SUBAGENT-MODEL>"
SESSION = {"x-claude-code-session-id": "s-1"}
TOOLS = [{"name": "Read", "input_schema": {"type": "object"}}]


def read(body: dict | bytes, headers: dict[str, str] | None = None) -> RequestFacts:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_facts(MessagesRequest.read(raw), headers or {})


def user(content) -> dict:
    return {"role": "user", "content": content}


def test_a_request_without_a_tag_comes_back_itself():
    """Without the marker nothing is rebuilt: the very same request is returned."""
    request = MessagesRequest.read(b'{"messages":[{"role":"user","content":"<CCR-SUBAGENT> p,m"}],"system":"x"}')
    stripped, model = strip_subagent_tags(request)
    assert stripped is request
    assert model is None


def test_a_marker_that_is_no_tag_changes_nothing():
    """A tag that is not closed, in the system prompt, does not cost even a space there while another one is stripped."""
    system = b'[ {"type":"text","text":"CCR-SUBAGENT-MODEL"} ]'
    body = b'{"system":%s,"messages":[{"role":"user","content":"%s"}]}' % (system, TAG.encode())
    stripped, model = strip_subagent_tags(MessagesRequest.read(body))
    assert model == "p,m"
    assert bytes(stripped.members["system"]) == system


def test_only_the_text_with_the_tag_changes():
    """Numbers, escapes, unknown members, spaces and the order of everything else stay byte for byte."""
    before = (
        b'{"model":"m", "x":1e2,"messages":[ {"role":"user" ,"x": 1.0,"content":[{"text":"%s hi","type":"text",'
        b'"cache_control":{ "type":"ephemeral" },"y":12345678901234567890123},{"type":"image","source": {"a" : 1}}]},'
        b'{"role":"assistant","content":"caf\\u00e9  %s"}], "z":[ 1 ]}'
    )
    tag = TAG.encode()
    stripped, _ = strip_subagent_tags(MessagesRequest.read(before % (tag, tag)))
    messages = (
        b'[{"role":"user","x":1.0,"content":[{"text":" hi","type":"text",'
        b'"cache_control":{ "type":"ephemeral" },"y":12345678901234567890123},{"type":"image","source": {"a" : 1}}]},'
        b'{"role":"assistant","content":"caf\\u00e9  %s"}]' % tag
    )
    assert bytes(stripped.members["messages"]) == messages
    assert bytes(stripped.members["x"]) == b"1e2"
    assert bytes(stripped.members["z"]) == b"[ 1 ]"
    assert list(stripped.members) == ["model", "x", "messages", "z"]


def test_a_tag_may_be_escaped_in_json():
    """Some clients write `<` and `>` as escapes in JSON; the tag is the same."""
    body = (
        rb'{"messages":[{"role":"user","content":'
        rb'"\u003cCCR-SUBAGENT-MODEL\u003ep,m\u003c\/CCR-SUBAGENT-MODEL\u003ego"}]}'
    )
    stripped, model = strip_subagent_tags(MessagesRequest.read(body))
    assert model == "p,m"
    assert stripped.turns[0].content == "go"


def test_a_message_of_nothing_but_a_tag_keeps_its_block():
    """The last block of a list is not removed: a message without content would be refused for certain."""
    stripped, _ = strip_subagent_tags(
        MessagesRequest.read(json.dumps({"messages": [user([{"type": "text", "text": TAG}])]}).encode())
    )
    assert bytes(stripped.members["messages"]) == b'[{"role":"user","content":[{"type":"text","text":""}]}]'


def test_text_members_of_other_blocks_are_not_looked_into():
    """Only text blocks hold prompts: a document's or a thinking block's text keeps its tag."""
    body = {"messages": [user([{"type": "other", "text": TAG}, {"type": "document", "context": TAG}])]}
    request = MessagesRequest.read(json.dumps(body).encode())
    assert strip_subagent_tags(request) == (request, None)


@pytest.mark.parametrize(
    ("user_id", "headers", "session"),
    [
        ("user_ab_account__session_1-2", {}, "1-2"),
        ("project_p_session_x_session_1", {}, "1"),
        ('{"device_id":"d","account_uuid":"","session_id":"1-2"}', {}, "1-2"),
        (' {"session_id":"1-2"}', {}, "1-2"),
        ('{"session_id":null}', {}, ""),
        ('{"session_id":7}', {}, ""),
        ("{", {}, ""),
        ("somebody", {}, ""),
        ("u_session_1", {"x-claude-code-session-id": " h "}, "h"),
        ("u_session_", {}, ""),
        ("u_session_..", {}, ""),
        ("u_session_a/b", {}, ""),
        ("u_session_a\\b", {}, ""),
        ("u_session_c:b", {}, ""),
        ("u_session_a\u0000b", {}, ""),
        ("u_session_" + "a" * 201, {}, ""),
        ("", {"x-claude-code-session-id": "../x"}, ""),
    ],
)
def test_session(user_id: str, headers: dict[str, str], session: str):
    """The session comes from the header or either form of user_id, and is never fit to leave a folder."""
    body = {"metadata": {"user_id": user_id}, "messages": [user("x")]}
    assert read(body, headers).session_id == session


def test_a_conversation_keeps_its_thread_as_it_grows():
    """Cache marks move on and single blocks become strings from turn to turn; the conversation stays the same."""
    first = user([{"type": "text", "text": "go", "cache_control": {"type": "ephemeral"}}])
    opening = read({"messages": [first], "tools": TOOLS}, SESSION).thread
    grown = {"messages": [{"role": "system", "content": "env"}, user("go"), user("on")], "tools": [*TOOLS, *TOOLS]}
    assert read(grown, SESSION).thread == opening
    assert opening.session == "s-1"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"messages": [user("This session is being continued")]}, {}),
        ({"tools": []}, {}),
        ({"tools": None}, {}),
        ({"model": "claude-haiku-5"}, {}),
        ({}, {"x-claude-code-agent-id": "a1"}),
        ({}, {"x-claude-code-session-id": "s-2"}),
    ],
)
def test_another_conversation_has_another_thread(body: dict, headers: dict[str, str]):
    """After compaction, in a side call, in an agent or another session the last turn's figures mean nothing."""
    main = {"model": "claude-opus-5-5", "messages": [user("go")], "tools": TOOLS}
    assert read({**main, **body}, {**SESSION, **headers}).thread != read(main, SESSION).thread


def test_effort_of_a_system_turn():
    """The last system turn that sets an effort wins over the request; words about one, and other roles, do not."""
    turns = [
        {"role": "system", "content": "x", "output_config": {"effort": "MAX"}},
        user("output_config"),
        {"role": "assistant", "content": "x", "output_config": {"effort": "low"}},
        {"role": "system", "content": "x", "output_config": None},
    ]
    facts = read({"messages": turns, "output_config": {"effort": "LOW"}})
    assert (facts.effort, facts.current_effort()) == ("low", "max")
    assert read({"messages": turns[1:], "output_config": {"effort": "LOW"}}).current_effort() == "low"


def test_a_system_turn_that_cannot_be_read_is_named():
    """An effort of the wrong shape is the client's error, and says where."""
    facts = read({"messages": [user("x"), {"role": "system", "output_config": 5}]})
    with pytest.raises(ClientError, match=r"^messages\[1\]\.output_config: "):
        facts.current_effort()


@pytest.mark.parametrize(
    ("messages", "has_image", "has_any"),
    [
        (rb'[{"role":"user","content":[{"type" : "image","source":{}}]}]', True, True),
        (
            rb'[{"role":"user","content":[{"type":"image","source":{}}]},{"role":"assistant"},{"role":"user"}]',
            False,
            True,
        ),
        (rb'[{"role":"user","content":"\"type\": \"image\" \"source\""}]', False, False),
        (rb'[{"role":"user","content":[{"type":"document","source":{}}]}]', False, False),
    ],
)
def test_images(messages, has_image, has_any):
    """An image is told from words about one, from a document, and a new one from one that was answered."""
    facts = read(b'{"messages":%s}' % messages)
    assert (facts.has_image, facts.has_any_image()) == (has_image, has_any)


def test_media_are_counted():
    """Images and documents are counted wherever they are; a request without messages has none."""
    image = {"type": "image", "source": {"type": "url", "url": "http://x/y.png"}}
    assert read({"messages": [user([image, image]), user([{"type": "document", "source": {}}])]}).media() == 3
    assert RequestFacts().media() == 0
    assert not RequestFacts().has_any_image()


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"messages": [user([{"type": "image"}, 5])]}, "messages[0].content[1]"),
        ({"messages": [{"content": "x"}]}, "messages[0]"),
        ({"messages": [user([{"type": 5, "x": {"type": "image"}}])]}, "messages[0].content[0].type"),
        ({"messages": [user("x")], "metadata": {"user_id": 5}}, "metadata.user_id"),
        ({"messages": 5}, "messages"),
    ],
)
def test_what_cannot_be_read_is_named(body: dict, place: str):
    """A body of the wrong shape is the client's error, and says where."""
    with pytest.raises(ClientError) as caught:
        read(body, SESSION)
    assert str(caught.value).startswith(place + ":")


@pytest.mark.parametrize("content", [[5], [{"type": "text", "text": 5}], 5, {"text": TAG}])
def test_stripping_names_what_cannot_be_read(content):
    """A turn that quotes the tag in a shape that cannot be is the client's error; without a tag it is not looked at."""
    with pytest.raises(ClientError, match=r"messages\[0\]"):
        strip_subagent_tags(MessagesRequest.read(json.dumps({"messages": [{**user([content, TAG])}]}).encode()))
    request = MessagesRequest.read(
        json.dumps({"messages": [user(content if content != {"text": TAG} else 5)]}).encode()
    )
    assert strip_subagent_tags(request) == (request, None)
