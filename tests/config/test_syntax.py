"""A file's bytes as a tree: what can be read is read, and what cannot is named by line and column."""

from __future__ import annotations

import codecs
import sys

import pytest

from ccrouter.config.load import load
from ccrouter.config.syntax import parse, read_source
from ccrouter.errors import ConfigError


def problem_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "config.json")
    return str(caught.value)


@pytest.mark.parametrize(
    "encode",
    [
        str.encode,
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8 with a mark", "utf-16", "utf-16 big endian"],
)
def test_encodings(tmp_path, encode):
    """A file as Windows tools leave it is read as any other."""
    path = tmp_path / "config.json"
    path.write_bytes(encode('{"PORT": 4000, "ключ": "значение"}'))
    assert read_source(path).tree == {"PORT": 4000, "ключ": "значение"}


def test_not_text(tmp_path):
    """Bytes that are no text are refused with the line."""
    path = tmp_path / "config.json"
    path.write_bytes(b'{\n"a": "\xff"}')
    with pytest.raises(ConfigError, match="line 2: is not UTF-8 text"):
        read_source(path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "a": 1\n  "b": 2}', "line 3, column 3"),
        ('{"a": tru}', "line 1, column 10"),
        ("{a: 'x\n'}", "line 1, column"),
        ("{\n// only\n", "line 3"),
        ("[1,", "line 1"),
    ],
)
def test_syntax_errors_name_the_place(text, place):
    """What is not JSON5 is refused with line and column."""
    assert f"config.json: {place}" in problem_of(text)


def test_a_syntax_error_shows_nothing_of_the_file():
    """The line of an error may hold a key: it is not repeated."""
    assert "secret" not in problem_of('{"api_key": "sk-secret-secret-secret" "x": 1}')


def test_deep_nesting_is_an_error_of_the_file():
    """A file that nests without end is refused, in either syntax, and no stack overflows."""
    depth = sys.getrecursionlimit() * 4
    assert "nested too deeply" in problem_of("[" * depth + "]" * depth)
    assert "nested too deeply" in problem_of("{a:" * depth + "1" + "}" * depth)


def test_empty_and_missing(tmp_path):
    """An empty file and no file are different, and both are said."""
    assert "is empty" in problem_of(" \n")
    with pytest.raises(ConfigError, match="there is no such file"):
        read_source(tmp_path / "config.json")


def test_a_folder_in_place_of_the_file(tmp_path):
    """What cannot be opened is a problem of the configuration, not a stack trace."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})


def test_json5_duplicates_are_reported_once(tmp_path):
    """A key written twice in JSON5 is warned of once, though the file is tried as JSON first."""
    path = tmp_path / "config.json"
    path.write_text("{PORT: 4001, PORT: 4002, // twice\n}")
    config = load(path, {})
    assert config.port == 4002
    assert [str(w) for w in config.warnings if "twice" in w.message] == [
        f"{path}: PORT: is written twice; the last one counts\n  hint: keep one of them"
    ]
