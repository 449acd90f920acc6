"""Calls that a model wrote as text: found however the text is cut, and text that is none stays what it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.messages import textcalls
from ccrouter.messages.textcalls import TextCall, TextCallReader

SCHEMAS = {
    "Read": {
        "type": "object",
        "properties": {
            "file_path": {"type": "string"},
            "limit": {"type": "integer"},
            "lines": {"type": "array"},
            "maybe": {"type": ["string", "null"]},
            "any": True,
            "whole": {"type": "boolean"},
        },
    },
    "Bash": {},
    "Odd": {"properties": None},
}


def read(*pieces: str, schemas=SCHEMAS) -> list[str | tuple[str, object]]:
    """Neighbouring texts joined, calls as (name, arguments)."""
    reader = TextCallReader(schemas)
    found = [one for piece in pieces for one in reader.feed(piece)] + reader.close()
    joined: list[str | tuple[str, object]] = []
    for one in found:
        if isinstance(one, TextCall):
            joined.append((one.name, json.loads(one.arguments)))
        elif joined and isinstance(joined[-1], str):
            joined[-1] += one
        else:
            joined.append(one)
    return joined


XML = "<tool_call>\n<function=Read>\n<parameter=file_path>\na.py\n</parameter>\n</function>\n</tool_call>"
HERMES = '<tool_call>\n{"name": "Read", "arguments": {"file_path": "a.py"}}\n</tool_call>'
CALL = ("Read", {"file_path": "a.py"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (XML, [CALL]),
        (XML.replace("\n", ""), [CALL]),
        (HERMES, [CALL]),
        (HERMES.replace("\n", ""), [CALL]),
        ('<tool_call>{"name":"Read","parameters":{"file_path":"a.py"}}</tool_call>', [CALL]),
        ('<tool_call>{"name":"Bash"}</tool_call>', [("Bash", {})]),
        ("<function=Bash></function>", [("Bash", {})]),
        # without the outer opening tag, with or without the closing one
        ("<function=Read><parameter=file_path>a.py</parameter></function>", [CALL]),
        ("<function=Read><parameter=file_path>a.py</parameter></function>\n</tool_call>", [CALL]),
        ("<function=Read><parameter=file_path>a.py</parameter></function>\n</tool_call>\nDone.", [CALL, "\nDone."]),
        # without the outer closing tag, at the end
        ("<tool_call><function=Read><parameter=file_path>a.py</parameter></function>\n", [CALL]),
        ('<tool_call>{"name":"Read","arguments":{"file_path":"a.py"}}', [CALL]),
        # several
        (XML + "\n" + HERMES, [CALL, CALL]),
        (XML.replace("</tool_call>", "<function=Bash></function></tool_call>"), [CALL, ("Bash", {})]),
        ("<tool_call> <tool_call><function=Bash></function></tool_call>", ["<tool_call> ", ("Bash", {})]),
        # white space belongs to the markup, but not to the text before it
        ("\n\n" + XML + "\n\n", [CALL]),
        ("I look.\n\n" + XML, ["I look.\n\n", CALL]),
        ("I look.\n" + XML + "\nNow " + XML + "\n", ["I look.\n", CALL, "\nNow ", CALL]),
        # what a parameter may hold
        ("<function=Bash><parameter=command>a\n\nb </parameter></function>", [("Bash", {"command": "a\n\nb "})]),
        ("<function=Bash><parameter=c>\n\nx\n\n</parameter></function>", [("Bash", {"c": "\nx\n"})]),
        ("<function=Bash><parameter=c></parameter></function>", [("Bash", {"c": ""})]),
        ('<function=Bash><parameter=c><b>&amp;"</b></parameter></function>', [("Bash", {"c": '<b>&amp;"</b>'})]),
        ("<function=Bash><parameter=c>echo '</function></tool_call>'</parameter></function>", [("Bash", {"c": "echo '</function></tool_call>'"})]),
        ("<function=Bash><parameter=c><function=Bash></parameter></function>", [("Bash", {"c": "<function=Bash>"})]),
    ],
)  # fmt: skip
def test_calls_are_found(text, found):
    """Every form that models leak is a call with its arguments, in its place in the text."""
    assert read(text) == found
    assert read(*text) == found


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("<parameter=limit>5</parameter>", {"limit": 5}),
        ("<parameter=limit>\n5\n</parameter>", {"limit": 5}),
        ("<parameter=limit>five</parameter>", {"limit": "five"}),
        ("<parameter=file_path>5</parameter>", {"file_path": "5"}),
        ("<parameter=maybe>5</parameter>", {"maybe": "5"}),
        ('<parameter=lines>["a", 1]</parameter>', {"lines": ["a", 1]}),
        ("<parameter=whole>true</parameter>", {"whole": True}),
        ("<parameter=any>5</parameter>", {"any": "5"}),
        ("<parameter=unheard>5</parameter>", {"unheard": "5"}),
        ("<parameter=lines>" + "[" * 5000 + "</parameter>", {"lines": "[" * 5000}),
    ],
)
def test_values_have_the_types_of_the_schema(parameter, value):
    """Markup has no types: a value gets the one that the tool's schema names, and stays text if it is not of that type."""
    assert read(f"<function=Read>{parameter}</function>") == [("Read", value)]


