"""The text of one member of a JSON object, decoded while the object streams in. Pure.

Tolerant where models are careless: line breaks and quotation marks that should have been escaped are text.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from ccrouter.transforms.jsonmend import mended

_PLAIN = re.compile(r'[^"\\]+')
_OUTSIDE = re.compile(r'[^"{}\[\],:]+')
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_HEX_BEGUN = re.compile(r"[0-9a-fA-F]{0,3}")
_LOW = re.compile(r"\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_LOW_BEGUN = re.compile(r"\\?|\\u[dD]?|\\u[dD][c-fC-F][0-9a-fA-F]?")
#: How far behind a quotation mark is looked; white space that never ends would take ever more time.
_FAR = 1000
_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ALONE = "\ufffd"  # what becomes of half a surrogate pair


class TextMember:
    """Takes the pieces of an object's JSON text, in any cut, and gives what they tell of the member called `name`.

    `close` gives the rest. Of an object without that member it gives all texts in it, and of what is no object the
    pieces as they are: nothing that was said is lost.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: list[str] = []  # everything, until the member is found
        self._held = ""
        self._state: Literal["outside", "key", "value", "member"] = "outside"
        self._depth = 0
        self._key: str | None = None  # the key whose value comes; None where a key comes
        self._has_found = False

    def feed(self, piece: str) -> str:
        """The text that `piece` adds."""
        if not self._has_found:
            self._seen.append(piece)
        self._held += piece
        return self._read(is_whole=False)

    def close(self) -> str:
        """The text that was held back."""
        text = self._read(is_whole=True)
        return text if self._has_found else _all_texts("".join(self._seen))

    def _read(self, *, is_whole: bool) -> str:
        told: list[str] = []
        while self._held:
            size, state = len(self._held), self._state
            if state == "outside":
                self._step()
            else:
                text = self._characters(is_whole=is_whole)
                if state == "member":
                    told.append(text)
                elif state == "key":
                    self._key = (self._key or "") + text
            if (size, state) == (len(self._held), self._state):
                break
        return "".join(told)

    def _step(self) -> None:
        """Past one mark of the object's structure."""
        plain = _OUTSIDE.match(self._held)
        if plain:
            self._held = self._held[plain.end() :]
            return
        mark, self._held = self._held[0], self._held[1:]
        match mark:
            case "{" | "[":
                self._depth += 1
            case "}" | "]":
                self._depth -= 1
            case "," if self._depth == 1:
                self._key = None
            case '"' if self._depth == 1 and self._key is None:
                self._state = "key"
            case '"' if self._depth == 1 and self._key == self._name and not self._has_found:
                self._state, self._has_found, self._seen = "member", True, []
            case '"':
                self._state = "value"
            case _:
                pass

    def _characters(self, *, is_whole: bool) -> str:
        """The characters of the string that the place is in, as far as they are clear."""
        held, at = self._held, 0
        told: list[str] = []
        while at < len(held):
            if plain := _PLAIN.match(held, at):
                text, size = plain[0], plain.end() - at
            elif held[at] == '"':
                is_end = self._state != "member" or _is_end(held[at + 1 : at + 1 + _FAR], is_whole=is_whole)
                if is_end is None:
                    break
                if is_end:
                    at += 1
                    self._key = self._key or ""
                    self._state = "outside"
                    break
                text, size = '"', 1
            else:
                text, size = _escape(held, at, is_whole=is_whole)
                if not size:
                    break
            told.append(text)
            at += size
        self._held = held[at:]
        return "".join(told)


def _is_end(rest: str, *, is_whole: bool) -> bool | None:
    """True if a quotation mark with `rest` behind it, as far as that is looked at, ends the text; None if more is
    needed to tell.
    """
    is_all = is_whole or len(rest) == _FAR
    rest = rest.lstrip()
    if not rest or (rest[0] in ",}" and not rest[1:].strip()):
        return True if is_all else None
    return rest[0] == "," and rest[1:].lstrip().startswith('"')


def _escape(held: str, at: int, *, is_whole: bool) -> tuple[str, int]:
    """What the escape at this place stands for, and its length; 0 if its end is not there yet."""
    following = held[at + 1 : at + 2]
    if following in _SHORT:
        return _SHORT[following], 2
    if following == "u":
        return _code(held, at, is_whole=is_whole)
    if not following:
        return "", 1 if is_whole else 0
    return held[at : at + 2], 2


def _code(held: str, at: int, *, is_whole: bool) -> tuple[str, int]:
    digits = held[at + 2 : at + 6]
    if not _HEX.fullmatch(digits):
        if len(digits) == 4 or not _HEX_BEGUN.fullmatch(digits):
            return "\\u", 2
        return "", len(held) - at if is_whole else 0  # cut off, here or for good
    code = int(digits, 16)
    if not 0xD800 <= code < 0xE000:
        return chr(code), 6
    behind = held[at + 6 : at + 12]
    if code >= 0xDC00:
        return _ALONE, 6
    if _LOW.fullmatch(behind):
        return chr(0x10000 + ((code - 0xD800) << 10) + int(behind.removeprefix("\\u"), 16) - 0xDC00), 12
    if not is_whole and _LOW_BEGUN.fullmatch(behind):
        return "", 0
    return _ALONE, 6


def _all_texts(text: str) -> str:
    """The texts in an object, by themselves; anything else as it is."""
    try:
        value = msgspec.json.decode(mended(text) if text.lstrip().startswith("{") else text)
    except (msgspec.DecodeError, RecursionError):
        return text.strip()
    if isinstance(value, dict):
        return "\n".join(inner for inner in value.values() if isinstance(inner, str))
    return value if isinstance(value, str) else text.strip()
