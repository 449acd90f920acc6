"""Looking on while a Chat answer passes to a client that speaks Chat too. Pure.

The bytes are the provider's, but for the model's name. What is looked for: the end, without which the answer is an
error; errors inside it; usage; the model that answered.
"""

from __future__ import annotations

from ccrouter.dialects.openai_chat.chunks import FAILURES, ChatChunk, ChatDelta, error_of, is_error, read_chunk
from ccrouter.dialects.openai_chat.usage import bill, wire_usage
from ccrouter.dialects.openai_error import error_body
from ccrouter.dialects.splices import with_model
from ccrouter.dialects.upstream_error import explain_error_object
from ccrouter.errors import RemoteProtocolError
from ccrouter.messages.events import Billed, WireUsage
from ccrouter.messages.fault import Fault
from ccrouter.sse import ServerSentEvent, frame

_DONE = b"[DONE]"
_STOPS = {"length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use", "content_filter": "refusal"}


class ChatTap:
    """As `dialects.served.IdentityTap`."""

    def __init__(self, *, asked: str, sent: str) -> None:
        self.has_content = False
        self.is_done = False
        self.usage = WireUsage()
        self.billed = Billed()
        self.answered_model = ""
        self.stop_reason = ""
        self._renamed = asked if asked != sent else ""
        self._begun: set[int] = set()  # answers of which there has been a piece
        self._finished: set[int] = set()

    def feed(self, event: ServerSentEvent) -> bytes:
        data = event.data
        if data[: len(_DONE)] == _DONE:
            if not self._finished and not self.has_content:
                words = "the provider ended its answer before it began: [DONE] without content"
                raise RemoteProtocolError(words, kind="cut")
            self.is_done = True
            return data
        return self._look(data)

    def feed_body(self, body: bytes) -> bytes:
        told = self._look(body)
        if not self._begun:
            raise RemoteProtocolError("the answer is JSON, but no chat completion: it has no choices")
        self.is_done = True
        return told

    def close(self) -> bytes:
        if self.is_done:
            return b""
        if not self._finished or self._begun - self._finished:
            raise RemoteProtocolError("the provider's answer ended before it was finished", kind="cut")
        return frame(b"", _DONE)  # clients that wait for it wait long

    def fault(self, fault: Fault) -> bytes:
        return frame(b"", error_body(fault))

    def _look(self, data: bytes) -> bytes:
        chunk = read_chunk(data)
        if is_error(chunk):
            raise explain_error_object(error_of(chunk), "")
        if chunk.model:
            self.answered_model = chunk.model
        self._count(chunk)
        for choice in chunk.choices or ():
            index = choice.index or 0
            self._begun.add(index)
            said = choice.delta or choice.message
            if said is not None and _says_something(said):
                self.has_content = True
            if choice.finish_reason:
                if choice.error or choice.finish_reason.lower() in FAILURES:
                    words = {"message": f"the model's provider failed: {choice.finish_reason}", "code": 502}
                    raise explain_error_object(choice.error or words, "")
                self._finished.add(index)
                self.stop_reason = _STOPS.get(choice.finish_reason, "end_turn")
                if self.stop_reason != "end_turn":  # a finished answer that holds nothing is not worth committing to
                    self.has_content = True
        return with_model(data, self._renamed) if self._renamed and chunk.model is not None else data

    def _count(self, chunk: ChatChunk) -> None:
        usage = chunk.usage or next((one.usage for one in chunk.choices or () if one.usage), None)
        if usage is None:
            return
        self.usage = wire_usage(usage) or self.usage
        bill(self.billed, usage, chunk.service_tier)


def _says_something(said: ChatDelta) -> bool:
    return bool(
        said.content
        or said.reasoning_content
        or said.reasoning
        or said.reasoning_details
        or said.tool_calls
        or said.function_call
        or said.refusal
        or said.audio
        or said.images
    )
