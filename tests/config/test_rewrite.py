"""A configuration's text after an edit: exactly the new content, and everything else as its author wrote it."""

from __future__ import annotations

import copy
import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccrouter.config import rewrite as module
from ccrouter.config.load import load
from ccrouter.config.rewrite import is_same, rewrite
from ccrouter.config.spans import Node, ScanError, scan
from ccrouter.config.starter import TEMPLATE
from ccrouter.config.syntax import parse
from ccrouter.errors import ConfigError

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)


def tree_of(text):
    return parse(text, "config.json").tree


# -- what a reader can read --------------------------------------------------------------------------------------------

GOLDEN = {
    "a value is replaced": (
        "{\n  // the port\n  PORT: 0xD80, // hex\n  LOG: true,\n}\n",
        {"PORT": 4000, "LOG": True},
        "{\n  // the port\n  PORT: 4000, // hex\n  LOG: true,\n}\n",
    ),
    "what means the same stays as it is written": (
        "{a: 0x10, b: .5, c: 'x\\\ny', d: +1,}",
        {"a": 16, "b": 0.5, "c": "xy", "d": 2},
        "{a: 0x10, b: .5, c: 'x\\\ny', d: 2,}",
    ),
    "1, 1.0 and true are three things": (
        '{"a": 1, "b": 1.0, "c": true}',
        {"a": 1.0, "b": 1, "c": 1},
        '{"a": 1.0, "b": 1, "c": 1}',
    ),
    "a member is added on its own line, and its neighbour gets a comma before its comment": (
        '{\n    "a": 1 // one\n    // the end\n}\n',
        {"a": 1, "b": {"c": [2]}},
        '{\n    "a": 1, // one\n    "b": {\n        "c": [\n            2\n        ]\n    }\n    // the end\n}\n',
    ),
    "a trailing comma is a habit that is kept": (
        "{\n\ta: 1,\n}",
        {"a": 1, "b": 2},
        '{\n\ta: 1,\n\t"b": 2,\n}',
    ),
    "strict JSON stays strict JSON": (
        '{\n  "a": 1,\n  "b": 2\n}\n',
        {"a": 1},
        '{\n  "a": 1\n}\n',
    ),
    "a member goes with its comment on the line; those above stay": (
        "{\n  // above\n  a: 1, // beside\n  b: 2,\n}",
        {"b": 2},
        "{\n  // above\n  b: 2,\n}",
    ),
    "the last member goes": (
        "{\n  a: 1, // one\n  // above\n  b: 2 // two\n  // below\n}",
        {"a": 1},
        "{\n  a: 1 // one\n  // above\n  // below\n}",
    ),
    "a member is put where the new content has it": (
        '{\n  "a": 1,\n  "c": 3\n}',
        {"a": 1, "b": 2, "c": 3},
        '{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}',
    ),
    "the first member follows what is said of the whole": (
        "{ // settings\n  b: 2, // two\n}",
        {"a": 1, "b": 2},
        '{ // settings\n  "a": 1,\n  b: 2, // two\n}',
    ),
    "one line stays one line": (
        '{ "a": ["x", "y"], "b": {} }',
        {"a": ["w", "x", "z"], "b": {"c": [1, {}]}, "d": None},
        '{ "a": ["w", "x", "z"], "b": {"c": [1, {}]}, "d": null }',
    ),
    "no line comment takes what comes after it": (
        "{ a: 1 // one\n , b: 2 // two\n }",
        {"a": 1, "b": 2, "c": 3},
        '{ a: 1 // one\n , b: 2, // two\n "c": 3\n }',
    ),
    "no line comment takes the bracket": (
        "{a: [ // nothing\n 1]}",
        {"a": []},
        "{a: [ // nothing\n]}",
    ),
    "a comment behind the last value stays behind it": (
        "{a: 1 /* one */}",
        {"a": 1, "b": 2},
        '{a: 1, /* one */ "b": 2}',
    ),
    "CRLF is kept": (
        '{\r\n  "a": 1\r\n}\r\n',
        {"a": 1, "b": {"c": 2}},
        '{\r\n  "a": 1,\r\n  "b": {\r\n    "c": 2\r\n  }\r\n}\r\n',
    ),
    "a byte order mark is kept": ("\ufeff{a: 1}", {"a": 2}, "\ufeff{a: 2}"),
    "of a key written twice the one that counts is changed": (
        '{"a": 1, "b": 0, "a": 2}',
        {"a": 3, "b": 0},
        '{"a": 1, "b": 0, "a": 3}',
    ),
    "a key written twice goes twice": ('{"a": 1, "b": 0, "a": 2}', {"b": 0}, '{"b": 0}'),
    "items with names are known by them, and move with their comments": (
        '{l: [\n  {name: "a", k: 1}, // A\n  // of b\n  {name: "b", k: 0x2},\n]}',
        {"l": [{"name": "b", "k": 2}, {"name": "a", "k": 5}]},
        '{l: [\n  // of b\n  {name: "b", k: 0x2},\n  {name: "a", k: 5}, // A\n]}',
    ),
    "an item in the middle is replaced in its place": (
        "{l: [1, /* two */ 2, 3]}",
        {"l": [1, "two", 3]},
        '{l: [1, /* two */ "two", 3]}',
    ),
    "where names are patterns, their order is that of the new content": (
        '{"models": {\n  // all\n  "*": "x",\n  "opus-*": "y"\n}}',
        {"models": {"opus-*": "y", "*": "x"}},
        '{"models": {\n  "opus-*": "y",\n  // all\n  "*": "x"\n}}',
    ),
    "the order of other members is the author's": ("{b: 1, a: 2}", {"a": 2, "b": 3}, "{b: 3, a: 2}"),
    "an empty object opens": ("{}", {"a": {"b": 1}}, '{\n  "a": {\n    "b": 1\n  }\n}'),
    "an emptied one closes": ('{\n  "a": {\n    "b": 1\n  }\n}', {"a": {}}, '{\n  "a": {}\n}'),
    "keys are texts like others": (
        '{"__proto__": {"x": 1}, \'it"s\': 2, \\u0061b: 3}',
        {"__proto__": {"x": 2}, 'it"s': 3, "ab": 4, "": 5},
        '{"__proto__": {"x": 2}, \'it"s\': 3, \\u0061b: 4, "": 5}',
    ),
    "lone surrogates and line separators are escaped, other letters are not": (
        "{a: 1}",
        {"a": "\ud800 \u2028 ключ"},
        '{a: "\\ud800 \\u2028 ключ"}',
    ),
    "big numbers keep their digits": (
        '{"a": 123456789012345678901234567890, "b": 1}',
        {"a": 123456789012345678901234567890, "b": 123456789012345678901234567891},
        '{"a": 123456789012345678901234567890, "b": 123456789012345678901234567891}',
    ),
}


