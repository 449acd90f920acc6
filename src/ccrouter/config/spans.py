"""Where each value of a JSON5 text stands, and what is written around it: pieces that joined give the text again.

Only for texts that `syntax.parse` has accepted: it checks nothing that the parser has checked, and decodes nothing by
itself, so that it cannot read a text otherwise than the parser does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ccrouter.jsontypes import Json

_LINE_END = r"\r\n|[\n\r\u2028\u2029]"
_LINE_COMMENT = r"//[^\n\r\u2028\u2029]*"
# No possessive groups here: before Python 3.11.5 they match wrongly (python/cpython issue 106052).
_BLOCK_COMMENT = r"/\*[^*]*(?:\*(?!/)[^*]*)*\*/"
_TRIVIA = re.compile(rf"(?:[\s\ufeff]|{_LINE_COMMENT}|{_BLOCK_COMMENT})*")
_PIECE = re.compile(rf"(?P<end>{_LINE_END})|(?P<comment>{_LINE_COMMENT}|{_BLOCK_COMMENT})|[\s\ufeff]")
_STRING = re.compile(r""""[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'""", re.DOTALL)
_BARE = re.compile(r"""[^\s\ufeff,:\[\]{}"'/]+""")
_STARTS_LINE = re.compile(rf"[^\S\n\r\u2028\u2029]*(?:{_LINE_END})")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LAST_LINE = re.compile(rf"(?:{_LINE_END})([^\S\n\r\u2028\u2029]*)(?:{_BLOCK_COMMENT}[^\S\n\r\u2028\u2029]*)*\Z")


class ScanError(ValueError):
    """The text is not what the scanner takes for JSON5."""


@dataclass(slots=True)
class Entry:
    """A member of an object or an item of a list.

    Written as `lead` (the lines above), `head` (the key and its colon; "" in a list), the value, `gap`, a comma if
    `has_comma`, and `note` (what follows on that line). `name` is the decoded key.
    """

    lead: str
    head: str
    name: str
    node: Node
    gap: str = ""
    has_comma: bool = False
    note: str = ""


@dataclass(slots=True)
class Node:
    """A value: where it stands in `document`, what it means, and its parts if it is an object or a list.

    `opening` follows the opening bracket on its line; `closing` is what stands after the last entry's line, before the
    closing bracket. Of a key written twice the last one counts.
    """

    document: str = field(repr=False)
    start: int
    end: int
    value: Json
    entries: list[Entry] | None = None
    opening: str = ""
    closing: str = ""

    @property
    def text(self) -> str:
        """The value as it is written."""
        return self.document[self.start : self.end]


class _Pairs(list[tuple[str, "Json"]]):
    """An object as its pairs, so that a key written twice is seen twice."""


def scan(text: str) -> Node:
    """The value of `text` with its parts. Raises ScanError if it is not JSON5."""
    scanner = _Scanner(text)
    scanner.trivia()
    node = scanner.value(_read_pairs(text))
    scanner.trivia()
    if scanner.position != len(text):
        raise ScanError
    return node


def _read_pairs(text: str) -> Json:
    try:
        tree: Json = json.loads(text, object_pairs_hook=_Pairs)
    except ValueError:
        import json5  # noqa: PLC0415 - as in `syntax`: plain JSON needs no second parser

        try:
            tree = json5.loads(text, object_pairs_hook=_Pairs)  # type: ignore[arg-type,unused-ignore] # untyped in some releases
        except ValueError:
            raise ScanError from None
    return tree


class _Scanner:
    """Walks through the text beside the tree that the parser has read from it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def trivia(self) -> str:
        found = _TRIVIA.match(self.text, self.position)
        assert found is not None  # it matches nothing, too
        self.position = found.end()
        return found[0]

    def take(self, *patterns: re.Pattern[str]) -> None:
        found = next((found for pattern in patterns if (found := pattern.match(self.text, self.position))), None)
        if found is None:
            raise ScanError
        self.position = found.end()

    def takes(self, character: str) -> bool:
        is_here = self.text.startswith(character, self.position)
        self.position += is_here
        return is_here

    def value(self, tree: Json) -> Node:
        start = self.position
        if not isinstance(tree, list):
            self.take(_STRING, _BARE)
            return Node(self.text, start, self.position, joined(tree))
        is_object = isinstance(tree, _Pairs)
        if not self.takes("{" if is_object else "["):
            raise ScanError
        node = Node(self.text, start, start, tree)
        node.entries = self.entries(
            tree if is_object else (("", item) for item in tree), "}" if is_object else "]", node
        )
        node.end = self.position
        if is_object:
            node.value = {entry.name: entry.node.value for entry in node.entries}
        else:
            node.value = [entry.node.value for entry in node.entries]
        return node

    def entries(self, pairs: Iterable[tuple[str, Json]], bracket: str, node: Node) -> list[Entry]:
        found: list[Entry] = []
        trivia = self.trivia()
        node.opening, lead = split_line(trivia, is_last=self.text.startswith(bracket, self.position))
        for name, value in pairs:
            if found and not found[-1].has_comma:
                raise ScanError
            entry = Entry(lead, self.head() if bracket == "}" else "", join_text(name), self.value(value))
            trivia = self.trivia()
            if self.takes(","):
                entry.gap, entry.has_comma = trivia, True
                trivia = self.trivia()
            entry.note, lead = split_line(trivia, is_last=self.text.startswith(bracket, self.position))
            found.append(entry)
        node.closing = lead
        if not self.takes(bracket):
            raise ScanError
        return found

    def head(self) -> str:
        start = self.position
        self.take(_STRING, _BARE)
        self.trivia()
        if not self.takes(":"):
            raise ScanError
        self.trivia()
        return self.text[start : self.position]


def joined(tree: Json) -> Json:
    """`tree` with each pair of surrogates as the character it stands for, as JSON's parser has it, but not JSON5's."""
    if isinstance(tree, str):
        return join_text(tree)
    if isinstance(tree, list):
        return [joined(value) for value in tree]
    if isinstance(tree, dict):
        return {join_text(key): joined(value) for key, value in tree.items()}
    return tree


def join_text(text: str) -> str:
    """`text` with each pair of surrogates as the character it stands for; lone ones stay."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def split_line(trivia: str, *, is_last: bool) -> tuple[str, str]:
    """What belongs to the line that `trivia` begins on, and the rest from the line's end on.

    Where no line ends in it, comments belong to what comes next, or, if nothing does (`is_last`), to what came before.
    """
    comments_end = 0
    for piece in _PIECE.finditer(trivia):
        if piece["end"]:
            return trivia[: piece.start()], trivia[piece.start() :]
        if piece["comment"]:
            comments_end = piece.end()
    cut = comments_end if is_last else 0
    return trivia[:cut], trivia[cut:]


def has_comment(trivia: str) -> bool:
    """True if there is more than white space in `trivia`."""
    return "/" in trivia


def starts_line(trivia: str) -> bool:
    """True if nothing but blanks stands in `trivia` before a line ends."""
    return _STARTS_LINE.match(trivia) is not None


def is_open(trivia: str) -> bool:
    """True if `trivia` ends within a line comment, so that whatever came next on that line would be part of it."""
    last = ""
    for piece in _PIECE.finditer(trivia):
        last = "" if piece["end"] else piece["comment"] or last
    return last.startswith("//")


def indentation(lead: str) -> str | None:
    """The blanks at the beginning of the line that comes after `lead`; None if what comes is not first on its line."""
    found = _LAST_LINE.search(lead)
    return found[1] if found else None
