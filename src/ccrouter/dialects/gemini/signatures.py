"""Thinking as it streams in, and the signatures of everything else: what has to come back, and where. Pure.

A thinking block takes the state of what stands beside it (see `replay`): a thought's own signature, that of the text in
front, of the text or the calls that follow. Where something signed has no thought beside it, an empty block is made for
it; but never as the last block of an answer, for Claude Code prints nothing of an answer that ends so. What is lost
with that is the signature of a text that ends a turn, which Gemini does not ask for.
"""

from __future__ import annotations

from ccrouter.dialects.gemini.chunks import Part, object_in
from ccrouter.dialects.gemini.replay import State, pack
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.writer import MessageWriter


class Signatures:
    """Writes thinking blocks and seals them."""

    def __init__(self, writer: MessageWriter, provider: str, model: str) -> None:
        self._writer = writer
        self._provider = provider
        self._model = model
        self._state = State()
        self._is_thinking = False  # a thinking block is open, and not sealed

    def think(self, piece: str, signature: str | None) -> None:
        """A piece of a thought, the whole of which `signature` signs."""
        if not self._is_thinking and not self._state.is_empty:
            self.seal()  # what is waiting stands in front of this thought
        if piece:
            self._writer.thinking(piece)
            self._is_thinking = True
        if signature:
            self._state.own = signature
            self.seal()

    def sign_text_before(self, signature: str) -> None:
        """The text that was written last is signed."""
        self._state.before = signature

    def sign_text_after(self, signature: str) -> None:
        """The text that is written next is signed."""
        self._state.text = signature

    def sign_call(self, id: str, signature: str) -> None:  # noqa: A002 - the protocol's own word
        """The call with this id, which is written next, is signed."""
        self._state.calls[id] = signature

    def keep(self, part: Part) -> None:
        """A part that shows nothing and has to come back as it was: a search of Google's own, or a signature alone."""
        kept: JsonObject = {}
        if part.tool_call:
            kept["toolCall"] = object_in(part.tool_call)
        elif part.tool_response:
            kept["toolResponse"] = object_in(part.tool_response)
        else:
            kept["text"] = ""
        if part.thought_signature:
            kept["thoughtSignature"] = part.thought_signature
        self._state.parts.append(kept)

    def seal(self) -> None:
        """Something else begins: sign the thought so far, if there is any, or any state to bring back."""
        if not self._is_thinking and self._state.is_empty:
            return
        self._state.model = self._model
        self._writer.signature(pack(self._provider, self._state))
        self._state = State()
        self._is_thinking = False

    def finish(self) -> None:
        """Nothing follows: only a thought that was begun is sealed."""
        if self._is_thinking:
            self.seal()
