"""Function calls as they stream in: begun by an item, written by deltas, completed by whichever event says so. Pure.

A call is known by the index of its item, or by the item's id; servers leave out either. The text of arguments is never
altered, and written once, whether it comes in deltas, in a `done` event, in the finished item, or in several of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from ccrouter.dialects.callids import client_id
from ccrouter.dialects.openai_responses.items import Item
from ccrouter.errors import RemoteProtocolError
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.writer import MessageWriter

Arguments = str | JsonObject | None


class _Call:
    """One call: whether it has begun, ended, and has arguments; what came of them before its name (`held`), and those
    that its first event already had (`given`).
    """

    __slots__ = ("ended", "given", "has_arguments", "held", "name")

    def __init__(self) -> None:
        self.name = ""
        self.held: list[str] = []
        self.given = ""
        self.has_arguments = False
        self.ended = False


class Calls:
    """Writes tool calls. `ids` are those that the client has seen before; `names` maps sent names to asked ones."""

    def __init__(
        self, writer: MessageWriter, names: Mapping[str, str], ids: frozenset[str], new_id: Callable[[], str]
    ) -> None:
        self._writer = writer
        self._names = names
        self._taken = set(ids)
        self._new_id = new_id
        self._calls: dict[str, _Call] = {}

    @property
    def any(self) -> bool:
        """True if a call has been written."""
        return any(call.name for call in self._calls.values())

    def begin(self, key: str, item: Item) -> None:
        """The call `key` begins."""
        call = self._calls.setdefault(key, _Call())
        call.given = call.given or _text(item.arguments)
        self._name(key, call, item.name or "", item.call_id or item.id or "")

    def add(self, key: str, piece: str) -> None:
        """A piece of the arguments of a call."""
        call = self._calls.setdefault(key, _Call())
        if not piece or call.ended:
            return
        call.has_arguments = True
        if call.name:
            self._writer.tool_input(key, piece)
        else:
            call.held.append(piece)

    def fill(self, key: str, arguments: Arguments) -> None:
        """All of the arguments of a call: written if none were before."""
        if not self._calls.setdefault(key, _Call()).has_arguments:
            self.add(key, _text(arguments))

    def complete(self, key: str, item: Item) -> None:
        """The whole call: what of it was not written yet is written, and nothing of it follows."""
        self.begin(key, item)
        self.fill(key, item.arguments)
        self._end(key, self._calls[key])

    def finish(self) -> None:
        """Nothing follows. Raises RemoteProtocolError for arguments whose function was never named."""
        for key, call in self._calls.items():
            if not call.name and call.held:
                raise RemoteProtocolError("the provider sent arguments for a function call that it never named")
            if not call.has_arguments:
                self.add(key, call.given)

    def _end(self, key: str, call: _Call) -> None:
        if call.name and not call.ended:
            self.fill(key, call.given)
            call.ended = True
            self._writer.tool_end(key)

    def _name(self, key: str, call: _Call, name: str, upstream_id: str) -> None:
        """The call can begin: its name is known."""
        if call.name or not name:
            return
        call.name = name
        id = client_id(upstream_id) if upstream_id else ""  # noqa: A001 - the protocol's own word
        if not id or id in self._taken:
            # Without an id, or with one the client knows from another call, results would find the wrong call.
            id = self._new_id()  # noqa: A001 - as above
        self._taken.add(id)
        self._writer.tool_use(key, id=id, name=self._names.get(name, name))
        held, call.held = call.held, []
        for piece in held:
            self._writer.tool_input(key, piece)


def _text(arguments: Arguments) -> str:
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return msgspec.json.encode(arguments).decode()
