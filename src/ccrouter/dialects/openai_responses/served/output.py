"""The items of a Responses answer as they grow, and the events that tell of it. Pure.

Each item gives the events of its beginning, of its pieces and of its end, and in the end itself. Who numbers the events
and decides what opens and closes is the writer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import msgspec

from ccrouter.dialects.openai_members import freeform_input
from ccrouter.dialects.openai_responses.served.natives import Native
from ccrouter.dialects.seals import seal
from ccrouter.jsontypes import JsonObject

#: The name of an event and its members beside `output_index`.
Told = tuple[str, JsonObject]

_object = msgspec.json.Decoder(dict[str, Any])


class Item(ABC):
    """One output item, in the state that `status` says."""

    status = "in_progress"

    def __init__(self, id: str) -> None:  # noqa: A002 - the protocol's own word
        self.id = id

    def begin(self) -> Iterator[Told]:
        yield "response.output_item.added", {"item": self.shown(is_done=False)}

    def end(self, status: str = "completed") -> Iterator[Told]:
        """The last events; the item is then as `status` says."""
        self.status = status
        yield from self._closing()
        yield "response.output_item.done", {"item": self.shown(is_done=True)}

    @abstractmethod
    def shown(self, *, is_done: bool) -> JsonObject:
        """The item as events tell it: with its content once it `is_done`."""

    def _closing(self) -> Iterator[Told]:
        return iter(())


class MessageItem(Item):
    """Text. All blocks of text that follow each other are one part."""

    def __init__(self, id: str) -> None:  # noqa: A002 - as above
        super().__init__(id)
        self._pieces: list[str] = []
        self._annotations: list[JsonObject] = []
        self.length = 0

    def begin(self) -> Iterator[Told]:
        yield from super().begin()
        yield "response.content_part.added", {**self._place, "part": self._part("")}

    def text(self, piece: str) -> Iterator[Told]:
        self._pieces.append(piece)
        self.length += len(piece)
        yield "response.output_text.delta", {**self._place, "delta": piece, "logprobs": []}

    def annotate(self, annotation: JsonObject) -> Iterator[Told]:
        number = len(self._annotations)
        self._annotations.append(annotation)
        members = {**self._place, "annotation_index": number, "annotation": annotation}
        yield "response.output_text.annotation.added", members

    def shown(self, *, is_done: bool) -> JsonObject:
        content = [self._part("".join(self._pieces))] if is_done else []
        return {"id": self.id, "type": "message", "status": self.status, "role": "assistant", "content": content}

    def _closing(self) -> Iterator[Told]:
        text = "".join(self._pieces)
        yield "response.output_text.done", {**self._place, "text": text, "logprobs": []}
        yield "response.content_part.done", {**self._place, "part": self._part(text)}

    @property
    def _place(self) -> JsonObject:
        return {"item_id": self.id, "content_index": 0}

    def _part(self, text: str) -> JsonObject:
        return {"type": "output_text", "text": text, "annotations": self._annotations, "logprobs": []}


class ReasoningItem(Item):
    """Thinking: what is visible of it is its summary; the seal by which its maker knows it is its encrypted content."""

    def __init__(self, id: str) -> None:  # noqa: A002 - as above
        super().__init__(id)
        self._pieces: list[str] = []
        self.sealed: str | None = None

    def think(self, piece: str) -> Iterator[Told]:
        if not self._pieces:
            yield "response.reasoning_summary_part.added", {**self._place, "part": _summary("")}
        self._pieces.append(piece)
        yield "response.reasoning_summary_text.delta", {**self._place, "delta": piece}

    def sign(self, signature: str) -> None:
        self.sealed = seal({"type": "thinking", "signature": signature})

    def shown(self, *, is_done: bool) -> JsonObject:
        summary = [_summary("".join(self._pieces))] if is_done and self._pieces else []
        return {
            "id": self.id,
            "type": "reasoning",
            "status": self.status,
            "summary": summary,
            "encrypted_content": self.sealed,
        }

    def _closing(self) -> Iterator[Told]:
        if self._pieces:
            text = "".join(self._pieces)
            yield "response.reasoning_summary_text.done", {**self._place, "text": text}
            yield "response.reasoning_summary_part.done", {**self._place, "part": _summary(text)}

    @property
    def _place(self) -> JsonObject:
        return {"item_id": self.id, "summary_index": 0}


class CallItem(Item):
    """A call of a function; `space` is its namespace, where it has one."""

    def __init__(self, id: str, call_id: str, name: str, space: str = "") -> None:  # noqa: A002 - as above
        super().__init__(id)
        self.call_id = call_id
        self.name = name
        self._space = {"namespace": space} if space else {}
        self._pieces: list[str] = []

    @property
    def is_whole(self) -> bool:
        """True if its arguments are a JSON object."""
        try:
            _object.decode(self.arguments)
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    @property
    def arguments(self) -> str:
        return "".join(self._pieces) or "{}"

    def piece(self, piece: str) -> Iterator[Told]:
        self._pieces.append(piece)
        return self._told(piece)

    def _told(self, piece: str) -> Iterator[Told]:
        yield "response.function_call_arguments.delta", {"item_id": self.id, "delta": piece}

    def shown(self, *, is_done: bool) -> JsonObject:
        return {
            "id": self.id,
            "type": "function_call",
            "status": self.status,
            "call_id": self.call_id,
            "name": self.name,
            "arguments": self.arguments if is_done else "",
            **self._space,
        }

    def _closing(self) -> Iterator[Told]:
        if not self._pieces:
            yield from self._told("{}")
        members = {"item_id": self.id, "name": self.name, "arguments": self.arguments}
        yield "response.function_call_arguments.done", members


class CustomItem(CallItem):
    """A call of a tool that takes free text: told when all of it is there, as it comes inside of JSON."""

    def _told(self, piece: str) -> Iterator[Told]:  # noqa: ARG002 - see above
        return iter(())

    def shown(self, *, is_done: bool) -> JsonObject:
        return {
            "id": self.id,
            "type": "custom_tool_call",
            "status": self.status,
            "call_id": self.call_id,
            "name": self.name,
            "input": freeform_input(self.arguments) if is_done else "",
            **self._space,
        }

    def _closing(self) -> Iterator[Told]:
        written = freeform_input(self.arguments)
        yield "response.custom_tool_call_input.delta", {"item_id": self.id, "delta": written}
        yield "response.custom_tool_call_input.done", {"item_id": self.id, "input": written}


class NativeItem(CallItem):
    """A call of a tool of OpenAI's own types: its item says what to do, and begins when that is known."""

    def __init__(self, id: str, call_id: str, native: Native) -> None:  # noqa: A002 - as above
        super().__init__(id, call_id, str(native.tool["name"]))
        self._native = native

    def begin(self) -> Iterator[Told]:
        return iter(())

    def _told(self, piece: str) -> Iterator[Told]:  # noqa: ARG002 - see above
        return iter(())

    def shown(self, *, is_done: bool) -> JsonObject:  # noqa: ARG002 - it is shown when all of it is known
        given = _object.decode(self.arguments) if self.is_whole else {}
        return {
            "id": self.id,
            "type": self._native.item,
            "status": self.status,
            "call_id": self.call_id,
            **self._native.action(given),
        }

    def _closing(self) -> Iterator[Told]:
        status, self.status = self.status, "in_progress"
        yield "response.output_item.added", {"item": self.shown(is_done=False)}
        self.status = status


