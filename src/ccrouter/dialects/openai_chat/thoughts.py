"""Reasoning as it streams in: which of the fields to believe, and what has to come back. Pure.

Providers say the same thought in up to three members of one chunk. The first member that says anything is the one that
is shown, for the whole answer; structured details are kept besides, merged piece by piece, for the way back.
"""

from __future__ import annotations

from typing import Any

from ccrouter.dialects.openai_chat.chunks import ChatDelta
from ccrouter.dialects.openai_chat.reasoning import pack
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.writer import MessageWriter

_PIECEMEAL = ("text", "summary")


class Thoughts:
    """Writes thinking blocks and seals them. `seen` is true once the provider sent reasoning apart from its text."""

    def __init__(self, writer: MessageWriter, provider: str, *, repeats: bool) -> None:
        self._writer = writer
        self._provider = provider
        self._repeats = repeats
        self._source = ""
        self._pieces: list[str] = []  # of the block that is open
        self._so_far = ""  # of all blocks; kept only where a provider repeats itself
        self._details: list[JsonObject] = []
        self._tails: dict[str, list[str]] = {}  # what follows the texts of the last detail, not joined yet
        self._calls: JsonObject = {}

    @property
    def seen(self) -> bool:
        return bool(self._source)

    def read(self, delta: ChatDelta) -> None:
        """Take the reasoning out of one piece of an answer."""
        plain = delta.reasoning_content
        source = "reasoning_content"
        if not plain and isinstance(delta.reasoning, str) and delta.reasoning:
            plain, source = delta.reasoning, "reasoning"
        if not plain and delta.thinking:
            plain, source = self._classic(delta.thinking), "thinking"
        told = ""
        for detail in delta.reasoning_details or ():
            told += self._keep(detail)
        if not plain:
            plain, source = told, "reasoning_details"
        if plain:
            self._source = self._source or source
            if source == self._source:
                self.think(self._news(plain))

    def _classic(self, thinking: Any) -> str:
        """What is new in the classic router's own member: with a signature it says all of the thought again."""
        if isinstance(thinking, dict):
            thinking = "" if thinking.get("signature") and self.seen else thinking.get("content")
        return thinking if isinstance(thinking, str) else ""

    def think(self, piece: str) -> None:
        """A piece of thinking to show."""
        if piece:
            self._pieces.append(piece)
            self._writer.thinking(piece)

    def keep_for_call(self, id: str, extra: JsonObject) -> None:  # noqa: A002 - the protocol's own word
        """State that has to come back on the call with this id."""
        self._calls[id] = extra

    def seal(self) -> None:
        """Something else begins: sign the thinking so far, if there is any or any state to bring back."""
        if not self._pieces and not self._details and not self._calls:
            return
        self._settle()
        text = "".join(self._pieces)
        self._writer.signature(pack(self._provider, self._details, self._calls, text))
        self._pieces, self._details, self._calls = [], [], {}

    def end(self, *, has_text: bool) -> None:
        """The answer is over. State that nothing was shown of is let go where a text is the last thing said.

        Claude Code prints nothing of an answer that ends with a thinking block, and providers ask for state on calls
        alone.
        """
        if self._pieces or not has_text:
            self.seal()

    def _news(self, piece: str) -> str:
        """What is new in `piece`, for providers that send all of the thought again with each chunk."""
        if not self._repeats:
            return piece
        if self._so_far and piece.startswith(self._so_far):
            piece, self._so_far = piece[len(self._so_far) :], piece
        else:
            self._so_far += piece
        return piece

    def _keep(self, detail: JsonObject) -> str:
        """Add a detail to those kept, a piece to the one it continues; the text it tells."""
        last = self._details[-1] if self._details else None
        told = detail.get("text") or detail.get("summary") or ""
        if last is None or not _continues(last, detail):
            self._settle()
            self._details.append(dict(detail))
            return told if isinstance(told, str) else ""
        for name, value in detail.items():
            old = last.get(name)
            if name not in _PIECEMEAL or not isinstance(value, str) or not isinstance(old, str):
                if value is not None:
                    last[name] = value
            elif self._repeats and value.startswith(old):
                last[name] = value
            else:
                self._tails.setdefault(name, []).append(value)
                if self._repeats:
                    self._settle()
        return told if isinstance(told, str) else ""

    def _settle(self) -> None:
        """Join the pieces of the last detail."""
        for name, pieces in self._tails.items():
            self._details[-1][name] += "".join(pieces)
        self._tails = {}


def _continues(last: JsonObject, detail: JsonObject) -> bool:
    """True if `detail` is a further piece of `last`: of the same kind and place, and not a whole by itself."""
    if last.get("type") != detail.get("type") or "data" in detail or "data" in last:
        return False
    if last.get("signature") and not detail.get("signature"):
        return False  # a signed text is finished
    for name in ("index", "id"):
        if last.get(name) is not None and detail.get(name) is not None and last[name] != detail[name]:
            return False
    return True
