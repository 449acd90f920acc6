"""How much of a JSON object that streams in is sure to stay, whatever follows. Pure."""

from __future__ import annotations

import re
from typing import Literal

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*')
#: No number is longer; one that goes on and on must not be read from its beginning with every piece.
_LONGEST_WORD = 1000
_ESCAPE_BEGUN = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_WORD = re.compile(r'[^\s,:"{}\[\]]+')
_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")

Expected = Literal["object", "key or end", "key", "colon", "value or end", "value", "comma or end", "nothing"]


class JsonPrefix:
    """Takes the text of an object in any cut; `feed` gives what of it is sure.

    Sure is what no repair would have to take back: characters within a string, brackets, and separators once it is
    clear what they separate. A closing quotation mark, a number or a word is not sure before what follows it, a comma
    not before the next key or value: they may be the slip. What is seen and not sure is `held`. Once `is_broken`
    nothing more is sure; once `is_whole` nothing more counts.
    """

    def __init__(self) -> None:
        self.is_broken = False
        self._buffer = ""
        self._at = 0  # how far the buffer has been read
        self._sure = 0  # how far it is sure
        self._in_string = False
        self._expected: Expected = "object"
        self._nesting: list[str] = []  # "{" and "["

    @property
    def is_whole(self) -> bool:
        """True once the object has been closed."""
        return self._expected == "nothing"

    @property
    def held(self) -> str:
        """What came and was not given out."""
        return self._buffer

    @property
    def ending(self) -> str:
        """The least that makes an object of what was given out, if nothing is held."""
        is_key = self._expected in {"key", "key or end"}
        if self._in_string:
            opened = '":null' if is_key else '"'
        else:
            opened = "null" if self._expected == "value" and self._nesting[-1:] == ["{"] else ""
        return opened + "".join("}" if mark == "{" else "]" for mark in reversed(self._nesting))

    def feed(self, piece: str) -> str:
        """What has become sure with `piece`."""
        if self.is_whole:
            return ""
        self._buffer += piece
        while self._at < len(self._buffer) and (self._string() if self._in_string else self._token()):
            pass
        return self._cut()

    def _cut(self) -> str:
        sure, self._buffer = self._buffer[: self._sure], self._buffer[self._sure :]
        self._at -= self._sure
        self._sure = 0
        if self.is_whole:  # what follows an object is not part of it
            self._buffer = ""
        return sure

    def _string(self) -> bool:
        """Read on in a string. False if more is needed."""
        match = _STRING.match(self._buffer, self._at)
        assert match is not None  # it matches nothing, too
        self._at = match.end()
        self._sure = self._at
        rest = self._buffer[self._at : self._at + 6]
        if not rest or (len(self._buffer) - self._at < 6 and _ESCAPE_BEGUN.fullmatch(rest)):
            return False
        if rest[0] != '"':
            self.is_broken = True
            return False
        self._at += 1
        self._in_string = False
        self._expected = "colon" if self._expected in {"key", "key or end"} else "comma or end"
        return True

    def _token(self) -> bool:
        """Read the next token. False if more is needed."""
        match = _SPACE.match(self._buffer, self._at)
        assert match is not None  # as above
        self._at = match.end()
        if self._at == len(self._buffer):
            return False
        mark = self._buffer[self._at]
        if self._mark(mark):
            return not self.is_whole
        if self._expected in {"value", "value or end"}:
            return self._scalar()
        self.is_broken = True
        return False

    def _mark(self, mark: str) -> bool:
        """True if `mark` may come here; the place is then behind it."""
        expected = self._expected
        takes_value = expected in {"value", "value or end"}
        if mark == '"' and (takes_value or expected in {"key", "key or end"}):
            self._in_string = True
        elif mark == "{" and (takes_value or expected == "object"):
            self._nesting.append(mark)
            self._expected = "key or end"
        elif mark == "[" and takes_value:
            self._nesting.append(mark)
            self._expected = "value or end"
        elif mark == ":" and expected == "colon":
            self._expected = "value"
        elif mark == "," and expected == "comma or end":
            self._expected = "key" if self._nesting[-1] == "{" else "value"
            self._at += 1
            return True  # not sure: it may be one too many
        elif self._closes(mark):
            self._nesting.pop()
            self._expected = "comma or end" if self._nesting else "nothing"
        else:
            return False
        self._at += 1
        self._sure = self._at
        return True

    def _closes(self, mark: str) -> bool:
        match mark:
            case "}":
                return self._nesting[-1:] == ["{"] and self._expected in {"key or end", "comma or end"}
            case "]":
                return self._nesting[-1:] == ["["] and self._expected in {"value or end", "comma or end"}
            case _:
                return False

    def _scalar(self) -> bool:
        match = _WORD.match(self._buffer, self._at)
        if match is not None and match.end() == len(self._buffer) and len(match[0]) <= _LONGEST_WORD:
            return False  # it may go on
        if match is None or not _SCALAR.fullmatch(match[0]):
            self.is_broken = True
            return False
        self._at = match.end()
        self._expected = "comma or end"
        return True
