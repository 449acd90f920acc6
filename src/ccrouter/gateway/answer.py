"""One answer that has begun with a good status, on its way to the client, streamed or whole, in the client's dialect.

Nothing goes out before there is content: until then the pipeline may still ask another target.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from ccrouter.config.schema import Target
from ccrouter.dialects.anthropic.reader import Tap
from ccrouter.dialects.base import Dialect, Reader, UpstreamRequest
from ccrouter.dialects.profiles import profile_of
from ccrouter.dialects.registry import DIALECTS
from ccrouter.dialects.served import AnswerWriter, IdentityTap
from ccrouter.errors import RemoteProtocolError, UpstreamError
from ccrouter.gateway.question import Question
from ccrouter.gateway.record import Exchange
from ccrouter.gateway.reply import Reply
from ccrouter.gateway.seam import Continuation, SaidTap
from ccrouter.gateway.stream import Held, Passage, Pipe, Relay, Translation, ends_empty, renamed_body, with_usage
from ccrouter.messages.events import MessageEvent, begins_content
from ccrouter.messages.fold import Fold
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import ServerSentEvent, SseReader
from ccrouter.transforms.base import EventFilter
from ccrouter.transforms.chain import Chain
from ccrouter.upstream.client import UpstreamResponse

_MAX_BODY = 256 * 1024 * 1024


class EmptyAnswer(RemoteProtocolError):
    """A finished answer without any content. Another target may have one; if none has, this is the answer: `frames` of
    a stream, or `whole` with the headers `told`.
    """

    def __init__(self, target: Target, told: Mapping[str, str], *, frames: bytes = b"", whole: bytes = b"") -> None:
        name = target.provider.name
        super().__init__(f"{name} answered without any content", provider=name, kind="empty")
        self._told = told
        self._frames = frames
        self._whole = whole

    async def deliver(self, reply: Reply) -> None:
        """Send it as it is."""
        if self._whole:
            await reply.whole(200, self._told, self._whole)
        else:
            await reply.write(self._frames)
            await reply.end()


@dataclasses.dataclass(frozen=True, slots=True)
class BegunAnswer:
    """`passes` if it answers the client's own bytes, and its own bytes are to be the client's."""

    question: Question
    target: Target
    dialect: Dialect
    sent: UpstreamRequest
    response: UpstreamResponse
    filters: Sequence[EventFilter]
    chain: Chain
    passes: bool = False

    async def deliver(self, reply: Reply, exchange: Exchange, clock: Callable[[], float]) -> None:
        """Send all of it. Raises UpstreamError; what was already sent then stays so."""
        first = await _first_bytes(self.response, self.target)
        if self.question.request.stream:
            await self._stream(first, reply, exchange, clock)
            return
        body = await _read_all(self.response, first)
        exchange.ttft = clock() - exchange.began
        whole, has_content = await self.chain.carry_out(partial(self._whole, body, exchange))
        if self._is_none(is_empty=ends_empty(exchange.stop_reason, has_content=has_content)):
            raise EmptyAnswer(self.target, self.question.told, whole=whole)
        await reply.whole(200, self.question.told, whole)

    async def events(self, exchange: Exchange) -> AsyncIterator[list[MessageEvent]]:
        """Its events, those of one read together, after the transforms'. Raises UpstreamError; check the last event."""
        first = await _first_bytes(self.response, self.target)
        reader, sse = self._reader(), SseReader()
        try:
            if _is_json(first):
                body = await _read_all(self.response, first)
                yield await self.chain.carry_out(lambda: self._filtered(reader.feed_body(body)))
            else:
                chunk = first
                while chunk:
                    received = sse.feed(chunk)
                    yield await self.chain.carry_out(partial(self._read_with, reader, received))
                    chunk = await self.response.read()
                yield await self.chain.carry_out(partial(self._read_with, reader, sse.close()))
            yield await self.chain.carry_out(lambda: self._filtered(reader.close()))
        finally:
            self._note(reader, exchange)

    def _read_with(self, reader: Reader, received: Iterable[ServerSentEvent]) -> list[MessageEvent]:
        return [event for one in received for event in self._filtered(reader.feed(one))]

    def _filtered(self, events: list[MessageEvent]) -> list[MessageEvent]:
        for filter_events in self.filters:
            events = filter_events(events)
        return events

    # -- streamed --------------------------------------------------------------------------------------------------

    async def _stream(self, first: bytes, reply: Reply, exchange: Exchange, clock: Callable[[], float]) -> None:
        """Send it as a stream, whatever form it has."""
        is_body = _is_json(first)
        pipe = self._translation() if is_body else self._pipe()
        before = exchange.billed
        try:
            if is_body and isinstance(pipe, Translation):
                body = await _read_all(self.response, first)
                frames = await self.chain.carry_out(lambda: pipe.feed_body(body) + pipe.close())
                if not reply.is_committed:
                    exchange.ttft = clock() - exchange.began
                await self._finish(pipe, frames, reply)
            else:
                await self._pump(pipe, first, reply, exchange, clock)
        except UpstreamError:
            if reply.is_committed and pipe.partial:
                await reply.write(pipe.partial)
            raise
        finally:
            self._note(pipe, exchange)
            exchange.stop_reason = pipe.stop_reason
            if self.question.seam is not None:  # whose usage is that of all answers so far
                exchange.billed = before.plus(exchange.billed)
        await reply.end()
        await _drain(self.response)

    async def _pump(
        self, pipe: Pipe, chunk: bytes, reply: Reply, exchange: Exchange, clock: Callable[[], float]
    ) -> None:
        """Read and write until the end. What comes before the first content is held back: it may yet be an error."""
        held = Held()
        has_hooks = bool(self.filters)  # for every piece of the network, also what costs little counts
        while chunk:
            frames = await self.chain.carry_out(partial(pipe.feed, chunk)) if has_hooks else pipe.feed(chunk)
            if reply.is_committed:
                if frames:
                    await reply.write(frames)
            elif pipe.has_content:
                exchange.ttft = clock() - exchange.began
                reply.fault_frames = pipe.fault
                await reply.write(held.take(frames))
            elif frames:
                held.add(frames)
            if pipe.is_done:
                break
            chunk = await self.response.read()
        frames = await self.chain.carry_out(pipe.close)
        await self._finish(pipe, held.take(frames), reply)

    async def _finish(self, pipe: Pipe, frames: bytes, reply: Reply) -> None:
        """Send the last frames. Raises EmptyAnswer, and sends nothing, where they are all and say nothing."""
        if not reply.is_committed and self._is_none(is_empty=pipe.is_empty):
            raise EmptyAnswer(self.target, self.question.told, frames=frames)
        await reply.write(frames)

    def _is_none(self, *, is_empty: bool) -> bool:
        """True if an answer that says nothing is none. Anthropic's own may be: to a tool's result there is not always
        something to say. So may that to a probe of one token, by a model that thinks.
        """
        return is_empty and self.question.request.max_tokens != 1 and not profile_of(self.target).is_first_party

    def _pipe(self) -> Pipe:
        question, asked, sent = self.question, self.question.asked, self.target.model
        if self.passes and question.reading is not None:
            return Passage(question.reading.tap(asked=asked, sent=sent))
        if question.reading is None and self.dialect.name == "anthropic" and not self.filters and not question.seam:
            return Relay(asked=asked, sent=sent, tap=None if question.said is None else SaidTap(question.said))
        return self._translation()

    def _translation(self) -> Translation:
        question, reader = self.question, self._reader()
        if question.seam is not None:
            return Continuation(reader, self.filters, question.seam)
        writer = self._writer()
        if question.said is None:
            return Translation(reader, self.filters, writer)
        question.said.writer = writer
        return Translation(reader, (*self.filters, question.said.feed), writer)

    # -- whole -----------------------------------------------------------------------------------------------------

    def _whole(self, body: bytes, exchange: Exchange) -> tuple[bytes, bool]:
        """The unstreamed answer, JSON, whatever form it has, and whether anything is in it. Raises UpstreamError."""
        reading, asked, sent = self.question.reading, self.question.asked, self.target.model
        if self.passes and reading is not None and _is_json(body):
            passing = reading.tap(asked=asked, sent=sent)
            told = passing.feed_body(body)
            self._note(passing, exchange)
            exchange.stop_reason = passing.stop_reason
            return told, passing.has_content
        if reading is None and self.dialect.name == "anthropic" and _is_json(body) and not self.filters:
            tap = Tap()
            answer = tap.note_body(body)
            self._note(tap, exchange)
            exchange.stop_reason = tap.stop_reason or ""
            told = body if tap.tells_usage else with_usage(body, tap.usage)
            return told if asked == sent else renamed_body(told, asked), any(map(begins_content, answer["content"]))
        return self._folded(body, exchange)

    def _folded(self, body: bytes, exchange: Exchange) -> tuple[bytes, bool]:
        reader, fold, sse = self._reader(), Fold(), SseReader()
        if _is_json(body):
            events = reader.feed_body(body)
        else:
            events = [event for sent in (*sse.feed(body), *sse.close()) for event in reader.feed(sent)]
        for event in self._filtered([*events, *reader.close()]):
            fold.feed(event)
        message = fold.close()
        self._note(reader, exchange)
        exchange.stop_reason = message.stop_reason or ""
        writer = self._writer()
        told = msgspec.json.encode(message) if writer is None else writer.whole(message)
        return told, any(map(begins_content, message.content))

    # -- both ------------------------------------------------------------------------------------------------------

    def _note(self, teller: Reader | IdentityTap | Pipe | Tap, exchange: Exchange) -> None:
        """What the provider told of the answer. What it says that it charged counts only where it is known to be
        dollars.
        """
        exchange.usage, exchange.answered, exchange.billed = teller.usage, teller.answered_model, teller.billed
        if teller.billed.cost is not None and not profile_of(self.target).reports_cost:
            exchange.billed = msgspec.structs.replace(teller.billed, cost=None)

    def _reader(self) -> Reader:
        writer = MessageWriter(
            id=f"msg_{secrets.token_hex(12)}",
            model=self.question.asked,
            input_tokens=self.question.estimate() if self.question.request.stream else 0,
        )
        return self.dialect.reader(self.sent, self.target, writer)

    def _writer(self) -> AnswerWriter | None:
        """What writes the answer in the client's dialect; None if that is Messages."""
        reading = self.question.reading
        return None if reading is None else reading.writer(asked=self.question.asked)


