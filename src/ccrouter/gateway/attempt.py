"""One attempt: a request to one target, and its answer on the way to the client.

Everything here may raise UpstreamError before `reply.is_committed`, and the pipeline may then try another target; each
attempt encodes the request anew from the original.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import secrets
from collections.abc import Callable, Mapping, Sequence

import msgspec

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.anthropic.reader import Tap
from ccrouter.dialects.base import Dialect, Reader, UpstreamRequest
from ccrouter.dialects.profiles import profile_of
from ccrouter.dialects.registry import DIALECTS
from ccrouter.dialects.upstream_error import KEY_HINT
from ccrouter.errors import RemoteProtocolError, UpstreamError, UpstreamStatus
from ccrouter.gateway.record import Exchange
from ccrouter.gateway.reply import Reply
from ccrouter.gateway.stream import Pipe, Relay, Translation, renamed_body
from ccrouter.messages.events import render
from ccrouter.messages.fault import Fault
from ccrouter.messages.fold import Fold
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.secret import redact
from ccrouter.sse import SseReader
from ccrouter.transforms.base import Context, EventFilter
from ccrouter.transforms.chain import Chain
from ccrouter.upstream.client import UpstreamClient, UpstreamResponse

#: No error body needs more; a provider that sends gigabytes of it is not indulged.
_MAX_SHORT_BODY = 256 * 1024
#: A server that finds ever new things to refuse is not negotiated with.
_MOST_AMENDMENTS = 6
# A variable in what the user wrote for a key.
_VARIABLE = re.compile(r"\$\{?(\w+)")
_MAX_ANSWER_BODY = 256 * 1024 * 1024


class _Count(msgspec.Struct):
    input_tokens: int


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a target, whichever it will be.

    `headers` are the client's, `told` what it is told of the decision; `estimate` gives the input tokens that a
    translated `message_start` reports; `make_filter` makes the client profile's filter, anew for each attempt.
    """

    request: MessagesRequest
    headers: Mapping[str, str]
    asked: str
    told: Mapping[str, str]
    estimate: Callable[[], int]
    make_filter: Callable[[], EventFilter] | None = None


