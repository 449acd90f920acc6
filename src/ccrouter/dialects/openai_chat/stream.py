"""Reading a Chat answer: where text, thinking, calls, the finish and the usage are found. Pure; no I/O.

The end is written when the provider has said all it has to say ([DONE], or the end of its stream), since usage may
follow the finish. An answer that never says that it is finished is an error, never an `end_turn`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.base import UpstreamRequest
from ccrouter.dialects.callids import random_id
from ccrouter.dialects.citations import Citations
from ccrouter.dialects.openai_chat.calls import Calls
from ccrouter.dialects.openai_chat.chunks import (
    FAILURES,
    ChatChoice,
    ChatChunk,
    ChatDelta,
    ContentPart,
    TornChunk,
    error_of,
    is_error,
    read_chunk,
)
from ccrouter.dialects.openai_chat.halves import Halves
from ccrouter.dialects.openai_chat.request import ChatRequest
from ccrouter.dialects.openai_chat.tags import ThinkTags
from ccrouter.dialects.openai_chat.thoughts import Thoughts
from ccrouter.dialects.openai_chat.usage import bill, wire_usage
from ccrouter.dialects.profiles import profile_of
from ccrouter.dialects.upstream_error import explain_error_object, html_title
from ccrouter.errors import Broken, RemoteProtocolError
from ccrouter.messages.events import Billed, MessageEvent, StopReason, WireUsage
from ccrouter.messages.textcalls import TextCall, TextCallReader
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import ServerSentEvent, SseReader

_DONE = b"[DONE]"

#: Finish reasons in lower case, OpenAI's and everybody else's; what is not here ends the turn as the content says.
_FINISHES: dict[str, StopReason] = {
    "length": "max_tokens",
    "max_tokens": "max_tokens",
    "model_length": "max_tokens",
    "content_filter": "refusal",
    "sensitive": "refusal",
    "safety": "refusal",
    "refusal": "refusal",
    "model_context_window_exceeded": "model_context_window_exceeded",
}


class ChatReader:
    """Reads one answer, as `dialects.base.Reader` says."""

    def __init__(
        self,
        request: UpstreamRequest,
        target: Target,
        writer: MessageWriter,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        profile = profile_of(target)
        chat = request if isinstance(request, ChatRequest) else ChatRequest(request.body, names=request.names)
        self.usage = WireUsage()
        self.billed = Billed()
        self.answered_model = ""
        self._provider = target.provider.name
        self._writer = writer
        self._stops = chat.stops
        self._thoughts = Thoughts(writer, self._provider, repeats=profile.repeats_reasoning)
        self._calls = Calls(writer, self._thoughts, chat.names, chat.ids, new_id)
        self._citations = Citations(as_results=chat.asks_web_search)
        self._tags = ThinkTags() if profile.think_tags else None
        self._textual = TextCallReader(chat.schemas) if chat.schemas else None
        self._halves = Halves()
        self._blank = ""  # white space that begins a text: a block of nothing else is refused later
        self._in_text = False
        self._has_text = False
        self._refused = False
        self._finish = ""
        self._stop_sequence: str | None = None
        self._ended = False

    # -- in --------------------------------------------------------------------------------------------------------

    def feed(self, event: ServerSentEvent) -> list[MessageEvent]:
        data = event.data
        if self._ended or not data or data.isspace():
            return []
        if data[:6] == _DONE:
            self._end(is_told=True)
            return self._writer.take()
        if event.event == b"error":
            self._fail_event(data)
        self._read(read_chunk(data))
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
        if text.startswith(b"["):  # Google wraps its errors into a list
            raise explain_error_object(_first_of(text), self._provider)
        self._read(read_chunk(text))
        return self._writer.take()

    def close(self) -> list[MessageEvent]:
        if not self._ended:
            self._end(is_told=False)
        return self._writer.take()

    # -- chunks ----------------------------------------------------------------------------------------------------

    def _read(self, chunk: ChatChunk) -> None:
        if type(chunk) is TornChunk or self._halves.waits:
            self._halves.join(chunk)
        if is_error(chunk):
            raise explain_error_object(error_of(chunk), self._provider)
        if chunk.model:
            self.answered_model = chunk.model
        usage = chunk.usage
        for choice in chunk.choices or ():
            if choice.index:  # n > 1: nobody asked for a second answer
                continue
            self._read_choice(choice)
            usage = usage or choice.usage
        if usage is None and chunk.x_groq is not None:
            usage = chunk.x_groq.usage
        if usage is not None:
            # Cumulative where it is repeated: the last one counts.
            counted = wire_usage(usage)
            if counted is not None:
                self.usage = counted
            bill(self.billed, usage, chunk.service_tier)

    def _read_choice(self, choice: ChatChoice) -> None:
        delta = choice.delta or choice.message
        if delta is not None:
            self._read_delta(delta)
        finish = choice.finish_reason
        if not finish:
            return
        self._finish = finish.lower()
        if self._finish in FAILURES or choice.error:
            error = choice.error or {"message": f"the model's provider failed: finish_reason {finish}", "code": 502}
            raise explain_error_object(error, self._provider)
        for matched in (choice.stop_reason, choice.matched_stop):
            if isinstance(matched, str) and matched in self._stops:
                self._stop_sequence = matched
        if choice.native_finish_reason == "stop_sequence" and len(self._stops) == 1:
            self._stop_sequence = self._stops[0]

    def _read_delta(self, delta: ChatDelta) -> None:
        if delta.reasoning_content or delta.reasoning or delta.reasoning_details or delta.thinking:
            self._leave_text()
            self._thoughts.read(delta)
        content = delta.content
        if content:
            if isinstance(content, str):
                self._content(content)
            else:
                for part in content:
                    self._part(part)
        if delta.refusal:
            self._refused = True
            self._text(delta.refusal)
        if delta.tool_calls:
            self._leave_text()
            self._calls.read(delta.tool_calls)
        if delta.function_call is not None:
            self._leave_text()
            self._calls.read_legacy(delta.function_call)
        if delta.annotations:
            for annotation in delta.annotations:
                if annotation.url_citation is not None:
                    self._citations.add(annotation.url_citation.url or "", annotation.url_citation.title or "")

    def _part(self, part: ContentPart) -> None:
        if part.thinking:
            told = part.thinking
            text = told if isinstance(told, str) else "".join(inner.text or "" for inner in told)
            self._leave_text()
            self._thoughts.think(text)
        if part.text:
            self._content(part.text)
        if part.refusal:
            self._refused = True
            self._text(part.refusal)

    # -- text ------------------------------------------------------------------------------------------------------

    def _content(self, text: str) -> None:
        """Text as it comes: with thinking in it, or calls, or neither."""
        if self._tags is None or self._tags.is_done:
            self._plain(text)
            return
        for piece in self._tags.feed(text):
            self._tagged(is_thinking=piece.is_thinking, text=piece.text)

    def _tagged(self, *, is_thinking: bool, text: str) -> None:
        if not is_thinking:
            self._plain(text)
        elif not self._thoughts.seen:  # the same thought was told apart from the text
            self._thoughts.think(text)

    def _plain(self, text: str) -> None:
        if self._textual is None:
            self._text(text)
            return
        self._found(self._textual.feed(text))

    def _found(self, pieces: list[str | TextCall]) -> None:
        for piece in pieces:
            if isinstance(piece, str):
                self._text(piece)
            else:
                self._leave_text()
                self._calls.whole(piece.name, piece.arguments)

    def _text(self, text: str) -> None:
        if not self._in_text:
            if text.isspace():
                self._blank += text
                return
            self._thoughts.seal()
            text, self._blank = self._blank + text, ""
            self._in_text = self._has_text = bool(text)
        self._writer.text(text)

    def _leave_text(self) -> None:
        """Something other than text comes; white space that led to no text is nothing."""
        self._in_text = False
        self._blank = ""

    # -- the end ---------------------------------------------------------------------------------------------------

    def _end(self, *, is_told: bool) -> None:
        """Write the end. `is_told` if the provider said [DONE]."""
        self._ended = True
        for piece in self._tags.close() if self._tags is not None else ():
            self._tagged(is_thinking=piece.is_thinking, text=piece.text)
        if self._textual is not None:
            self._found(self._textual.close())
        if not self._finish:
            self._judge_unfinished(is_told=is_told)
        self._calls.finish()
        is_empty = not self._has_text and not self._calls.any
        if is_empty and self._blank:
            self._thoughts.seal()
            self._writer.text(self._blank)
            is_empty = False
        self._thoughts.end(has_text=self._has_text and not self._calls.any)
        reason = self._reason()
        if is_empty and not self._writer.has_content and reason == "end_turn":
            raise self._nonsense("the provider's answer is empty: no text, no tool call", "empty")
        self._citations.write(self._writer)
        self._writer.finish(reason, self.usage, self._stop_sequence if reason == "stop_sequence" else None)

    def _judge_unfinished(self, *, is_told: bool) -> None:
        """No finish reason came. [DONE] after an answer that is whole is an end too, and some gateways give no other;
        silence is none, and neither is [DONE] in the middle of a call or before the answer.
        """
        if not is_told:
            raise self._nonsense("the provider's answer ended before it was finished", "cut")
        if not self._calls.all_whole or not (self._has_text or self._calls.any):
            raise self._nonsense("the provider ended its answer in the middle: [DONE] without a finish_reason", "cut")

    def _reason(self) -> StopReason:
        reason = _FINISHES.get(self._finish)
        if reason is not None:
            return reason
        if self._calls.any:
            return "tool_use"
        if self._refused:
            return "refusal"
        return "stop_sequence" if self._stop_sequence is not None else "end_turn"

    # -- errors ----------------------------------------------------------------------------------------------------

    def _fail_event(self, data: bytes) -> None:
        """An event named `error`, whose data may be words."""
        try:
            error = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            error = {"message": data.decode("utf-8", "replace")}
        raise explain_error_object(error, self._provider)

    def _nonsense(self, message: str, kind: Broken = "protocol") -> RemoteProtocolError:
        return RemoteProtocolError(message, provider=self._provider, kind=kind)


def _first_of(text: bytes) -> object:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the provider sent corrupt JSON: {error}") from error
    return value[0] if isinstance(value, list) and value else {"message": "an empty list"}
