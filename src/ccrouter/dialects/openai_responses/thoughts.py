"""Reasoning items as they stream in: what is shown of them, and what has to come back. Pure.

One item is one thinking block, however many parts its summary has. Its seal is written when the next item begins: only
then is it known which message it led to.
"""

from __future__ import annotations

from ccrouter.dialects.openai_responses.reasoning import BETWEEN, pack
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.writer import MessageWriter


class Thoughts:
    """Writes thinking blocks and seals them, for answers of `model` at `provider`."""

    def __init__(self, writer: MessageWriter, provider: str, model: str) -> None:
        self._writer = writer
        self._provider = provider
        self._model = model
        self._key = ""  # of the item whose block is open; "" for none
        self._kind = ""  # which of its texts is shown: "summary", or "content" where there is no summary
        self._part: int | None = None
        self._shown: set[tuple[str, int | None]] = set()
        self._pieces: list[str] = []
        self._item: JsonObject = {}

    def begin(self, key: str) -> None:
        """The item `key` begins, if it is not the one that is open."""
        if key != self._key:
            self.seal()
            self._key = key

    def think(self, key: str, kind: str, part: int | None, piece: str) -> None:
        """A piece of the part `part` of a summary or of reasoning text. Of the two the first that says anything is
        shown.
        """
        self.begin(key)
        if not piece or (self._kind and kind != self._kind):
            return
        if self._pieces and part != self._part:
            self._show(BETWEEN)
        self._kind, self._part = kind, part
        self._shown.add((kind, part))
        self._show(piece)

    def fill(self, key: str, kind: str, part: int | None, text: str) -> None:
        """All of a part: shown if nothing of it was before."""
        self.begin(key)
        if (kind, part) not in self._shown:
            self.think(key, kind, part, text)

    def complete(self, key: str, item: JsonObject) -> None:
        """The whole item: what of it was not shown yet is."""
        self.begin(key)
        for kind in ("summary", "content"):
            parts = item.get(kind)
            for number, part in enumerate(parts if isinstance(parts, list) else ()):
                text = part.get("text") if isinstance(part, dict) else None
                if isinstance(text, str) and not self._shown_without_place(kind):
                    self.fill(key, kind, number, text)
        self._item = item

    def seal(self, phase: str = "") -> None:
        """Something else begins (a message in this `phase`), or nothing more: sign the thinking so far."""
        if not self._pieces and not self._item:
            self._key = ""
            return
        text = "".join(self._pieces)
        self._writer.signature(pack(self._provider, self._model, self._item, text, phase))
        self._key, self._kind, self._part = "", "", None
        self._shown, self._pieces, self._item = set(), [], {}

    def _shown_without_place(self, kind: str) -> bool:
        """True if texts of this kind came from a server that does not number them."""
        return (kind, None) in self._shown

    def _show(self, piece: str) -> None:
        self._pieces.append(piece)
        self._writer.thinking(piece)
