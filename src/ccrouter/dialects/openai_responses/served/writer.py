"""Messages events → the events of a streamed Responses answer, and a message → a response. Pure.

One item is open at a time, and the next begins when it is done. A call whose arguments are no JSON object when its
block ends stays open until it is known why the answer ended: cut off by its length limit it is incomplete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from ccrouter.dialects.openai_error import error_of
from ccrouter.dialects.openai_responses.served.output import (
    CallItem,
    CustomItem,
    Item,
    MessageItem,
    NativeItem,
    ReasoningItem,
    SearchItem,
    Told,
)
from ccrouter.dialects.openai_responses.served.tools import Toolset
from ccrouter.dialects.seals import seal
from ccrouter.dialects.sources import Sources, block_of
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Ending,
    ErrorEvent,
    InputJsonDelta,
    Message,
    MessageDelta,
    MessageEvent,
    MessageStart,
    MessageStop,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    WireUsage,
)
from ccrouter.messages.fault import STATUS_BY_TYPE, Fault
from ccrouter.sse import frame

#: Why a message ended → why the response is incomplete; the other reasons complete it.
_INCOMPLETE = {
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "pause_turn": "max_output_tokens",
    "refusal": "content_filter",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How the answer is told: `echo` are the members of the request that it repeats, `tools` what calls become."""

    echo: JsonObject
    tools: Toolset


class ResponsesWriter:
    """As `dialects.served.AnswerWriter`. `created` in Unix seconds; `new_id` makes ids with the prefix it is given."""

    def __init__(self, new_id: Callable[[str], str], model: str, created: int, style: Style) -> None:
        self._new_id = new_id
        self._head = {"id": new_id("resp_"), "object": "response", "created_at": created, "model": model}
        self._style = style
        self._sequence = 0
        self._has_begun = False
        self._out: list[bytes] = []
        self._item: Item | None = None
        self._done: list[JsonObject] = []
        self._sources = Sources()
        self._block_began = 0  # in the open message's text, where the block that is open began
        self._reason = ""
        self._usage: JsonObject | None = None

    # -- streamed --------------------------------------------------------------------------------------------------

    def frames(self, events: Iterable[MessageEvent]) -> bytes:
        for event in events:
            match event:
                case BlockDelta(delta=delta):
                    self._delta(delta)
                case BlockStart():
                    self._start(block_of(event))
                case BlockStop():
                    self._stop()
                case MessageStart():
                    self._begin()
                case MessageDelta(delta=ending, usage=usage):
                    self._end(ending.stop_reason or "", usage)
                case MessageStop():
                    kind = "response.incomplete" if self._reason in _INCOMPLETE else "response.completed"
                    self._put(kind, {"response": self._response(self._status)})
                case ErrorEvent(error=error):
                    self._fail(Fault(STATUS_BY_TYPE[error.type], error.type, error.message))
                case _:
                    pass
        return self._take()

    def fault(self, fault: Fault) -> bytes:
        self._fail(fault)
        return self._take()

    def whole(self, message: Message) -> bytes:
        self.frames(_events_of(message))
        return msgspec.json.encode(self._response(self._status))

    def _take(self) -> bytes:
        out, self._out = self._out, []
        return b"".join(out)

    def _put(self, kind: str, members: JsonObject) -> None:
        event = {"type": kind, "sequence_number": self._sequence, **members}
        self._sequence += 1
        self._out.append(frame(kind.encode(), msgspec.json.encode(event)))

    def _tell(self, told: Iterator[Told]) -> None:
        """Events of the open item."""
        for kind, members in told:
            self._put(kind, {"output_index": len(self._done), **members})

    def _begin(self) -> None:
        self._has_begun = True
        response = self._response("in_progress")
        self._put("response.created", {"response": response})
        self._put("response.in_progress", {"response": response})

    def _end(self, reason: str, usage: WireUsage) -> None:
        self._reason = reason
        self._usage = _usage(usage)
        self._close("incomplete" if self._reason in _INCOMPLETE else "completed")

    def _fail(self, fault: Fault) -> None:
        """Codex waits for `response.failed`; OpenAI's SDKs raise for an `error`, and for nothing else."""
        if not self._has_begun:
            self._begin()
        error = error_of(fault)
        words = fault.message
        if fault.retry_after is not None:  # the only place where a stream can say it
            words = f"{words} Please try again in {max(1, round(fault.retry_after))}s."
        failed = {**self._response("failed"), "error": {"code": error["code"] or error["type"], "message": words}}
        self._put("response.failed", {"response": failed})
        members = {"code": error["code"], "message": words, "param": error["param"], "error": error}
        self._put("error", members)

    # -- blocks ----------------------------------------------------------------------------------------------------

    def _start(self, block: JsonObject) -> None:
        match block.get("type"):
            case "text":
                if not isinstance(self._item, MessageItem):
                    self._close()
                self._block_began = self._item.length if isinstance(self._item, MessageItem) else 0
                self._text(str(block.get("text") or ""))
            case "thinking":
                self._close()
                if block.get("thinking"):
                    self._think(str(block["thinking"]))
            case "redacted_thinking":
                item = ReasoningItem(self._new_id("rs_"))
                item.sealed = seal({"type": "redacted_thinking", "data": block.get("data", "")})
                self._open(item)
            case "tool_use":
                self._open(self._call(block))
            case "server_tool_use" if block.get("name") == "web_search":
                self._open(SearchItem(self._new_id("ws_")))
                if block.get("input"):
                    self._piece(msgspec.json.encode(block["input"]).decode())
            case "web_search_tool_result":
                urls = self._sources.note(block)
                if isinstance(self._item, SearchItem):
                    self._item.urls = urls
                self._close()
            case _:
                self._close()

    def _delta(self, delta: object) -> None:
        match delta:
            case TextDelta(text=piece):
                self._text(piece)
            case InputJsonDelta(partial_json=piece) if piece:
                self._piece(piece)
            case ThinkingDelta(thinking=piece) if piece:
                self._think(piece)
            case SignatureDelta(signature=signature) if signature:
                self._reasoning().sign(signature)
            case {"type": "citations_delta", "citation": citation}:
                self._cite(citation)

    def _stop(self) -> None:
        """A text may go on in the next block, a search in its result, and half a call may have been cut."""
        item = self._item
        if isinstance(item, (MessageItem, SearchItem)) or (isinstance(item, CallItem) and not item.is_whole):
            return
        self._close()

    def _text(self, piece: str) -> None:
        if not piece:
            return
        if not isinstance(self._item, MessageItem):
            self._open(MessageItem(self._new_id("msg_")))
        assert isinstance(self._item, MessageItem)
        self._tell(self._item.text(piece))

    def _think(self, piece: str) -> None:
        self._tell(self._reasoning().think(piece))

    def _reasoning(self) -> ReasoningItem:
        if not isinstance(self._item, ReasoningItem):
            self._open(ReasoningItem(self._new_id("rs_")))
        assert isinstance(self._item, ReasoningItem)
        return self._item

    def _piece(self, piece: str) -> None:
        if isinstance(self._item, SearchItem):
            self._item.piece(piece)
        elif isinstance(self._item, CallItem):
            self._tell(self._item.piece(piece))

    def _cite(self, citation: Any) -> None:
        item = self._item
        if isinstance(item, MessageItem):
            annotation = self._sources.cite(citation, self._block_began, item.length)
            if annotation is not None:
                self._tell(item.annotate(annotation))

    def _call(self, block: JsonObject) -> CallItem:
        name, call_id = str(block.get("name", "")), str(block.get("id", ""))
        tools = self._style.tools
        if name in tools.natives:
            native = tools.natives[name]
            return NativeItem(self._new_id(native.prefix), call_id, native)
        space, plain = tools.spaces.get(name, ("", name))
        if name in tools.customs:
            return CustomItem(self._new_id("ctc_"), call_id, plain, space)
        return CallItem(self._new_id("fc_"), call_id, plain, space)

    def _open(self, item: Item) -> None:
        self._close()
        self._item = item
        self._tell(item.begin())

    def _close(self, status: str = "completed") -> None:
        """The open item is done. Half a call that nothing cut is passed as the model wrote it."""
        item = self._item
        if item is None:
            return
        self._tell(item.end(status))
        self._done.append(item.shown(is_done=True))
        self._item = None

    # -- the response ----------------------------------------------------------------------------------------------

    @property
    def _status(self) -> str:
        return "incomplete" if self._reason in _INCOMPLETE else "completed"

    def _response(self, status: str) -> JsonObject:
        why = _INCOMPLETE.get(self._reason) if status == "incomplete" else None
        return {
            **self._head,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": why} if why else None,
            **self._style.echo,
            "output": list(self._done),
            "usage": self._usage,
        }


