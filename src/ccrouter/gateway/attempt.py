"""One attempt: a request to one target, and its answer on the way to the client.

Everything here may raise UpstreamError before `reply.is_committed`, and the pipeline may then try another target; each
attempt encodes the request anew from the original.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping

import msgspec

from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.base import UpstreamRequest
from ccrouter.dialects.profiles import profile_of
from ccrouter.dialects.refusals import ONCE
from ccrouter.dialects.registry import DIALECTS
from ccrouter.dialects.upstream_error import KEY_HINT
from ccrouter.errors import Redirected, RemoteProtocolError, UpstreamError, UpstreamStatus
from ccrouter.gateway.answer import BegunAnswer
from ccrouter.gateway.concession import concession_of
from ccrouter.gateway.eyes import SightedAttempt
from ccrouter.gateway.fidelity import check
from ccrouter.gateway.image_agent import ImageAgent
from ccrouter.gateway.question import Question
from ccrouter.gateway.record import Exchange
from ccrouter.gateway.reply import Reply
from ccrouter.messages.request import MessagesRequest
from ccrouter.routing.health import Health
from ccrouter.secret import redact
from ccrouter.transforms.base import Context
from ccrouter.transforms.chain import Chain
from ccrouter.upstream.client import UpstreamClient, UpstreamResponse
from ccrouter.upstream.credentials.clouds import advice_of

#: No error body needs more; a provider that sends gigabytes of it is not indulged.
_MAX_SHORT_BODY = 256 * 1024
#: A server that finds ever new things to refuse is not negotiated with.
_MOST_AMENDMENTS = 6
# A variable in what the user wrote for a key.
_VARIABLE = re.compile(r"\$\{?(\w+)")


class _Count(msgspec.Struct):
    input_tokens: int


class Attempter:
    """Carries out attempts. It remembers which endpoint of a provider answered, for those that have two, and which
    members of a request a provider's model was found not to take.
    """

    def __init__(
        self, client: UpstreamClient, clock: Callable[[], float], chain_of: Callable[[Target], Chain], health: Health
    ) -> None:
        self._client = client
        self._clock = clock
        self._chain_of = chain_of
        self._health = health
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
        viewer = question.viewer
        if viewer is not None and viewer.is_needed_by(target) and (agent := ImageAgent.of(question.request)):
            sighted = SightedAttempt(self._open, self._clock, viewer, self._health)
            await sighted.attempt(question, agent, target, reply, exchange)
            return
        answer = await self._open(question, target, exchange)
        try:
            await answer.deliver(reply, exchange, self._clock)
        finally:
            answer.response.close()

    async def count_tokens(self, request: MessagesRequest, headers: Mapping[str, str], target: Target) -> int | None:
        """The provider's own count, None where it has none to give. Counting is never worth an error."""
        endpoint = target.provider.endpoints[0]
        if not profile_of(target).is_first_party or endpoint.dialect != "anthropic" or endpoint.platform:
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

    async def rehearse(self, question: Question, target: Target, exchange: Exchange) -> UpstreamRequest:
        """What `target` would be asked with first; `exchange` notes what became of the request. Nothing is sent.

        Raises UnsupportedContent as an attempt does.
        """
        provider = target.provider
        target = target.at(self._endpoints.get(provider.name) or provider.endpoints[0])
        chain, _, (encoded, passes) = await self._encode(question, target, exchange)
        concession = concession_of(question, DIALECTS[target.endpoint.dialect], passes=passes)
        encoded = concession.without(encoded, self._refused.get((provider.name, target.model), ()))
        exchange.note_sent(target, encoded, [transform.name for transform in chain.transforms])
        check(encoded, target, exchange.fidelity)
        return encoded

    async def _encode(
        self, question: Question, target: Target, exchange: Exchange
    ) -> tuple[Chain, Context, tuple[UpstreamRequest, bool]]:
        """The request in the words of `target.endpoint`, by its transforms, and whether the client's own bytes pass."""
        chain, endpoint = self._chain_of(target), target.endpoint
        context = Context(target, endpoint.dialect, question.asked, question.request.stream, exchange.id)

        def encode() -> tuple[UpstreamRequest, bool]:
            request = chain.request(question.request, context)
            passes = question.passes(request, endpoint) and not chain.filters(context)
            return question.encode(request, target, chain.amend(context), passes=passes), passes

        return chain, context, await chain.carry_out(encode)

    async def _open(self, question: Question, target: Target, exchange: Exchange) -> BegunAnswer:
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

    async def _ask(self, question: Question, target: Target, endpoint: Endpoint, exchange: Exchange) -> BegunAnswer:
        """An answer with a good status from one endpoint: again without what the server says that it does not take."""
        provider, dialect = target.provider, DIALECTS[endpoint.dialect]
        refused = self._refused.get((provider.name, target.model), ())
        target = target.at(endpoint)
        chain, context, (encoded, passes) = await self._encode(question, target, exchange)
        concession = concession_of(question, dialect, passes=passes)
        encoded = concession.without(encoded, refused)
        while True:
            exchange.note_sent(target, encoded, [transform.name for transform in chain.transforms])
            check(encoded, target, exchange.fidelity)
            sent = await chain.wire(encoded, encoded.url or endpoint.url, context)
            where = dataclasses.replace(endpoint, url=sent.url) if sent.url else endpoint
            exchange.note_departure(self._clock())
            response = await self._client.send(provider, where, sent.headers, sent.body, sent.final_headers)
            exchange.note_arrival(self._clock(), getattr(response, "connected", 0.0))
            self._health.hear(target, response.headers)
            exchange.upstream_id = response.headers.get("request-id") or response.headers.get("x-request-id", "")
            if response.status < 300:
                exchange.tell_losses()
                members = question.request.members
                is_first_party = profile_of(target).is_first_party and not endpoint.platform
                exchange.note_prompt(members, sent.body, is_first_party=is_first_party)
                # A stream may last for minutes, and needs neither the conversation nor what was sent of it.
                question.request.release()
                answer, filters = await chain.receive(response, context)
                if question.make_filter is not None and question.request.stream:
                    filters.append(question.make_filter())
                spent = dataclasses.replace(sent, body=b"")
                return BegunAnswer(question, target, dialect, spent, answer, filters, chain, passes=passes)
            if response.status < 400:
                response.close()
                raise _redirected(response, provider)
            body = await _read_short(response)
            error = dialect.explain(response.status, response.headers, body, provider.name)
            name = concession.refused_member(error, encoded)
            if response.status in {404, 405} and not name and not _is_messages_error(body):
                raise _EndpointMissing(error)
            if not name or name in refused or len(refused) >= _MOST_AMENDMENTS:
                raise error
            refused = (*refused, name)
            if not name.endswith(ONCE):
                self._refused[provider.name, target.model] = tuple(one for one in refused if not one.endswith(ONCE))
            encoded = concession.without(encoded, (name,))


class _EndpointMissing(Exception):
    """The server knows no such path; `error` is what it said."""

    def __init__(self, error: UpstreamStatus) -> None:
        super().__init__(str(error))
        self.error = error


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
    if not provider.key and provider.endpoints[0].platform:
        hint = advice_of(provider)
    elif not provider.key:
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
    return Redirected(
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
