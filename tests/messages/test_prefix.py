"""What a request begins with, and where two requests first differ."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.messages.divergence import Difference, first_difference, is_rewritten
from ccrouter.messages.prefix import Prefix, count_blocks, kind_of, records
from ccrouter.messages.prefix_reader import Reader, _unmarked, read_prefix

_MARK = {"type": "ephemeral"}
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def members(body: dict[str, Any], **style: Any) -> dict[str, msgspec.Raw]:
    return _decode(json.dumps(body, **({"separators": (",", ":")} | style)).encode())


def differ(before: dict[str, Any], after: dict[str, Any], *, is_first_party: bool = False) -> Difference | None:
    reader = Reader(b"salt")
    first, second = (
        reader.read(members(body), is_first_party=is_first_party, is_sent=True) for body in (before, after)
    )
    return first_difference(first, second)


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def user(*content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content), **more}


def answer(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(content)}


def call(number: int) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "Read", "input": {"path": f"/file/{number}"}}


def result(number: int, words: str = "a long result of a tool, line by line") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": words}


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": f"does {name}", "input_schema": {"type": "object", "properties": {}}, **more}


def body(*messages: Any, **more: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "messages": list(messages),
        "system": [
            text("x-anthropic-billing-header: cc_version=1;"),
            text("You are Claude."),
            text("The folder is /x."),
        ],
        "tools": [tool("Bash"), tool("Read")],
        "max_tokens": 10,
        **more,
    }


TALK = (user(text("one"), text("reminder")), answer(text("I look"), call(1)), user(result(1)), answer(text("done")))

SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the same request": (body(*TALK), body(*TALK)),
    "a conversation that grew": (body(*TALK[:1]), body(*TALK)),
    "more blocks in the last turn": (body(TALK[0]), body(user(text("one"), text("reminder"), text("and")), *TALK[1:])),
    "a mark that moved on": (
        body(user(text("one"), text("reminder", cache_control=_MARK))),
        body(*TALK[:2], user({**result(1), "cache_control": {"type": "ephemeral", "ttl": "1h"}})),
    ),
    "a mark inside a tool's result": (
        body(*TALK[:2], user({**result(1), "content": [text("x", cache_control=_MARK)]})),
        body(*TALK[:2], user({**result(1), "content": [text("x")]}), answer(text("done"))),
    ),
    "a mark on a tool, and one at the top": (
        body(*TALK, tools=[tool("Bash"), tool("Read", cache_control=_MARK)], cache_control=_MARK),
        body(*TALK, tools=[tool("Bash"), tool("Read")]),
    ),
    "a text that was a list of one text": (
        body(TALK[0], {"role": "system", "content": [text("environment", cache_control=_MARK)]}),
        body(TALK[0], {"role": "system", "content": "environment"}, *TALK[1:]),
    ),
    "a system prompt likewise": (body(*TALK, system=[text("be kind")]), body(*TALK, system="be kind")),
    "what no cache depends on": (body(*TALK), body(*TALK, max_tokens=20, metadata={"user_id": "y"}, temperature=1)),
}  # fmt: skip

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str, str]] = {
    "a tool result that was cleared": (
        body(*TALK[:2], user(result(1, "x" * 500), text("go on")), answer(text("done"))),
        body(*TALK[:2], user(result(1, "[cleared]"), text("go on")), answer(text("done")), user("next")),
        "messages[2].content[0]", "shortened", "tool_result",
    ),
    "the second block of a turn": (
        body(*TALK), body(user(text("one"), text("another")), *TALK[1:]), "messages[0].content[1]", "changed", "text",
    ),
    "a block more in a turn that is not the last": (
        body(*TALK), body(user(text("one"), text("reminder"), text("new")), *TALK[1:]),
        "messages[0].content[2]", "inserted", "text",
    ),
    "a block less": (body(*TALK), body(user(text("one")), *TALK[1:]), "messages[0].content[1]", "removed", "text"),
    "a block put in front": (
        body(*TALK), body(user(text("new"), text("one"), text("reminder")), *TALK[1:]),
        "messages[0].content[0]", "inserted", "text",
    ),
    "a text that is a string": (
        body(user("hello"), *TALK[1:]), body(user("hullo"), *TALK[1:]), "messages[0].content", "changed", "string",
    ),
    "a turn put in between": (
        body(*TALK), body(*TALK[:2], user("oh, and"), *TALK[2:]), "messages[2]", "inserted", "user",
    ),
    "a turn taken out": (
        body(*TALK, user("next")), body(*TALK[:1], *TALK[2:], user("next")), "messages[1]", "removed", "assistant",
    ),
    "an earlier point of the conversation": (body(*TALK), body(*TALK[:2]), "messages[2]", "cut", "user"),
    "the role of a turn": (
        body(TALK[0], {"role": "system", "content": "x"}), body(TALK[0], {"role": "user", "content": "x"}),
        "messages[1]", "changed", "system",
    ),
    "the effort that a turn sets": (
        body(user("a"), {"role": "system", "content": "x", "output_config": {"effort": "low"}}),
        body(user("a"), {"role": "system", "content": "x", "output_config": {"effort": "high"}}),
        "messages[1]", "changed", "system",
    ),
    "a tool more": (
        body(*TALK), body(*TALK, tools=[tool("Bash"), tool("Read"), tool("Web")]), "tools[2]", "appended", "tool",
    ),
    "a tool in between": (
        body(*TALK), body(*TALK, tools=[tool("Bash"), tool("Web"), tool("Read")]), "tools[1]", "inserted", "tool",
    ),
    "a tool less": (body(*TALK), body(*TALK, tools=[tool("Bash")]), "tools[1]", "removed", "tool"),
    "the last words of the system prompt": (
        body(*TALK), body(*TALK, system=[*body()["system"][:2], text("The folder is /y.")]),
        "system[2]", "changed", "text",
    ),
    "a system prompt that is a string": (
        body(*TALK, system="be kind"), body(*TALK, system="be brief"), "system", "changed", "string",
    ),
    "attribution, where it is sent": (
        body(*TALK), body(*TALK, system=[text("x-anthropic-billing-header: cc_version=2;"), *body()["system"][1:]]),
        "system[0]", "changed", "attribution",
    ),
    "tools before everything else": (
        body(*TALK), body(user("other"), tools=[tool("Read")], system="x"), "tools[0]", "removed", "tool",
    ),
    "the order of a call's arguments": (
        body(TALK[0], answer({**call(1), "input": {"a": 1, "b": 2}})),
        body(TALK[0], answer({**call(1), "input": {"b": 2, "a": 1}})),
        "messages[1].content[0]", "changed", "tool_use",
    ),
    "Chat: the system prompt is a message": (
        {"messages": [{"role": "system", "content": "at 10:00"}, user("x")]},
        {"messages": [{"role": "system", "content": "at 10:01"}, user("x")]},
        "messages[0].content", "changed", "string",
    ),
    "Responses": (
        {"instructions": "i", "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}, {"type": "function_call", "arguments": "{}"}]},
        {"instructions": "i", "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}, {"type": "function_call", "arguments": "[]"}]},
        "input[1]", "changed", "other",
    ),
    "Responses: instructions": ({"instructions": "i", "input": "a"}, {"instructions": "j", "input": "a"}, "instructions", "changed", "string"),
    "Gemini": (
        {"systemInstruction": {"parts": [{"text": "s"}]}, "contents": [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}]},
        {"systemInstruction": {"parts": [{"text": "s"}]}, "contents": [{"role": "user", "parts": [{"text": "a"}, {"text": "c"}]}]},
        "contents[0].parts[1]", "changed", "other",
    ),
    "Gemini: the system instruction": (
        {"systemInstruction": {"parts": [{"text": "s"}]}, "contents": []}, {"systemInstruction": {"parts": [{"text": "t"}]}, "contents": []},
        "systemInstruction.parts[0]", "changed", "other",
    ),
    "Gemini: one of its functions": (
        {"tools": [{"functionDeclarations": [tool("a"), tool("b")]}]}, {"tools": [{"functionDeclarations": [tool("a"), tool("c")]}]},
        "tools[0].functionDeclarations[1]", "changed", "other",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_what_a_cache_does_not_notice_is_no_difference(name: str) -> None:
    """Growth, marks and the form of a content are no difference."""
    before, after = SAME[name]
    assert differ(before, after) is None


@pytest.mark.parametrize("name", CASES)
def test_a_difference_is_found_where_it_is(name: str) -> None:
    """The path of the first block that differs, how it does, and what it is."""
    before, after, path, change, kind = CASES[name]
    found = differ(before, after)
    assert found is not None
    assert (found.path, found.change, found.kind) == (path, change, kind)


def test_attribution_is_left_out_for_anthropic_and_of_what_is_asked() -> None:
    """Claude Code's first block changes from request to request: only where it is sent to others does that matter."""
    before, after = CASES["attribution, where it is sent"][:2]
    assert differ(before, after, is_first_party=True) is None
    assert first_difference(read_prefix(members(before)), read_prefix(members(after))) is None


