"""An attempt at a model that cannot see: its answers read round by round, images looked at by another in between.

Costs nothing where no route `image` is configured, or no image is in the conversation, or the model can see.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

import msgspec

from ccrouter.config.schema import PoolKey, Target
from ccrouter.errors import RemoteProtocolError, RouterError, UnsupportedContent, UpstreamError
from ccrouter.gateway.answer import BegunAnswer
from ccrouter.gateway.image_agent import MOST_LOOKS, ImageAgent, Look, Splice
from ccrouter.gateway.question import Question
from ccrouter.gateway.record import IMAGE, Attempt, Exchange
from ccrouter.gateway.reply import Reply
from ccrouter.gateway.stream import Held
from ccrouter.gateway.viewer import Viewer
from ccrouter.messages.events import MessageEvent, WireUsage, is_content, render
from ccrouter.messages.fold import Fold
from ccrouter.routing.failures import Failure, failure_of
from ccrouter.routing.health import Health
from ccrouter.routing.recovery import is_of_key
from ccrouter.secret import redact

#: Asks a target and gives its answer once it has begun with a good status. Raises UpstreamError.
Open = Callable[[Question, Target, Exchange], Awaitable[BegunAnswer]]


class _Sink:
    """The client's end: events rendered as they come, or folded for a client that waits for the whole."""

    def __init__(self, question: Question, reply: Reply) -> None:
        self._question = question
        self._reply = reply
        self._writer = None if question.reading is None else question.reading.writer(asked=question.asked)
        self._filter = question.make_filter() if question.make_filter and question.request.stream else None
        self._fold = Fold()
        self._held = Held()
        self.has_content = False

    async def write(self, events: list[MessageEvent]) -> None:
        if not self._question.request.stream:
            for event in events:
                self._fold.feed(event)
            return
        self.has_content = self.has_content or any(map(is_content, events))
        if self._filter is not None:
            events = self._filter(events)
        frames = b"".join(map(render, events)) if self._writer is None else self._writer.frames(events)
        if not self.has_content:
            self._held.add(frames)
        elif frames := self._held.take(frames):
            if self._writer is not None:
                self._reply.fault_frames = self._writer.fault
            await self._reply.write(frames)

    async def end(self) -> None:
        if self._question.request.stream:
            if frames := self._held.take(b""):
                await self._reply.write(frames)
            await self._reply.end()
            return
        message = self._fold.close()
        body = msgspec.json.encode(message) if self._writer is None else self._writer.whole(message)
        await self._reply.whole(200, self._question.told, body)


