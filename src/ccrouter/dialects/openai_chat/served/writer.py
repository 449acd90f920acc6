"""Messages events → chat.completion.chunk frames, and a message → chat.completion. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from ccrouter.dialects.openai_error import error_body
from ccrouter.dialects.openai_members import freeform_input
from ccrouter.dialects.seals import seal
from ccrouter.dialects.sources import Sources, block_of
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
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

_DONE = b"data: [DONE]\n\n"

#: Why a message ended → `finish_reason`; what is cut short for any reason is "length".
_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "refusal": "content_filter",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How the client wants its answer: with usage in the stream, which of its tools take free text, and whether it
    knows functions only.
    """

    tells_usage: bool = False
    customs: frozenset[str] = frozenset()
    is_legacy: bool = False


class _Call:
    __slots__ = ("name", "number", "pieces")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.pieces: list[str] = []


class ChatWriter:
    """As `dialects.served.AnswerWriter`. `created` in Unix seconds; `model` is the asked one."""

    def __init__(self, id: str, model: str, created: int, style: Style) -> None:  # noqa: A002 - the protocol's own word
        self._head: JsonObject = {
            "id": id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        before = msgspec.json.encode(self._head)[:-1]
        usage = b',"usage":null' if style.tells_usage else b""
        self._before = before + b',"choices":[{"index":0,"delta":'
        self._between = b',"logprobs":null,"finish_reason":'
        self._after = b"}]" + usage + b"}"
        self._bare = before + b',"choices":[],"usage":'
        self._style = style
        self._out: list[bytes] = []
        self._calls: dict[int, _Call] = {}
        self._thoughts: dict[int, list[str]] = {}
        self._sealed = 0
        self._sources = Sources()
        self._length = 0  # of the text so far
        self._block_began = 0  # in it, where the block that is open began
        self._usage = WireUsage()

    # -- streamed --------------------------------------------------------------------------------------------------

    def frames(self, events: Iterable[MessageEvent]) -> bytes:
        for event in events:
            match event:
                case BlockDelta():
                    self._delta(event)
                case BlockStart():
                    self._start(event)
                case BlockStop(index=index):
                    self._stop(index)
                case MessageStart():
                    self._put({"role": "assistant", "content": ""})
                case MessageDelta(delta=ending, usage=usage):
                    self._finish(ending.stop_reason, usage)
                case MessageStop():
                    if self._style.tells_usage:
                        self._out.append(frame(b"", self._bare + msgspec.json.encode(_usage(self._usage)) + b"}"))
                    self._out.append(_DONE)
                case ErrorEvent(error=error):
                    self._out.append(self.fault(Fault(STATUS_BY_TYPE[error.type], error.type, error.message)))
                case _:
                    pass
        out, self._out = self._out, []
        return b"".join(out)

    def fault(self, fault: Fault) -> bytes:
        return frame(b"", error_body(fault))

    def _put(self, delta: JsonObject, finish: str | None = None) -> None:
        told = b"null" if finish is None else b'"%b"' % finish.encode()
        self._out.append(frame(b"", self._before + msgspec.json.encode(delta) + self._between + told + self._after))

    def _start(self, event: BlockStart) -> None:
        block = block_of(event)
        match block.get("type"):
            case "text":
                self._block_began = self._length
                self._text(str(block.get("text") or ""))
            case "thinking":
                self._thoughts[event.index] = []
                if block.get("thinking"):
                    self._think(event.index, str(block["thinking"]))
            case "redacted_thinking":
                self._seal({"type": "redacted_thinking", "data": block.get("data", "")})
            case "tool_use":
                call = self._calls[event.index] = _Call(len(self._calls), str(block.get("name", "")))
                self._call(call, str(block.get("id", "")), "")
            case "web_search_tool_result":
                self._sources.note(block)

    def _delta(self, event: BlockDelta) -> None:
        match event.delta:
            case TextDelta(text=piece):
                self._text(piece)
            case InputJsonDelta(partial_json=piece) if piece:
                self._arguments(event.index, piece)
            case ThinkingDelta(thinking=piece) if piece:
                self._think(event.index, piece)
            case SignatureDelta(signature=signature) if signature:
                thinking = "".join(self._thoughts.get(event.index, ()))
                self._seal({"type": "thinking", "thinking": thinking, "signature": signature})
            case {"type": "citations_delta", "citation": citation}:
                self._sources.cite(citation, self._block_began, self._length)

    def _stop(self, index: int) -> None:
        call = self._calls.get(index)
        if call is None:
            return
        if call.name in self._style.customs:
            written = freeform_input("".join(call.pieces))
            self._put({"tool_calls": [{"index": call.number, "custom": {"input": written}}]})
        elif not call.pieces:
            self._arguments(index, "{}")  # clients parse them, and nothing is no JSON

    def _text(self, piece: str) -> None:
        if piece:
            self._length += len(piece)
            self._put({"content": piece})

    def _think(self, index: int, piece: str) -> None:
        self._thoughts.setdefault(index, []).append(piece)
        self._put({"reasoning_content": piece})

    def _seal(self, block: JsonObject) -> None:
        self._put({"reasoning_details": [_detail(block, self._sealed)]})
        self._sealed += 1

    def _call(self, call: _Call, id: str, arguments: str) -> None:  # noqa: A002 - the protocol's own word
        if self._style.is_legacy:
            self._put({"function_call": {"name": call.name, "arguments": arguments}})
        elif call.name in self._style.customs:
            told = {"index": call.number, "id": id, "type": "custom", "custom": {"name": call.name, "input": ""}}
            self._put({"tool_calls": [told]})
        else:
            function = {"name": call.name, "arguments": arguments}
            self._put({"tool_calls": [{"index": call.number, "id": id, "type": "function", "function": function}]})

    def _arguments(self, index: int, piece: str) -> None:
        call = self._calls.get(index)
        if call is None:  # what a search of the provider's own was asked
            return
        call.pieces.append(piece)
        if call.name in self._style.customs:
            return
        if self._style.is_legacy:
            self._put({"function_call": {"arguments": piece}})
        else:
            self._put({"tool_calls": [{"index": call.number, "function": {"arguments": piece}}]})

    def _finish(self, reason: str | None, usage: WireUsage) -> None:
        self._usage = usage
        if annotations := self._sources.annotations():
            self._put({"annotations": [_nested(one) for one in annotations]})
        self._put({}, _finish_reason(reason, self._style))

    # -- whole -----------------------------------------------------------------------------------------------------

    def whole(self, message: Message) -> bytes:
        told: JsonObject = {"role": "assistant", "content": None, "refusal": None}
        texts: list[str] = []
        thoughts: list[str] = []
        details: list[JsonObject] = []
        calls: list[JsonObject] = []
        length = 0
        for block in message.content:
            match block.get("type"):
                case "text":
                    begun, length = length, length + len(block["text"])
                    texts.append(block["text"])
                    for citation in block.get("citations") or ():
                        self._sources.cite(citation, begun, length)
                case "thinking" | "redacted_thinking" as kind:
                    thoughts.append(block.get("thinking", ""))
                    if kind == "redacted_thinking" or block.get("signature"):
                        details.append(_detail(block, len(details)))
                case "tool_use":
                    calls.append(_whole_call(block, self._style))
                case "web_search_tool_result":
                    self._sources.note(block)
        told["content"] = "".join(texts) if texts else None
        if reasoning := "".join(thoughts):
            told["reasoning_content"] = reasoning
        if details:
            told["reasoning_details"] = details
        if calls:
            told |= {"function_call": calls[0]["function"]} if self._style.is_legacy else {"tool_calls": calls}
        if annotations := self._sources.annotations():
            told["annotations"] = [_nested(one) for one in annotations]
        finish = _finish_reason(message.stop_reason, self._style)
        choice = {"index": 0, "message": told, "logprobs": None, "finish_reason": finish}
        head = {**self._head, "object": "chat.completion"}
        return msgspec.json.encode({**head, "choices": [choice], "usage": _usage(message.usage)})


def _finish_reason(reason: str | None, style: Style) -> str:
    if reason == "tool_use" and style.is_legacy:
        return "function_call"
    return _FINISHES.get(reason or "", "stop")


def _whole_call(block: JsonObject, style: Style) -> JsonObject:
    name, arguments = block.get("name", ""), msgspec.json.encode(block.get("input") or {}).decode()
    if name in style.customs:
        custom = {"name": name, "input": freeform_input(arguments)}
        return {"id": block.get("id", ""), "type": "custom", "custom": custom}
    return {"id": block.get("id", ""), "type": "function", "function": {"name": name, "arguments": arguments}}


def _detail(block: JsonObject, number: int) -> JsonObject:
    """A thinking block in the form that clients of OpenRouter return untouched, and show to nobody."""
    return {"type": "reasoning.encrypted", "data": seal(block), "id": None, "format": "ccrouter", "index": number}


def _nested(annotation: JsonObject) -> JsonObject:
    inner = {name: value for name, value in annotation.items() if name != "type"}
    return {"type": annotation["type"], "url_citation": inner}


def _usage(usage: WireUsage) -> JsonObject:
    """In OpenAI's words: prompt tokens include those of a cache."""
    details = {"cached_tokens": usage.cache_read_input_tokens, "cache_write_tokens": usage.cache_creation_input_tokens}
    return {
        "prompt_tokens": usage.context,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.context + usage.output_tokens,
        "prompt_tokens_details": details,
    }
