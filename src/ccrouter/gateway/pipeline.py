"""The pipeline: one request from its bytes to the last byte of its answer.

    read → client profile → facts → route → plan → policy → for each target: encode, send, read, write → record

The first upstream content is read before anything of an answer goes to the client. Until then falling back to the next
target is free and invisible; after it a failure is an `error` event, and never a finished turn.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from copy import copy
from dataclasses import replace

from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.projects import ProjectRouters, UnusableRouter
from ccrouter.config.schema import Config, Router, Target
from ccrouter.dialects.served import Reading, Served
from ccrouter.errors import (
    ClientError,
    Denied,
    NoTarget,
    RemoteProtocolError,
    UpstreamStatus,
)
from ccrouter.extensions.context import RouteContext, shown_headers
from ccrouter.extensions.extensions import Extensions
from ccrouter.gateway.approval import Approval
from ccrouter.gateway.attempt import Attempter
from ccrouter.gateway.custom import CustomRouting
from ccrouter.gateway.estimate import Estimate
from ccrouter.gateway.pursuit import Means, Pursuit
from ccrouter.gateway.question import Question
from ccrouter.gateway.record import Auditor, Exchange, without_content
from ccrouter.gateway.reply import Reply
from ccrouter.gateway.trial import Trial
from ccrouter.gateway.viewer import Viewer
from ccrouter.jsontypes import JsonObject
from ccrouter.messages import claudable
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.tokens import TokenMemo
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.facts import RequestFacts, read_facts, strip_subagent_tags
from ccrouter.routing.health import Health
from ccrouter.routing.plan import Plan, make_plan
from ccrouter.routing.rules import Route, alias_of, choose
from ccrouter.routing.sessions import SessionUsage
from ccrouter.secret import redact
from ccrouter.transforms.registry import Chains
from ccrouter.upstream.client import UpstreamClient

#: Of a provider's words on a failure, characters that are kept; of a conversation, bytes that are searched for them.
_MOST_WORDS = 400
_SEARCHED = 512 * 1024
#: Of a model's name, characters that are kept: a client may send any text for one.
_LONGEST_NAME = 500
#: The members of a request that hold what was said.
_CONVERSATION = ("system", "messages", "metadata")


class Gateway:
    """Serves Messages requests by one configuration. Replaced as a whole when the configuration changes."""

    def __init__(  # noqa: PLR0913 - what it works with, all but four by name
        self,
        config: Config,
        client: UpstreamClient,
        clock: Callable[[], float],
        projects: ProjectRouters | None = None,
        *,
        policy: Policy = NO_POLICY,
        auditor: Auditor | None = None,
        extensions: Extensions | None = None,
        health: Health | None = None,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
        usage: SessionUsage | None = None,
    ) -> None:
        if client.policy != policy:
            raise ValueError("the upstream client stands under another policy than the gateway")
        self.config = config
        self._approval = Approval(policy, auditor)
        self.catalog = Catalog(config.providers, config.unavailable)
        self._clock = clock
        self._extensions = extensions if extensions is not None and extensions.concern(config) else None
        self._custom = (
            CustomRouting(self._extensions, config, self.catalog, self._approval)
            if self._extensions is not None and self._extensions.router_name
            else None
        )
        if health is None:
            health = Health(clock)
            health.follow(config.providers, config.retries)
        self._health = health
        self._means = Means(
            attempter=Attempter(
                client, clock, self._extensions.chains() if self._extensions else Chains().of, self._health
            ),
            approval=self._approval,
            health=self._health,
            retries=config.retries,
            clock=clock,
            words=lambda error, question: self._failure(error, question.request),
            wait=wait,
            resumes=config.resume,
        )
        self._projects = projects
        self._memo = TokenMemo()
        self._sessions = SessionUsage() if usage is None else usage

    async def messages(
        self,
        body: bytes,
        headers: Mapping[str, str],
        reply: Reply,
        exchange: Exchange,
        form: Served | None = None,
    ) -> None:
        """Serve one request, of the Messages API or of the client's dialect `form`. Raises RouterError; if
        `reply.has_begun` by then, it is to be sent as `reply.fault_frames` gives it.

        `headers` are lower-case; `exchange` is filled in as facts become known.
        """
        reading = None if form is None else form.read(body)
        async with self._custom_code():
            await self._serve(body, headers, reply, exchange, reading)

    async def _serve(
        self, body: bytes, headers: Mapping[str, str], reply: Reply, exchange: Exchange, reading: Reading | None
    ) -> None:
        request, facts, make_filter = self._read(body, headers, exchange, reading)
        estimate = Estimate(request, self._memo)
        with self._noting_denials(exchange):
            route, plan = await self._route(request, headers, facts, estimate, exchange)
            viewer = self._viewer(facts, exchange)
            told = {"x-ccr-route": route.name, "x-ccr-model": str(route.target), "x-ccr-reason": route.reason}
            exchange.told = told
            self._approval.approve(plan.every if viewer is None else (*plan.every, viewer.target), exchange)
            exchange.decided = self._clock() - exchange.began
            if self._extensions is not None:
                await self._extensions.prepare(plan.every)
            question = Question(
                request=request,
                headers=headers,
                asked=facts.asked or str(route.target),
                told=told,
                estimate=lambda: self._tokens_at_start(facts, estimate),
                make_filter=make_filter,
                reading=reading,
                viewer=viewer and replace(viewer, target=self._approval.sendable(viewer.target)),
            )
            if request.stream:
                if reading is not None:
                    reply.fault_frames = reading.writer(asked=question.asked).fault
                reply.expect_stream(told)
            affinity = facts.session_id or exchange.id
            try:
                await Pursuit(self._means, question, plan, reply, exchange, affinity).run()
            finally:
                exchange.estimate = estimate.tokens
        if not exchange.resumed:  # else it is the input of several requests
            self._sessions.record(facts.thread, exchange.usage.context, estimate.tokens)

    async def explain(
        self, body: bytes, headers: Mapping[str, str], exchange: Exchange, form: Served | None = None
    ) -> JsonObject:
        """What `messages` would make of this request (gateway/trial.py). Nothing is sent, and no auditor, health or
        conversation hears of it. Raises RouterError for a request that cannot be read.
        """
        quiet = copy(self)
        quiet._approval = Approval(self._approval.policy, None)  # noqa: SLF001 - it is one of us
        reading = None if form is None else form.read(body)
        return await quiet._explain(body, headers, exchange, reading)  # noqa: SLF001 - as above

    async def _explain(
        self, body: bytes, headers: Mapping[str, str], exchange: Exchange, reading: Reading | None
    ) -> JsonObject:
        trial = Trial(self._means, self._approval, exchange)
        async with self._custom_code():
            request, facts, make_filter = self._read(body, headers, exchange, reading)
            estimate = Estimate(request, self._memo)
            previous = self._sessions.previous(facts.thread)
            with trial.noting_end():
                trial.note_request(facts, estimate(), previous, self._router(facts, exchange).long_context_threshold)
                route, plan = await self._route(request, headers, facts, estimate, exchange)
                asked, viewer = facts.asked or str(route.target), self._viewer(facts, exchange)
                question = Question(request, headers, asked, {}, estimate, make_filter, reading, viewer)
                trial.follow(question, route, plan)
                if self._extensions is not None:
                    await self._extensions.prepare(plan.every)
                await trial.translate(question, plan)
        return trial.told

    def _failure(self, error: Exception, request: MessagesRequest) -> str:
        """How an attempt failed, for the log: without keys, and without what is quoted of the conversation.

        The words are cut, and those about a large conversation left out: looking for quotations holds up everybody.
        """
        words = redact(str(error), self.config.secrets)
        words = words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]}…"
        if not isinstance(error, (UpstreamStatus, RemoteProtocolError)):  # all of it is ours
            return words
        members = request.members
        content = [members[name] for name in _CONVERSATION if name in members]
        if sum(map(len, content)) <= _SEARCHED:
            return without_content(words, map(bytes, content))
        what = f"status {error.status}, {error.type}" if isinstance(error, UpstreamStatus) else "a broken answer"
        return f"{what}; the provider's words on this large request are not kept"

    async def count_tokens(self, body: bytes, headers: Mapping[str, str], exchange: Exchange) -> int:
        """The input tokens of a request, routed and judged as one that is sent: counted by Anthropic's own API where it
        would go there, else, and if that cannot count, estimated here.
        """
        async with self._custom_code():
            request, facts, _ = self._read(body, headers, exchange)
            estimate = Estimate(request, self._memo)
            with self._noting_denials(exchange):
                _, plan = await self._route(request, headers, facts, estimate, exchange)
        with self._noting_denials(exchange):
            # Claude Code counts before every turn: without a policy that is worth no line.
            self._approval.approve(plan.every, exchange, is_recorded=self._approval.policy.is_in_force)
            target = self._with_key(plan.targets[0], facts.session_id or exchange.id)
            counted = await self._means.attempter.count_tokens(request, headers, self._approval.sendable(target))
        return estimate() if counted is None else counted

    def models(self) -> list[str]:
        """The ids that a client may ask for, as `Catalog.models`: those that the policy lets be served."""
        names = self.catalog.models(self.config.router)
        if not self._approval.policy.is_in_force:
            return names
        return [name for name in names if self._is_served(name)]

    def permit(self, target: Target, exchange: Exchange) -> Target:
        """`target` as it may be asked outside of every request, with the key whose turn it is: judged, and written down
        like a request's. Raises as that.
        """
        with self._noting_denials(exchange):
            self._approval.approve((target,), exchange)
        return self._approval.sendable(self._with_key(target, exchange.id))

    def denial_of(self, target: Target) -> str:
        """Why the policy does not allow `target`; "" if it does."""
        try:
            self._approval.judge(target)
        except Denied as denied:
            return str(denied)
        return ""

    def check_model(self, name: str, request_id: str) -> None:
        """Raises NoTarget if nothing would serve a request for this model, Denied if what would is not allowed to, and
        if the name stands for nothing here and the policy does not allow a model of that name.
        """
        exchange = Exchange(id=request_id, path="/v1/models", began=self._clock(), asked=name)
        with self._noting_denials(exchange):
            self._judge_name(name, exchange)
            self._judge_meaning(name)

    def _is_served(self, name: str) -> bool:
        """True if what the name stands for is allowed, and so is what would serve a request for it."""
        try:
            self._judge_meaning(name)
            self._judge_name(name, Exchange(id="", path="", began=0.0))
        except (Denied, NoTarget):
            return False
        return True

    def _judge_meaning(self, name: str) -> None:
        """Raises Denied if what the name stands for is not allowed, whatever would serve a request for it."""
        meant = self.catalog.resolve(name, self.config.router.default_provider)
        if meant is not None:
            self._approval.judge(meant)
        elif alias_of(name, self.config.router) is None:
            self._approval.judge_unlisted(name)

    def _judge_name(self, name: str, exchange: Exchange) -> None:
        _, plan = self._decide(RequestFacts(asked=name), lambda: 0, exchange)
        for target in plan.every:
            exchange.target = str(target)
            self._approval.judge(target)

    @contextlib.contextmanager
    def _noting_denials(self, exchange: Exchange) -> Iterator[None]:
        """Tell the auditor of a denial, by whomever: the router's own strictness, the policy, the last step."""
        try:
            yield
        except Denied as denied:
            self._approval.note_denial(denied, exchange)
            raise

    def _read(
        self, body: bytes, headers: Mapping[str, str], exchange: Exchange, reading: Reading | None = None
    ) -> tuple[MessagesRequest, RequestFacts, Callable[[], claudable.ClaudableFilter] | None]:
        request = MessagesRequest.read(body) if reading is None else reading.request
        if not request.members:
            raise ClientError("Missing model in request body: an object with `model` and `messages` is needed")
        request.validate()
        make_filter = None
        if reading is None and claudable.is_claudable(request, headers, self.config.claudable):
            request = prepared = claudable.prepare(request)
            exchange.client = "claudable"
            make_filter = lambda: claudable.ClaudableFilter(prepared)  # noqa: E731 - one line, used once
        request, tag = strip_subagent_tags(request)
        if self._extensions is not None:
            request = self._extensions.rewrite(request)
        facts = read_facts(request, headers, tag)
        exchange.asked = request.model[:_LONGEST_NAME]
        exchange.streamed, exchange.size = request.stream, len(body)
        exchange.note_facts(facts)
        return request, facts, make_filter

    def _custom_code(self) -> contextlib.AbstractAsyncContextManager[None]:
        """For the time of a request: the user's own code, as it is on disk now."""
        return contextlib.nullcontext() if self._extensions is None else self._extensions.in_use()

    async def _route(
        self,
        request: MessagesRequest,
        headers: Mapping[str, str],
        facts: RequestFacts,
        estimate: Estimate,
        exchange: Exchange,
    ) -> tuple[Route, Plan]:
        """What the custom router chooses, else the rules."""
        if self._custom is None:
            return self._decide(facts, estimate, exchange)
        context = RouteContext(
            request_id=exchange.id,
            path=exchange.path,
            facts=facts,
            headers=shown_headers(headers),
            count=estimate,
            find_project=lambda: self._projects.project_of(facts.session_id) if self._projects else None,
            loop=asyncio.get_running_loop(),
        )
        route = await self._custom.choose(request, context)
        if route is None:
            return self._decide(facts, estimate, exchange)
        return self._planned(route, self._router(facts, exchange), exchange)

    def _decide(self, facts: RequestFacts, estimate: Callable[[], int], exchange: Exchange) -> tuple[Route, Plan]:
        router = self._router(facts, exchange)
        try:
            route = choose(facts, router, self.catalog, estimate, self._sessions.previous(facts.thread))
        except NoTarget:
            self._approval.judge_name(facts.subagent_model)
            self._approval.judge_name(facts.asked)
            raise
        return self._planned(route, router, exchange)

    def _planned(self, route: Route, router: Router, exchange: Exchange) -> tuple[Route, Plan]:
        exchange.route, exchange.reason = route.name, route.reason
        exchange.fidelity = router.fidelity_of(route.name)
        return route, make_plan(route, router, self.catalog)

    def _viewer(self, facts: RequestFacts, exchange: Exchange) -> Viewer | None:
        """Who looks at the images of this conversation for a model that cannot; None without images or a route."""
        router = self._router(facts, exchange)
        ref = router.routes.get("image")
        if ref is None or not facts.has_any_image():
            return None
        target = self.catalog.target(ref)
        if target is None:
            return None
        return Viewer(target, is_forced=router.force_image_agent, affinity=facts.session_id or exchange.id)

    def _with_key(self, target: Target, affinity: str) -> Target:
        """The target, asked with the key of its pool that comes next."""
        choice = self._health.choose(target, affinity)
        return target if choice is None else Target(target.provider.using(choice.key), target.model)

    def _tokens_at_start(self, facts: RequestFacts, estimate: Estimate) -> int:
        if self._sessions.previous(facts.thread):
            return self._sessions.corrected(facts.thread, estimate())
        return estimate.at_start()

    def _router(self, facts: RequestFacts, exchange: Exchange) -> Router:
        """The session's or project's own router where there is one. Raises RouterError for one that cannot be used."""
        if self._projects is None or not facts.session_id:
            return self.config.router
        try:
            return self._projects.router_for(facts.session_id) or self.config.router
        except UnusableRouter as error:
            self._approval.refuse_router(error, exchange)