def test_tools_that_are_loaded_when_searched_for_do_not_matter_to_anthropic() -> None:
    """A deferred tool more is no difference there, and one everywhere else; the others keep their numbers."""
    before = body(*TALK, tools=[tool("Wait", defer_loading=True), tool("Bash"), tool("Read")])
    after = body(
        *TALK, tools=[tool("Web", defer_loading=True), tool("Bash"), tool("Late", defer_loading=True), tool("Read")]
    )
    assert differ(before, after, is_first_party=True) is None
    elsewhere = differ(before, after)
    assert elsewhere is not None
    assert elsewhere.path == "tools[0]"
    other = body(*TALK, tools=[*after["tools"][:3], tool("Write")])
    there = differ(before, other, is_first_party=True)
    assert there is not None
    assert there.path == "tools[3]"


def test_a_word_that_looks_like_a_mark_stays() -> None:
    """What a text or an argument says of cache_control is content."""
    quoted = '{"cache_control":{"type":"ephemeral"}}'
    before = body(user(text(f"write {quoted} there")))
    assert differ(before, body(user(text("write {} there")))) is not None
    listed = body(answer({**call(1), "input": {"names": ["cache_control"], "of": "cache_control"}}))
    assert (
        differ(listed, body(answer({**call(1), "input": {"names": ["cache_controls"], "of": "cache_control"}})))
        is not None
    )
    assert not read_prefix(members(listed)).is_marked
    assert read_prefix(members(body(user(text("x", cache_control=_MARK))))).is_marked


