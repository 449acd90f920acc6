"""One question to a provider, on the way that every request takes: transforms, dialect, policy, the user's own key.

Nothing is amended behind a probe's back: what a server refuses is what is to be found out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ccrouter.certify.observation import Answer, answer_of
from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.base import Reader, UpstreamRequest
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.profiles import profile_of
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import RemoteProtocolError, RouterError, UnsupportedContent, UpstreamError, UpstreamStatus
from ccrouter.messages.events import MessageEvent
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader
from ccrouter.transforms.base import Answer as Incoming
from ccrouter.transforms.base import Context, EventFilter
from ccrouter.transforms.chain import Chain
from ccrouter.upstream.client import UpstreamClient

_LARGEST = 4 * 1024 * 1024
_ASKED = "ccr-certify"
#: Failures that pass: rate limits and servers that are busy. How often they are waited for, and how long at most.
_PASSING = frozenset({408, 429, 502, 503, 504, 529})
_MOST_WAITS = 3
_LONGEST_WAIT = 30.0


class BudgetSpent(RouterError):
    """As much was asked as the user allowed."""


@dataclass(slots=True)
class Spending:
    """What was spent, and what may be. Tokens are counted by the provider, in both directions."""

    most_requests: int
    most_tokens: int
    requests: int = 0
    tokens: int = 0

    def take(self) -> None:
        """Note one request more. Raises BudgetSpent if that is one too many."""
        if self.requests >= self.most_requests or self.tokens >= self.most_tokens:
            raise BudgetSpent("the budget is spent")
        self.requests += 1


class Asker:
    """Asks one provider's model. `pause` waits for seconds; `endpoint` is the one of the provider's that answers."""

    def __init__(
        self,
        client: UpstreamClient,
        target: Target,
        chain_of: Callable[[Target], Chain],
        spending: Spending,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._client = client
        self._chain_of = chain_of
        self._pause = pause
        self.provider = replace(target.provider, certified=MappingProxyType({}))
        self.model = target.model
        self.spending = spending
        self.endpoint: Endpoint = target.endpoint
        self._others = target.provider.endpoints[1:]  # tried once, if the first is not there

    def profile(self, changes: Mapping[str, Any]) -> Profile:
        """The profile that a question goes out by, with `changes` to it and without any that a file holds."""
        return profile_of(self._target(self.provider, self.model, changes))

    async def ask(
        self,
        request: MessagesRequest,
        changes: Mapping[str, Any],
        *,
        model: str = "",
        provider: Provider | None = None,
    ) -> Answer:
        """What comes of `request`, translated by a profile with `changes`. Another `model` or `provider` than the own
        is for questions about failures. Raises Denied for what the policy does not let leave, and BudgetSpent.
        """
        answer = await self._patiently(request, self._target(provider or self.provider, model or self.model, changes))
        for endpoint in self._others if self._is_missing(answer) else ():
            first, self.endpoint = self.endpoint, endpoint
            target = self._target(provider or self.provider, model or self.model, changes)
            other = await self._patiently(request, target)
            if not self._is_missing(other):
                answer = other
                break
            self.endpoint = first
        self._others = ()
        self.spending.tokens += answer.usage.context + answer.usage.output_tokens
        return answer

    def _is_missing(self, answer: Answer) -> bool:
        """True if the server may know no such path: a provider's URL can mean one of two."""
        return isinstance(answer.error, UpstreamStatus) and answer.error.status in {404, 405}

    async def _patiently(self, request: MessagesRequest, target: Target) -> Answer:
        for patience in range(_MOST_WAITS, -1, -1):
            self.spending.take()
            answer = await self._once(request, target)
            error = answer.error
            if not isinstance(error, UpstreamStatus) or error.status not in _PASSING or not patience:
                break
            await self._pause(min(error.retry_after or 2.0 * (_MOST_WAITS + 1 - patience), _LONGEST_WAIT))
        return answer

    def _target(self, provider: Provider, model: str, changes: Mapping[str, Any]) -> Target:
        certified = MappingProxyType({"": dict(changes)})
        return Target(replace(provider, endpoints=(self.endpoint,), certified=certified), model)

    async def _once(self, request: MessagesRequest, target: Target) -> Answer:
        dialect = DIALECTS[target.endpoint.dialect]
        chain = self._chain_of(target)
        context = Context(target, target.endpoint.dialect, _ASKED, request.stream)
        sent: UpstreamRequest | None = None
        try:
            encoded = await chain.carry_out(
                lambda: dialect.encode(chain.request(request, context), target, {}, chain.amend(context))
            )
            sent = await chain.wire(encoded, encoded.url or target.endpoint.url, context)
            where = replace(target.endpoint, url=sent.url) if sent.url else target.endpoint
            response = await self._client.send(target.provider, where, sent.headers, sent.body, sent.final_headers)
            try:
                if response.status >= 300:
                    raise dialect.explain(
                        response.status, response.headers, await _read_all(response), target.provider.name
                    )
                transformed, filters = await chain.receive(response, context)
                body = await _read_all(transformed)
                reader = dialect.reader(sent, target, MessageWriter(id="msg_certify", model=_ASKED))
                events = await chain.carry_out(lambda: _filtered(_events(reader, body, target), filters))
                return answer_of(events, reader.usage, reader.answered_model)
            finally:
                response.close()
        except UpstreamStatus as error:
            return Answer(error=error, refused=dialect.refused_member(error, sent) if sent else "")
        except (UpstreamError, UnsupportedContent) as error:
            return Answer(error=error)


def _events(reader: Reader, body: bytes, target: Target) -> list[MessageEvent]:
    """The events of an answer, whatever form it has. Raises UpstreamError."""
    if not body.strip():
        raise RemoteProtocolError(f"{target.provider.name} answered with an empty body")
    if body.lstrip()[:1] in {b"{", b"["}:
        events = reader.feed_body(body)
    else:
        sse = SseReader()
        events = [event for frame in (*sse.feed(body), *sse.close()) for event in reader.feed(frame)]
    return [*events, *reader.close()]


def _filtered(events: list[MessageEvent], filters: Sequence[EventFilter]) -> list[MessageEvent]:
    for passes in filters:
        events = passes(events)
    return events


async def _read_all(answer: Incoming) -> bytes:
    body = b""
    while len(body) < _LARGEST and (chunk := await answer.read()):
        body += chunk
    return body
