"""Tool calls that a model wrote as text, found while the text streams.

Qwen3-Coder and its relatives are trained to write calls as markup; a server whose parser misses one leaks it:

    <tool_call><function=Read><parameter=file_path>a.py</parameter></function></tool_call>      Qwen3-Coder
    <tool_call>{"name": "Read", "arguments": {"file_path": "a.py"}}</tool_call>                  Hermes, Qwen2.5

Only a complete call of a tool that was offered is taken; anything else stays the text that it is, to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from ccrouter.jsontypes import Json, JsonObject

_OPENINGS = ("<tool_call>", "<function=")
_FUNCTION = re.compile(r"\s*<function=([^>\s]+)>(.*?)</function>\s*", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_LONGEST_CALL = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TextCall:
    """A call found in text; `arguments` is JSON text."""

    name: str
    arguments: str


class TextCallReader:
    """Splits a stream of text into text and calls. `schemas` maps the names of offered tools to their input schemas."""

    def __init__(self, schemas: Mapping[str, JsonObject]) -> None:
        self._schemas = schemas
        self._buffer = ""

    def feed(self, text: str) -> list[str | TextCall]:
        """What can be told apart so far. A possible beginning of a call is held back until it is one or is not."""
        self._buffer += text
        found: list[str | TextCall] = []
        while self._buffer:
            start = _first_opening(self._buffer)
            if start != 0:
                found.append(self._cut(len(self._buffer) if start is None else start))
                continue
            end = self._call_end()
            if end is None:
                if len(self._buffer) <= _LONGEST_CALL:
                    break  # a call may still be growing
                end = len(self._buffer)
            markup = self._cut(end)
            found.append(self._read(markup) or markup)
        return [piece for piece in found if piece]

    def close(self) -> list[str | TextCall]:
        """What was held back: a call whose closing tag never came is text."""
        rest, self._buffer = self._buffer, ""
        return [self._read(rest) or rest] if rest else []

    def _cut(self, length: int) -> str:
        piece, self._buffer = self._buffer[:length], self._buffer[length:]
        return piece

    def _call_end(self) -> int | None:
        """Where the call at the start of the buffer ends; None while it may still be arriving."""
        for opening, closing in (("<tool_call>", "</tool_call>"), ("<function=", "</function>")):
            if self._buffer.startswith(opening):
                end = self._buffer.find(closing)
                return None if end < 0 else end + len(closing)
        return None

    def _read(self, markup: str) -> TextCall | None:
        inner = markup.removeprefix("<tool_call>").removesuffix("</tool_call>")
        if match := _FUNCTION.fullmatch(inner):
            name, body = match.groups()
            schema = self._schemas.get(name)
            if schema is None:
                return None
            arguments = {key: _value(schema, key, text) for key, text in _PARAMETER.findall(body)}
            return TextCall(name, msgspec.json.encode(arguments).decode())
        try:
            call = msgspec.json.decode(inner.strip(), type=dict[str, msgspec.Raw])
            name = msgspec.json.decode(call["name"], type=str)
            raw = call.get("arguments", call.get("parameters", msgspec.Raw(b"{}")))
            arguments_text = bytes(raw).decode()
            msgspec.json.decode(arguments_text, type=JsonObject)
        except (msgspec.DecodeError, KeyError, RecursionError):
            return None
        return TextCall(name, arguments_text) if name in self._schemas else None


def _first_opening(text: str) -> int | None:
    """Where the first opening tag, or the beginning of one at the very end of `text`, stands."""
    positions = [text.find(opening) for opening in _OPENINGS]
    complete = [position for position in positions if position >= 0]
    if complete:
        return min(complete)
    last = text.rfind("<")
    if last >= 0 and any(opening.startswith(text[last:]) for opening in _OPENINGS):
        return last
    return None


def _value(schema: JsonObject, key: str, text: str) -> Json:
    """A parameter's text as its schema's type: markup carries no types of its own."""
    kind = ((schema.get("properties") or {}).get(key) or {}).get("type", "string")
    if kind == "string":
        return text
    try:
        value: Json = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    return value
