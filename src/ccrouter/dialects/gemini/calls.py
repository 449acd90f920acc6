"""Tool calls: whole as a rule, in pieces where Vertex was asked to stream them. Pure.

A call in pieces begins with its name and ends with the piece that does not say that more will come. Its arguments come
value by value, each with the path of its place, long texts in several pieces; they are put together, and written when
the call is whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ccrouter.dialects.callids import client_id
from ccrouter.dialects.gemini.chunks import FunctionCall, PartialArg
from ccrouter.dialects.gemini.signatures import Signatures
from ccrouter.errors import RemoteProtocolError
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.writer import MessageWriter

#: A step of a JSON path (RFC 9535, normalized or short): a name or an index.
_STEP = re.compile(
    r"\.(?P<short>[^.\[\]]+)|\[(?P<index>\d{1,9})\]|\['(?P<name>(?:[^'\\]|\\.)*)'\]|\[\"(?P<other>[^\"]*)\"\]"
)
#: Places come in order, near enough: an index further beyond the end of its list than this is nonsense, and so is a
#: place deeper than this.
_GAP, _DEEPEST = 100, 100


class Calls:
    """Writes tool calls. `ids` are those that the client has seen before; `names` maps sent names to asked ones."""

    def __init__(
        self,
        writer: MessageWriter,
        signatures: Signatures,
        names: Mapping[str, str],
        ids: frozenset[str],
        new_id: Callable[[], str],
    ) -> None:
        self._writer = writer
        self._signatures = signatures
        self._names = names
        self._taken = set(ids)
        self._new_id = new_id
        self._count = 0
        self._open: _Pieces | None = None

    @property
    def any(self) -> bool:
        """True if a call has been written."""
        return self._count > 0

    @property
    def is_open(self) -> bool:
        """True if a call was begun and its end has not come."""
        return self._open is not None

    def read(self, call: FunctionCall, signature: str | None) -> None:
        """Take a call or a piece of one. Raises RemoteProtocolError for arguments that are no object, and for pieces of
        a call that never began.
        """
        if self._open is None or call.name:
            if not call.name:
                raise RemoteProtocolError("the provider sent a tool call without a name")
            self.finish()
            if not call.will_continue and not call.partial_args:
                self._write(call.id or "", call.name, signature or "", _arguments(call.args))
                return
            self._open = _Pieces(call.id or "", call.name)
        self._open.take(call, signature or "")
        if not call.will_continue:
            self.finish()

    def abandon(self) -> None:
        """The answer was cut off: a call that is open is not written, for half a call must not be made."""
        self._open = None

    def finish(self) -> None:
        """Nothing more comes of the call that is open, if one is: write it."""
        pieces, self._open = self._open, None
        if pieces is not None:
            self._write(pieces.id, pieces.name, pieces.signature, pieces.text())

    def _write(self, id: str, name: str, signature: str, arguments: str) -> None:  # noqa: A002 - the protocol's own word
        known = client_id(id) if id else ""
        if not known or known in self._taken:
            # Without an id, or with one the client knows from another call, results would find the wrong call.
            known = self._new_id()
        self._taken.add(known)
        if signature:
            self._signatures.sign_call(known, signature)
        self._signatures.seal()
        key = str(self._count)
        self._count += 1
        self._writer.tool_use(key, id=known, name=self._names.get(name, name))
        self._writer.tool_input(key, arguments)
        self._writer.tool_end(key)


class _Pieces:
    """A call in pieces."""

    def __init__(self, id: str, name: str) -> None:  # noqa: A002 - as above
        self.id = id
        self.name = name
        self.signature = ""
        self._whole = ""
        self._texts: dict[str, list[str]] = {}  # by path, in order of arrival
        self._values: dict[str, Any] = {}

    def take(self, call: FunctionCall, signature: str) -> None:
        self.signature = self.signature or signature
        if bytes(call.args) not in {b"", b"null", b"{}"}:
            self._whole = _arguments(call.args)
        for piece in call.partial_args or ():
            self._take_piece(piece)

    def _take_piece(self, piece: PartialArg) -> None:
        path = piece.json_path
        if piece.string_value is not None:
            self._texts.setdefault(path, []).append(piece.string_value)
            self._values.setdefault(path, None)
        elif piece.bool_value is not None:
            self._values[path] = piece.bool_value
        else:  # a number, or null
            number = piece.number_value
            is_whole = isinstance(number, float) and number.is_integer()
            self._values[path] = int(number) if is_whole and number is not None else number

    def text(self) -> str:
        """The arguments as JSON text."""
        if not self._values:
            return self._whole or "{}"
        arguments: JsonObject = msgspec.json.decode(self._whole or "{}")
        for path, value in self._values.items():
            texts = self._texts.get(path)
            _put(arguments, path, "".join(texts) if texts is not None else value)
        return msgspec.json.encode(arguments).decode()


def _put(arguments: JsonObject, path: str, value: Any) -> None:
    """Put `value` at `path`. Raises RemoteProtocolError for a path that leads nowhere."""
    steps: list[str | int] = []
    at = 1 if path.startswith("$") else 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise RemoteProtocolError(f"the provider sent arguments for an unreadable place: {path[:100]}")
        index = match["index"]
        name = match["short"] or match["other"] or re.sub(r"\\(.)", r"\1", match["name"] or "")
        steps.append(int(index) if index is not None else name)
        at = match.end()
    if not steps or not isinstance(steps[0], str) or len(steps) > _DEEPEST:
        raise RemoteProtocolError(f"the provider sent arguments for an unreadable place: {path[:100]}")
    node: Any = arguments
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        inner: Any = value if following is None else [] if isinstance(following, int) else {}
        node = _step(node, step, inner, is_last=following is None)


def _step(node: Any, step: str | int, inner: Any, *, is_last: bool) -> Any:
    """What stands at `step` of `node`; `inner` if it is the last step or nothing stands there."""
    if isinstance(step, str) and isinstance(node, dict):
        if is_last:
            node[step] = inner
        return node.setdefault(step, inner)
    if isinstance(step, int) and isinstance(node, list) and step < len(node) + _GAP:
        node.extend([None] * (step + 1 - len(node)))
        if is_last or node[step] is None:
            node[step] = inner
        return node[step]
    raise RemoteProtocolError("the provider sent arguments whose places contradict each other")


def _arguments(raw: msgspec.Raw) -> str:
    """The JSON text of a call's arguments as it came, "{}" for none. Raises RemoteProtocolError if it is no object."""
    data = bytes(raw)
    if data in {b"", b"null"}:
        return "{}"
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("the provider sent tool arguments that are not UTF-8") from error
    if not text.startswith("{"):
        raise RemoteProtocolError(f"the provider sent tool arguments that are no JSON object: {text[:100]}")
    return text
