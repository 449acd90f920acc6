"""A request is read with care and sent on as it came: what is not replaced keeps its bytes, what is broken is a 400."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ClientError
from ccrouter.messages.request import MessagesRequest

#: JSON values as clients may spell them: number formats, escapes and white space that no encoder of ours would choose.
SPELLED = st.recursive(
    st.sampled_from([
        "null", "true", "false", "0", "-0", "-0.0", "1.50", "1e3", "1E+03", "1.0", "123456789012345678901234567890",
        "0.1000000000000000055", "1e400", '""', '"a"', '"\\u00e9"', '"é"', '"\\/"', '"/"', '"\\ud83d\\ude42"', '"🙂"',
        '"\\n\\t\\u0001"', '"a\\u2028b"',
    ]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[ " + " ,".join(items) + "]"),
        st.lists(st.tuples(st.sampled_from(['"k"', '"k\\u0032"', '"model"', '""']), inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key} :{value}" for key, value in pairs) + " }"
        ),
    ),
    max_leaves=6,
)  # fmt: skip
NAMES = st.sampled_from(["messages", "system", "tools", "surprise", "temperature", "größe", "a b", "", "x-1"])


def read(text: str | bytes) -> MessagesRequest:
    return MessagesRequest.read(text.encode() if isinstance(text, str) else text)


def refusal(text: str | bytes, ask=MessagesRequest.validate) -> ClientError:
    """The ClientError that reading `text`, and then asking `ask` of it, raises."""
    with pytest.raises(ClientError) as caught:
        ask(read(text))
    assert caught.value.status == 400
    return caught.value


# -- identity ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(NAMES, SPELLED), max_size=6, unique_by=lambda pair: pair[0]), SPELLED)
def test_replaced_members_alone_change(members, model):
    """Replacing the model keeps every other member, known or not, byte for byte and in its place."""
    spelled = [*members[:2], ("model", model), *members[2:]]
    body = "{\n " + ", \n".join(f"{json.dumps(name, ensure_ascii=False)} : {value}" for name, value in spelled) + " }"
    sent = read(body).replace(model="m1").encode().decode()
    values = dict(spelled) | {"model": '"m1"'}
    assert sent == "{" + ",".join(f"{json.dumps(n, ensure_ascii=False)}:{value}" for n, value in values.items()) + "}"


def test_a_new_member_comes_last_and_an_unset_one_goes():
    """A member that was not there is added at the end; one set to UNSET is gone; the original stays what it was."""
    request = read('{"model":"a","x":1.0}')
    changed = request.replace(y=[1], model=msgspec.UNSET, never=msgspec.UNSET)
    assert changed.encode() == b'{"x":1.0,"y":[1]}'
    assert request.encode() == b'{"model":"a","x":1.0}'


def test_a_name_given_twice_counts_once_with_its_last_value():
    """What the router judges by is what the provider gets: a second `model` cannot hide behind the first."""
    request = read('{"model":"cheap","messages":[1],"model":"dear"}')
    assert request.model == "dear"
    assert request.encode() == b'{"model":"dear","messages":[1]}'


def test_an_escaped_name_is_the_name():
    """A name written with escapes is the member that it names, and cannot pass beside it."""
    request = read('{"m\\u006fdel":"dear"}')
    assert request.model == "dear"
    assert request.replace(model="m1").encode() == b'{"model":"m1"}'


# -- bodies that are none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"{", "not valid JSON"),
        (b'{"model":"m"} x', "not valid JSON"),
        (b"{'model':'m'}", "not valid JSON"),
        (b'{"model":"m",}', "not valid JSON"),
        (b'{"temperature":NaN}', "not valid JSON"),
        (b'{"temperature":-Infinity}', "not valid JSON"),
        (b'{"n":01}', "not valid JSON"),
        (b'{"messages":"\x01"}', "not valid JSON"),
        (b'{"messages":"\\x41"}', "not valid JSON"),
        (b'{"messages":"\xff"}', "not valid JSON"),
        (b'{"\xff":1}', "not valid JSON"),
        (b'{"messages":"\xed\xa0\x80"}', "not valid JSON"),
        (b'{"messages":"\xc0\x80"}', "not valid JSON"),
        ('{"model":"m"}'.encode("utf-16"), "not valid JSON"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b"\x1f\x8b\x08\x00", "not valid JSON"),
    ],
)  # fmt: skip
def test_broken_bodies(body, words):
    """A body that is no JSON object in UTF-8 is refused with a 400 that says so, wherever in it the damage is."""
    assert words in str(refusal(body))


@pytest.mark.parametrize("depth", [2_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ("[", "")])
def test_deep_nesting(opening, closing, depth):
    """A body nested beyond reason is a 400, neither a crash nor an unbounded recursion; even one that never closes."""
    refusal('{"messages":' + opening * depth + "1" + closing * depth + "}")
    refusal(opening * depth + closing * depth)


def test_deep_arguments_are_only_as_deep_as_json_allows():
    """Nesting that the parser accepts as raw JSON is a 400 or an answer when it is decoded, never a RecursionError."""
    for depth in (50, 300, 900):
        body = '{"messages":[{"role":"user","content":' + "[" * depth + "]" * depth + "}]}"
        refusal(body, lambda request: request.turns)


@given(st.binary(max_size=60))
def test_any_bytes(body):
    """Whatever bytes come, reading and checking them gives a request or a ClientError."""
    try:
        read(body).validate()
    except ClientError as error:
        assert error.status == 400  # noqa: PT017 - either outcome is right


@given(
    st.dictionaries(
        st.sampled_from([
            "model", "messages", "max_tokens", "stream", "system", "tools", "tool_choice", "thinking", "metadata",
            "output_config", "stop_sequences", "temperature", "thread",
        ]),
        SPELLED,
    )
)  # fmt: skip
def test_any_members(members):
    """Whatever values the members have, each property gives a value or a ClientError that names the member."""
    request = read("{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}")
    properties = {
        "model": "model", "messages": "turns", "max_tokens": "max_tokens", "stream": "stream", "system": "system",
        "tools": "tools", "tool_choice": "tool_choice", "thinking": "thinking", "metadata": "user_id",
        "output_config": "output_config", "stop_sequences": "stop_sequences",
    }  # fmt: skip
    for member, name in properties.items():
        try:
            getattr(request, name)
        except ClientError as error:
            assert str(error).startswith(member)  # noqa: PT017 - either outcome is right
    try:
        request.number("temperature")
    except ClientError as error:
        assert str(error).startswith("temperature")  # noqa: PT017 - as above


# -- checks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "messages: required"),
        ({"messages": []}, "messages: at least one"),
        ({"messages": None}, "messages: Expected `array`"),
        ({"messages": {}}, "messages: Expected `array`"),
        ({"messages": [1], "model": 7}, "model: Expected `str | null`"),
        ({"messages": [1], "stream": "yes"}, "stream: Expected `bool | null`"),
        ({"messages": [1], "max_tokens": "many"}, "max_tokens: Expected `int | null`"),
        ({"messages": [1], "max_tokens": 0}, "max_tokens: must be at least 1"),
        ({"messages": [1], "max_tokens": -5}, "max_tokens: must be at least 1"),
    ],
)
def test_validate_names_the_member(body, words):
    """A request that no target could serve is refused by the name of the member at fault."""
    assert str(refusal(json.dumps(body))).startswith(words)


def test_a_huge_number_is_a_400():
    """A number of thousands of digits is refused where it is needed, without a conversion that takes minutes."""
    assert "max_tokens" in str(refusal('{"messages":[1],"max_tokens":' + "9" * 5000 + "}"))
    assert "temperature" in str(refusal('{"temperature":1e999}', lambda request: request.number("temperature")))


def test_the_path_into_the_conversation_is_named():
    """An error deep in the conversation carries its JSON path, in front."""
    body = {"messages": [{"role": "user", "content": "x"}, {"role": 1, "content": []}]}
    error = refusal(json.dumps(body), lambda request: request.turns)
    assert str(error) == "messages[1].role: Expected `str`, got `int`"


def test_message_threads_are_refused_as_sdks_understand():
    """A message thread is refused with the error code on which both SDKs resend the whole conversation; null is none."""
    body = {"messages": [1], "thread": {"type": "create"}}
    error = refusal(json.dumps(body))
    assert error.type == "invalid_request_error"
    assert error.details == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    read('{"messages":[1],"thread":null}').validate()


def test_validating_does_not_decode_the_conversation():
    """Turns of shapes that nobody knows pass: the provider judges them, and a passthrough pays for no decoding."""
    request = read('{"model":"m","messages":[{"role":"martian","content":{"x":1}}, 7]}')
    request.validate()
    assert "turns" not in vars(request)
    assert [bytes(raw) for raw in request.raw_turns] == [b'{"role":"martian","content":{"x":1}}', b"7"]


# -- what is read ------------------------------------------------------------------------------------------------------


def test_absent_and_null_members_are_the_same():
    """Every optional member may be absent or null, and then has its neutral value."""
    names = [
        "model", "stream", "max_tokens", "system", "tools", "tool_choice", "thinking", "output_config", "metadata",
        "stop_sequences", "temperature",
    ]  # fmt: skip
    for request in (read("{}"), read(json.dumps(dict.fromkeys(names)))):
        assert (request.model, request.stream, request.max_tokens, request.user_id) == ("", False, None, "")
        assert (request.system, request.tools, request.tool_choice, request.thinking) == ([], [], None, None)
        assert (request.output_config.effort, request.stop_sequences) == (None, [])
        assert request.number("temperature") is None


def test_blocks_of_every_kind_decode():
    """Every block of the API decodes: known ones to their fields, search results with their plain source, unknown ones
    with their type, and a tool's input as the bytes it came in.
    """
    content = (
        '[{"type":"text","text":"a","cache_control":{"type":"ephemeral"},"citations":null},'
        '{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}},'
        '{"type":"document","source":{"type":"content","content":[{"type":"text","text":"b"}]},"title":"t","citations":{"enabled":true}},'
        '{"type":"search_result","source":"https://a.example","title":"s","content":[{"type":"text","text":"c"}]},'
        '{"type":"tool_use","id":"t1","name":"Read","input":{"n" : 1.0}},'
        '{"type":"tool_result","tool_use_id":"t1","content":"","is_error":false},'
        '{"type":"tool_result","tool_use_id":"t1","content":[{"type":"tool_reference","tool_name":"WebFetch"}]},'
        '{"type":"thinking","thinking":"h","signature":"s"},{"type":"redacted_thinking","data":"d"},'
        '{"type":"server_tool_use","id":"s1","name":"web_search","input":{}},'
        '{"type":"web_search_tool_result","tool_use_id":"s1","content":{"type":"web_search_tool_result_error","error_code":"x"}},'
        '{"type":"web_search_tool_result","tool_use_id":"s1","content":[{"type":"web_search_result","url":"u","title":"t","encrypted_content":"e"}]},'
        '{"type":"hologram","depth":{"x":1}}]'
    )
    blocks = read('{"messages":[{"role":"user","content":' + content + "}]}").turns[0].content
    assert [block.type for block in blocks] == [block["type"] for block in json.loads(content)]
    assert bytes(blocks[4].input) == b'{"n" : 1.0}'
    assert blocks[3].source == "https://a.example"
    assert blocks[5].content == ""
    assert blocks[6].content[0].tool_name == "WebFetch"


def test_a_turn_may_be_a_string_and_a_system_turn():
    """Content may be a plain string, and current Claude Code sends turns of role system with settings of their own."""
    request = read('{"messages":[{"role":"system","content":"be brief","output_config":{"effort":"low"}}]}')
    assert (request.turns[0].role, request.turns[0].content) == ("system", "be brief")


def test_the_effort_in_force():
    """A system turn's own effort holds from there on; without one the request's own does."""
    turns = [
        {"role": "user", "content": "x"},
        {"role": "system", "content": "y", "output_config": {"effort": "max"}},
        {"role": "assistant", "content": "z"},
        {"role": "system", "content": "y"},
    ]
    body = {"model": "m", "messages": turns, "output_config": {"effort": "low"}}
    assert MessagesRequest.read(msgspec.json.encode(body)).effort == "max"
    assert MessagesRequest.read(msgspec.json.encode({**body, "messages": turns[:1]})).effort == "low"
    assert MessagesRequest.read(msgspec.json.encode({"model": "m", "messages": turns[:1]})).effort is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"cut \ud83d here", "cut � here"),
        (r"cut \uDE00", "cut �"),
        (r"\ud83d\ude00 whole", "😀 whole"),
        (r"\ud83d\ud83d\ude00", "�😀"),
        (r"a literal \\ud83d stays", "a literal \\ud83d stays"),
    ],
)
def test_surrogates_that_stand_alone(text, expected):
    """Half an emoji, as JavaScript writes a cut text, is a replacement character; whole ones and literals stay."""
    body = b'{"model":"m","messages":[{"role":"user","content":"' + text.encode() + b'"}]}'
    assert MessagesRequest.read(body).turns[0].content == expected
