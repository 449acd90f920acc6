"""JSON that models write: what of it is sure while it streams, and what is made of the rest."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.transforms.jsonmend import mended
from ccrouter.transforms.jsonprefix import JsonPrefix
from ccrouter.transforms.textmember import TextMember

SETTINGS = settings(max_examples=250, deadline=None, derandomize=True)


def sure_of(text, pieces=None):
    """What of `text` is sure, and the rest, fed in pieces."""
    prefix = JsonPrefix()
    sure = ""
    for piece in [text] if pieces is None else pieces:
        if prefix.is_broken:
            break
        sure += prefix.feed(piece)
    return sure, prefix


def made_of(text):
    """The object that a call with these arguments ends up with."""
    whole = mended(text)
    assert whole.startswith(sure_of(text)[0])
    return json.loads(whole)


MENDED = [
    ("{'a': 'it\\'s', b: True, c: None,}", {"a": "it's", "b": True, "c": None}),
    ('{"a": "line1\nline2\t"}', {"a": "line1\nline2\t"}),
    (r'{"p": "C:\Users\dir", "q": "\x41\'"}', {"p": "C:\\Users\\dir", "q": "A'"}),
    ('{"a": "he said "hi" to"}', {"a": 'he said "hi" to'}),
    ('{"a": "he said "hi", and left", "b": 1}', {"a": 'he said "hi", and left', "b": 1}),
    (
        '{"content": "def f():\n    print("hello, world")\n    return {"a": 1}\n", "file_path": "a.py"}',
        {"content": 'def f():\n    print("hello, world")\n    return {"a": 1}\n', "file_path": "a.py"},
    ),
    ('{"code": "x = {"a": "b"}", "n": 1}', {"code": 'x = {"a": "b"}', "n": 1}),
    ('{"a": 1 "b": 2}', {"a": 1, "b": 2}),
    ('{"a": "x"\n "b": "y"}', {"a": "x", "b": "y"}),
    ('{"a": ["x" "y", 1 2]}', {"a": ["x", "y", 1, 2]}),
    ('{"a": [1, 2,], }', {"a": [1, 2]}),
    ('{,"a":1,,}', {"a": 1}),
    ('{"a": {"b": 1}', {"a": {"b": 1}}),
    ('{"a": [1, {"b": "x', {"a": [1, {"b": "x"}]}),
    ('{"a": "x', {"a": "x"}),
    ('{"a": "\\u12', {"a": ""}),
    ('{"a"', {"a": None}),
    ('{"a":}', {"a": None}),
    ('{"a": 1]', {"a": 1}),
    ('{"todos": [{"a": 1}, {"b": 2]}', {"todos": [{"a": 1}, {"b": 2}]}),
    ('{"a": [1}', {"a": [1]}),
    ('{"a": 01, "b": +5, "c": .5, "d": 0x1F, "e": 5., "f": NaN, "g": -0x10}', {"a": 1, "b": 5, "c": 0.5, "d": 31, "e": 5, "f": None, "g": -16}),
    ("{a: src/x y.py, b: true story, c: 2}", {"a": "src/x y.py", "b": "true story", "c": 2}),
    ("{“a”: “b”, ‘c’: `d`}", {"a": "b", "c": "d"}),
    ('{"a" = 1, "b" => 2, c 3}', {"a": 1, "b": 2, "c": 3}),
    ('{"a": "x", /* c */ "b": 2 // end\n}', {"a": "x", "b": 2}),
    ('{"x":1}{"x":1}', {"x": 1}),
    ('{"x":1}}', {"x": 1}),
    ('```json\n{"a": 1}\n```', {"a": 1}),
    ('[{"a": 1}]', {"a": 1}),
    ('"{\\"a\\": 1}"', {"a": 1}),
    ('"{\'a\': 1}"', {"a": 1}),
    ("null", {}),
    ('""', {}),
    ("  ", {}),
    ("ls -la", {"text": "ls -la"}),
    ("awk '{print $1}' f", {"text": "awk '{print $1}' f"}),
    ('{"a": "\\ud83d"}', {"a": "\ud83d"}),
    ("{" + '"a":[' * 5000, None),
    ("{'a': " + "[" * 5000, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "meant"), MENDED, ids=[text[:30] for text, _ in MENDED])
def test_mended(text, meant):
    """What the model meant is what the tool gets, and what was sure before stays as it was."""
    made = made_of(text)
    assert meant is None or made == meant
    assert isinstance(made, dict)


def test_valid_text_is_not_mended():
    """Characters of a valid object are passed on as they are, whatever they look like."""
    text = '{ "a" : "\\u00e9\\/ \\"x\\", [1,]" , "b":[ ],"c":{ }, "d": -1.50e+3 ,"e":[true,false , null]}'
    sure, prefix = sure_of(text)
    assert (sure, prefix.is_whole) == (text, True)


def test_nothing_can_be_held_up():
    """Texts made to be looked at again and again are mended all the same."""
    for text in (
        '{"a":"' + '"/*' * 20_000,
        '{"a":"' + "\"', " * 20_000,
        '{"a":"' + '"//' * 20_000,
        '{"a":"' + '", ‘' * 20_000,
    ):
        assert isinstance(made_of(text), dict)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=6), values, max_size=4)
written = st.builds(
    lambda value, plain, indent: json.dumps(value, ensure_ascii=not plain, indent=indent),
    objects,
    st.booleans(),
    st.sampled_from([None, 0, 2, "\t"]),
)
MARKS = "{}[]\":,\\'\n \t/*tru0x1“”`ü"


@st.composite
def careless(draw):
    """A valid object with a few characters changed, put in or taken out: or anything."""
    text = draw(written)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(MARKS, max_size=3)) + text[at + draw(st.integers(0, 3)) :]
    return draw(
        st.sampled_from(
            [text, text[: len(text) // 2], "{" + draw(st.text(MARKS, max_size=20)), draw(st.text(max_size=20))]
        )
    )


def pieces_of(text, places):
    cuts = sorted({place % (len(text) + 1) for place in places})
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


places = st.lists(st.integers(0, 10_000), max_size=12)


@SETTINGS
@given(written, places)
def test_valid_objects_pass(text, at):
    """A valid object passes whole, in any cut, without one character changed."""
    sure, prefix = sure_of(text, pieces_of(text, at))
    assert (sure, prefix.is_broken, prefix.is_whole) == (text, False, True)


@SETTINGS
@given(written, st.integers(0, 10_000))
def test_what_is_sure_begins_something_valid(text, at):
    """What is sure of the beginning of a valid object is a beginning of it, and its least ending makes an object."""
    begun = text[: at % (len(text) + 1)]
    sure, prefix = sure_of(begun)
    assert begun.startswith(sure)
    assert begun == sure + prefix.held or prefix.is_whole
    if sure:
        assert isinstance(json.loads(sure + sure_of(sure)[1].ending), dict)


@SETTINGS
@given(careless(), places)
def test_anything_becomes_an_object(text, at):
    """Whatever is written becomes an object that begins with what was sure, and what is sure does not hang on the cuts."""
    sure, _ = sure_of(text)
    assert sure_of(text, pieces_of(text, at))[0] == sure
    assert isinstance(made_of(text), dict)


@SETTINGS
@given(written)
def test_mending_leaves_valid_objects(text):
    """An object that is valid is the same after it was mended for nothing."""
    assert mended(text) == text


# -- the text of one member --------------------------------------------------------------------------------------------


def told(text, pieces=None):
    member = TextMember("response")
    return "".join([member.feed(piece) for piece in ([text] if pieces is None else pieces)]) + member.close()


@SETTINGS
@given(objects, st.text(), st.booleans(), st.booleans(), places)
def test_the_member_is_told(others, response, plain, first, at):
    """The text of the member is told to the letter, wherever it stands in the object and however that is cut."""
    others.pop("response", None)
    members = {"response": response, **others} if first else {**others, "response": response}
    text = json.dumps(members, ensure_ascii=not plain)
    assert told(text, pieces_of(text, at)) == response


@SETTINGS
@given(careless(), places)
def test_what_is_told_does_not_hang_on_cuts(text, at):
    """Of any text at all the same is told in any cut."""
    text = text.replace('"a"', '"response"').replace("{", '{"response": "', 1)
    assert told(text, pieces_of(text, at)) == told(text)


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ('{"response": "a\\ud83d"}', "a\ufffd"),
        ('{"response": "\\ud83d\\u0041"}', "\ufffdA"),
        ('{"response": "\\ude00"}', "\ufffd"),
        ('{"response": "a\\q\\u12g"}', "a\\q\\u12g"),
        ('{"response": "a\\u12', "a"),
        ('{"response": "cut\\', "cut"),
        ('{"response": "say "yes" }" }', 'say "yes" }'),
        ('{"x": {"response": "inner"}, "response": "outer"}', "outer"),
        ('{"x": "a", "y": ["b"], "z": "c"}', "a\nc"),
        ('{"response": {"text": "t"}}', ""),
        ("{}", ""),
        ("", ""),
        ('"just this"', "just this"),
        ("[1]", "[1]"),
        ("{'answer': 'single'}", "single"),
    ],
)
def test_careless_members(text, response):
    """What is said carelessly, or elsewhere, is told as well as can be."""
    assert told(text) == response
