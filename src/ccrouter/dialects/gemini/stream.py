"""Reading a Gemini answer: where text, thoughts, calls, the finish and the usage are found. Pure; no I/O.

A stream is a row of answers, each with more of it; the last one has a finishReason, and usage may follow that. An
answer that never says that it is finished is an error, never an `end_turn`, and so is one that ends with a call that
the model got wrong: clients ask again then.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.base import UpstreamRequest
from ccrouter.dialects.bills import refresh
from ccrouter.dialects.callids import random_id
from ccrouter.dialects.gemini.calls import Calls
from ccrouter.dialects.gemini.chunks import Candidate, Chunk, Part, read_chunk, read_row
from ccrouter.dialects.gemini.grounding import Sources
from ccrouter.dialects.gemini.request import GeminiRequest
from ccrouter.dialects.gemini.signatures import Signatures
from ccrouter.dialects.gemini.usage import bill, wire_usage
from ccrouter.dialects.upstream_error import explain_error_object, html_title
from ccrouter.errors import Broken, RemoteProtocolError, UpstreamStatus
from ccrouter.messages.events import Billed, MessageEvent, StopReason, WireUsage
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import ServerSentEvent, SseReader

_DONE = b"[DONE]"  # Google never says it; relays of it do

#: Finish reasons that are ends; STOP ends the turn as the content says.
_FINISHES: dict[str, StopReason] = {
    "MAX_TOKENS": "max_tokens",
    "CONTINUATION": "max_tokens",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "LANGUAGE": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
    "MODEL_ARMOR": "refusal",
    "ESCALATION": "refusal",
    "PUP_LIMITED_DISABLED": "refusal",
    "IMAGE_SAFETY": "refusal",
    "IMAGE_PROHIBITED_CONTENT": "refusal",
    "IMAGE_RECITATION": "refusal",
}
#: Finish reasons of a model that went astray, and what to say of them. All others that nobody knows are of their kind.
_FAILURES = {
    "MALFORMED_FUNCTION_CALL": "the model wrote a tool call that cannot be read",
    "UNEXPECTED_TOOL_CALL": "the model called a tool that it was not offered",
    "TOO_MANY_TOOL_CALLS": "the model searched too often",
    "MALFORMED_RESPONSE": "the model wrote an answer that cannot be read",
}
#: The one that is about the request: asked again, it would be the same.
_UNSIGNED = "MISSING_THOUGHT_SIGNATURE"
#: What imitations of the API say after calls; Google says STOP.
_CALLED = "FUNCTION_CALL"
_UNSET = frozenset({"FINISH_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"})


class GeminiReader:
    """Reads one answer, as `dialects.base.Reader` says."""

    def __init__(
        self,
        request: UpstreamRequest,
        target: Target,
        writer: MessageWriter,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        sent = request if isinstance(request, GeminiRequest) else GeminiRequest(request.body, names=request.names)
        self.usage = WireUsage()
        self.billed = Billed()
        self.answered_model = ""
        self._provider = target.provider.name
        self._writer = writer
        self._signatures = Signatures(writer, self._provider, target.model)
        self._calls = Calls(writer, self._signatures, sent.names, sent.ids, new_id)
        self._sources = Sources(as_results=sent.asks_web_search)
        self._blank = ""  # white space that begins a text: a block of nothing else is refused later
        self._in_text = False
        self._has_text = False
        self._finish = ""
        self._refusal = ""  # what is told of a refusal
        self._ended = False

    # -- in ------------------------------------------------------------------------------------------------------------

    def feed(self, event: ServerSentEvent) -> list[MessageEvent]:
        data = event.data
        if self._ended or not data or data.isspace():
            return []
        if data[:6] == _DONE:
            self._end()
            return self._writer.take()
        if event.event == b"error":
            self._fail_event(data)
        if data.lstrip()[:1] == b"[":
            self._read_row(data)
        else:
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
        if text.startswith(b"["):  # a stream without alt=sse, or an error in the list that Google wraps it into
            self._read_row(text)
        else:
            self._read(read_chunk(text))
        return self._writer.take()

    def close(self) -> list[MessageEvent]:
        if not self._ended:
            self._end()
        return self._writer.take()

    # -- chunks --------------------------------------------------------------------------------------------------------

    def _read_row(self, data: bytes) -> None:
        chunks = read_row(data)
        if not chunks:
            raise self._nonsense("the provider answered with an empty list", "empty")
        for chunk in chunks:
            self._read(read_chunk(chunk))

    def _read(self, chunk: Chunk) -> None:
        if chunk.error:
            raise explain_error_object(chunk.error, self._provider)
        if chunk.model_version:
            self.answered_model = chunk.model_version
        if chunk.usage_metadata is not None:
            # Of the whole answer so far: the last one counts.
            self.usage = wire_usage(chunk.usage_metadata) or self.usage
            bill(self.billed, chunk.usage_metadata)
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason and feedback.block_reason not in _UNSET:
            self._refuse(f"The provider blocked the request: {feedback.block_reason}", feedback.block_reason_message)
            self._finish = "SAFETY"
        for candidate in chunk.candidates or ():
            if not candidate.index:  # nobody asked for a second answer
                self._read_candidate(candidate)

    def _read_candidate(self, candidate: Candidate) -> None:
        content = candidate.content
        for part in (content.parts if content else None) or ():
            self._read_part(part)
        if candidate.grounding_metadata is not None:
            self._sources.read(candidate.grounding_metadata)
            refresh(self.billed, searches=len(candidate.grounding_metadata.web_search_queries or ()))
        finish = (candidate.finish_reason or "").upper()
        if not finish or finish in _UNSET:
            return
        if finish == _CALLED:
            finish = "STOP"
        self._finish = finish
        if finish == "STOP":
            return
        reason = _FINISHES.get(finish)
        if reason is None:
            raise self._failure(finish, candidate.finish_message)
        if reason == "refusal":
            self._refuse(f"The provider stopped the answer: {finish}", candidate.finish_message)

    def _read_part(self, part: Part) -> None:
        signature = part.thought_signature
        if part.function_call is not None:
            self._leave_text()
            self._calls.read(part.function_call, signature)
        elif part.thought:
            self._leave_text()
            self._signatures.think(part.text or "", signature)
        elif part.tool_call or part.tool_response:
            self._leave_text()
            self._signatures.keep(part)
        elif part.text is not None:
            self._text(part.text, signature)
        elif shown := _words_of(part):
            self._text(shown, signature)
        elif signature:
            self._text("", signature)

    def _refuse(self, what: str, message: str | None) -> None:
        self._refusal = f"[{what}{f' ({message.strip()})' if message else ''}]"

    # -- text ----------------------------------------------------------------------------------------------------------

    def _text(self, text: str, signature: str | None = None) -> None:
        if self._in_text:
            self._writer.text(text)
            if signature:
                self._signatures.sign_text_before(signature)
            return
        if not text or text.isspace():
            self._blank += text
            if signature:
                self._signatures.keep(Part(thought_signature=signature))
            return
        if signature:
            self._signatures.sign_text_after(signature)
        self._signatures.seal()
        text, self._blank = self._blank + text, ""
        self._in_text = self._has_text = True
        self._writer.text(text)

    def _leave_text(self) -> None:
        """Something other than text comes; white space that led to no text is nothing."""
        self._in_text = False
        self._blank = ""

    # -- the end -------------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        self._ended = True
        if not self._finish:
            raise self._nonsense("the provider's answer ended before it was finished", "cut")
        if self._calls.is_open:
            if self._finish == "STOP":
                raise self._nonsense("the provider's answer ended in the middle of a tool call")
            self._calls.abandon()
        if self._blank and not self._has_text and not self._calls.any:
            self._signatures.seal()
            self._writer.text(self._blank)
            self._has_text = True
        reason = self._reason()
        if reason == "end_turn" and not self._has_text:
            raise self._nonsense("the provider's answer is empty: no text, no tool call", "empty")
        if self._refusal:
            self._text(f"\n\n{self._refusal}" if self._has_text else self._refusal)
        self._sources.write(self._writer)
        self._signatures.finish()
        self._writer.finish(reason, self.usage)

    def _reason(self) -> StopReason:
        if self._finish == "STOP":
            return "tool_use" if self._calls.any else "end_turn"
        return _FINISHES[self._finish]

    # -- errors --------------------------------------------------------------------------------------------------------

    def _failure(self, finish: str, message: str | None) -> UpstreamStatus:
        what = _FAILURES.get(finish, "the model stopped without an answer")
        detail = f": {message.strip()[:500]}" if message else ""
        is_ours = finish == _UNSIGNED
        return UpstreamStatus(
            f"Provider '{self._provider}' failed in its answer: {what} (finishReason {finish}){detail}",
            status=400 if is_ours else 502,
            type="invalid_request_error" if is_ours else "api_error",
            provider=self._provider,
        )

    def _fail_event(self, data: bytes) -> None:
        """An event named `error`, whose data may be words."""
        try:
            error = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            error = {"message": data.decode("utf-8", "replace")}
        raise explain_error_object(error, self._provider)

    def _nonsense(self, message: str, kind: Broken = "protocol") -> RemoteProtocolError:
        return RemoteProtocolError(message, provider=self._provider, kind=kind)


def _words_of(part: Part) -> str:
    """What a part shows that Messages has no block for; "" for one that shows nothing."""
    if part.executable_code is not None and part.executable_code.code:
        language = (part.executable_code.language or "").lower().removeprefix("language_unspecified")
        return f"\n```{language}\n{part.executable_code.code.rstrip()}\n```\n"
    if part.code_execution_result is not None:
        return f"\n```\n{(part.code_execution_result.output or '').rstrip()}\n```\n"
    blob, file = part.inline_data, part.file_data
    if blob is not None:
        size = len(blob.data or "") * 3 // 4
        return f"\n[The model made a file of type {blob.mime_type}, {size} bytes, which cannot be passed on.]\n"
    if file is not None and file.file_uri:
        return f"\n[The model made a file of type {file.mime_type}: {file.file_uri}]\n"
    return ""
