"""Thinking that stands between tags in the text of an answer: told apart while it streams. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from ccrouter.messages.events import (
    Delta,
    SignatureDelta,
    StartBlock,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
)
from ccrouter.transforms.blocks import BlockFilter

_BREAKS = "\r\n"
#: White space that is held back; a model that writes more of it means it, and looking through all of it takes time.
_MOST_BLANK = 1000


class Tag(NamedTuple):
    """What stands before and after some thinking."""

    open: str
    close: str


class Piece(NamedTuple):
    """Some text, and whether it is thinking."""

    is_thinking: bool
    text: str


class TagSplitter:
    """Takes text in any cut and says what of it is thinking. `close` gives what was held back.

    `anywhere`: tags count wherever they stand, else only at the very beginning, white space aside. `begins_inside`: the
    text begins amid thinking, whose end alone is tagged. Line breaks around tags belong to them. `has_found` is true
    once there was a tag.
    """

    def __init__(self, tags: Sequence[Tag], *, anywhere: bool = True, begins_inside: bool = False) -> None:
        self._tags = tags
        self._tag = tags[0]
        self._anywhere = anywhere
        self._state: Literal["start", "text", "opening", "before", "inside", "after", "plain"]
        self._state = "opening" if begins_inside else "text" if anywhere else "start"
        self._held = ""
        self.has_found = begins_inside

    def feed(self, text: str) -> list[Piece]:
        """What can be told apart so far."""
        if self._state == "plain":
            return [Piece(is_thinking=False, text=text)]
        self._held += text
        return self._split(is_whole=False)

    def close(self) -> list[Piece]:
        """The rest. Thinking that has no end is thinking all the same."""
        pieces = self._split(is_whole=True)
        held, self._held = self._held, ""
        return [*pieces, Piece(self._state == "inside", held)] if held else pieces

    def _split(self, *, is_whole: bool) -> list[Piece]:
        pieces: list[Piece] = []
        while self._held:
            before = self._state, len(self._held)
            match self._state:
                case "start":
                    self._start(is_whole=is_whole)
                case "opening":
                    self._opening(is_whole=is_whole)
                case "before":
                    self._held = self._held.lstrip(_BREAKS)
                    self._state = "inside" if self._held else "before"
                case "after":
                    self._held = self._held.lstrip(_BREAKS)
                    if self._held:
                        self._state = "text" if self._anywhere else "plain"
                case "text":
                    self._look_for_open(pieces, is_whole=is_whole)
                case "inside":
                    self._look_for_close(pieces)
                case "plain":
                    pieces.append(Piece(is_thinking=False, text=self._held))
                    self._held = ""
            if before == (self._state, len(self._held)):
                break
        return pieces

    # -- before a tag ----------------------------------------------------------------------------------------------

    def _enter(self, tag: Tag, rest: str) -> None:
        self._tag, self._held, self._state, self.has_found = tag, rest, "before", True

    def _start(self, *, is_whole: bool) -> None:
        begun = self._held.lstrip()
        found = [tag for tag in self._tags if begun.startswith(tag.open)]
        may_follow = any(len(tag.open) > len(begun) and tag.open.startswith(begun) for tag in self._tags)
        if may_follow and not is_whole and len(self._held) <= _MOST_BLANK:
            return
        if found:
            tag = max(found, key=lambda one: len(one.open))
            self._enter(tag, begun[len(tag.open) :])
        else:
            self._state = "plain"

    def _opening(self, *, is_whole: bool) -> None:
        """The thinking begins, and some models say so all the same."""
        begun = self._held.lstrip()
        if begun.startswith(self._tag.open):
            self._enter(self._tag, begun[len(self._tag.open) :])
        elif is_whole or not self._tag.open.startswith(begun) or len(self._held) > _MOST_BLANK:
            self._state = "before"

    def _look_for_open(self, pieces: list[Piece], *, is_whole: bool) -> None:
        held = self._held
        found = [(at, -len(tag.open), tag) for tag in self._tags if (at := held.find(tag.open)) >= 0]
        at, _, tag = min(found, default=(len(held), 0, None))
        if not is_whole:  # a longer tag may begin at the same place, or one that the next piece completes
            at_tail = _possible(held, [tag.open for tag in self._tags])
            if at_tail <= at:
                at, tag = at_tail, None
        if at:
            pieces.append(Piece(is_thinking=False, text=held[:at]))
        if tag is None:
            self._held = held[at:]
        else:
            self._enter(tag, held[at + len(tag.open) :])

    # -- within ----------------------------------------------------------------------------------------------------

    def _look_for_close(self, pieces: list[Piece]) -> None:
        thought, tag, rest = self._held.partition(self._tag.close)
        if tag:
            self._state, self._held = "after", rest
            thought = thought.rstrip(_BREAKS)
        else:
            begins = _possible(thought, [self._tag.close])
            before = thought[max(0, begins - _MOST_BLANK) : begins]
            keep = begins - len(before) + len(before.rstrip(_BREAKS))
            thought, self._held = thought[:keep], thought[keep:]
        if thought:
            pieces.append(Piece(is_thinking=True, text=thought))


def _possible(text: str, tags: Sequence[str]) -> int:
    """Where a tag may begin of which `text` has only the first characters, at its end; the length of `text` if
    nowhere.
    """
    longest = max(map(len, tags))
    for at in range(max(0, len(text) - longest + 1), len(text)):
        if any(len(tag) > len(text) - at and tag.startswith(text[at:]) for tag in tags):
            return at
    return len(text)


class _Text:
    """A text block that comes in: what of it goes out at present (`kind`), as the how-manieth block (`part`), and white
    space that waits for something to stand before (`blank`, of the kind `held_kind`).
    """

    __slots__ = ("blank", "block", "held_kind", "kind", "part", "splitter")

    def __init__(self, block: StartBlock, splitter: TagSplitter) -> None:
        self.block = block
        self.splitter = splitter
        self.kind: Literal["", "text", "thinking"] = ""
        self.held_kind: Literal["", "text", "thinking"] = ""
        self.blank = ""
        self.part = 0


class TaggedThinking(BlockFilter):
    """Makes thinking blocks of what stands between tags in text blocks. Each is sealed with `signature`."""

    def __init__(
        self, tags: Sequence[Tag], signature: str, *, anywhere: bool = True, begins_inside: bool = False
    ) -> None:
        super().__init__()
        self._tags = tags
        self._signature = signature
        self._anywhere = anywhere
        self._begins_inside = begins_inside
        self._texts: dict[int, _Text] = {}

    def start(self, index: int, block: StartBlock) -> None:
        rest: StartBlock
        if isinstance(block, TextBlock):
            said, rest = block.text, TextBlock()
        elif isinstance(block, dict) and block.get("type") == "text":
            said, rest = block.get("text") or "", {**block, "text": ""}
        else:
            self.begin(index, block)
            return
        splitter = TagSplitter(self._tags, anywhere=self._anywhere, begins_inside=self._begins_inside)
        self._begins_inside = False
        self._texts[index] = _Text(rest, splitter)
        if said:
            self._spread(index, splitter.feed(said))

    def delta(self, index: int, delta: Delta) -> None:
        text = self._texts.get(index)
        if text is None:
            self.add(index, delta)
        elif isinstance(delta, TextDelta):
            self._spread(index, text.splitter.feed(delta.text))
        else:  # a citation: it belongs to the text
            self._switch(index, "text")
            self.add((index, text.part), delta)

    def stop(self, index: int) -> None:
        text = self._texts.get(index)
        if text is None:
            self.end(index)
            return
        self._spread(index, text.splitter.close())
        if not text.kind and not text.splitter.has_found:  # empty, or white space: as it came
            self._switch(index, "text")
            if text.blank:
                self.add((index, text.part), TextDelta(text.blank))
        self._switch(index, "")
        del self._texts[index]

    def _spread(self, index: int, pieces: list[Piece]) -> None:
        text = self._texts[index]
        for piece in pieces:
            kind: Literal["text", "thinking"] = "thinking" if piece.is_thinking else "text"
            said = piece.text
            if kind != text.kind:
                text.blank = text.blank + said if kind == text.held_kind else said
                text.held_kind = kind
                if len(text.blank) <= _MOST_BLANK and text.blank.isspace():
                    continue
                said, text.blank = text.blank, ""
                self._switch(index, kind)
            self.add((index, text.part), ThinkingDelta(said) if piece.is_thinking else TextDelta(said))

    def _switch(self, index: int, kind: Literal["", "text", "thinking"]) -> None:
        text = self._texts[index]
        if text.kind == kind:
            return
        if text.kind:
            if text.kind == "thinking":
                self.add((index, text.part), SignatureDelta(self._signature))
            self.end((index, text.part))
            text.part += 1
        text.kind = kind
        if kind:
            self.begin((index, text.part), ThinkingBlock() if kind == "thinking" else text.block)
