"""The law of event order in a Messages stream: one table, blind to who is sending.

Our own writer uses it (a breach is our defect), and the tap that reads a provider's stream uses it (a breach is
theirs). Blocks may interleave as long as their indexes say so: real clients cope with that; what they do not cope with
is a delta for a block that is not open.
"""

from __future__ import annotations

from typing import Literal

State = Literal["idle", "open", "ending", "done", "failed"]

# state → {event → next state}. `idle` is before message_start, `ending` after message_delta.
_TABLE: dict[State, dict[str, State]] = {
    "idle": {"message_start": "open", "error": "failed", "ping": "idle"},
    "open": {
        "content_block_start": "open",
        "content_block_delta": "open",
        "content_block_stop": "open",
        "message_delta": "ending",
        "error": "failed",
        "ping": "open",
    },
    "ending": {"message_delta": "ending", "message_stop": "done", "error": "failed", "ping": "ending"},
    "done": {"ping": "done"},
    "failed": {},
}
KNOWN_EVENTS = frozenset(name for row in _TABLE.values() for name in row)


class GrammarBreach(Exception):
    """An event that may not come here. Its two users turn it into an error of their own."""


class Grammar:
    """Follows one stream: `state` is where it stands, `blocks` counts the blocks begun, `open` those not ended."""

    __slots__ = ("blocks", "open", "state")

    def __init__(self) -> None:
        self.state: State = "idle"
        self.blocks = 0
        self.open: set[int] = set()

    def step(self, event: str, index: int | None = None) -> None:
        """Take one event. Raises GrammarBreach, and stays where it was, if it may not come here.

        Events of a kind that the protocol did not have when this was written pass unjudged, as its versioning policy
        asks of every client.
        """
        if event == "content_block_delta" and index in self.open:
            return  # nearly every event; a block can be open in the state `open` only
        if event not in KNOWN_EVENTS:
            return
        following = _TABLE[self.state].get(event)
        if following is None:
            raise GrammarBreach(f"{event} may not come in state {self.state}")
        if event == "content_block_delta":
            raise GrammarBreach(f"content_block_delta for block {index}, which is not open")
        if event == "content_block_start":
            if index is None or index in self.open or index < self.blocks:
                raise GrammarBreach(f"content_block_start with index {index} after {self.blocks} blocks")
            self.open.add(index)
            self.blocks = index + 1
        elif event == "content_block_stop":
            if index not in self.open:
                raise GrammarBreach(f"content_block_stop for block {index}, which is not open")
            self.open.discard(index)
        elif event == "message_delta" and self.open:
            raise GrammarBreach(f"message_delta while block {min(self.open)} is open")
        self.state = following