def test_hashes_depend_on_the_salt_and_hold_no_content() -> None:
    """Another salt, other hashes; and nothing of what was said is in them."""
    asked = members(body(*TALK))
    first, second = Reader(b"a").read(asked), Reader(b"b").read(asked)
    assert first.messages[0] != second.messages[0]
    written = msgspec.msgpack.encode(first)
    for word in (b"one", b"reminder", b"Bash", b"Claude", b"toolu"):
        assert word not in written


def test_what_is_kept_says_what_the_parts_are() -> None:
    """Kinds and numbers of blocks, images too."""
    prefix = read_prefix(
        members(
            body(*TALK, user({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {}}]}))
        )
    )
    assert [kind_of(item) for item in prefix.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert [one.kind for one in records(prefix.messages[1])] == ["assistant", "text", "tool_use"]
    assert count_blocks(prefix.messages[1]) == 2
    assert count_blocks(prefix.tools[0]) == 1
    assert prefix.has_image
    assert not read_prefix(members(body(*TALK))).has_image


# -- conversations that begin differently --------------------------------------------------------------------------------

_OTHER = (user(text("two"), text("reminder")), answer(text("I look"), call(7)), user(result(7)), answer(text("done")))
_LATER = (*TALK, user("next"), answer(text("it is"), call(2)), user(result(2)), answer(text("so it is")), user("and"))
_NEW = user(text("rules of another day"), text("reminder"))

REWRITTEN: dict[str, tuple[tuple[Any, ...], tuple[Any, ...], bool]] = {
    "another first turn": (TALK, (_NEW, *TALK[1:], user("next")), True),
    "a first turn more": (TALK, (user("summary of nothing"), *TALK), True),
    "another first turn, and calls without what was said with them": (
        TALK, (_NEW, answer(call(1)), *TALK[2:], user("next")), True,
    ),
    "another first turn, before there was an answer": (TALK[:1], (_NEW, *TALK[1:3]), True),
    "results that were cleared too": (_LATER, (_NEW, TALK[1], user(result(1, "[cleared]")), *_LATER[3:]), True),
    "another first turn and an earlier point": (_LATER, (_NEW, *TALK[1:3]), True),
    "a summary, and the last turns": (
        (*_LATER[:-1], user("a"), answer(call(3)), user(result(3)), answer(call(4)), user(result(4))),
        (user("This session is continued"), answer(call(4)), user(result(4))), False,
    ),
    "a summary alone": (_LATER, (user("This session is continued"),), False),
    "another agent with the same rules and the same words": (TALK, _OTHER, False),
    "another agent with another question": (TALK[:1], (user(text("one"), text("two")), *_OTHER[1:3]), False),
    "nothing at all": ((), TALK, False),
}  # fmt: skip


@pytest.mark.parametrize("name", REWRITTEN)
def test_a_conversation_is_known_by_its_answers(name: str) -> None:
    """However it begins: what stands in the turns of a user may stand in those of another conversation too."""
    before, after, is_same = REWRITTEN[name]
    reader = Reader(b"s")
    assert is_rewritten(*(reader.read(members(body(*one))) for one in (before, after))) is is_same


# -- what was sent -------------------------------------------------------------------------------------------------------


def sent(
    asked: dict[str, Any], went_out: dict[str, Any], *, is_first_party: bool = False, **style: Any
) -> tuple[Prefix, Prefix]:
    reader = Reader(b"s")
    had = members(asked)
    read = reader.read(had, is_first_party=is_first_party)
    out = json.dumps(went_out, **({"separators": (",", ":")} | style)).encode()
    return read, reader.read_sent(out, had, read, is_first_party=is_first_party)


def test_what_passed_untouched_is_not_read_again() -> None:
    """The very items are there, not only equal ones; and what stands beside them is read from what was sent."""
    asked = body(*TALK, thinking={"type": "adaptive"}, system="be kind")
    read, went = sent(asked, {**asked, "model": "other", "thinking": {"type": "disabled"}})
    assert went.messages is read.messages
    assert went.tools is read.tools
    assert went.settings["thinking"] != read.settings["thinking"]


@pytest.mark.parametrize("style", [{}, {"separators": (", ", ": ")}, {"indent": 1}])
def test_what_was_sent_is_read_the_same_in_any_form(style: dict[str, Any]) -> None:
    """Where it is not found byte by byte, it is read."""
    asked = body(*TALK, system="be kind")
    read, went = sent(asked, {**asked, "tools": [tool("Bash")]}, **style)
    assert len(went.tools) == 1
    assert len(went.messages) == len(read.messages)
    assert [len(item) for item in went.messages] == [len(item) for item in read.messages]


def test_what_looks_like_the_conversation_but_lies_deeper_is_not_taken_for_it() -> None:
    """A body that holds the client's messages within another member is read as it is."""
    asked = {"messages": [user("x")]}
    _, went = sent(asked, {"metadata": {"messages": [user("x")]}, "input": [user("y"), user("z")]})
    assert went.names[2] == "input"
    assert len(went.messages) == 2


def test_what_lies_within_the_conversation_stays_there() -> None:
    """A member of the client's that is found inside a turn first is not cut out of it."""
    asked = {"system": "x", "messages": [user("y")]}
    inner = [{"role": "user", "content": "z", "system": "x"}]
    _, went = sent(asked, {"messages": inner, "system": "other"})
    assert went == Reader(b"s").read(members({"messages": inner, "system": "other"}), is_sent=True)


def test_attribution_that_is_sent_to_others_counts() -> None:
    """Passed on to another provider than Anthropic, it is part of what that one may have cached."""
    asked = body(*TALK)
    _, went = sent(asked, asked)
    other = {**asked, "system": [text("x-anthropic-billing-header: cc_version=9;"), *asked["system"][1:]]}
    _, later = sent(other, other)
    found = first_difference(went, later)
    assert found is not None
    assert found.kind == "attribution"
    assert first_difference(*(sent(one, one, is_first_party=True)[1] for one in (asked, other))) is None


@pytest.mark.parametrize("wire", [b"{", b'{"messages":[1,]}', b'{"messages":[{"role":]}', b"[]", b""])
def test_what_is_no_json_is_an_error(wire: bytes) -> None:
    """And one of the kind that the caller expects."""
    with pytest.raises(msgspec.DecodeError):
        Reader().read_sent(wire, {}, Prefix())


@pytest.mark.parametrize(
    "odd", [[], None, "text", 3, [1, None, "x"], [{}], [{"role": "user"}], [{"content": None}], {"a": 1}]
)
def test_odd_conversations_are_read_too(odd: Any) -> None:
    """Nothing that is JSON stops it: upstream it may be refused, here it is data."""
    for name in ("messages", "system", "tools", "input", "contents"):
        prefix = Reader().read(members({name: odd}))
        assert first_difference(prefix, prefix) is None


# -- properties ----------------------------------------------------------------------------------------------------------

_words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
_block = st.one_of(
    _words.map(text),
    st.integers(0, 99).map(call),
    st.builds(result, st.integers(0, 99), _words),
    st.builds(lambda one: {"type": "thinking", "thinking": one, "signature": "s"}, _words),
)
_content = st.one_of(_words, st.lists(_block, min_size=1, max_size=4))
_turn = st.builds(
    lambda role, content: {"role": role, "content": content}, st.sampled_from(["user", "assistant", "system"]), _content
)
_turns = st.lists(_turn, min_size=1, max_size=12)


def marked(turns: list[dict[str, Any]], place: int) -> list[dict[str, Any]]:
    """The turns with a mark on the last block of one of them, which is made a list for it."""
    turn = turns[place % len(turns)]
    content = [text(turn["content"])] if isinstance(turn["content"], str) else turn["content"]
    last = {**content[-1], "cache_control": _MARK}
    return [{**one, "content": [*content[:-1], last]} if one is turn else one for one in turns]


@given(_turns, _turns, st.integers(0, 99), st.integers(0, 99))
def test_going_on_is_never_a_difference(turns: list[Any], more: list[Any], first: int, second: int) -> None:
    """Wherever the marks are, and however often it went on before."""
    reader = Reader(b"s")
    before = reader.read(members({"messages": marked(turns, first)}))
    after = reader.read(members({"messages": marked([*turns, *more], second)}))
    again = reader.read(members({"messages": [*turns, *more, *more]}))
    assert first_difference(before, after) is None
    assert first_difference(after, again) is None


@given(_turns, st.data())
def test_the_first_changed_block_is_found(turns: list[Any], data: Any) -> None:
    """Whatever else changed behind it."""
    lists = [
        {**one, "content": [text(one["content"])] if isinstance(one["content"], str) else one["content"]}
        for one in turns
    ]
    place = data.draw(st.integers(0, len(lists) - 1))
    block = data.draw(st.integers(0, len(lists[place]["content"]) - 1))
    changed = json.loads(json.dumps(lists))
    changed[place]["content"][block] = text("something that nobody has said before")
    for later in range(place + 1, len(changed)):
        if data.draw(st.booleans()):
            changed[later]["content"][-1] = text(f"nor this, {later}")
    reader = Reader(b"s")
    found = first_difference(*(reader.read(members({"messages": one})) for one in (lists, changed)))
    assert found is not None
    assert found.path == f"messages[{place}].content[{block}]"


@given(
    asked=_turns,
    other=_turns,
    passes=st.booleans(),
    first=st.booleans(),
    more=st.sampled_from([{}, {"tools": []}, {"system": "t"}, {"thinking": 1}]),
)
def test_what_was_sent_is_read_as_it_is(
    *, asked: list[Any], other: list[Any], passes: bool, first: bool, more: Any
) -> None:
    """However much of it is what the client asked: the same as if nothing were known of that."""
    whole = body(*asked, system=marked(asked, 1)[-1]["content"])
    went_out = {**whole, "messages": asked if passes else other, **more}
    _, went = sent(whole, went_out, is_first_party=first)
    assert went == Reader(b"s").read(members(went_out), is_sent=True, is_first_party=first)


@given(st.lists(_turns, min_size=1, max_size=6), st.integers(0, 40))
def test_a_reader_that_remembers_sees_what_a_new_one_sees(parts: list[list[Any]], fill: int) -> None:
    """What is remembered of the beginning of a conversation changes nothing, also where conversations begin alike."""
    reader = Reader(b"s")
    opening = [user("a long beginning " * 20 * fill)] * 5
    turns: list[Any] = list(opening)
    for part in parts:
        turns = [*turns, *part]
        for body in (turns, [*opening, *part], turns[:-1] or turns, [*turns[:-2], *part]):
            for one in (body, marked(body, -1), marked(body, fill)):
                asked = members({"messages": one})
                assert reader.read(asked) == Reader(b"s").read(asked)


def test_a_long_conversation_is_read_by_its_new_turns() -> None:
    """All but the last turns are known by one hash, and not looked into again."""
    reader = Reader(b"s")
    turns = [user(f"turn {number} " * 50) for number in range(60)]
    reader.read(members({"messages": turns[:50]}))
    looked: list[bytes] = []

    class Noting(Reader):
        def _turn(self, raw):
            looked.append(bytes(raw))
            return super()._turn(raw)

    reader.__class__ = Noting
    after = reader.read(members({"messages": turns}))
    assert len(after.messages) == 60
    assert len(looked) == 13
    assert after == Reader(b"s").read(members({"messages": turns}))


_json = st.recursive(
    st.one_of(_words, st.integers(), st.just("cache_control"), st.just('","cache_control":{}'), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(_words, st.just("cache_control\\")), inner, max_size=3),
        st.tuples(st.lists(st.tuples(_words, inner), max_size=2), st.lists(st.tuples(_words, inner), max_size=2)).map(
            lambda parts: {**dict(parts[0]), "cache_control": {"type": "ephemeral", "ttl": "1h"}, **dict(parts[1])}
        ),
    ),
    max_leaves=12,
)
_STYLES = ({"separators": (",", ":")}, {}, {"indent": 2}, {"separators": (" ,\t", " :\r\n")})


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _bare(one) for name, one in value.items() if name != "cache_control"}
    return [_bare(one) for one in value] if isinstance(value, list) else value


@given(_json, st.sampled_from(_STYLES))
def test_marks_alone_are_left_out_in_any_style(value: Any, style: Any) -> None:
    """What is left is JSON, with everything but the marks, wherever those stood."""
    whole = json.dumps(value, **style).encode()
    left, is_marked = _unmarked(whole)
    assert json.loads(left) == _bare(value)
    assert is_marked == (left != whole)
