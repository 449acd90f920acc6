"""White space without end: what a transform or a reader holds back of it is bounded, and so is its work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ccrouter.dialects.openai_chat.tags import ThinkTags
from ccrouter.messages.events import BlockDelta, BlockStart, TextBlock, TextDelta, ThinkingDelta
from ccrouter.transforms.tagged import Tag, TaggedThinking, TagSplitter
from ccrouter.transforms.textmember import TextMember

THINK = Tag("<think>", "</think>")
BLANKS = 5000
MOST_HELD = 1100


def splitter(**more: bool) -> Callable[[str], str]:
    made = TagSplitter([THINK], **more)
    return lambda text: "".join(piece.text for piece in made.feed(text))


def chat_tags() -> Callable[[str], str]:
    made = ThinkTags()
    return lambda text: "".join(piece.text for piece in made.feed(text))


def filtered(before: str) -> Callable[[str], str]:
    made = TaggedThinking([THINK], "s")
    made([BlockStart(0, TextBlock())])

    def feed(text: str) -> str:
        events = [one for one in made([BlockDelta(0, TextDelta(text))]) if isinstance(one, BlockDelta)]
        deltas = [one.delta for one in events]
        texts = [one.text for one in deltas if isinstance(one, TextDelta)]
        return "".join([*texts, *(one.thinking for one in deltas if isinstance(one, ThinkingDelta))])

    feed(before)
    return feed


@pytest.mark.parametrize(("feed", "before", "blank"), [
    (splitter(), "<think>a", "\n"),
    (splitter(anywhere=False), "", " "),
    (splitter(anywhere=False), "<think>a", "\n"),
    (splitter(begins_inside=True), "a", "\n"),
    (chat_tags(), "", " "),
    (chat_tags(), "<think>a", "\n"),
    (filtered(""), "", " "),
    (filtered("a<think>"), "b", "\n"),
])  # fmt: skip
def test_what_is_held_back_is_bounded(feed: Callable[[str], str], before: str, blank: str):
    """A model that writes nothing but white space is not waited for: what comes goes on, all but the last of it."""
    feed(before)
    told = sum(len(feed(blank)) for _ in range(BLANKS))
    assert told > BLANKS - MOST_HELD


def test_a_text_that_seems_to_end():
    """A quotation mark with nothing but white space behind it is the end, though the object never ends."""
    made = TextMember("response")
    assert made.feed('{"response":"a"') == "a"
    for _ in range(BLANKS):
        assert not made.feed(" ")
    assert len(made._held) < MOST_HELD
    assert not made.close()
