"""Reading a Responses answer: which event means what. Pure; no I/O.

A stream says most things several times: in deltas, in a `done` event, in the finished item, in the finished response.
Each is written when it is said first, and an item whose events got lost is taken from where it stands whole. An answer
that never says that it is finished is an error, never an `end_turn`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.base import UpstreamRequest
from ccrouter.dialects.callids import random_id
from ccrouter.dialects.citations import Citations
from ccrouter.dialects.openai_responses.calls import Calls
from ccrouter.dialects.openai_responses.items import (
    Annotation,
    Body,
    Event,
    Halves,
    Item,
    Part,
    Response,
    read_body,
    read_event,
    read_item,
    read_members,
)
from ccrouter.dialects.openai_responses.output import query_of, words_of
from ccrouter.dialects.openai_responses.request import ResponsesRequest
from ccrouter.dialects.openai_responses.texts import Texts
from ccrouter.dialects.openai_responses.thoughts import Thoughts
from ccrouter.dialects.openai_responses.usage import bill, wire_usage
from ccrouter.dialects.upstream_error import explain_error_object, html_title
from ccrouter.errors import Broken, RemoteProtocolError
from ccrouter.messages.events import Billed, MessageEvent, StopReason, WireUsage
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import ServerSentEvent, SseReader

_DONE = b"[DONE]"
#: Why an answer is incomplete; whatever else the reason is, it has cut the answer short.
_INCOMPLETE: dict[str, StopReason] = {
    "content_filter": "refusal",
    "safety": "refusal",
    "model_context_window_exceeded": "model_context_window_exceeded",
}
_TEXTS = frozenset({"output_text", "text", "refusal"})
_SEARCHES = ("web_search_call", "web_search")  # OpenRouter's begins with its own name


class ResponsesReader:
    """Reads one answer, as `dialects.base.Reader` says."""

    def __init__(
        self,
        request: UpstreamRequest,
        target: Target,
        writer: MessageWriter,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        asked = request if isinstance(request, ResponsesRequest) else ResponsesRequest(b"", names=request.names)
        self.usage = WireUsage()
        self.billed = Billed()
        self.answered_model = ""
        self._provider = target.provider.name
        self._writer = writer
        self._texts = Texts(writer)
        self._thoughts = Thoughts(writer, self._provider, target.model)
        self._calls = Calls(writer, asked.names, asked.ids, new_id)
        self._citations = Citations(as_results=asked.asks_search)
        self._halves = Halves()
        self._keys: dict[str, str] = {}  # item id → key
        self._items: dict[str, str] = {}  # key → type, of every item begun, in order
        self._complete: set[str] = set()  # keys of items of which nothing more is written
        self._last = "0"  # the key of the item that began last
        self._refused = False
        self._ended = False

    # -- in --------------------------------------------------------------------------------------------------------

    def feed(self, event: ServerSentEvent) -> list[MessageEvent]:
        data = event.data
        if self._ended or not data or data.isspace() or data[:6] == _DONE:
            return []
        found = read_event(data)
        if not found.type:
            found.type = event.event.decode("utf-8", "replace")
        if lost := self._halves.join(found):
            self._read(lost)
        self._read(found)
        return self._writer.take()

    def feed_body(self, body: bytes) -> list[MessageEvent]:
        text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
        if text.startswith((b"data:", b"event:", b":")):  # a stream after all
            sse = SseReader()
            events = [*sse.feed(body), *sse.close()]
            return [written for event in events for written in self.feed(event)]
        if not text:
            raise self._nonsense("the provider answered with an empty body", "empty")
        title = html_title(body)
        if title is not None:
            raise self._nonsense(f"the provider answered with an HTML page{f' titled “{title}”' if title else ''}")
        whole = read_body(text)
        if whole.output is None and whole.status is None:
            raise explain_error_object(_error_of(whole), self._provider)
        self._finish(whole, whole.status or "completed")
        return self._writer.take()

    def close(self) -> list[MessageEvent]:
        if not self._ended:
            raise self._nonsense("the provider's answer ended before it was finished", "cut")
        return self._writer.take()

    def _read(self, event: Event) -> None:
        if event.response is not None:
            self._look_at(event.response)
        read = self._READERS.get(event.type)
        if read is not None:
            read(self, event)
        elif event.error or (not event.type and (event.message or event.detail)):
            self._error(event)

    def _look_at(self, response: Response) -> None:
        self.answered_model = response.model or self.answered_model
        if response.usage is not None:
            self.usage = wire_usage(response.usage) or self.usage
        bill(self.billed, response)

    # -- items -----------------------------------------------------------------------------------------------------

    def _key(self, event: Event, item_id: str | None = None) -> str:
        """What the item of an event is known by: its index, else its id, else that it is the one that began last.

        The index goes first: some relays make a new id for every event.
        """
        id = item_id or event.item_id or ""  # noqa: A001 - the protocol's own word
        known = self._keys.get(id)
        if event.output_index is None:
            key = known or (f"id {id}" if id else self._last)
        else:
            key = known if known and known.startswith("id ") else str(event.output_index)
        if id:
            self._keys[id] = key
        return key

    def _item_added(self, event: Event) -> None:
        item = read_item(event.item)
        if event.output_index is None and not item.id and not event.item_id:
            self._last = f"nth {len(self._items)}"
        self._begin(self._key(event, item.id), item)

    def _item_done(self, event: Event) -> None:
        item = read_item(event.item)
        self._finish_item(self._key(event, item.id), item, event.item)

    def _begin(self, key: str, item: Item) -> None:
        """The item `key` begins, if it has not."""
        if key not in self._items:
            self._items[key] = item.type
            self._last = key
            self._texts.leave()
            if item.type == "reasoning":
                self._thoughts.begin(key)
            else:
                self._thoughts.seal((item.phase or "") if item.type == "message" else "")
        if item.type == "function_call":
            self._calls.begin(key, item)

    def _finish_item(self, key: str, item: Item, raw: msgspec.Raw) -> None:
        """The whole item: what of it was not written yet is."""
        self._begin(key, item)
        if key in self._complete:
            return
        self._complete.add(key)
        match item.type:
            case "message":
                for number, part in enumerate(item.content or ()):
                    self._whole_part(key, number, part)
            case "function_call":
                self._calls.complete(key, item)
            case "reasoning":
                self._thoughts.complete(key, read_members(raw))
            case kind if kind.endswith(_SEARCHES):
                query, pages = query_of(read_members(raw))
                if query or not pages:
                    self._citations.search(query)
                for page in pages:
                    self._citations.add(page)
            case kind if kind:
                self._texts.tell(words_of(read_members(raw)))

    # -- text ------------------------------------------------------------------------------------------------------

    def _message(self, event: Event) -> tuple[str, int]:
        """The place of a part of a message, which begins with it if its own event got lost."""
        key = self._key(event)
        self._begin(key, Item("message"))
        return key, event.content_index or 0

    def _text_delta(self, event: Event) -> None:
        self._texts.add(self._message(event), _text(event.delta))

    def _text_done(self, event: Event) -> None:
        self._texts.fill(self._message(event), event.text or "")

    def _refusal_delta(self, event: Event) -> None:
        self._refused = True
        self._texts.add(self._message(event), _text(event.delta))

    def _refusal_done(self, event: Event) -> None:
        self._refused = True
        self._texts.fill(self._message(event), event.refusal or "")

    def _part_done(self, event: Event) -> None:
        part = event.part
        if part is not None and part.type in _TEXTS:
            self._whole_part(*self._message(event), part)
        elif part is not None and part.type == "reasoning_text":
            self._thoughts.fill(self._reasoning(event), "content", event.content_index, part.text or "")

    def _whole_part(self, key: str, number: int, part: Part) -> None:
        if part.refusal:
            self._refused = True
        self._texts.fill((key, number), part.text or part.refusal or "")
        for annotation in part.annotations or ():
            self._cite(annotation)

    def _annotation(self, event: Event) -> None:
        if event.annotation is not None:
            self._cite(event.annotation)

    def _cite(self, annotation: Annotation) -> None:
        page = annotation.url_citation or annotation
        self._citations.add(page.url or "", page.title or "")

    # -- reasoning and calls ---------------------------------------------------------------------------------------

    def _reasoning(self, event: Event) -> str:
        """The key of a reasoning item, which begins with this event if its own got lost."""
        key = self._key(event)
        self._begin(key, Item("reasoning"))
        return key

    def _summary_delta(self, event: Event) -> None:
        self._thoughts.think(self._reasoning(event), "summary", event.summary_index, _text(event.delta))

    def _summary_done(self, event: Event) -> None:
        text = event.text or (event.part.text if event.part else "") or ""
        self._thoughts.fill(self._reasoning(event), "summary", event.summary_index, text)

    def _thought_delta(self, event: Event) -> None:
        self._thoughts.think(self._reasoning(event), "content", event.content_index, _text(event.delta))

    def _thought_done(self, event: Event) -> None:
        self._thoughts.fill(self._reasoning(event), "content", event.content_index, event.text or "")

    def _call(self, event: Event) -> str:
        """The key of a call, which begins with this event if its own got lost."""
        key = self._key(event)
        self._begin(key, Item("function_call"))
        return key

    def _arguments_delta(self, event: Event) -> None:
        self._calls.add(self._call(event), _text(event.delta))

    def _arguments_done(self, event: Event) -> None:
        self._calls.fill(self._call(event), event.arguments)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _end(self, event: Event) -> None:
        kind = event.type.removeprefix("response.")
        response = event.response or Response()
        self._finish(response, kind if kind not in {"completed", "done"} else response.status or "completed")

    def _finish(self, response: Response, status: str) -> None:
        """The provider said how it ended."""
        self._look_at(response)
        if response.error or status == "failed":
            error = response.error or {"message": "the model's provider failed and did not say why", "code": 502}
            raise explain_error_object(error, self._provider)
        if status not in {"completed", "incomplete"}:
            raise self._nonsense(f"the provider's answer is not finished: it is {status}", "cut")
        self._ended = True
        for number, raw in enumerate(response.output or ()):
            item = read_item(raw)
            self._finish_item(self._key_at(number, item), item, raw)
        self._calls.finish()
        self._texts.close()
        self._thoughts.seal()
        reason = self._reason(response, status)
        self._citations.write(self._writer)
        if reason == "end_turn" and not self._writer.has_content:
            raise self._nonsense("the provider's answer is empty: no text, no tool call", "empty")
        self._writer.finish(reason, self.usage)

    def _key_at(self, number: int, item: Item) -> str:
        """The key of the item that stands at `number` in the finished response."""
        order = list(self._items)
        by_place = order[number] if number < len(order) else ""
        for key in (self._keys.get(item.id or ""), str(number), by_place):
            if key and self._items.get(key) == item.type:
                return key
        return f"end {number}"

    def _reason(self, response: Response, status: str) -> StopReason:
        if status == "incomplete":
            details = response.incomplete_details
            return _INCOMPLETE.get((details.reason if details else None) or "", "max_tokens")
        if self._calls.any:
            return "tool_use"
        return "refusal" if self._refused else "end_turn"

    # -- errors ----------------------------------------------------------------------------------------------------

    def _error(self, event: Event) -> None:
        raise explain_error_object(_error_of(event), self._provider)

    def _nonsense(self, message: str, kind: Broken = "protocol") -> RemoteProtocolError:
        return RemoteProtocolError(message, provider=self._provider, kind=kind)

    #: The events that say something. All others repeat it, tell of progress only, or are of tools that nobody
    #: offered, whose finished items tell enough.
    _READERS: ClassVar[Mapping[str, Callable[[Any, Event], None]]] = {
        "response.output_item.added": _item_added,
        "response.output_item.done": _item_done,
        "response.content_part.done": _part_done,
        "response.output_text.delta": _text_delta,
        "response.output_text.done": _text_done,
        "response.output_text.annotation.added": _annotation,
        "response.refusal.delta": _refusal_delta,
        "response.refusal.done": _refusal_done,
        "response.reasoning_summary_text.delta": _summary_delta,
        "response.reasoning_summary_text.done": _summary_done,
        "response.reasoning_summary_part.done": _summary_done,
        "response.reasoning_summary.delta": _summary_delta,  # what the first version called it
        "response.reasoning_summary.done": _summary_done,
        "response.reasoning_text.delta": _thought_delta,
        "response.reasoning_text.done": _thought_done,
        "response.reasoning.delta": _thought_delta,
        "response.reasoning.done": _thought_done,
        "response.function_call_arguments.delta": _arguments_delta,
        "response.function_call_arguments.done": _arguments_done,
        "response.completed": _end,
        "response.incomplete": _end,
        "response.failed": _end,
        "response.cancelled": _end,
        "response.done": _end,  # some imitators
        "response.error": _error,
        "error": _error,
    }


def _text(delta: object) -> str:
    """A delta as text: a relay of the first version sends an object with one in it."""
    if isinstance(delta, dict):
        delta = delta.get("text")
    return delta if isinstance(delta, str) else ""


def _error_of(found: Event | Body) -> object:
    if found.error:
        return found.error
    members = {"code": found.code, "message": found.message, "detail": found.detail}
    if isinstance(found, Body) and found.type != "error":
        members["type"] = found.type
    return {name: value for name, value in members.items() if value is not None}