async def _first_bytes(response: UpstreamResponse, target: Target) -> bytes:
    """The first bytes that are not all white space: what kind of answer this is can then be told.

    Content types are not believed: real servers send SSE as text/plain and JSON as text/event-stream.
    """
    while not (first := await response.read()).strip():  # some keep a connection alive with empty lines, for minutes
        if not first:
            name = target.provider.name
            raise RemoteProtocolError(f"{name} answered 200 with an empty body", provider=name, kind="empty")
    if first.lstrip()[:1] == b"<":
        page = first + await response.read()
        raise DIALECTS["anthropic"].explain(502, {"content-type": "text/html"}, page, target.provider.name)
    return first


async def _drain(response: UpstreamResponse) -> None:
    """Read what may follow the message, so that the connection can serve again; the client has its answer."""
    with contextlib.suppress(TimeoutError, UpstreamError):  # then the connection is closed, which is all that is lost
        async with asyncio.timeout(1.0):
            while await response.read():
                pass


def _is_json(first: bytes) -> bool:
    return first.lstrip()[:1] in {b"{", b"["}


async def _read_all(response: UpstreamResponse, first: bytes) -> bytes:
    chunks = [first]
    size = len(first)
    while chunk := await response.read():
        chunks.append(chunk)
        size += len(chunk)
        if size > _MAX_BODY:
            raise RemoteProtocolError(f"the answer is larger than {_MAX_BODY} bytes")
    return b"".join(chunks)
