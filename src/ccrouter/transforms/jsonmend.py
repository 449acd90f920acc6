"""A JSON object out of what a model wrote for one. Pure.

Copies what is right and mends what is not, from left to right: other quotation marks, missing or too many commas,
comments, Python's words, line breaks and quotation marks within strings, brackets never closed, fences around it all.
What is meant is a guess where it has to be, and never taken where the text is valid.
"""

from __future__ import annotations

import json
import re

import msgspec

from ccrouter.transforms.jsonprefix import JsonPrefix

#: What is looked ahead for is looked for so far: a text of nothing but comments begun must not cost its square.
_FAR = 1000
_COMMENT = re.compile(rf"//[^\n]{{0,{_FAR}}}|/\*.{{0,{_FAR}}}?\*/", re.DOTALL)
_SPACE = re.compile(rf"(?:[ \t\n\r]+|{_COMMENT.pattern})*", re.DOTALL)
_PLAIN = re.compile(r'[^"\'\\\x00-\x1f“”‘’`]+')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_HEX_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")
_CUT_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?$")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_LOOSE_NUMBER = re.compile(r"(?=[+-]?\.?\d)([+-]?)0*(\d*)(?:\.(\d*))?([eE][+-]?\d+)?")
_HEX_NUMBER = re.compile(r"([+-]?)0[xX]([0-9a-fA-F]+)")
_BARE_KEY = re.compile(r"[^\s:=,{}\[\]\"']+")
_BARE_VALUE = re.compile(r"[^,}\]\n\r]+")
_WORD = re.compile(r'[^\s,:"\'{}\[\]]+')
_COLON = re.compile(r":|=>?")
_WRAPPING = re.compile(r"\s*+(?:```\w*+\s*+|json\s*+|[(\[]\s*+)*+(?=\{)")
_AFTER_ALL = re.compile(r"[\s`;)\]}]*$")
_WORDS = {
    "true": "true", "false": "false", "null": "null", "none": "null", "undefined": "null", "nan": "null",
    "infinity": "null", "-infinity": "null",
}  # fmt: skip
#: Opening quotation marks, each with those that may close it, and what stands in between and after.
_QUOTES = {'"': '"', "'": "'", "“": '”"', "‘": "’'", "`": "`"}
_QUOTED = {
    mark: re.compile(rf"(?:\\.|[^\\{closing}]){{0,{_FAR}}}+[{closing}]", re.DOTALL) for mark, closing in _QUOTES.items()
}
_NOTHING = frozenset({"null", "none", "undefined", '""', "''", "[]", "()"})


def mended(text: str, *, keeps_text: bool = True) -> str:
    """A JSON object, as text, that says what `text` does. It begins with what of `text` is sure (`JsonPrefix`), to the
    letter; all of an object that is valid is.

    What is no object at all becomes the only member of one, `text`, or with `keeps_text` false an empty one, as nothing
    does.
    """
    prefix = JsonPrefix()
    sure = prefix.feed(text)
    if prefix.is_whole:
        return sure
    if sure:
        return _read(text, len(sure)) or _ended(sure)
    bare = text.strip()
    if not bare or bare.lower() in _NOTHING:
        return "{}"
    inner = _decoded(bare) if bare.startswith('"') else ""  # an object, encoded twice
    if isinstance(inner, str) and inner.lstrip().startswith("{"):
        return mended(inner, keeps_text=keeps_text)
    wrapping = _WRAPPING.match(text)
    if wrapping is not None:
        return mended(text[wrapping.end() :], keeps_text=keeps_text)
    return msgspec.json.encode({"text": text}).decode() if keeps_text else "{}"


def _read(text: str, sure: int) -> str:
    """The object in `text`, of which so many characters are sure; "" if none can be made of it."""
    try:
        found = _Mender(text, sure).read()
    except RecursionError:
        return ""
    return found if found.startswith(text[:sure]) and isinstance(_decoded(found), dict) else ""