class SightedAttempt:
    """One attempt with an image agent, over as many rounds as the model looks at images."""

    def __init__(self, open_answer: Open, clock: Callable[[], float], viewer: Viewer, health: Health) -> None:
        self._open = open_answer
        self._clock = clock
        self._viewer = viewer.target
        self._affinity = viewer.affinity
        self._health = health
        self._looked = 0

    async def attempt(
        self, question: Question, agent: ImageAgent, target: Target, reply: Reply, exchange: Exchange
    ) -> None:
        """Ask `target` and send its answer. Raises UpstreamError; check `reply.is_committed` before trying another."""
        splice, sink = Splice(), _Sink(question, reply)
        own = exchange.attempts[-1]
        while True:
            asked = dataclasses.replace(
                question, request=agent.request, make_filter=None, losses=agent.losses, own_tools=1
            )
            await self._round(asked, target, splice, sink, exchange, own)
            if exchange.ttft is None or exchange.ttft < own.began:
                exchange.ttft = self._clock() - exchange.began
            exchange.usage = msgspec.structs.replace(exchange.usage, output_tokens=splice.output)
            if not splice.looks:
                break
            if agent.is_last_round and splice.goes_on:
                raise RemoteProtocolError(f"{target}: looks at images again and again, and does not answer")
            results = {id: await self._look(agent, look, question, exchange) for id, look in splice.looks.items()}  # noqa: A001 - the protocol's own word
            if not splice.goes_on:
                await sink.write(splice.answers(results))
                break
            agent.go_on(splice.said, results)
            splice.begin_round()
        exchange.stop_reason = splice.stop_reason
        await sink.end()

    async def _round(  # noqa: PLR0913, PLR0917 - what a round is made of, and where it is written down
        self,
        question: Question,
        target: Target,
        splice: Splice,
        sink: _Sink,
        exchange: Exchange,
        own: Attempt,
    ) -> None:
        """One answer of the model. `own` has the use of all rounds; the exchange, what the last one's prompt took."""
        answer, usage = await self._open(question, target, exchange), exchange.usage
        try:
            async for events in answer.events(exchange):
                await sink.write(splice.feed(events))
                if sink.has_content and (exchange.ttft is None or exchange.ttft < own.began):
                    exchange.ttft = self._clock() - exchange.began
        finally:
            answer.response.close()
            if exchange.usage is not usage:
                own.usage = exchange.usage if own.usage is None else _sum(own.usage, exchange.usage)
                own.billed = exchange.billed if own.billed is None else own.billed.plus(exchange.billed)
                exchange.billed = own.billed
        if not splice.is_complete:
            raise RemoteProtocolError(f"{target.provider.name}: the answer ended before it was finished", kind="cut")

    async def _look(self, agent: ImageAgent, look: Look, question: Question, exchange: Exchange) -> tuple[str, bool]:
        """What the viewer says, and whether it is an error: the model is told of one, and answers without."""
        asked = agent.question(look)
        if isinstance(asked, str):
            return asked, True
        self._looked += 1
        if self._looked > MOST_LOOKS:
            return f"There were {MOST_LOOKS} looks at images already: answer by what is known.", True
        viewing = Question(
            request=asked, headers=question.headers, asked=self._viewer.model, told={}, estimate=lambda: 0
        )
        said, spent = "", set[str]()
        while choice := self._health.choose(self._viewer, self._affinity, spent):
            if choice.is_told and choice.free_at > self._health.now:
                said = said or f"{self._viewer.provider.name} is at its limit"
                break
            spent.add(choice.key.id)
            said, failure = await self._view(viewing, choice.key, exchange)
            if failure is None:
                return said or "Nothing was said about it.", False
            if not is_of_key(failure):
                break
        return f"The image could not be looked at: {said}", True

    async def _view(self, viewing: Question, key: PoolKey, exchange: Exchange) -> tuple[str, Failure | None]:
        """What the viewer, asked with `key`, says of the image; or words about why it says nothing."""
        attempt = Attempt(f"{self._viewer}{IMAGE}", self._clock() - exchange.began, key=key.label)
        exchange.attempts.append(attempt)
        looking = Exchange(exchange.id, exchange.path, exchange.began, attempts=[attempt])
        asked = Target(self._viewer.provider.using(key), self._viewer.model)
        is_over = False
        self._health.begin(self._viewer, key)
        try:
            said = await self._text(viewing, asked, looking)
        except (UpstreamError, UnsupportedContent) as error:
            failure = failure_of(error)
            attempt.failure, attempt.kind, attempt.status = self._words(error), failure.kind, failure.status
            is_over = True
            self._health.end(self._viewer, key, failure)
            return attempt.failure, failure
        else:
            is_over = True
            self._health.end(self._viewer, key, None, looking.usage.context + looking.usage.output_tokens)
            return said, None
        finally:
            attempt.ended = self._clock() - exchange.began
            attempt.billed = looking.billed
            attempt.usage = looking.usage if looking.usage.context + looking.usage.output_tokens else None
            if not is_over:
                self._health.give_back(self._viewer, key)

    async def _text(self, viewing: Question, asked: Target, looking: Exchange) -> str:
        """The text of its answer. Raises UpstreamError."""
        answer, fold = await self._open(viewing, asked, looking), Fold()
        try:
            async for events in answer.events(looking):
                for event in events:
                    fold.feed(event)
        finally:
            answer.response.close()
        return "\n".join(str(block.get("text", "")) for block in fold.close().content if block["type"] == "text")

    def _words(self, error: RouterError) -> str:
        """Why it failed, without the viewer's keys: it is told to the model that answers, at another provider."""
        return redact(str(error), [key.secret for key in self._viewer.provider.pool if key.secret])[:400]


def _sum(one: WireUsage, other: WireUsage) -> WireUsage:
    return WireUsage(**{name: getattr(one, name) + getattr(other, name) for name in WireUsage.__struct_fields__})
