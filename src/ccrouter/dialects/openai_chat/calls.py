"""Tool calls as they stream in, put together whatever the provider leaves out, repeats or mixes up. Pure.

A call is known by its index and its id. Servers leave out either or both, repeat the id or the name in every chunk,
give every call the index 0, or send arguments before the name; all of that has been seen. The text of arguments is
never altered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from ccrouter.dialects.callids import client_id
from ccrouter.dialects.openai_chat.chunks import CallDelta, FunctionDelta
from ccrouter.dialects.openai_chat.thoughts import Thoughts
from ccrouter.errors import RemoteProtocolError
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.writer import MessageWriter

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Call:
    """One call: what is known of it, and the arguments not written yet (`held`)."""

    __slots__ = ("client_id", "extra", "held", "id", "key", "name", "pieces")

    def __init__(self, key: str) -> None:
        self.key = key
        self.id = ""
        self.client_id = ""
        self.name = ""
        self.pieces: list[str] = []
        self.held: list[str] = []
        self.extra: JsonObject | None = None

    @property
    def is_whole(self) -> bool:
        """True if its arguments are a complete JSON object."""
        pieces = self.pieces or self.held
        last = next((piece for piece in reversed(pieces) if piece and not piece.isspace()), "")
        if not last.rstrip().endswith("}"):  # spares joining them all for nearly every piece
            return False
        try:
            _object.decode("".join(pieces))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True


class Calls:
    """Writes tool calls. `ids` are those that the client has seen before; `names` maps sent names to asked ones."""

    def __init__(
        self,
        writer: MessageWriter,
        thoughts: Thoughts,
        names: Mapping[str, str],
        ids: frozenset[str],
        new_id: Callable[[], str],
    ) -> None:
        self._writer = writer
        self._thoughts = thoughts
        self._names = names
        self._taken = set(ids)
        self._new_id = new_id
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._row: list[_Call] = []  # the calls that the last chunk with several entries told of

    @property
    def any(self) -> bool:
        """True if a call has been written."""
        return any(call.name for call in self._calls)

    @property
    def all_whole(self) -> bool:
        """True if every call has a name and arguments that are complete."""
        return all(call.name and (call.is_whole or not "".join(call.pieces).strip()) for call in self._calls)

    def read(self, deltas: list[CallDelta]) -> None:
        """Take the calls, or pieces of calls, of one chunk."""
        row: list[_Call] = []
        for place, delta in enumerate(deltas):
            call = self._find(delta, place, len(deltas), row)
            row.append(call)
            self._take(call, delta)
        if len(row) > 1:
            self._row = row

    def read_legacy(self, function: FunctionDelta) -> None:
        """Take a `function_call`, of which an answer has one at most."""
        self.read([CallDelta(index=-1, function=function)])

    def whole(self, name: str, arguments: str) -> None:
        """A call that came in one piece, found in the text."""
        call = self._begin()
        self._take(call, CallDelta(function=FunctionDelta(name, arguments)))

    def finish(self) -> None:
        """Nothing follows: write what was held. Raises RemoteProtocolError for arguments whose tool was never named."""
        for call in self._calls:
            if call.name:
                self._flush(call)
            elif "".join(call.pieces).strip():
                raise RemoteProtocolError("the provider sent arguments for a tool call that it never named")

    # -- which call ------------------------------------------------------------------------------------------------

    def _find(self, delta: CallDelta, place: int, count: int, row: list[_Call]) -> _Call:
        name = (delta.function.name if delta.function else None) or ""
        id = delta.id or ""  # noqa: A001 - the protocol's own word
        if delta.index is not None:
            call = self._by_index.get(delta.index)
            if call is None or self._is_another(call, id, name, row):
                call = self._by_index[delta.index] = self._begin()
            return call
        if id:
            call = self._by_id.get(id)
            is_same = call is not None and (not name or not call.name or (name == call.name and not call.is_whole))
            return call if call is not None and is_same else self._begin()
        if name:
            last = self._calls[-1] if self._calls else None
            if last and last not in row and last.name in {"", name} and not last.is_whole and last.pieces:
                return last
            return self._begin()
        if count > 1 and place < len(self._row):
            return self._row[place]
        return self._calls[-1] if self._calls else self._begin()

    def _is_another(self, call: _Call, id: str, name: str, row: list[_Call]) -> bool:  # noqa: A002 - as above
        """True if a delta at the index of `call` begins another call all the same: some servers call every one 0."""
        if not name or not call.name:
            return False
        if id and call.id and id != call.id:
            return name != call.name or call.is_whole or not call.pieces or call in row
        if id and id == call.id:
            return False
        # No id to tell by: a name after complete arguments, or twice in one chunk, is a new call.
        return call.is_whole or (call in row and bool(call.pieces))

    def _begin(self) -> _Call:
        call = _Call(str(len(self._calls)))
        self._calls.append(call)
        return call

    # -- what of it ------------------------------------------------------------------------------------------------

    def _take(self, call: _Call, delta: CallDelta) -> None:
        if delta.id and not call.id:
            call.id = delta.id
            self._by_id[delta.id] = call
        if delta.extra_content:
            call.extra = delta.extra_content
            if call.client_id:
                self._thoughts.keep_for_call(call.client_id, call.extra)
        function = delta.function
        if function is None:
            return
        if function.name and not call.name:
            self._name(call, function.name)
        arguments = function.arguments
        if arguments:
            text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
            self._add(call, text)

    def _name(self, call: _Call, name: str) -> None:
        """The call can begin: its name is known."""
        call.name = name
        id = client_id(call.id) if call.id else ""  # noqa: A001 - as above
        if not id or id in self._taken:
            # Without an id, or with one the client knows from another call, results would find the wrong call.
            id = self._new_id()  # noqa: A001 - as above
        self._taken.add(id)
        call.client_id = id
        if call.extra is not None:
            self._thoughts.keep_for_call(id, call.extra)
        self._thoughts.seal()
        self._writer.tool_use(call.key, id=id, name=self._names.get(name, name))
        held, call.held, call.pieces = call.pieces, [], []
        for piece in held:
            self._add(call, piece)

    def _add(self, call: _Call, piece: str) -> None:
        if not call.name:
            call.pieces.append(piece)
            return
        if not call.pieces and not call.held and piece.strip() in {"{}", "null"}:
            call.held.append(piece)  # all there is, or a place holder before the real arguments
            return
        if call.held:
            if not piece.strip():
                return
            call.held = []
        if piece.lstrip().startswith("{") and call.pieces and call.is_whole and self._repeats(call, piece):
            return
        call.pieces.append(piece)
        self._writer.tool_input(call.key, piece)

    @staticmethod
    def _repeats(call: _Call, piece: str) -> bool:
        """True for servers that send the whole arguments once more at the end."""
        return piece.strip() == "".join(call.pieces).strip()

    def _flush(self, call: _Call) -> None:
        held, call.held = call.held, []
        for piece in held:
            if piece.strip() == "{}":
                call.pieces.append(piece)
                self._writer.tool_input(call.key, piece)
