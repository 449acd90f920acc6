"""The text of messages: each part of one is written once, and is a block of its own. Pure."""

from __future__ import annotations

from ccrouter.messages.writer import MessageWriter

#: A part of a message: the key of its item, and its index there.
Place = tuple[str, int]


class Texts:
    """Writes text."""

    def __init__(self, writer: MessageWriter) -> None:
        self._writer = writer
        self._said: set[Place] = set()
        self._place: Place | None = None  # of the block that is open
        self._begun = False
        self._blank = ""  # white space that begins a text: a block of nothing else is refused later

    def add(self, place: Place, piece: str) -> None:
        """A piece of the part at `place`."""
        if not piece:
            return
        if place != self._place:
            self.leave()
            self._place = place
        self._said.add(place)
        if not self._begun:
            piece, self._blank = self._blank + piece, ""
            if piece.isspace():
                self._blank = piece
                return
            self._begun = True
        self._writer.text(piece)

    def fill(self, place: Place, text: str) -> None:
        """All of the part at `place`: written if nothing of it was before."""
        if place not in self._said:
            self.add(place, text)

    def tell(self, words: str) -> None:
        """A paragraph that is no message's."""
        if words:
            self.leave()
            self._writer.text(words)
            self._writer.text_end()

    def leave(self) -> None:
        """Something else follows; white space that led to no text is nothing."""
        if self._begun:
            self._writer.text_end()
        self._place, self._begun, self._blank = None, False, ""

    def close(self) -> None:
        """Nothing follows: white space is said after all if it is the whole answer."""
        if self._blank and not self._writer.has_content:
            self._writer.text(self._blank)
