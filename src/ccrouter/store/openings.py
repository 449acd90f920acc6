"""How the conversations of a session began: by that a request finds what is kept of its own. Hashes and figures."""

from __future__ import annotations

import hashlib

import msgspec

from ccrouter.messages.prefix import Prefix
from ccrouter.routing.facts import Thread
from ccrouter.store.lines import ThreadStates

#: Beginnings that are remembered of a session and agent; the one that was gone on with longest ago goes first.
_MOST = 24


class Opening(msgspec.Struct, array_like=True, frozen=True):
    """A beginning: `opening` as its requests have it, `home` the one under which the conversation is kept (another, if
    its first turn was rewritten since), and of its last turn a hash of the `tools`, how `many` these were, and all its
    input tokens (`context`).
    """

    opening: int
    home: int
    tools: bytes
    many: int
    context: int

    @classmethod
    def of(cls, thread: Thread, home: Thread, prefix: Prefix, context: int) -> Opening:
        """That of a turn whose conversation is kept under `home`."""
        tools = hashlib.sha256(b"".join(prefix.tools)).digest()[:8]
        return cls(thread.opening, home.opening, tools, len(prefix.tools), context)


_openings = msgspec.msgpack.Decoder(list[Opening])


class Openings:
    """Reads and writes them: a small blob for each session and agent."""

    def __init__(self, states: ThreadStates) -> None:
        self._states = states

    def of(self, thread: Thread) -> list[Opening]:
        """Those of the thread's session and agent, the one that was gone on with last at the end."""
        blob = self._states.get(_key(thread))
        try:
            return _openings.decode(blob) if blob else []
        except msgspec.DecodeError:
            return []  # of another version

    def note(self, thread: Thread, known: list[Opening], now: Opening) -> None:
        """After the call `now` is the last of the `known`, in the place of the one that begins alike."""
        kept = [one for one in known if one.opening != now.opening]
        self._states.put(_key(thread), msgspec.msgpack.encode([*kept[1 - _MOST :], now]))


def _key(thread: Thread) -> str:
    return f"opening\n{thread.session}\n{thread.agent}"
