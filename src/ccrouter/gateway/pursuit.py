"""One request's way to an answer: which target is asked next, with which key, and when it is time to give up.

What a failure means is `routing.failures`'s to say, what to do about it `routing.recovery`'s, who is well
`routing.health`'s; here they meet the attempts. Every attempt is made anew from the original request. Once content has
gone out nothing is tried again: the failure is the stream's end.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ccrouter.config.schema import PoolKey, Retries, Target
from ccrouter.errors import Denied, UnsupportedContent, UpstreamError, UpstreamStatus
from ccrouter.gateway.answer import EmptyAnswer
from ccrouter.gateway.approval import Approval
from ccrouter.gateway.attempt import Attempter
from ccrouter.gateway.question import Question
from ccrouter.gateway.record import Attempt, Exchange
from ccrouter.gateway.reply import Reply
from ccrouter.routing.failures import Failure, failure_of
from ccrouter.routing.health import Health
from ccrouter.routing.plan import Plan
from ccrouter.routing.recovery import Chances, is_passing, next_step, pause


@dataclass(frozen=True, slots=True)
class Means:
    """What every pursuit works with. `words` puts a failure for the log; `wait` and `scatter` are time and chance."""

    attempter: Attempter
    approval: Approval
    health: Health
    retries: Retries
    clock: Callable[[], float]
    words: Callable[[Exception, Question], str]
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    scatter: Callable[[], float] = random.random


class Pursuit:
    """Asks the targets of `plan` until one answers. `affinity` names the session, for which the same key is taken."""

    def __init__(  # noqa: PLR0913, PLR0917 - the request, its plan, and whom to tell
        self, means: Means, question: Question, plan: Plan, reply: Reply, exchange: Exchange, affinity: str
    ) -> None:
        self._means = means
        self._question = question
        self._plan = plan
        self._reply = reply
        self._exchange = exchange
        self._affinity = affinity
        self._left = list(plan.targets)
        self._longer = plan.longer
        self._again: dict[str, tuple[Target, float]] = {}  # and when each may be asked, in seconds
        self._spent_keys: set[str] = set()  # of the target that is asked now
        self._rounds = 1
        self._patience = means.retries.wait
        self._told: UpstreamError | UnsupportedContent | None = None
        self._waited = 0.0

    async def run(self) -> None:
        """Send the first answer that comes. Raises, if none does, what the target that the route chose failed with
        last, and Denied at once: where one target may not be asked, no other takes its place.
        """
        target = self._take()
        while True:
            key = await self._key_for(target)
            failed = await self._attempt(target, key)
            if failed is None:
                return
            following = await self._next_after(target, key, failure_of(failed))
            if following is None:
                await self._give_up()
                return
            target = following

    async def _attempt(self, target: Target, key: PoolKey) -> UpstreamError | UnsupportedContent | None:
        """None if the answer is sent. Raises whatever is no failure of an attempt, or comes too late to be one."""
        means, exchange = self._means, self._exchange
        attempt = Attempt(str(target), means.clock() - exchange.began, key=key.label, waited=self._waited)
        self._waited = 0.0
        exchange.attempts.append(attempt)
        exchange.target = str(target)
        exchange.told["x-ccr-model"] = str(target)
        exchange.told["x-ccr-attempts"] = str(len(exchange.attempts))
        means.health.begin(target, key)
        asked = Target(target.provider.using(key), target.model)
        is_over = False
        try:
            await means.attempter.attempt(self._question, means.approval.sendable(asked), self._reply, exchange)
        except Denied as denied:
            attempt.failure, exchange.error = means.words(denied, self._question), ""
            raise
        except (UpstreamError, UnsupportedContent) as error:
            failure = failure_of(error)
            is_over = True
            means.health.end(target, key, failure)
            self._note(attempt, error, failure, target)
            if self._reply.is_committed:
                raise
            return error
        except BaseException:  # a defect, or an end from outside: what failed before is not the reason
            exchange.error = ""
            raise
        else:
            is_over = True
            usage = exchange.usage
            means.health.end(target, key, None, usage.context + usage.output_tokens)
            exchange.error = ""
            return None
        finally:
            attempt.ended = means.clock() - exchange.began
            if not is_over:
                means.health.give_back(target, key)

    def _note(
        self, attempt: Attempt, error: UpstreamError | UnsupportedContent, failure: Failure, target: Target
    ) -> None:
        """What is told, if nothing else comes, is the last word of the target that the route chose."""
        attempt.failure = self._means.words(error, self._question)
        attempt.kind, attempt.status = failure.kind, failure.status
        if self._told is None or target == self._plan.targets[0] or self._reply.is_committed:
            self._told, self._exchange.error = error, attempt.failure

    # -- whom to ask next --------------------------------------------------------------------------------------------

    def _take(self) -> Target:
        """The next target of this round: the first that is well, else the first. Its keys are all to be tried."""
        self._spent_keys = set()
        if len(self._left) == 1:
            return self._left.pop()
        well = next((n for n, target in enumerate(self._left) if self._is_well(target)), 0)
        return self._left.pop(well)

    def _is_well(self, target: Target) -> bool:
        health = self._means.health
        choice = health.choose(target, self._affinity)
        return not health.is_open(target) and (choice is None or choice.free_at <= health.now)

    async def _next_after(self, target: Target, key: PoolKey, failure: Failure) -> Target | None:
        """Whom to ask after a failure, once its time has come; None: nobody."""
        self._spent_keys.add(key.id)
        if is_passing(failure):
            asked_for = failure.retry_after or 0.0
            _, soonest = self._again.get(str(target), (target, asked_for))  # of its keys, the first that is free
            self._again[str(target)] = (target, min(soonest, asked_for))
        seconds = self._pause()
        has_room = len(self._exchange.attempts) < self._means.retries.attempts
        chances = Chances(
            has_key=has_room and self._has_free_key(target),
            has_target=has_room and bool(self._left),
            has_longer=has_room and self._longer is not None and self._longer != target,
            may_repeat=has_room
            and bool(self._again)
            and self._rounds <= self._means.retries.again
            and seconds <= self._patience,
        )
        match next_step(failure, chances):
            case "next_key":
                return target
            case "longer_context":
                longer, self._longer = self._longer, None
                self._spent_keys = set()
                self._left = [one for one in self._left if one != longer]
                return longer
            case "next_target":
                return self._take()
            case "again":
                await self._rest(seconds)
                self._left = [one for one, _ in self._again.values()]
                self._again = {}
                self._rounds += 1
                return self._take()
            case _:
                return None

    def _pause(self) -> float:
        """Seconds until the next round could begin: when the first of those that may be asked again asks for it."""
        soonest = min((seconds for _, seconds in self._again.values()), default=0.0)
        return pause(self._rounds, soonest, self._means.scatter())

    def _has_free_key(self, target: Target) -> bool:
        health = self._means.health
        choice = health.choose(target, self._affinity, self._spent_keys)
        if choice is None or choice.free_at > health.now:
            return False
        state = health.key_state(target.provider.name, choice.key.id)
        return state is None or not state.disabled

    async def _key_for(self, target: Target) -> PoolKey:
        """The key to ask with, once it is free: it is waited for as long as this request may wait at all.

        Raises UpstreamStatus (429) if that is too short, and asking earlier would be useless.
        """
        health = self._means.health
        choice = health.choose(target, self._affinity, self._spent_keys) or health.choose(target, self._affinity)
        assert choice is not None, "every provider has a key, be it an empty one"
        seconds = choice.free_at - health.now
        if seconds > 0 and choice.is_told:
            if seconds > self._patience:
                raise self._told or _resting(target, seconds)
            await self._rest(seconds)
        return choice.key

    async def _rest(self, seconds: float) -> None:
        self._patience -= seconds
        self._waited += seconds
        await self._means.wait(seconds)

    async def _give_up(self) -> None:
        told = self._told
        assert told is not None, "nothing is given up without a failure"
        if isinstance(told, EmptyAnswer):  # nobody had more to say: then that is the answer
            await told.deliver(self._reply)
            self._exchange.error = ""
            return
        raise told from None


def _resting(target: Target, seconds: float) -> UpstreamStatus:
    """Nobody is asked: the provider has said when it will answer again, or the user how much it may be asked."""
    name, several = target.provider.name, len(target.provider.pool) > 1
    who = f"every key of {name}" if several else f"{name}"
    return UpstreamStatus(
        f"{who} rests for {target.model}, by its rate limit or the limits of the configuration; "
        f"it is asked again in {max(1, round(seconds))} s",
        status=429,
        type="rate_limit_error",
        retry_after=seconds,
        provider=name,
    )