def _ended(text: str) -> str:
    prefix = JsonPrefix()
    return prefix.feed(text) + prefix.ending


def _decoded(text: str) -> object:
    """The value in JSON text, None if it is none. Read as clients read it: half a surrogate pair is valid."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


class _Mender:
    """Reads `text` once, and writes an object."""

    def __init__(self, text: str, sure: int) -> None:
        self._text = text
        self._sure = sure
        self._at = 0
        self._out: list[str] = []
        self._nesting: list[str] = []

    def read(self) -> str:
        self._say(self._space())
        self._object()
        return "".join(self._out)

    # -- the place -------------------------------------------------------------------------------------------------

    @property
    def _mark(self) -> str:
        return self._text[self._at : self._at + 1]

    def _say(self, text: str) -> None:
        self._out.append(text)

    def _space(self) -> str:
        """Go past white space and comments; the white space."""
        end = self._past_space(self._at)
        space, self._at = self._text[self._at : end], end
        return _COMMENT.sub("", space) if "/" in space else space

    def _past_space(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        assert match is not None  # it matches nothing, too
        return match.end()

    # -- objects and arrays ----------------------------------------------------------------------------------------

    def _object(self) -> None:
        self._enter("{")
        comma, is_first = "", True
        while not self._leaves("}", space := self._space(), comma):
            if self._mark == ",":
                self._at += 1
                comma = comma or ("" if is_first else space + ",")
                continue
            self._say((comma or ("" if is_first else ",")) + space)
            comma, is_first = "", False
            self._key()
            self._say(self._space())
            colon = _COLON.match(self._text, self._at)
            self._at = colon.end() if colon else self._at
            self._say(":" + self._space())
            if self._mark in {"", ",", "}", "]"}:
                self._say("null")
            else:
                self._value()

    def _array(self) -> None:
        self._enter("[")
        comma, is_first = "", True
        while not self._leaves("]", space := self._space(), comma):
            if self._mark == ",":
                self._at += 1
                comma = comma or ("" if is_first else space + ",")
                continue
            self._say((comma or ("" if is_first else ",")) + space)
            comma, is_first = "", False
            self._value()

    def _enter(self, mark: str) -> None:
        self._at += 1
        self._nesting.append(mark)
        self._say(mark)

    def _leaves(self, close: str, space: str, comma: str) -> bool:
        """True if the object or array ends here; its end is then written. A bracket that closes nothing is skipped."""
        other, opening = ("]", "[") if close == "}" else ("}", "{")
        while self._mark == other and opening not in self._nesting:
            self._at += 1
            self._space()
        if self._mark not in {"", close, other}:
            return False
        if self._mark == close:
            self._at += 1
            self._say("" if comma else space)
        self._nesting.pop()
        self._say(close)
        return True

    # -- keys and values -------------------------------------------------------------------------------------------

    def _key(self) -> None:
        if self._mark in _QUOTES:
            self._string(is_key=True)
            return
        match = _BARE_KEY.match(self._text, self._at)
        self._at = match.end() if match else self._at
        self._say(msgspec.json.encode(match[0] if match else "").decode())

    def _value(self) -> None:
        mark = self._mark
        if mark == "{":
            self._object()
        elif mark == "[":
            self._array()
        elif mark in _QUOTES:
            self._string(is_key=False)
        else:
            self._bare()

    def _bare(self) -> None:
        """A number, one of the words of some language, or a text without quotation marks."""
        word = _WORD.match(self._text, self._at)
        known = _scalar(word[0]) if word is not None else ""
        if word is not None and known:
            behind = self._past_space(word.end())
            is_end = self._text[behind : behind + 1] in {"", ",", "}", "]"} or self._nesting[-1] == "["
            if word.end() <= self._sure or is_end or self._is_key(behind):
                self._at = word.end()
                self._say(known)
                return
        match = _BARE_VALUE.match(self._text, self._at)
        end = match.end() if match else self._at + 1
        text, self._at = self._text[self._at : end], end
        self._say(msgspec.json.encode(text.strip()).decode())

    # -- strings ---------------------------------------------------------------------------------------------------

    def _string(self, *, is_key: bool) -> None:
        closing = _QUOTES[self._mark]
        self._at += 1
        self._say('"')
        while self._at < len(self._text):
            plain = _PLAIN.match(self._text, self._at)
            if plain is not None:
                self._say(plain[0])
                self._at = plain.end()
                continue
            mark = self._mark
            if mark == "\\":
                self._escape()
                continue
            self._at += 1
            if mark in closing and (self._at <= self._sure or is_key or self._ends_string(self._at)):
                break
            self._say("\\" + mark if mark == '"' else _visible(mark))
        self._say('"')

    def _escape(self) -> None:
        text, at = self._text, self._at
        if match := _ESCAPE.match(text, at):
            self._say(match[0])
            self._at = match.end()
        elif match := _HEX_ESCAPE.match(text, at):
            self._say("\\u00" + match[1])
            self._at = match.end()
        elif _CUT_ESCAPE.match(text, at):
            self._at = len(text)
        elif text[at + 1] in "'`\n“”‘’":  # an escape that some language has: the mark itself, a line that goes on
            self._say(text[at + 1].strip())
            self._at += 2
        else:
            self._say("\\\\")
            self._at += 1

    def _ends_string(self, at: int) -> bool:
        """True if a quotation mark before `at` ends a value, by what follows it."""
        at = self._past_space(at)
        mark = self._text[at : at + 1]
        if mark in {"}", "]"}:
            return self._closes_well(at)
        if mark == ",":
            return self._goes_on(self._past_space(at + 1))
        return not mark or (mark in _QUOTES and (self._nesting[-1] == "[" or self._is_key(at)))

    def _closes_well(self, at: int) -> bool:
        """True if closing brackets stand at `at`, and what may follow them."""
        open_ones = list(self._nesting)
        while open_ones and self._text[at : at + 1] in {"}", "]"}:
            open_ones.pop()
            at = self._past_space(at + 1)
        if not open_ones:
            return _AFTER_ALL.match(self._text, at) is not None
        return self._text[at : at + 1] in {"", ","} or self._is_key(at)

    def _goes_on(self, at: int) -> bool:
        """True if a further member stands at `at`, or the end."""
        mark = self._text[at : at + 1]
        if mark in {"", "}", "]"}:
            return True
        if self._nesting[-1] == "{":
            return self._is_key(at)
        word = _WORD.match(self._text, at)
        return mark in {"{", "[", *_QUOTES} or (word is not None and bool(_scalar(word[0])))

    def _is_key(self, at: int) -> bool:
        """True if a key and its colon stand at `at`, or as much of that as there is."""
        mark = self._text[at : at + 1]
        if mark in _QUOTES:
            quoted = _QUOTED[mark].match(self._text, at + 1)
            if quoted is None:
                return len(self._text) < at + _FAR
            at = quoted.end()
        elif match := _BARE_KEY.match(self._text, at):
            at = match.end()
        at = self._past_space(at)
        return self._text[at : at + 1] in {"", ":"}


def _visible(mark: str) -> str:
    """The character as a JSON string may hold it."""
    return msgspec.json.encode(mark).decode()[1:-1] if mark < " " else mark


def _scalar(word: str) -> str:
    """What a word stands for in JSON; "" for a word that is text."""
    if _NUMBER.fullmatch(word):
        return word
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    if match := _HEX_NUMBER.fullmatch(word):
        return str(int(match[1] + match[2], 16))
    if match := _LOOSE_NUMBER.fullmatch(word):
        sign, whole, part, power = match.groups()
        return f"{'-' if sign == '-' else ''}{whole or '0'}{'.' + part if part else ''}{power or ''}"
    return ""