def _events_of(message: Message) -> Iterator[MessageEvent]:
    """The events of a message whose beginning and end are told elsewhere."""
    for index, block in enumerate(message.content):
        match block:
            case {"type": "text", "text": text}:
                yield BlockStart(index, {"type": "text", "text": ""})
                yield BlockDelta(index, TextDelta(text))
                for citation in block.get("citations") or ():
                    yield BlockDelta(index, {"type": "citations_delta", "citation": citation})
            case {"type": "thinking"}:
                yield BlockStart(index, {"type": "thinking"})
                yield BlockDelta(index, ThinkingDelta(block.get("thinking", "")))
                yield BlockDelta(index, SignatureDelta(block.get("signature") or ""))
            case {"type": "tool_use"}:
                yield BlockStart(index, {**block, "input": {}})
                yield BlockDelta(index, InputJsonDelta(msgspec.json.encode(block.get("input") or {}).decode()))
            case _:
                yield BlockStart(index, block)
        yield BlockStop(index)
    yield MessageDelta(Ending(message.stop_reason), message.usage)


def _usage(usage: WireUsage) -> JsonObject:
    """In OpenAI's words: input tokens include those of a cache."""
    cached = {"cached_tokens": usage.cache_read_input_tokens, "cache_write_tokens": usage.cache_creation_input_tokens}
    return {
        "input_tokens": usage.context,
        "input_tokens_details": cached,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.context + usage.output_tokens,
    }
