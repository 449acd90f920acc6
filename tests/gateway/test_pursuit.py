"""The loop over targets, keys, rounds and pauses, with scripted attempts: whom it asks, in which order, and when it ends.

Here nothing is sent: an attempt is a function that the test gives. What a real answer makes of it is in test_fallback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ccrouter.compliance.policy import NO_POLICY
from ccrouter.config.schema import Endpoint, PoolKey, Provider, Retries, Target
from ccrouter.errors import Denied, RemoteProtocolError, UnsupportedContent, UpstreamStatus, UpstreamUnreachable
from ccrouter.gateway.answer import EmptyAnswer
from ccrouter.gateway.approval import Approval
from ccrouter.gateway.pursuit import Means, Pursuit
from ccrouter.gateway.record import Exchange
from ccrouter.routing.failures import Failure, failure_of
from ccrouter.routing.health import Health
from ccrouter.routing.plan import Plan
from ccrouter.secret import Secret


def target(name: str, *keys: PoolKey) -> Target:
    made = Provider(name, (Endpoint("anthropic", f"http://{name}.test/v1/messages"),), keys=keys)
    return Target(made.using(keys[0]) if keys else made, "m")


def keys(count: int, **limits: int) -> tuple[PoolKey, ...]:
    return tuple(
        PoolKey(Secret(f"sk-{n}-of-several-0123456789"), f"${{K{n}}}", f"k{n}", **limits) for n in range(count)
    )


def status(code: int, retry_after: float | None = None) -> UpstreamStatus:
    return UpstreamStatus(f"status {code}", status=code, type="api_error", retry_after=retry_after)


@dataclass
class Reply:
    is_committed: bool = False
    has_begun: bool = False


@dataclass
class Scene:
    """A pursuit whose attempts are scripted: an error to raise, or None for an answer. `asked` are target and key."""

    script: list[object]
    asked: list[tuple[str, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    now: float = 1000.0
    reply: Reply = field(default_factory=Reply)
    exchange: Exchange = field(default_factory=lambda: Exchange("req_1", "/v1/messages", 1000.0))
    on_wait: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.health = Health(lambda: self.now)

    async def attempt(self, _question: object, asked: Target, reply: Reply, _exchange: Exchange) -> None:
        self.asked.append((asked.provider.name, str(asked.provider.key_source)))
        outcome = self.script.pop(0)
        if callable(outcome):
            outcome = outcome(reply)
        if isinstance(outcome, BaseException):
            raise outcome

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        if self.on_wait is not None:
            self.on_wait()

    async def run(self, *targets: Target, longer: Target | None = None, **retries: float) -> None:
        means = Means(
            attempter=self,
            approval=Approval(NO_POLICY, None),
            health=self.health,
            retries=Retries(**retries),
            clock=lambda: self.now,
            words=lambda error, _question: str(error),
            wait=self.wait,
            scatter=lambda: 0.5,  # the middle: no scattering
        )
        await Pursuit(means, None, Plan(targets, longer), self.reply, self.exchange, "session").run()

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


A, B, C = target("a"), target("b"), target("c")


async def test_another_target_is_asked_at_once():
    """Where another target is left nobody waits, whatever went wrong; the answer ends it."""
    scene = Scene([status(503), UpstreamUnreachable("no", kind="connect"), None])
    await scene.run(A, B, C)
    assert (scene.names, scene.waits) == (["a", "b", "c"], [])
    assert [attempt.kind for attempt in scene.exchange.attempts] == ["overloaded", "connect", ""]
    assert scene.exchange.error == ""


async def test_a_lone_target_is_asked_again_after_a_pause():
    """What may pass is tried twice more, a second and two later; then its own last words are told."""
    scene = Scene([status(503), status(500), status(529)])
    with pytest.raises(UpstreamStatus, match="529"):
        await scene.run(A)
    assert (scene.names, scene.waits) == (["a", "a", "a"], [1.0, 2.0])
    assert [attempt.waited for attempt in scene.exchange.attempts] == [0.0, 1.0, 2.0]


async def test_the_second_round_goes_over_those_that_may_have_recovered():
    """Of a round that failed only those are asked again whose failure may pass by itself."""
    scene = Scene([status(503), status(401), status(503), None])
    await scene.run(A, B, C)
    assert scene.names == ["a", "b", "c", "a"]
    assert scene.waits == [1.0]


async def test_what_is_told_is_the_last_word_of_the_routes_own_target():
    """Fallbacks that fail otherwise do not hide why the chosen target did not answer."""
    scene = Scene([status(503), status(401), status(500)])
    with pytest.raises(UpstreamStatus, match="status 500"):
        await scene.run(A, B, again=1)
    assert (scene.names, scene.waits) == (["a", "b", "a"], [1.0])


@pytest.mark.parametrize("code", [400, 403, 404, 413, 422])
async def test_refusals_and_the_requests_own_faults_end_it(code: int):
    """They are not carried to a provider that may not refuse."""
    scene = Scene([status(code), None])
    with pytest.raises(UpstreamStatus, match=str(code)):
        await scene.run(A, B)
    assert scene.names == ["a"]


async def test_a_denial_ends_it_at_once():
    """Where one target may not be asked no other takes its place."""
    scene = Scene([status(503), Denied("no", rule="hosts"), None])
    with pytest.raises(Denied):
        await scene.run(A, B, C)
    assert scene.names == ["a", "b"]


async def test_after_content_nothing_is_tried_again():
    """A failure after the first content is raised as it is: the client has seen something."""

    def commit(reply: Reply) -> Exception:
        reply.is_committed = True
        return RemoteProtocolError("cut", kind="cut")

    scene = Scene([commit, None])
    with pytest.raises(RemoteProtocolError):
        await scene.run(A, B)
    assert scene.names == ["a"]
    assert scene.health.target_state("a", "m").failures == 1


async def test_a_provider_that_names_a_time_is_given_it():
    """Retry-After is the least that is waited; a longer one than the request may wait is the client's to wait for."""
    scene = Scene([status(429, 3.0), None])
    await scene.run(A)
    assert (scene.names, scene.waits) == (["a", "a"], [3.0])

    scene = Scene([status(429, 11.0)])
    with pytest.raises(UpstreamStatus) as told:
        await scene.run(A)
    assert (scene.waits, told.value.retry_after) == ([], 11.0)


