"""Tool calls that a model wrote as text, found while the text streams.

Qwen3-Coder and its relatives are trained to write calls as markup; a server whose parser misses one leaks it:

    <tool_call><function=Read><parameter=file_path>a.py</parameter></function></tool_call>      Qwen3-Coder
    <tool_call>{"name": "Read", "arguments": {"file_path": "a.py"}}</tool_call>                  Hermes, Qwen2.5

The outer tags are often missing, the opening one more often than the closing one. Only a complete call of a tool that
was offered is taken; anything else stays the text that it is, to the letter, and is given out as soon as that is clear.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from ccrouter.jsontypes import Json, JsonObject

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_FUNCTION, _END = "<function=", "</function>"
_PARAMETER, _END_PARAMETER = "<parameter=", "</parameter>"
_OPENINGS = (_OPEN, _FUNCTION)
_NAME = re.compile(r"[^<>\s]*")
_SPACE = re.compile(r"\s*")
#: In characters. A longer one is text: it would have to be held back, and looked at again with every piece.
LONGEST_CALL = 256 * 1024
#: So much white space together is text as well: it too would be looked at again with every piece.
_MOST_SPACE = 1000


@dataclass(frozen=True, slots=True)
class TextCall:
    """A call found in text; `arguments` is JSON text."""

    name: str
    arguments: str


class _Unfinished(Exception):
    """More text is needed to tell."""


class _NoCall(Exception):
    """It is text."""


class TextCallReader:
    """Splits a stream of text into text and calls. `schemas` maps the names of offered tools to their input schemas.

    White space around calls belongs to the markup; so it is held back at the start and after a call until it is clear
    what follows.
    """

    def __init__(self, schemas: Mapping[str, JsonObject]) -> None:
        self._schemas = schemas
        self._buffer = ""  # what may be the beginning of a call
        self._blank = ""
        self._is_at_edge = True
        self._has_called = False

    def feed(self, text: str) -> list[str | TextCall]:
        """What can be told apart so far. A possible beginning of a call is held back until it is one or is not."""
        self._buffer += text
        return self._split(is_whole=False)

    def close(self) -> list[str | TextCall]:
        """What was held back. The reader is then as new.

        A call that lacks nothing but its outer closing tag is one; of any other unfinished one the text is given.
        """
        found = self._split(is_whole=True)
        if self._blank and not self._has_called:
            found.append(self._blank)
        self._blank, self._is_at_edge, self._has_called = "", True, False
        return found

    def _split(self, *, is_whole: bool) -> list[str | TextCall]:
        found: list[str | TextCall] = []
        while self._buffer:
            try:
                if self._has_called and self._is_at_edge and self._drop_stray_close(is_whole=is_whole):
                    continue
                start = len(self._buffer) if is_whole else _possible_opening(self._buffer)
                start = min([start, *(at for opening in _OPENINGS if (at := self._buffer.find(opening)) >= 0)])
                if start == 0:
                    cursor = _Cursor(self._buffer, is_whole=is_whole)
                    found += _read_calls(cursor, self._schemas)
                    self._cut(cursor.at)
                    self._blank, self._is_at_edge, self._has_called = "", True, True
                else:
                    self._say(found, self._cut(start))
            except _Unfinished:
                if len(self._buffer) <= LONGEST_CALL:
                    break
                self._say(found, self._cut(1))
            except _NoCall:
                self._say(found, self._cut(1))
        return found

    def _cut(self, length: int) -> str:
        piece, self._buffer = self._buffer[:length], self._buffer[length:]
        return piece

    def _say(self, found: list[str | TextCall], text: str) -> None:
        if self._is_at_edge:
            text, self._blank = self._blank + text, ""
            if len(text) <= _MOST_SPACE and text.isspace():
                self._blank = text
                return
            self._is_at_edge = False
        found.append(text)

    def _drop_stray_close(self, *, is_whole: bool) -> bool:
        """True if the outer closing tag of a call that had no outer opening one stood here, and is gone."""
        cursor = _Cursor(self._buffer, is_whole=is_whole)
        cursor.skip_space()
        if not cursor.take(_CLOSE):
            return False
        self._cut(cursor.at)
        return True


class _Cursor:
    """A place in text that may still grow, unless it `is_whole`. Raises _Unfinished where more of it is needed."""

    def __init__(self, text: str, *, is_whole: bool) -> None:
        self.text = text
        self.at = 0
        self.is_whole = is_whole

    @property
    def is_at_end(self) -> bool:
        return self.at == len(self.text)

    def skip_space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        if match.end() - self.at > _MOST_SPACE:
            raise _NoCall
        self.at = match.end()

    def take(self, literal: str) -> bool:
        """True if `literal` stands here; the place is then behind it."""
        if self.text.startswith(literal, self.at):
            self.at += len(literal)
            return True
        if not self.is_whole and literal.startswith(self.text[self.at : self.at + len(literal)]):
            raise _Unfinished
        return False

    def until(self, literal: str) -> str:
        """What stands before the next `literal`; the place is then behind it."""
        end = self.text.find(literal, self.at)
        if end < 0:
            raise _NoCall if self.is_whole else _Unfinished
        piece, self.at = self.text[self.at : end], end + len(literal)
        return piece

    def name(self) -> str:
        """A name and the `>` behind it."""
        match = _NAME.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        if not self.take(">") or not match.group():
            raise _NoCall
        return match.group()


def _read_calls(cursor: _Cursor, schemas: Mapping[str, JsonObject]) -> list[TextCall]:
    """The calls that stand at the cursor, which is then behind them."""
    calls = _read_any(cursor, schemas)
    if cursor.at > LONGEST_CALL:
        raise _NoCall
    return calls


def _read_any(cursor: _Cursor, schemas: Mapping[str, JsonObject]) -> list[TextCall]:
    if not cursor.take(_OPEN):
        cursor.take(_FUNCTION)
        return [_read_function(cursor, schemas)]
    cursor.skip_space()
    if cursor.take("{"):
        return [_read_object(cursor, schemas)]
    calls: list[TextCall] = []
    while cursor.take(_FUNCTION):
        calls.append(_read_function(cursor, schemas))
        cursor.skip_space()
        if cursor.take(_CLOSE) or (cursor.is_whole and cursor.is_at_end):
            return calls
    raise _NoCall


def _read_function(cursor: _Cursor, schemas: Mapping[str, JsonObject]) -> TextCall:
    name = cursor.name()
    schema = schemas.get(name)
    if schema is None:
        raise _NoCall
    arguments: JsonObject = {}
    while True:
        cursor.skip_space()
        if cursor.take(_END):
            return TextCall(name, msgspec.json.encode(arguments).decode())
        if not cursor.take(_PARAMETER):
            raise _NoCall
        key = cursor.name()
        text = cursor.until(_END_PARAMETER).removeprefix("\n").removesuffix("\n")
        arguments[key] = _value(schema, key, text)


def _read_object(cursor: _Cursor, schemas: Mapping[str, JsonObject]) -> TextCall:
    """A call as a JSON object, whose opening brace has been taken."""
    if cursor.is_whole and _CLOSE not in cursor.text[cursor.at :]:
        text, cursor.at = cursor.text[cursor.at :], len(cursor.text)
    else:
        text = cursor.until(_CLOSE)
    try:
        call = msgspec.json.decode("{" + text, type=dict[str, msgspec.Raw])
        name = msgspec.json.decode(call["name"], type=str)
        arguments = call.get("arguments", call.get("parameters", msgspec.Raw(b"{}")))
        msgspec.json.decode(arguments, type=JsonObject)
    except (msgspec.DecodeError, KeyError, RecursionError) as error:
        raise _NoCall from error
    if name not in schemas:
        raise _NoCall
    return TextCall(name, bytes(arguments).decode())


def _possible_opening(text: str) -> int:
    """Where the beginning of an opening tag stands at the very end of `text`; its length if there is none."""
    last = text.rfind("<")
    is_one = last >= 0 and any(opening.startswith(text[last:]) for opening in _OPENINGS)
    return last if is_one else len(text)


def _value(schema: JsonObject, key: str, text: str) -> Json:
    """A parameter's text as its schema's type: markup carries no types of its own."""
    properties = schema.get("properties")
    described = properties.get(key) if isinstance(properties, dict) else None
    kind = described.get("type", "string") if isinstance(described, dict) else "string"
    if kind == "string" or (isinstance(kind, list) and "string" in kind):
        return text
    try:
        value: Json = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    return value
