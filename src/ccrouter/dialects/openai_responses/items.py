"""The shapes of Responses answers, streamed and not, as the field really sends them. Types only.

Everything is optional and wide: what a server leaves out or sends as null must decode, what it adds is ignored. An
event that does not fit is decoded once more with lax types (numbers as strings and the reverse) before it counts as
nonsense.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from ccrouter.errors import RemoteProtocolError
from ccrouter.jsontypes import JsonObject

Number = int | float | None


class InputDetails(msgspec.Struct):
    cached_tokens: Number = None
    cache_write_tokens: Number = None


class OutputDetails(msgspec.Struct):
    reasoning_tokens: Any = None


class ResponseUsage(msgspec.Struct):
    """Usage in the API's words, and in those of Chat, which some relays leave as they are."""

    input_tokens: Number = None
    output_tokens: Number = None
    total_tokens: Number = None
    input_tokens_details: InputDetails | None = None
    prompt_tokens: Number = None
    completion_tokens: Number = None
    prompt_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    cost: Any = None  # OpenRouter's, as are the next two
    is_byok: Any = None
    cost_details: Any = None


class Incomplete(msgspec.Struct):
    reason: str | None = None


class Response(msgspec.Struct):
    """The response in events that frame a stream, or a whole answer. Its echo of the request is not read."""

    model: str | None = None
    status: str | None = None
    error: Any = None
    incomplete_details: Incomplete | None = None
    output: list[msgspec.Raw] | None = None
    usage: ResponseUsage | None = None
    service_tier: Any = None


class Body(Response):
    """An unstreamed answer. The members here are those of errors that come without an `error`."""

    object: str | None = None
    type: str | None = None
    code: Any = None
    message: Any = None
    detail: Any = None


class Annotation(msgspec.Struct):
    """A page, or a file, that a text cites; OpenRouter nests it as Chat does."""

    type: str = ""
    url: str | None = None
    title: str | None = None
    url_citation: Annotation | None = None


class Part(msgspec.Struct):
    """A part of a message, of a summary or of reasoning."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None


class Item(msgspec.Struct):
    """An item of an answer: a message, a function call, reasoning. Others are read from their raw JSON."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | JsonObject | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    phase: str | None = None


class Event(msgspec.Struct):
    """One event of a stream. Which members are set follows from `type`."""

    type: str = ""
    response: Response | None = None
    output_index: int | None = None
    item_id: str | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item: msgspec.Raw = msgspec.Raw()
    part: Part | None = None
    annotation: Annotation | None = None
    delta: str | JsonObject | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | JsonObject | None = None
    name: str | None = None
    error: Any = None
    code: Any = None
    message: Any = None
    detail: Any = None


_strict: dict[type, msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(kind) for kind in (Event, Body, Item)}
_lax: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind, strict=False) for kind in (Event, Body, Item)
}
_strict[dict] = _lax[dict] = msgspec.json.Decoder(dict[str, Any])
_LOST = "\ufffd"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def read_event(data: bytes) -> Event:
    """The event in `data`. Raises RemoteProtocolError for what is not JSON or not of this shape.

    `delta` may begin or end with half of a character, which `Halves` puts together.
    """
    event: Event = _read(Event, data)
    return event


def read_body(data: bytes) -> Body:
    """The unstreamed answer in `data`. Raises as `read_event`."""
    body: Body = _read(Body, data)
    return body


def read_item(raw: msgspec.Raw) -> Item:
    """The item in `raw`; one of no type where it is absent. Raises as `read_event`."""
    item: Item = _read(Item, bytes(raw)) if bytes(raw) not in {b"", b"null"} else Item()
    return item


def read_members(raw: msgspec.Raw) -> JsonObject:
    """All members of the item in `raw`, those unknown to `Item` too, which nobody has looked into before. Raises as
    `read_event`.
    """
    members: JsonObject = _read(dict, bytes(raw))
    return members


def _read(kind: type, data: bytes) -> Any:
    try:
        try:
            return _strict[kind].decode(data)
        except msgspec.ValidationError:
            return _lax[kind].decode(data)
    except msgspec.ValidationError as error:
        raise RemoteProtocolError(f"the provider sent what is no part of a response: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        mended = _without_halves(data)
        if mended is not None and mended != data:
            return _with_delta(_read(kind, mended), data)
        raise RemoteProtocolError(f"the provider sent corrupt JSON: {error}") from error


# -- characters cut in two -----------------------------------------------------------------------------------------


def _without_halves(data: bytes) -> bytes | None:
    """`data` with U+FFFD for surrogates that stand alone, which nothing else here can encode; None if it has none."""
    if not _SURROGATE.search(data):
        return None
    try:
        text = json.dumps(json.loads(data), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return whole_characters(text).encode()


def _with_delta(value: Any, data: bytes) -> Any:
    """An event with its delta as it came, halves and all: what is missing may be in the next one."""
    if isinstance(value, Event) and isinstance(value.delta, str):
        value.delta = json.loads(data).get("delta")
    return value


def whole_characters(text: str) -> str:
    """`text` with its surrogate pairs as characters, and everything that is half of one as U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Halves:
    """Puts characters together that a server cut in two between deltas (it counts in UTF-16 units)."""

    def __init__(self) -> None:
        self._held: Event | None = None  # whose delta is the first half of a character

    def join(self, event: Event) -> Event | None:
        """Make `event.delta` one of whole characters; half a one at its end is kept for the next delta of that text.

        Where `event` does not go on with that text, the half stays alone: the event that tells U+FFFD in its place.
        """
        held, self._held = self._held, None
        lost = None
        if held is not None:
            if _place(held) == _place(event) and isinstance(event.delta, str):
                event.delta = f"{held.delta}{event.delta}"
            else:
                held.delta, lost = _LOST, held
        text = event.delta
        if isinstance(text, str) and not text.isascii():
            if "\ud800" <= text[-1] <= "\udbff":
                self._held = msgspec.structs.replace(event, delta=text[-1])
                text = text[:-1]
            event.delta = whole_characters(text)
        return lost


def _place(event: Event) -> tuple[str, str | None, int | None]:
    return event.type, event.item_id, event.output_index