async def test_waiting_has_one_budget_for_the_whole_request():
    """Pauses add up; when the next one would not fit, the last failure is told."""
    scene = Scene([status(503, 6.0), status(503, 6.0), None])
    with pytest.raises(UpstreamStatus):
        await scene.run(A)
    assert (scene.names, scene.waits) == (["a", "a"], [6.0])


async def test_attempts_have_one_budget_for_the_whole_request():
    """No request is multiplied without bound, however many targets there are."""
    scene = Scene([status(503)] * 20)
    with pytest.raises(UpstreamStatus):
        await scene.run(A, B, C, attempts=4)
    assert scene.names == ["a", "b", "c", "a"]


async def test_the_next_key_is_asked_at_once():
    """A key at its limit, one that is refused, and one that is used up each give way to another of the same target."""
    for code in (429, 401, 402):
        scene = Scene([status(code), None])
        await scene.run(target("a", *keys(3)), B)
        assert scene.names == ["a", "a"]
        assert len(set(scene.asked)) == 2
        assert scene.waits == []


async def test_every_key_before_the_next_target():
    """Only when no key of a target is left does another target serve."""
    scene = Scene([status(429), status(401), None])
    await scene.run(target("a", *keys(2)), B)
    assert scene.names == ["a", "a", "b"]


async def test_a_resting_key_is_waited_for_or_told():
    """All keys rest by their provider's word: a short rest is waited for, a long one is a 429 with the seconds left,
    without asking anybody.
    """
    lone = target("a", *keys(1))
    scene = Scene([None])
    scene.health.end(lone, lone.provider.pool[0], _failure(429, 4.0))
    await scene.run(lone)
    assert (scene.names, scene.waits) == (["a"], [4.0])

    scene = Scene([])
    scene.health.end(lone, lone.provider.pool[0], _failure(429, 60.0))
    with pytest.raises(UpstreamStatus, match="rests for m") as told:
        await scene.run(lone)
    assert (told.value.status, told.value.retry_after) == (429, 60.0)