class Attempter:
    """Carries out attempts. It remembers which endpoint of a provider answered, for those that have two, and which
    members of a request a provider's model was found not to take.
    """

    def __init__(self, client: UpstreamClient, clock: Callable[[], float], chain_of: Callable[[Target], Chain]) -> None:
        self._client = client
        self._clock = clock
        self._chain_of = chain_of
        self._endpoints: dict[str, Endpoint] = {}  # by provider name
        self._refused: dict[tuple[str, str], tuple[str, ...]] = {}  # by provider and model

    async def attempt(self, question: Question, target: Target, reply: Reply, exchange: Exchange) -> None:
        """Ask `target` and send its answer. Raises UpstreamError; check `reply.is_committed` before trying another."""
        try:
            await self._attempt(question, target, reply, exchange)
        except UpstreamStatus as error:
            pointed = _pointed(error, target.provider)
            if pointed is error:
                raise
            raise pointed from error

    async def _attempt(self, question: Question, target: Target, reply: Reply, exchange: Exchange) -> None:
        answer = await self._open(question, target, exchange)
        try:
            first = await _first_bytes(answer.response, target)
            if question.request.stream:
                await answer.stream(first, reply, exchange, self._clock)
            else:
                body = await _read_all(answer.response, first)
                exchange.ttft = self._clock() - exchange.began
                await reply.whole(200, question.told, answer.whole(body, exchange))
        finally:
            answer.response.close()

    async def count_tokens(self, request: MessagesRequest, headers: Mapping[str, str], target: Target) -> int | None:
        """The provider's own count, None where it has none to give. Counting is never worth an error."""
        endpoint = target.provider.endpoints[0]
        if not profile_of(target).is_first_party or endpoint.dialect != "anthropic":
            return None
        asked = request.replace(**dict.fromkeys(("max_tokens", "stream", "temperature", "metadata"), msgspec.UNSET))
        sent = DIALECTS[endpoint.dialect].encode(asked, target, headers)
        body = MessagesRequest.read(sent.body).replace(max_tokens=msgspec.UNSET).encode()
        path, mark, query = endpoint.url.partition("?")
        counting = Endpoint(endpoint.dialect, f"{path}/count_tokens{mark}{query}")
        try:
            response = await self._client.send(target.provider, counting, sent.headers, body)
            answer = await _read_short(response)
            return msgspec.json.decode(answer, type=_Count).input_tokens if response.status == 200 else None
        except (UpstreamError, msgspec.DecodeError):
            return None

    async def _open(self, question: Question, target: Target, exchange: Exchange) -> _Answer:
        """An answer with a good status. The provider's second endpoint is asked where the first does not exist."""
        provider = target.provider
        known = self._endpoints.get(provider.name)
        endpoints = (known,) if known else provider.endpoints
        for endpoint in endpoints:
            try:
                answer = await self._ask(question, target, endpoint, exchange)
            except _EndpointMissing as missing:
                if endpoint is endpoints[-1]:
                    raise missing.error from None
            else:
                if len(provider.endpoints) > 1:
                    self._endpoints[provider.name] = endpoint
                return answer
        raise RemoteProtocolError(f"{provider.name} has no endpoint", provider=provider.name)

    async def _ask(self, question: Question, target: Target, endpoint: Endpoint, exchange: Exchange) -> _Answer:
        """An answer with a good status from one endpoint: again without what the server says that it does not take."""
        provider, dialect = target.provider, DIALECTS[endpoint.dialect]
        refused = self._refused.get((provider.name, target.model), ())
        target = target.at(endpoint)
        chain = self._chain_of(target)
        context = Context(target, endpoint.dialect, question.asked, question.request.stream, exchange.id)
        request = chain.request(question.request, context)
        encoded = dialect.encode(request, target, question.headers, chain.amend(context))
        encoded = dialect.without(encoded, refused)
        while True:
            exchange.sent, exchange.provider, exchange.losses = target.model, provider.name, encoded.losses
            sent = await chain.wire(encoded, encoded.url or endpoint.url, context)
            where = dataclasses.replace(endpoint, url=sent.url) if sent.url else endpoint
            response = await self._client.send(provider, where, sent.headers, sent.body)
            exchange.upstream_id = response.headers.get("request-id") or response.headers.get("x-request-id", "")
            if response.status < 300:
                # A stream may last for minutes, and needs neither the conversation nor what was sent of it.
                question.request.release()
                request.release()
                filters = chain.filters(context)
                if question.make_filter is not None and request.stream:
                    filters.append(question.make_filter())
                answer = chain.stream(response, context)
                return _Answer(question, target, dialect, dataclasses.replace(sent, body=b""), answer, filters)
            if response.status < 400:
                response.close()
                raise _redirected(response, provider)
            body = await _read_short(response)
            error = dialect.explain(response.status, response.headers, body, provider.name)
            if response.status in {404, 405} and not _is_messages_error(body):
                raise _EndpointMissing(error)
            name = dialect.refused_member(error, encoded)
            if not name or name in refused or len(refused) >= _MOST_AMENDMENTS:
                raise error
            refused = (*refused, name)
            self._refused[provider.name, target.model] = refused
            encoded = dialect.without(encoded, (name,))


class _EndpointMissing(Exception):
    """The server knows no such path; `error` is what it said."""

    def __init__(self, error: UpstreamStatus) -> None:
        super().__init__(str(error))
        self.error = error


@dataclasses.dataclass(frozen=True, slots=True)
class _Answer:
    """An answer that has begun with a good status."""

    question: Question
    target: Target
    dialect: Dialect
    sent: UpstreamRequest
    response: UpstreamResponse
    filters: Sequence[EventFilter]

    async def stream(self, first: bytes, reply: Reply, exchange: Exchange, clock: Callable[[], float]) -> None:
        """Send it as a stream, whatever form it has."""
        is_body = _is_json(first)
        pipe = self._translation() if is_body or self.filters else self._pipe()
        try:
            if is_body and isinstance(pipe, Translation):
                frames = pipe.feed_body(await _read_all(self.response, first)) + pipe.close()
                exchange.ttft = clock() - exchange.began
                await reply.write(frames)
            else:
                await self._pump(pipe, first, reply, exchange, clock)
        except UpstreamError:
            if reply.is_committed and pipe.partial:
                await reply.write(pipe.partial)
            raise
        finally:
            exchange.usage, exchange.answered, exchange.stop_reason = pipe.usage, pipe.answered_model, pipe.stop_reason
        await reply.end()
        await _drain(self.response)

    async def _pump(
        self, pipe: Pipe, chunk: bytes, reply: Reply, exchange: Exchange, clock: Callable[[], float]
    ) -> None:
        """Read and write until the end. What comes before the first content is held back: it may yet be an error."""
        held = b""
        while chunk:
            frames = pipe.feed(chunk)
            if reply.is_committed:
                if frames:
                    await reply.write(frames)
            else:
                held += frames
                if pipe.has_content:
                    exchange.ttft = clock() - exchange.began
                    await reply.write(held)
            if pipe.is_done:
                break
            chunk = await self.response.read()
        frames = pipe.close()
        await reply.write(frames if reply.is_committed else held + frames)

    def _pipe(self) -> Pipe:
        if self.dialect.name == "anthropic":
            return Relay(asked=self.question.asked, sent=self.target.model)
        return self._translation()

    def _translation(self) -> Translation:
        return Translation(self._reader(), self.filters)

    def _reader(self) -> Reader:
        writer = MessageWriter(
            id=f"msg_{secrets.token_hex(12)}",
            model=self.question.asked,
            input_tokens=self.question.estimate() if self.question.request.stream else 0,
        )
        return self.dialect.reader(self.sent, self.target, writer)

    def whole(self, body: bytes, exchange: Exchange) -> bytes:
        """The unstreamed message, JSON, whatever form the answer has. Raises UpstreamError."""
        if self.dialect.name == "anthropic" and _is_json(body) and not self.filters:
            tap = Tap()
            tap.note_body(body)
            exchange.usage, exchange.answered, exchange.stop_reason = (
                tap.usage,
                tap.answered_model,
                tap.stop_reason or "",
            )
            return body if self.question.asked == self.target.model else renamed_body(body, self.question.asked)
        reader, fold, sse = self._reader(), Fold(), SseReader()
        if _is_json(body):
            events = reader.feed_body(body)
        else:
            events = [event for sent in (*sse.feed(body), *sse.close()) for event in reader.feed(sent)]
        events = [*events, *reader.close()]
        for filter_events in self.filters:
            events = filter_events(events)
        for event in events:
            fold.feed(event)
        message = fold.close()
        exchange.usage, exchange.answered = reader.usage, reader.answered_model
        exchange.stop_reason = message.stop_reason or ""
        return msgspec.json.encode(message)