def test_odd_schemas_do_no_harm():
    """A tool whose schema describes nothing gets its values as text."""
    assert read("<function=Odd><parameter=a>1</parameter></function>") == [("Odd", {"a": "1"})]


@pytest.mark.parametrize(
    "text",
    [
        "no markup at all",
        " ",
        "\n\n",
        "a < b and c <t> d",
        "the <tool_call> tag",
        "<tool_call>",
        "<tool_call></tool_call>",
        "<tool_call>text</tool_call>",
        "<tool_call>{broken</tool_call>",
        "<tool_call>{broken",
        '<tool_call>{"name":"Unoffered","arguments":{}}</tool_call>',
        '<tool_call>{"name":"Read","arguments":"a.py"}</tool_call>',
        '<tool_call>{"name":7}</tool_call>',
        '<tool_call>{"arguments":{}}</tool_call>',
        "<tool_call>" + '{"a":' * 3000 + "</tool_call>",
        "<function=Unoffered></function>",
        "<function=></function>",
        "<function=Read",
        "<function=Read>",
        "<function=Read>words</function>",
        "<function=Read><parameter=file_path>a.py</parameter>",
        "<function=Read><parameter=file_path>a.py</function>",
        "<function=Read><parameter=>a.py</parameter></function>",
        "</tool_call>",
        "</function>",
        "<<<<tool_call",
    ],
)
def test_what_is_no_call_stays(text):
    """Anything that is not a complete call of an offered tool is given as text, to the letter, in any cut."""
    assert read(text) == [text]
    assert read(*text) == [text]


MARKUP = st.lists(
    st.one_of(
        st.sampled_from([
            "<tool_call>", "</tool_call>", "<function=", "<function=Read>", "<function=Nope>", "</function>",
            "<parameter=limit>", "<parameter=", "</parameter>", '{"name":"Read","arguments":{}}', "{", "}", "\n", " ", "<",
            ">", XML, HERMES, "é\u2028",
        ]),
        st.text(alphabet="ab<>/=\n", max_size=4),
    ),
    max_size=12,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(MARKUP, st.data())
def test_cuts_do_not_matter(text, data):
    """The same text gives the same pieces whole, letter by letter and cut anywhere."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    whole = read(text)
    assert read(*text) == whole
    assert read(*(text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))) == whole


@settings(max_examples=300, deadline=None)
@given(MARKUP)
def test_nothing_is_lost_and_nothing_invented(text):
    """Without offered tools all of the text comes back. With them what is text stood there, and in that order."""
    assert "".join(map(str, read(text, schemas={}))) == text
    rest = text
    for piece in read(text):
        if isinstance(piece, str):
            assert piece in rest
            rest = rest[rest.index(piece) + len(piece) :]


def test_text_does_not_wait():
    """Text is given as it comes; only what may be the beginning of a call is held, and no longer than that is open."""
    reader = TextCallReader(SCHEMAS)
    assert reader.feed("Hello") == ["Hello"]
    assert reader.feed(" wor") == [" wor"]
    assert reader.feed("ld <") == ["ld "]
    assert "".join(reader.feed("b>")) == "<b>"
    assert reader.feed("<tool_call>") == []
    assert "".join(reader.feed(" is a tag")) == "<tool_call> is a tag"
    assert reader.feed("<function=Unoffered") == []
    assert "".join(reader.feed(">")) == "<function=Unoffered>"
    assert reader.feed("<function=Read><parameter=file_path>a") == []
    assert reader.feed("</parameter></function>") == [TextCall("Read", '{"file_path":"a"}')]
    assert reader.feed("\n") == []
    assert reader.feed("x") == ["\nx"]
    assert reader.close() == []


def test_a_call_has_a_limit(monkeypatch):
    """A call longer than the limit is text, in any cut, and what follows it is looked at afresh."""
    monkeypatch.setattr(textcalls, "LONGEST_CALL", 200)
    text = f"<function=Bash><parameter=c>{'x' * 300}</parameter></function>{XML}"
    whole = read(text)
    assert whole[1:] == [CALL]
    assert read(*text) == whole
    within = f"<function=Bash><parameter=c>{HERMES}{'y' * 300}"
    assert read(within) == read(*within) == ["<function=Bash><parameter=c>", CALL, "y" * 300]
    endless = "<function=Bash><parameter=c>" + "x" * 1000
    reader = TextCallReader(SCHEMAS)
    assert sum(len(piece) for piece in reader.feed(endless)) == len(endless)


def test_a_closed_reader_begins_anew():
    """After close nothing of the earlier text is left over."""
    reader = TextCallReader(SCHEMAS)
    assert reader.feed("<tool_call>") == []
    assert "".join(reader.close()) == "<tool_call>"
    assert reader.close() == []
    assert reader.feed("<function=Bash></function>") == [TextCall("Bash", "{}")]
    assert reader.close() == []
    assert reader.feed("\n") == []
    assert reader.close() == ["\n"]


@pytest.mark.parametrize("before", ["", "<tool_call>", "<tool_call></tool_call> "])
def test_white_space_has_a_limit(before):
    """A model that writes nothing but white space is not waited for, and nothing of what it wrote is lost."""
    reader = TextCallReader(SCHEMAS)
    told = [piece for text in (before, *(" " * 5000)) for piece in reader.feed(text)]
    assert len("".join(told)) > 3900
    assert "".join([*told, *reader.close()]).strip() == before.strip()