@pytest.mark.parametrize(("text", "new", "expected"), GOLDEN.values(), ids=GOLDEN)
def test_golden(text, new, expected):
    """Each edit gives exactly the text that a careful person would have written."""
    assert rewrite(text, new) == expected
    assert is_same(tree_of(expected), new)


def test_the_starter_with_a_provider(tmp_path):
    """The file a newcomer has, after a first provider and route: every line of it is there, and it loads."""
    text = TEMPLATE.read_text(encoding="utf-8")
    new = tree_of(text)
    new["Providers"].append({"name": "ollama", "api_base_url": "http://localhost:11434/v1", "models": ["qwen"]})
    new["Router"]["default"] = "ollama,qwen"
    edited = rewrite(text, new)
    added = """\
    {
      "name": "ollama",
      "api_base_url": "http://localhost:11434/v1",
      "models": [
        "qwen"
      ]
    }
"""
    route = '    "default": "ollama,qwen",\n'
    before, after = text.split("  ],\n")
    threshold = '    "longContextThreshold": 60000,\n'
    assert edited == before + added + "  ],\n" + after.replace(threshold, threshold + route)
    path = tmp_path / "config.json"
    path.write_text(edited, encoding="utf-8")
    assert load(path, {}).providers[0].name == "ollama"


# -- what is no edit ---------------------------------------------------------------------------------------------------