async def _first_bytes(response: UpstreamResponse, target: Target) -> bytes:
    """Bytes up to the first one that is not white space: what kind of answer this is can then be told.

    Content types are not believed: real servers send SSE as text/plain and JSON as text/event-stream.
    """
    first = b""
    while not first.strip():
        chunk = await response.read()
        if not chunk:
            raise RemoteProtocolError(
                f"{target.provider.name} answered 200 with an empty body", provider=target.provider.name
            )
        first += chunk
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
        if size > _MAX_ANSWER_BODY:
            raise RemoteProtocolError(f"the answer is larger than {_MAX_ANSWER_BODY} bytes")
    return b"".join(chunks)


async def _read_short(response: UpstreamResponse) -> bytes:
    """The body of an error or of a small answer; a connection that breaks in the middle of it changes nothing."""
    body = b""
    try:
        while len(body) < _MAX_SHORT_BODY and (chunk := await response.read()):
            body += chunk
    except UpstreamError:
        pass  # the status is the error; its text is a courtesy
    finally:
        response.close()
    return body


def _pointed(error: UpstreamStatus, provider: Provider) -> UpstreamStatus:
    """A refused key with the place that it came from, in front of the provider's words: that is what to look at."""
    if error.type != "authentication_error":
        return error
    if not provider.key:
        hint = "No key is configured for it: set its api_key to a variable that holds one."
    elif names := _VARIABLE.findall(provider.key_source):
        hint = (
            f"Check the environment variable {' and '.join(names)}: the key comes from {provider.key_source} in the "
            "router's configuration, not from the client."
        )
    elif provider.key_source:
        hint = f"The key comes from {provider.key_source}: check it there, and that it is one for this URL."
    else:
        return error
    text = str(error).replace(KEY_HINT, hint, 1)
    if not error.provider:  # an error within a stream of Messages is read by those who do not know whose it is
        text = text.replace("for the provider.", f"for provider '{provider.name}'.", 1)
    return UpstreamStatus(
        redact(text, [provider.key] if provider.key else []),
        status=error.status,
        type=error.type,
        retry_after=error.retry_after,
        provider=provider.name,
    )


def _redirected(response: UpstreamResponse, provider: Provider) -> UpstreamStatus:
    """Following would take the key and the conversation to a place that nobody configured."""
    place = response.headers.get("location", "elsewhere")[:200]
    return UpstreamStatus(
        f"{provider.name} answered {response.status}, a redirect to {place}. Redirects are not followed: "
        "if that is where it should go, write that address into the provider's URL.",
        status=502,
        type="api_error",
        provider=provider.name,
    )


def _is_messages_error(body: bytes) -> bool:
    """True for an error that only a Messages endpoint makes: it exists, and it is the model that does not."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(answer, dict) and answer.get("type") == "error"


def error_frame(fault: Fault) -> bytes:
    """The error as the last event of a stream that has begun."""
    return render(fault.event())