class SearchItem(Item):
    """A web search that the provider made. `urls` are the pages that it found."""

    def __init__(self, id: str) -> None:  # noqa: A002 - as above
        super().__init__(id)
        self._pieces: list[str] = []
        self.urls: list[str] = []

    def begin(self) -> Iterator[Told]:
        yield from super().begin()
        yield "response.web_search_call.in_progress", {"item_id": self.id}
        yield "response.web_search_call.searching", {"item_id": self.id}

    def piece(self, piece: str) -> None:
        self._pieces.append(piece)

    def shown(self, *, is_done: bool) -> JsonObject:  # noqa: ARG002 - as much as is known
        action: JsonObject = {"type": "search", "query": self._query}
        if self.urls:
            action["sources"] = [{"type": "url", "url": url} for url in self.urls]
        return {"id": self.id, "type": "web_search_call", "status": self.status, "action": action}

    def _closing(self) -> Iterator[Told]:
        yield "response.web_search_call.completed", {"item_id": self.id}

    @property
    def _query(self) -> str:
        try:
            asked = msgspec.json.decode("".join(self._pieces))
        except (msgspec.DecodeError, RecursionError):
            return ""
        return str(asked.get("query", "")) if isinstance(asked, dict) else ""


def _summary(text: str) -> JsonObject:
    return {"type": "summary_text", "text": text}
