"""Characters cut in two between chunks: the halves of UTF-16 surrogate pairs, put together again. Pure.

A server that cuts its text by UTF-16 units sends the first half of an emoji as the escape that ends one chunk, and the
second as the one that begins the next. A half that stays alone is U+FFFD. Only chunks that hold halves, and those that
follow a half still waiting, come here.
"""

from __future__ import annotations

from collections.abc import Hashable

from ccrouter.dialects.openai_chat.chunks import CallDelta, ChatChoice, ChatChunk, ChatDelta, ContentPart, joined
from ccrouter.jsontypes import JsonObject

_LOST = "\ufffd"
_TEXTS = ("reasoning_content", "reasoning", "content")


class Halves:
    """Joins the texts of chunks in place. `waits` is true while a first half has not met its second."""

    def __init__(self) -> None:
        self._held: dict[Hashable, str] = {}

    @property
    def waits(self) -> bool:
        return bool(self._held)

    def join(self, chunk: ChatChunk) -> None:
        """Every text in `chunk` is made of whole characters; a half at its end is kept for the next one."""
        for choice in chunk.choices or ():
            if not choice.index:
                self._join_choice(choice)

    def _join_choice(self, choice: ChatChoice) -> None:
        delta = choice.delta or choice.message
        if delta is None:
            if not choice.finish_reason:
                return
            delta = choice.delta = ChatDelta()
        for name in _TEXTS:
            text = getattr(delta, name)
            if isinstance(text, str) and text:
                setattr(delta, name, self._whole(name, text))
        if isinstance(delta.content, list):
            for part in delta.content:
                self._join_part(part)
        for detail in delta.reasoning_details or ():
            self._join_detail(detail)
        for place, call in enumerate(delta.tool_calls or ()):
            self._join_call(call, call.index if call.index is not None else place)
        self._give_up(delta, is_end=bool(choice.finish_reason))

    def _join_part(self, part: ContentPart) -> None:
        if part.text:
            part.text = self._whole("content", part.text)
        if isinstance(part.thinking, str):
            part.thinking = self._whole("thinking", part.thinking)
        elif part.thinking:
            for inner in part.thinking:
                inner.text = self._whole("thinking", inner.text or "")

    def _join_detail(self, detail: JsonObject) -> None:
        for name in ("text", "summary"):
            text = detail.get(name)
            if isinstance(text, str) and text:
                detail[name] = self._whole((name, str(detail.get("index"))), text)

    def _join_call(self, call: CallDelta, place: int) -> None:
        function = call.function
        if function is not None and isinstance(function.arguments, str) and function.arguments:
            function.arguments = self._whole(("arguments", place), function.arguments)

    def _whole(self, key: Hashable, text: str) -> str:
        """`text` after the half that was kept under `key`, without one at its own end."""
        text = self._held.pop(key, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._held[key] = text[-1]
            text = text[:-1]
        return joined(text)

    def _give_up(self, delta: ChatDelta, *, is_end: bool) -> None:
        """Where a text is over, its half stays alone."""
        moved_on = is_end or delta.tool_calls
        for name in _TEXTS:
            text = getattr(delta, name)
            if name in self._held and (moved_on or (name != "content" and delta.content)):
                del self._held[name]
                setattr(delta, name, (text if isinstance(text, str) else "") + _LOST)
