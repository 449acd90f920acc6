"""One request's way to an answer: which target is asked next, with which key, and when it is time to give up.

What a failure means is `routing.failures`'s to say, what to do about it `routing.recovery`'s, who is well
`routing.health`'s; here they meet the attempts. Every attempt is made anew from the original request. Once content has
gone out nothing is tried again: the failure is the stream's end, unless `resume` goes on with what was said.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ccrouter.config.schema import PoolKey, Retries, Target
from ccrouter.errors import Denied, UnsupportedContent, UpstreamError, UpstreamStatus
from ccrouter.gateway.answer import EmptyAnswer
from ccrouter.gateway.approval import Approval
from ccrouter.gateway.attempt import Attempter
from ccrouter.gateway.question import Question
from ccrouter.gateway.record import Attempt, Exchange
from ccrouter.gateway.reply import Reply
from ccrouter.gateway.resume import Resumption
from ccrouter.messages.events import Billed, WireUsage
from ccrouter.routing.failures import Failure, failure_of
from ccrouter.routing.health import Health
from ccrouter.routing.plan import Plan
from ccrouter.routing.recovery import Chances, is_passing, next_step, pause

#: What an exchange says of who answered, and how.
_OF_ANSWER = (
    *("target", "provider", "sent", "answered", "stop_reason", "upstream_id", "usage", "billed", "ttft"),
    *("losses", "kept", "mapped", "transforms", "prompt"),
)


@dataclass(frozen=True, slots=True)
class Means:
    """What every pursuit works with. `words` puts a failure for the log; `wait` and `scatter` are time and chance.
    `resumes` if answers that were cut off are gone on with.
    """

    attempter: Attempter
    approval: Approval
    health: Health
    retries: Retries
    clock: Callable[[], float]
    words: Callable[[Exception, Question], str]
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    scatter: Callable[[], float] = random.random
    resumes: bool = False


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
        self._empty: dict[str, Any] = {}  # if that is an empty answer: what the exchange says of it
        self._due: dict[tuple[str, str], float] = {}  # when who named a time may be asked, by target and key
        self._waited = 0.0
        self._resumption = Resumption(question) if means.resumes and question.request.stream else None

    async def run(self) -> None:
        """Send the first answer that comes. Raises, if none does, what the target that the route chose failed with
        last, and Denied at once: where one target may not be asked, no other takes its place.
        """
        target = self._take()
        while True:
            key = await self._key_for(target)
            if key is None:
                await self._give_up()
                return
            failed = await self._attempt(target, key)
            if failed is None:
                return
            failure = failure_of(failed)
            if self._reply.is_committed:
                self._resume(target, failed, failure)
            following = await self._next_after(target, key, failure)
            if following is None:
                await self._give_up()
                return
            target = following

    async def _attempt(self, target: Target, key: PoolKey) -> UpstreamError | UnsupportedContent | None:
        """None if the answer is sent, else why it is not, or not to its end. Raises whatever is no failure."""
        means, exchange, resumption = self._means, self._exchange, self._resumption
        attempt = Attempt(str(target), means.clock() - exchange.began, key=key.label, waited=self._waited)
        self._waited = 0.0
        exchange.attempts.append(attempt)
        exchange.target = str(target)
        usage, billed = exchange.usage, exchange.billed
        if not self._reply.is_committed:  # what was said by one that failed is not this one's answer
            exchange.answered = exchange.stop_reason = exchange.upstream_id = ""
            exchange.ttft = None
        exchange.told["x-ccr-model"] = str(target)
        exchange.told["x-ccr-attempts"] = str(len(exchange.attempts))
        asked = means.approval.sendable(Target(target.provider.using(key), target.model))
        question = self._question if resumption is None else resumption.ask(asked)
        is_over = False
        means.health.begin(target, key)
        try:
            await means.attempter.attempt(question, asked, self._reply, exchange)
        except Denied as denied:
            attempt.failure, exchange.error = means.words(denied, self._question), ""
            raise
        except (UpstreamError, UnsupportedContent) as error:
            failure = failure_of(error)
            is_over = True
            means.health.end(target, key, failure)
            self._note(attempt, error, failure, target)
            return error
        except BaseException:  # a defect, or an end from outside: what failed before is not the reason
            exchange.error = ""
            raise
        else:
            is_over = True
            spent = _tokens(exchange.usage) - (0 if resumption is None else _tokens(resumption.before))
            means.health.end(target, key, None, spent)
            exchange.error, exchange.key = "", key.label
            if resumption is not None:
                resumption.note_end()
                exchange.resumed = resumption.joined
            return None
        finally:
            attempt.ended = means.clock() - exchange.began
            if exchange.ttft is not None and exchange.ttft >= attempt.began:
                attempt.first = exchange.ttft
            self._note_use(attempt, usage, billed, is_rest=resumption is not None and question.seam is not None)
            if not is_over:
                means.health.give_back(target, key)

    def _note_use(self, attempt: Attempt, usage: WireUsage, billed: Billed, *, is_rest: bool) -> None:
        """What the provider told of the attempt's use, if it told anything; `usage` and `billed` are those before it.
        The rest of an answer is told of with what came before.
        """
        now = self._exchange
        if attempt.usage is None and now.usage is not usage:
            attempt.usage = _less(now.usage, usage) if is_rest else now.usage
        if attempt.usage is not None and not _tokens(attempt.usage):
            attempt.usage = None
        if attempt.billed is None and now.billed is not billed:
            attempt.billed = now.billed.less(billed) if is_rest else now.billed

    def _note(
        self, attempt: Attempt, error: UpstreamError | UnsupportedContent, failure: Failure, target: Target
    ) -> None:
        """What is told, if nothing else comes, is the last word of the target that the route chose."""
        attempt.failure = self._means.words(error, self._question)
        attempt.kind, attempt.status = failure.kind, failure.status
        who = str(target), attempt.key
        self._due.pop(who, None)
        if failure.retry_after is not None:
            self._due[who] = self._means.clock() + failure.retry_after
        if self._told is None or target == self._plan.targets[0] or self._reply.is_committed:
            self._told, self._exchange.error = error, attempt.failure
            if isinstance(error, EmptyAnswer):
                self._empty = {name: getattr(self._exchange, name) for name in _OF_ANSWER} | {"key": attempt.key}

    def _resume(self, target: Target, error: UpstreamError | UnsupportedContent, failure: Failure) -> None:
        """After the call those who are left are asked for the rest of the message. Raises `error` if it has to end."""
        resumption = self._resumption
        if resumption is None:
            raise error
        may = resumption.goes_on(error, failure, self._exchange.usage)
        self._exchange.resumed = resumption.joined
        if not may:
            raise error
        if resumption.is_new:
            first = [target] if resumption.asks_same(failure) else []
            others = [one for one in self._left if one != target]
            self._left = [one for one in (*first, *others) if resumption.accepts(one)]
            self._again = {name: one for name, one in self._again.items() if resumption.accepts(one[0])}
            self._longer = None  # what has begun to be answered was not too long
        self._told = cut = resumption.error  # what came of asking for the rest is not what the client has to hear
        assert cut is not None, "without one nothing is gone on with"
        self._exchange.error = self._means.words(cut, self._question)

    # -- whom to ask next --------------------------------------------------------------------------------------------

    def _take(self) -> Target:
        """The next target of this round: the first that is well, else the first that may be asked now, else the one
        that may be asked first. Its keys are all to be tried.
        """
        self._spent_keys = set()
        if len(self._left) == 1:
            return self._left.pop()
        return self._left.pop(min(range(len(self._left)), key=lambda n: self._rank(self._left[n])))

    def _rank(self, target: Target) -> tuple[float, bool]:
        return rank(self._means.health, target, self._affinity)

    def _wait_for(self, target: Target) -> float:
        return seconds_until(self._means.health, target, self._affinity)

    async def _next_after(self, target: Target, key: PoolKey, failure: Failure) -> Target | None:
        """Whom to ask after a failure, once its time has come; None: nobody."""
        self._spent_keys.add(key.id)
        if is_passing(failure) and self._may_ask(target) and not self._means.health.is_open(target):
            asked_for = failure.retry_after or 0.0
            _, soonest = self._again.get(str(target), (target, asked_for))  # of its keys, the first that is free
            self._again[str(target)] = (target, min(soonest, asked_for))
        if self._left:  # who could not be asked in time is no chance, and must not end the rounds of the others
            self._left = [one for one in self._left if self._wait_for(one) <= self._patience]
        seconds = self._pause()
        has_room = len(self._exchange.attempts) < self._means.retries.attempts
        chances = Chances(
            has_key=has_room and self._may_ask(target) and self._has_free_key(target),
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

    def _may_ask(self, target: Target) -> bool:
        """True unless a message has begun that `target` could not go on with."""
        return self._resumption is None or not self._reply.is_committed or self._resumption.accepts(target)

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

    async def _key_for(self, target: Target) -> PoolKey | None:
        """The key to ask with, once it is free: it is waited for as long as this request may wait at all. None if that
        is too short, and asking earlier would be useless.

        Raises UpstreamStatus (429) then if nobody was asked at all.
        """
        health = self._means.health
        while True:  # another request may have been quicker
            choice = health.choose(target, self._affinity, self._spent_keys) or health.choose(target, self._affinity)
            assert choice is not None, "every provider has a key, be it an empty one"
            seconds = choice.free_at - health.now
            if seconds <= 0 or not choice.is_told:
                return choice.key
            if seconds > self._patience:
                if self._told is None:
                    raise _resting(target, seconds)
                return None
            await self._rest(seconds)

    async def _rest(self, seconds: float) -> None:
        self._patience -= seconds
        self._waited += seconds
        await self._means.wait(seconds)

    async def _give_up(self) -> None:
        told = self._told
        assert told is not None, "nothing is given up without a failure"
        if isinstance(told, EmptyAnswer):  # nobody had more to say: then that is the answer
            for name, value in self._empty.items():
                setattr(self._exchange, name, value)
            self._exchange.told["x-ccr-model"] = self._exchange.target
            self._exchange.tell_losses()
            await told.deliver(self._reply)
            self._exchange.error = ""
            return
        if isinstance(told, UpstreamStatus) and told.retry_after is not None and self._due:
            told.retry_after = max(0.0, min(self._due.values()) - self._means.clock())  # the first who named a time
        raise told from None


def rank(health: Health, target: Target, affinity: str) -> tuple[float, bool]:
    """The less, the sooner it is asked: first by the seconds that would have to be waited."""
    seconds = seconds_until(health, target, affinity)
    if seconds:
        return seconds, True
    choice = health.choose(target, affinity)
    return 0.0, health.is_open(target) or (choice is not None and choice.free_at > health.now)


def seconds_until(health: Health, target: Target, affinity: str) -> float:
    """Seconds until `target` may be asked: asking earlier is known to be useless."""
    choice = health.choose(target, affinity)
    return max(0.0, choice.free_at - health.now) if choice is not None and choice.is_told else 0.0


def _less(usage: WireUsage, before: WireUsage) -> WireUsage:
    return WireUsage(**{name: getattr(usage, name) - getattr(before, name) for name in WireUsage.__struct_fields__})


def _tokens(usage: WireUsage) -> int:
    return usage.context + usage.output_tokens


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