async def test_a_guessed_rest_is_no_reason_to_refuse():
    """A 429 without a time lets the key rest where others can serve; alone it is asked all the same."""
    lone = target("a", *keys(1))
    scene = Scene([None])
    scene.health.end(lone, lone.provider.pool[0], _failure(429, None))
    await scene.run(lone)
    assert (scene.names, scene.waits) == (["a"], [])


async def test_a_target_that_failed_again_and_again_is_asked_last():
    """It is passed over while another is well, and asked when none is."""
    scene = Scene([None])
    for _ in range(5):
        scene.health.end(A, A.provider.pool[0], _failure(500, None))
    await scene.run(A, B)
    assert scene.names == ["b"]
    scene = Scene([status(500), None])
    for _ in range(5):
        scene.health.end(A, A.provider.pool[0], _failure(500, None))
    await scene.run(A, B)
    assert scene.names == ["b", "a"]


RESTING = failure_of(status(429, 60.0))


@pytest.mark.parametrize(
    ("failures", "waits"),
    [([failure_of(status(500))] * 5, []), ([failure_of(status(429))], []), ([failure_of(status(429, 3.0))], [3.0])],
)
async def test_who_rests_for_long_does_not_stand_in_the_way(failures: list[Failure], waits: list[float]):
    """Where no target is well the one is asked that can be asked first: a breaker and a guess keep nobody from it."""
    one, two = target("a", *keys(1)), target("b", *keys(1))
    scene = Scene([None])
    scene.health.end(one, one.provider.pool[0], RESTING)
    for failure in failures:
        scene.health.end(two, two.provider.pool[0], failure)
    await scene.run(one, two)
    assert (scene.names, scene.waits) == (["b"], waits)


async def test_a_fallback_that_rests_does_not_end_the_rounds():
    """Who could not be asked in time is no target that is left: the first one gets its second round."""
    two = target("b", *keys(1))
    scene = Scene([status(503), None])
    scene.health.end(two, two.provider.pool[0], RESTING)
    await scene.run(A, two)
    assert (scene.names, scene.waits) == (["a", "a"], [1.0])


async def test_all_rest_for_long_and_the_first_is_told():
    """The seconds in the 429 are those of the target that is back first."""
    one, two = target("a", *keys(1)), target("b", *keys(1))
    scene = Scene([])
    scene.health.end(one, one.provider.pool[0], RESTING)
    scene.health.end(two, two.provider.pool[0], failure_of(status(429, 40.0)))
    with pytest.raises(UpstreamStatus, match="b rests for m") as told:
        await scene.run(one, two)
    assert told.value.retry_after == 40.0


async def test_a_key_that_stays_at_its_limit_is_not_asked():
    """What was free a moment ago may be taken again: it is looked at after every wait, until the budget is spent."""
    lone = target("a", *keys(1, concurrent=1))
    scene = Scene([])
    scene.health.begin(lone, lone.provider.pool[0])
    with pytest.raises(UpstreamStatus, match="rests for m"):
        await scene.run(lone)
    assert (scene.names, scene.waits) == ([], [1.0] * 10)
    scene = Scene([None])
    scene.health.begin(lone, lone.provider.pool[0])
    scene.on_wait = lambda: scene.health.give_back(lone, lone.provider.pool[0]) if len(scene.waits) == 3 else None
    await scene.run(lone)
    assert (scene.names, scene.waits) == (["a"], [1.0] * 3)


async def test_a_target_that_failed_again_and_again_is_not_asked_twice():
    """Where nothing is left but what is passed over, it is asked once: clients ask again by themselves, and many do."""
    scene = Scene([status(500), None])
    for _ in range(5):
        scene.health.end(A, A.provider.pool[0], _failure(500, None))
    with pytest.raises(UpstreamStatus):
        await scene.run(A)
    assert (scene.names, scene.waits) == (["a"], [])


