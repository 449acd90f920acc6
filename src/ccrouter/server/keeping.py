"""Who keeps the account of exchanges, as the application sees it: something that takes them and never holds it up."""

from __future__ import annotations

from typing import Protocol

from ccrouter.gateway.record import Exchange, PromptNote


class Keeper(Protocol):
    """See `ccrouter.store.recorder.Recorder`."""

    def put(self, exchange: Exchange) -> None:
        """Take an exchange that is over; never blocks and never raises."""

    def note_prompt(self, note: PromptNote) -> None:
        """Take what a request was made of; likewise."""
