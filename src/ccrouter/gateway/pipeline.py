"""The pipeline: one request from its bytes to the last byte of its answer.

    read → client profile → facts → route → plan → for each target: encode, send, read, write → record

The first upstream content is read before anything of an answer goes to the client. Until then falling back to the next
target is free and invisible; after it a failure is an `error` event, and never a finished turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Config, Router, Target
from ccrouter.errors import ClientError, UnsupportedContent, UpstreamError
from ccrouter.gateway.attempt import Attempter, Question
from ccrouter.gateway.record import Attempt, Exchange
from ccrouter.gateway.reply import Reply
from ccrouter.messages import claudable
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.tokens import TokenMemo, estimate_request
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.facts import RequestFacts, read_facts, strip_subagent_tags
from ccrouter.routing.plan import make_plan, should_fall_back
from ccrouter.routing.rules import Route, choose
from ccrouter.routing.sessions import SessionUsage
from ccrouter.secret import redact
from ccrouter.upstream.client import UpstreamClient

#: A body of this many bytes takes more than a millisecond to count.
_LARGE = 300_000
_BASE64 = b'"base64"'


@dataclass(slots=True)
class _Estimate:
    """The request's tokens, counted at most once and only if somebody asks."""

    request: MessagesRequest
    memo: TokenMemo
    tokens: int | None = None

    def __call__(self) -> int:
        if self.tokens is None:
            try:
                self.tokens = estimate_request(self.request.members, self.memo)
            except msgspec.DecodeError:
                # Blocks of a shape that we do not know are between the client and its provider; bytes are known.
                self.tokens = sum(map(len, self.request.members.values())) // 4
        return self.tokens

    def at_start(self) -> int:
        """What `message_start` may say: a rough figure for a large conversation that nobody has counted yet.

        Counting it would hold up the first byte by milliseconds; the provider's own figure follows at the end.
        """
        size = sum(map(len, self.request.members.values()))
        if self.tokens is not None or size < _LARGE or _BASE64 in bytes(self.request.members["messages"]):
            return self()
        return size // 4


class Gateway:
    """Serves Messages requests by one configuration. Replaced as a whole when the configuration changes."""

    def __init__(
        self,
        config: Config,
        client: UpstreamClient,
        clock: Callable[[], float],
        projects: ProjectRouters | None = None,
    ) -> None:
        self.config = config
        self.catalog = Catalog(config.providers, config.unavailable)
        self._clock = clock
        self._attempter = Attempter(client, clock)
        self._projects = projects
        self._memo = TokenMemo()
        self._sessions = SessionUsage()

    async def messages(self, body: bytes, headers: Mapping[str, str], reply: Reply, exchange: Exchange) -> None:
        """Serve one request. Raises RouterError; if `reply.has_begun` by then, it is to be sent as an error event.

        `headers` are lower-case; `exchange` is filled in as facts become known.
        """
        request, facts, make_filter = self._read(body, headers, exchange)
        estimate = _Estimate(request, self._memo)
        route, targets = self._decide(facts, estimate, exchange)
        told = {"x-ccr-route": route.name, "x-ccr-model": str(route.target), "x-ccr-reason": route.reason}
        exchange.told = told
        question = Question(
            request=request,
            headers=headers,
            asked=facts.asked or str(route.target),
            told=told,
            estimate=lambda: self._tokens_at_start(facts, estimate),
            make_filter=make_filter,
        )
        if request.stream:
            reply.expect_stream(told)
        first_error: UpstreamError | UnsupportedContent | None = None
        for position, target in enumerate(targets):
            attempt = Attempt(str(target), self._clock() - exchange.began)
            exchange.attempts.append(attempt)
            try:
                await self._attempter.attempt(question, target, reply, exchange)
            except (UpstreamError, UnsupportedContent) as error:
                attempt.failure = redact(str(error), self.config.secrets)
                first_error = first_error or error
                if reply.is_committed:
                    raise
                if position + 1 == len(targets) or not should_fall_back(error):
                    raise first_error from None
            else:
                self._sessions.record(facts.thread, exchange.usage.context, estimate.tokens)
                return

    async def count_tokens(self, body: bytes, headers: Mapping[str, str], exchange: Exchange) -> int:
        """The input tokens of a request, routed as one that is sent: counted by Anthropic's own API where it would go
        there, else, and if that cannot count, estimated here.
        """
        request, facts, _ = self._read(body, headers, exchange)
        estimate = _Estimate(request, self._memo)
        _, targets = self._decide(facts, estimate, exchange)
        counted = await self._attempter.count_tokens(request, headers, targets[0])
        return estimate() if counted is None else counted

    def _read(
        self, body: bytes, headers: Mapping[str, str], exchange: Exchange
    ) -> tuple[MessagesRequest, RequestFacts, Callable[[], claudable.ClaudableFilter] | None]:
        request = MessagesRequest.read(body)
        if not request.members:
            raise ClientError("Missing model in request body: an object with `model` and `messages` is needed")
        request.validate()
        make_filter = None
        if claudable.is_claudable(request, headers, self.config.claudable):
            request = prepared = claudable.prepare(request)
            exchange.client = "claudable"
            make_filter = lambda: claudable.ClaudableFilter(prepared)  # noqa: E731 - one line, used once
        request, tag = strip_subagent_tags(request)
        facts = read_facts(request, headers, tag)
        exchange.asked, exchange.streamed, exchange.size = request.model, request.stream, len(body)
        exchange.session = facts.session_id
        return request, facts, make_filter

    def _decide(
        self, facts: RequestFacts, estimate: Callable[[], int], exchange: Exchange
    ) -> tuple[Route, tuple[Target, ...]]:
        router = self._router(facts)
        route = choose(facts, router, self.catalog, estimate, self._sessions.previous(facts.thread))
        exchange.route, exchange.reason = route.name, route.reason
        return route, make_plan(route, router, self.catalog)

    def _tokens_at_start(self, facts: RequestFacts, estimate: _Estimate) -> int:
        if self._sessions.previous(facts.thread):
            return self._sessions.corrected(facts.thread, estimate())
        return estimate.at_start()

    def _router(self, facts: RequestFacts) -> Router:
        """The session's or project's own router where there is one."""
        if self._projects is not None and facts.session_id:
            return self._projects.router_for(facts.session_id) or self.config.router
        return self.config.router