def test_no_file_yet():
    """Nothing becomes plain JSON, two spaces, and a line end."""
    assert rewrite("", {"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}\n'


def test_a_broken_text_is_not_overwritten():
    """What does not parse is somebody's work in progress: refused, not replaced."""
    with pytest.raises(ConfigError, match="line 1"):
        rewrite('{"a": tru}', {"a": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say(value):
    """A number that is none is refused at its place, and no text is made of it."""
    with pytest.raises(ConfigError, match=r"the new configuration: a\.b: must be a finite number"):
        rewrite("{a: 1}", {"a": {"b": value}})


def test_nesting_without_end_is_refused():
    """Content too deep to write is a ConfigError, not a stack trace."""
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ConfigError, match="nested too deeply"):
        rewrite("{a: 1}", {"a": deep})


@pytest.mark.parametrize("fault", ["scan", "edit"])
def test_an_edit_that_fails_is_a_whole_plain_text(monkeypatch, fault):
    """If the scanner does not understand the text, or an edit says something else, all of it is written anew."""

    def unable(text):
        raise ScanError

    def wrong(self, node: Node, new, indent, *, is_inline):
        return node.text

    if fault == "scan":
        monkeypatch.setattr(module, "scan", unable)
    else:
        monkeypatch.setattr(module._Editor, "change", wrong)
    assert rewrite("{a: 1, // c\r\n}", {"a": 2}) == '{\r\n  "a": 2\r\n}\r\n'


@pytest.mark.parametrize("text", ["{a 1}", "{a: 1", "[1 2]", "1 2", "{/* }", ""])
def test_the_scanner_refuses_what_is_not_json5(text):
    """Alone, too, the scanner gives no spans for what it cannot read."""
    with pytest.raises(ScanError):
        scan(text)


# -- any text, any edit ------------------------------------------------------------------------------------------------

texts = st.text(
    st.characters(codec="utf-8") | st.sampled_from("\ud800\udc00\u2028\u2029'\"\\/*,:{}[]\n\r\t"), max_size=6
)
keys = st.sampled_from(["a", "b", "name", "id", "x*", "__proto__", "$ref", "ключ"]) | texts
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0, 1, 1.0, -0.0, 10**30])
leaves = st.none() | st.booleans() | numbers | texts
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(keys, trees, max_size=5)


class Pen:
    """Writes a tree as JSON5 in a hand of its own, with numbered comments wherever they may stand."""

    def __init__(self, draw):
        self.draw = draw
        self.comments = 0
        self.end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
        self.is_strict = draw(st.integers(0, 4)) == 0
        self.is_roomy = draw(st.booleans())

    def space(self):
        kinds = ["", " ", self.end + "  ", self.end + "\t" + self.end]
        if self.is_strict:
            return self.draw(st.sampled_from(["", " ", "\n  "]))
        choice = self.draw(st.integers(0, 9))
        if choice < 6:
            return kinds[choice % 4]
        self.comments += 1
        mark = f"<{self.comments}>"
        if choice == 6:
            return f' // {mark} " }} ]{self.end} '
        if choice == 7:
            return f"/* {mark} ' // {{ */"
        if choice == 8:
            return f"{self.end}  // {mark},{self.end}  "
        return f" /* {mark}{self.end} */ {self.end}\u00a0"

    def text(self, text):
        plain = json.dumps(text, ensure_ascii=self.draw(st.booleans()))
        plain = re.sub("[\ud800-\udfff\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", plain)
        if self.is_strict or self.draw(st.booleans()):
            return plain
        inner = plain[1:-1].replace('\\"', '"').replace("'", "\\'")
        return f"'{inner}'" if not self.draw(st.booleans()) else f"'\\{self.end}{inner}'"

    def key(self, key):
        if not self.is_strict and re.fullmatch(r"[a-z$_]+", key) and key not in {"null", "true", "false"}:
            return key if self.draw(st.booleans()) else self.text(key)
        return self.text(key)

    def value(self, node):
        match node:
            case dict():
                return self.entries("{}", [(self.key(k) + self.space() + ":", v) for k, v in node.items()])
            case list():
                return self.entries("[]", [("", value) for value in node])
            case str():
                return self.text(node)
            case bool() | None | float():
                return json.dumps(node)
            case _:
                is_hex = not self.is_strict and self.draw(st.booleans())
                return ("-" if node < 0 else "") + hex(abs(node)) if is_hex else str(node)

    def entries(self, brackets, pairs):
        parts = [brackets[0], self.space()]
        for index, (head, value) in enumerate(pairs):
            lead = self.end + "  " if self.is_roomy else ""
            parts += [lead, self.space(), head, self.space() if head else "", self.value(value), self.space()]
            if index < len(pairs) - 1 or (not self.is_strict and self.draw(st.booleans())):
                parts += [",", self.space()]
        return "".join([*parts, self.space(), brackets[1]])


@st.composite
def written(draw):
    """A tree and a text that says it."""
    tree = draw(objects)
    pen = Pen(draw)
    text = pen.space() + pen.value(tree) + pen.space()
    return text, tree


@st.composite
def edited(draw):
    """A text, and what its content is to be: the same but for some places, or something else."""
    text, tree = draw(written())
    new = copy.deepcopy(tree)
    for _ in range(draw(st.integers(0, 4))):
        change(draw, new)
    return text, new


def change(draw, node):
    """One edit somewhere under `node`, in place."""
    places = list(node) if isinstance(node, dict) else range(len(node))
    inner = [place for place in places if isinstance(node[place], (dict, list))]
    if inner and draw(st.booleans()):
        change(draw, node[draw(st.sampled_from(inner))])
        return
    kind = draw(st.integers(0, 3)) if places else 0
    if isinstance(node, list):
        if kind == 0:
            node.insert(draw(st.integers(0, len(node))), draw(trees))
        elif kind == 1:
            node.reverse()
        else:
            place = draw(st.sampled_from(places))
            node[place : place + 1] = [draw(trees)] if kind == 2 else []
    elif kind == 0:
        node[draw(keys)] = draw(trees)
    else:
        place = draw(st.sampled_from(places))
        node.pop(place)
        if kind == 2:
            node[place] = draw(trees)


@SETTINGS
@given(edited())
@example(("{a: 1, // c\n}", {"b": [1]}))
def test_it_parses_to_the_new_content(given_edit):
    """Whatever the text and whatever the edit, the result says exactly the new content."""
    text, new = given_edit
    assert is_same(tree_of(rewrite(text, new)), new)


@SETTINGS
@given(edited())
def test_no_edit_needs_the_plain_text(given_edit):
    """The scanner understands every text, and every edit succeeds: nothing is lost to a rendering from scratch."""
    text, new = given_edit
    if not is_same(tree_of(text), new):
        assert is_same(tree_of(module._edit(text, new)), new)


@SETTINGS
@given(written())
def test_no_change_is_no_change(given_text):
    """What the text says already leaves it as it is, character by character."""
    text, tree = given_text
    assert is_same(tree_of(text), tree)
    assert rewrite(text, tree) == text
    root = scan(text)
    assert root.text == "".join(pieces(root))


def pieces(node):
    """The text of a node from its parts."""
    if node.entries is None:
        yield node.text
        return
    yield node.text[0] + node.opening
    for entry in node.entries:
        yield entry.lead + entry.head
        yield from pieces(entry.node)
        yield entry.gap + "," * entry.has_comma + entry.note
    yield node.closing + node.text[-1]


@SETTINGS
@given(written(), st.data())
def test_an_edit_touches_only_its_member(given_text, data):
    """Of a change to one top-level member nothing else sees anything: each other is there as it was, with its comments."""
    text, tree = given_text
    name = data.draw(st.sampled_from(sorted(tree)) | keys if tree else keys)
    new = {**tree, name: data.draw(trees)}
    if data.draw(st.booleans()):
        new.pop(name)
    result = rewrite(text, new)
    root = scan(text)
    for entry in root.entries:
        if entry.name != name:
            assert entry.head + entry.node.text in result
            assert entry.lead.strip() in result
            assert entry.note.strip() in result
    assert root.closing.strip() in result
    assert result.startswith(text[: root.start])
    assert result.endswith(text[root.end :])


@SETTINGS
@given(written(), trees, st.sampled_from(["new", "zz"]))
def test_an_addition_loses_no_comment(given_text, value, name):
    """Adding members anywhere at the top keeps every comment of the text."""
    text, tree = given_text
    for new in ({**tree, name: value}, {name: value, **tree}):
        result = rewrite(text, new)
        for mark in set(re.findall(r"<\d+>", text)):
            assert result.count(mark) == text.count(mark)
