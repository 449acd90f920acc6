"""`<think>` in the text: thinking that a server did not take apart. Pure.

Only at the very beginning of the text, white space aside: further on, a model that writes `<think>` means the word.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

_OPEN = "<think>"
_CLOSE = "</think>"
#: White space that is held back; a model that writes more of it means it, and looking through all of it takes time.
_MOST_BLANK = 1000


class Piece(NamedTuple):
    """Some text, and whether it is thinking."""

    is_thinking: bool
    text: str


class ThinkTags:
    """Takes text in any cut and says what of it is thinking. `close` gives what was held back."""

    def __init__(self) -> None:
        self._state: Literal["start", "before", "inside", "after", "text"] = "start"
        self._held = ""

    @property
    def is_done(self) -> bool:
        """True once everything that follows is text."""
        return self._state == "text"

    def feed(self, text: str) -> list[Piece]:
        if self._state == "text":
            return [Piece(is_thinking=False, text=text)]
        self._held += text
        if self._state == "start":
            self._start()
        if self._state == "before":
            self._held = self._held.lstrip("\r\n")
            if self._held:
                self._state = "inside"
        pieces = self._inside() if self._state == "inside" else []
        if self._state == "after":
            # The line breaks around the tags belong to the tags.
            self._held = self._held.lstrip("\r\n")
            if self._held:
                self._state = "text"
        if self._state == "text" and self._held:
            pieces.append(Piece(is_thinking=False, text=self._held))
            self._held = ""
        return pieces

    def close(self) -> list[Piece]:
        held, self._held = self._held, ""
        return [Piece(is_thinking=self._state == "inside", text=held)] if held else []

    def _start(self) -> None:
        begun = self._held.lstrip()
        if begun.startswith(_OPEN):
            self._state = "before"
            self._held = begun[len(_OPEN) :]
        elif not _OPEN.startswith(begun) or len(self._held) > _MOST_BLANK:
            self._state = "text"

    def _inside(self) -> list[Piece]:
        thought, tag, rest = self._held.partition(_CLOSE)
        if tag:
            self._state = "after"
            self._held = rest
            thought = thought.rstrip("\r\n")
        else:
            keep = _tail(thought)
            thought, self._held = thought[: len(thought) - keep], thought[len(thought) - keep :]
        return [Piece(is_thinking=True, text=thought)] if thought else []


def _tail(text: str) -> int:
    """How many characters at the end may be the beginning of the closing tag, or line breaks before it."""
    for size in range(min(len(_CLOSE) - 1, len(text)), 0, -1):
        if _CLOSE.startswith(text[-size:]):
            return size + _breaks(text[:-size])
    return _breaks(text)


def _breaks(text: str) -> int:
    end = text[-_MOST_BLANK:]
    return len(end) - len(end.rstrip("\r\n"))