async def test_what_no_target_can_carry_is_told_as_such():
    """Content that one dialect cannot carry may be carried by the next; if by none, the first refusal is told."""
    scene = Scene([UnsupportedContent("messages[0]", "a PDF"), None])
    await scene.run(A, B)
    assert scene.names == ["a", "b"]
    scene = Scene([UnsupportedContent("messages[0]", "first"), UnsupportedContent("messages[0]", "second")])
    with pytest.raises(UnsupportedContent, match="first"):
        await scene.run(A, B)
    assert scene.health.known_targets() == []


async def test_a_client_that_leaves_during_a_pause_ends_it():
    """No attempt begins after it, and what was taken of a key is given back."""
    lone = target("a", *keys(1, concurrent=1))
    scene = Scene([status(503), None])

    def leave() -> None:
        raise asyncio.CancelledError

    scene.on_wait = leave
    with pytest.raises(asyncio.CancelledError):
        await scene.run(lone)
    assert scene.names == ["a"]
    assert scene.health.key_state("a", lone.provider.pool[0].id).at_work == 0


async def test_a_defect_gives_back_what_it_took():
    """Whatever ends an attempt, its place at the key is free afterwards."""
    lone = target("a", *keys(1, concurrent=1))
    scene = Scene([ValueError("a defect")])
    with pytest.raises(ValueError, match="a defect"):
        await scene.run(lone)
    assert scene.health.key_state("a", lone.provider.pool[0].id).at_work == 0


async def test_too_long_goes_to_the_longer_target_first():
    """Then to the fallbacks; the longer target is asked once only."""
    long = UpstreamStatus("prompt is too long: 9 > 8", status=400, type="invalid_request_error")
    scene = Scene([long, long, None])
    await scene.run(A, C, B, longer=C)
    assert scene.names == ["a", "c", "b"]


def _failure(code: int, retry_after: float | None) -> Failure:
    return failure_of(status(code, retry_after))


@pytest.mark.parametrize(
    ("script", "targets", "told"),
    [
        ([status(429, 20), status(429, 60)], (target("a", *keys(2)),), 20),
        ([status(429, 60), status(429, 20)], (target("a", *keys(2)),), 20),
        ([status(503, 60), status(429, 20)], (A, B), 20),
        ([status(503, 20), status(429, 60)], (A, B), 20),
        ([status(503, 60), status(500)], (A, B), 60),
        ([status(500), status(429, 60)], (A, B), None),
    ],
)
async def test_when_to_ask_again_is_when_the_first_may_be_asked(script: list[object], targets: tuple, told: float):
    """A client that was told a time by the route's own target is told the earliest that anybody named, and what is left
    of it.
    """
    scene = Scene(script)
    with pytest.raises(UpstreamStatus) as raised:
        await scene.run(*targets, again=0)
    assert raised.value.retry_after == told


async def test_of_a_time_that_was_named_what_has_passed_is_over():
    """Rounds with others take time too."""
    scene = Scene([status(429, 60), status(500), status(500), status(500)])
    with pytest.raises(UpstreamStatus) as raised:
        await scene.run(A, B)
    assert (scene.names, raised.value.retry_after) == (["a", "b", "b", "b"], 57)


async def test_an_empty_answer_is_given_although_nobody_may_be_asked_any_more():
    """A key that has come to rest meanwhile does not make an error of it."""
    lone = target("a", *keys(1))
    delivered: list[object] = []

    class Nothing(EmptyAnswer):
        async def deliver(self, reply: object) -> None:
            delivered.append(reply)

    empty = Nothing(lone, {})
    scene = Scene([empty])
    # another request is told meanwhile that the key rests
    scene.on_wait = lambda: scene.health.end(lone, lone.provider.pool[0], failure_of(status(429, 60)))
    await scene.run(lone)
    assert delivered == [scene.reply]
