"""One question to a provider, on the way that every request takes: transforms, dialect, policy, the user's own key.

Nothing is amended behind a probe's back: what a server refuses is what is to be found out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ccrouter.certify.observation import Answer, answer_of
from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.base import Dialect, UpstreamRequest
from ccrouter.dialects.profile import Profile
from ccrouter.dialects.profiles import profile_of
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import RemoteProtocolError, RouterError, UnsupportedContent, UpstreamError, UpstreamStatus
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader
from ccrouter.transforms.base import Context
from ccrouter.transforms.chain import Chain
from ccrouter.upstream.client import UpstreamClient, UpstreamResponse

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
        target = self._target(provider or self.provider, model or self.model, changes)
        for patience in range(_MOST_WAITS, -1, -1):
            self.spending.take()
            answer = await self._once(request, target)
            error = answer.error
            if not isinstance(error, UpstreamStatus) or error.status not in _PASSING or not patience:
                break
            await self._pause(min(error.retry_after or 2.0 * (_MOST_WAITS + 1 - patience), _LONGEST_WAIT))
        self.spending.tokens += answer.usage.context + answer.usage.output_tokens
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
            asked = chain.request(request, context)
            encoded = dialect.encode(asked, target, {}, chain.amend(context))
            sent = await chain.wire(encoded, encoded.url or target.endpoint.url, context)
            where = replace(target.endpoint, url=sent.url) if sent.url else target.endpoint
            response = await self._client.send(target.provider, where, sent.headers, sent.body, sent.final_headers)
            try:
                return await self._read(chain.stream(response, context), sent, target, dialect)
            finally:
                response.close()
        except UpstreamStatus as error:
            return Answer(error=error, refused=dialect.refused_member(error, sent) if sent else "")
        except (UpstreamError, UnsupportedContent) as error:
            return Answer(error=error)

    async def _read(
        self, response: UpstreamResponse, sent: UpstreamRequest, target: Target, dialect: Dialect
    ) -> Answer:
        body = b""
        while len(body) < _LARGEST and (chunk := await response.read()):
            body += chunk
        if response.status >= 300:
            raise dialect.explain(response.status, response.headers, body, target.provider.name)
        if not body.strip():
            raise RemoteProtocolError(f"{target.provider.name} answered {response.status} with an empty body")
        writer = MessageWriter(id="msg_certify", model=_ASKED)
        reader = dialect.reader(sent, target, writer)
        if body.lstrip()[:1] in {b"{", b"["}:
            events = reader.feed_body(body)
        else:
            sse = SseReader()
            events = [event for frame in (*sse.feed(body), *sse.close()) for event in reader.feed(frame)]
        events = [*events, *reader.close()]
        return answer_of(events, reader.usage, reader.answered_model)
