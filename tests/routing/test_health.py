"""What is known of targets and keys: breakers, rests, limits, whose turn it is; and that two processes know the same."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.config.schema import Endpoint, PoolKey, Provider, Retries, Target
from ccrouter.routing.failures import Failure
from ccrouter.routing.health import LONGEST_REST, Health
from ccrouter.secret import Secret

CONNECT = Failure("connect")
LIMITED = Failure("rate_limit", 429)


class Clock:
    """Seconds that the test moves."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def key(name: str, **more: object) -> PoolKey:
    return PoolKey(Secret(f"sk-{name}-0123456789"), f"${{{name}}}", name, **more)


def provider(*keys: PoolKey, name: str = "p", url: str = "http://p.test/v1") -> Provider:
    return Provider(name, (Endpoint("anthropic", url),), keys=keys)


def target(*keys: PoolKey, model: str = "m", name: str = "p") -> Target:
    return Target(provider(*keys, name=name), model)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def fail(
    health: Health, one: Target, failure: Failure = CONNECT, times: int = 1, with_key: PoolKey | None = None
) -> None:
    for _ in range(times):
        chosen = with_key or one.provider.pool[0]
        health.begin(one, chosen)
        health.end(one, chosen, failure)


def answer(health: Health, one: Target, tokens: int = 0) -> None:
    chosen = one.provider.pool[0]
    health.begin(one, chosen)
    health.end(one, chosen, None, tokens)


def chosen(health: Health, one: Target, session: str = "s") -> str:
    choice = health.choose(one, session)
    assert choice is not None
    return choice.key.label


# -- breakers ----------------------------------------------------------------------------------------------------------

ONE = target()


def test_nothing_is_known_of_a_target_that_answers(health: Health) -> None:
    """Health costs nothing where all is well: no state is kept of what was never ill."""
    answer(health, ONE)
    assert health.known_targets() == []
    assert not health.is_open(ONE)
    assert health.choose(ONE, "s").key == ONE.provider.pool[0]


def test_it_opens_after_so_many_failures_on_end(health: Health) -> None:
    """Four failures are not enough, the fifth is; an answer in between begins the count anew."""
    fail(health, ONE, times=4)
    assert not health.is_open(ONE)
    answer(health, ONE)
    fail(health, ONE, times=4)
    assert not health.is_open(ONE)
    fail(health, ONE)
    assert health.is_open(ONE)
    state = health.target_state("p", "m")
    assert (state.failures, state.last_failure, state.open_until) == (5, "connect", 1030.0)


def test_other_models_of_the_provider_are_not_meant(health: Health) -> None:
    """A breaker is a target's, not a provider's."""
    fail(health, ONE, times=5)
    assert not health.is_open(target(model="other"))
    assert not health.is_open(target(name="q"))


def test_the_configuration_says_how_many_and_how_long(health: Health, clock: Clock) -> None:
    """`open_after` and `open_seconds` hold from the next failure on."""
    health.follow([ONE.provider], Retries(open_after=2, open_seconds=7.0))
    fail(health, ONE, times=2)
    assert health.is_open(ONE)
    clock.now += 6.9
    assert health.is_open(ONE)
    clock.now += 0.2
    assert not health.is_open(ONE)


def test_half_open_lets_one_through(health: Health, clock: Clock) -> None:
    """When its time is over one request may try it; meanwhile it is open for all others."""
    fail(health, ONE, times=5)
    clock.now += 30
    assert not health.is_open(ONE)
    health.begin(ONE, ONE.provider.pool[0])
    assert health.is_open(ONE)
    health.end(ONE, ONE.provider.pool[0], None)
    assert not health.is_open(ONE)
    assert health.target_state("p", "m") is None


def test_a_probe_that_fails_opens_it_for_longer(health: Health, clock: Clock) -> None:
    """Twice as long each time, up to five minutes."""
    fail(health, ONE, times=5)
    for seconds in (30, 60, 120, 240, 300, 300, 300):
        state = health.target_state("p", "m")
        assert state.open_until - clock.now == seconds
        clock.now = state.open_until
        assert not health.is_open(ONE)
        fail(health, ONE)
        assert health.is_open(ONE)


def test_after_it_closed_the_times_begin_anew(health: Health, clock: Clock) -> None:
    """A success forgets how often it had opened."""
    fail(health, ONE, times=5)
    clock.now += 30
    fail(health, ONE)
    clock.now += 60
    answer(health, ONE)
    fail(health, ONE, times=5)
    assert health.target_state("p", "m").open_until - clock.now == 30


def test_a_probe_of_a_client_that_left_decides_nothing(health: Health, clock: Clock) -> None:
    """The next request may try at once: nothing was learnt."""
    fail(health, ONE, times=5)
    clock.now += 30
    health.begin(ONE, ONE.provider.pool[0])
    assert health.is_open(ONE)
    health.give_back(ONE, ONE.provider.pool[0])
    assert not health.is_open(ONE)
    assert health.target_state("p", "m").failures == 5


def test_a_probe_that_never_ends_holds_the_others_back_for_a_minute(health: Health, clock: Clock) -> None:
    """However it came to nothing: one lost request is not the end of a target."""
    fail(health, ONE, times=5)
    clock.now += 30
    health.begin(ONE, ONE.provider.pool[0])
    clock.now += 59.9
    assert health.is_open(ONE)
    clock.now += 0.2
    assert not health.is_open(ONE)


def test_many_that_fail_at_once_open_it_once(health: Health) -> None:
    """A hundred requests under way when it dies are one death: the time is not doubled by each."""
    for _ in range(100):
        health.begin(ONE, ONE.provider.pool[0])
    for _ in range(100):
        health.end(ONE, ONE.provider.pool[0], CONNECT)
    state = health.target_state("p", "m")
    assert (state.opened, state.open_until, state.failures) == (1, 1030.0, 100)


@pytest.mark.parametrize(
    "kind", ["request", "refused", "missing", "too_long", "unsupported", "rate_limit", "key", "quota"]
)
def test_what_says_nothing_of_health(health: Health, kind: str) -> None:
    """Faults of requests and keys open no breaker, however many."""
    fail(health, ONE, Failure(kind), times=20)  # type: ignore[arg-type] # a kind
    assert not health.is_open(ONE)


def test_a_target_that_refuses_is_alive(health: Health, clock: Clock) -> None:
    """A probe that is answered with a 400 closes the breaker: somebody is there. What was never sent proves nothing."""
    fail(health, ONE, times=5)
    clock.now += 30
    fail(health, ONE, Failure("unsupported"))
    assert health.target_state("p", "m").failures == 5
    fail(health, ONE, Failure("request", 400))
    assert health.target_state("p", "m") is None


# -- rests -------------------------------------------------------------------------------------------------------------

A, B, C = key("A"), key("B"), key("C")
TWO = target(A, B)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(3.0, 3.0), (0.0, 0.0), (-5.0, -5.0), (3600.0, LONGEST_REST), (math.inf, LONGEST_REST), (math.nan, LONGEST_REST)],
)
def test_a_rest_is_as_long_as_the_provider_says(health: Health, clock: Clock, told: float, seconds: float) -> None:
    """Five minutes at the most; a time that has passed, or is none, harms nobody."""
    fail(health, TWO, Failure("rate_limit", 429, told), with_key=A)
    rest = health.key_state("p", A.id).rests["m"]
    assert (rest.until - clock.now, rest.is_told, rest.reason) == (seconds, True, "rate_limit")
    lone = health.choose(target(A), "s")
    assert (lone.free_at <= clock.now) == (seconds <= 0)


def test_a_resting_key_gives_way_and_comes_back(health: Health, clock: Clock) -> None:
    """The other key serves every session while one rests, for that model only."""
    fail(health, TWO, Failure("rate_limit", 429, 10.0), with_key=A)
    assert {chosen(health, TWO, f"s{n}") for n in range(50)} == {"B"}
    assert {chosen(health, dataclasses.replace(TWO, model="other"), f"s{n}") for n in range(50)} == {"A", "B"}
    clock.now += 10
    assert {chosen(health, TWO, f"s{n}") for n in range(50)} == {"A", "B"}


def test_a_guessed_rest_doubles(health: Health, clock: Clock) -> None:
    """Where no time was named: 5, 10, 20, 40, 60, 60 seconds; an answer begins anew; a guess is known for one."""
    for seconds in (5, 10, 20, 40, 60, 60):
        fail(health, TWO, LIMITED, with_key=A)
        rest = health.key_state("p", A.id).rests["m"]
        assert (rest.until - clock.now, rest.is_told) == (seconds, False)
        clock.now = rest.until
    answer(health, TWO)
    fail(health, TWO, LIMITED, with_key=A)
    assert health.key_state("p", A.id).rests["m"].until - clock.now == 5


def test_many_that_hit_one_limit_are_one_limit(health: Health, clock: Clock) -> None:
    """Fifty requests under way when a limit is reached do not double the rest fifty times."""
    fail(health, TWO, LIMITED, times=50, with_key=A)
    assert health.key_state("p", A.id).rests["m"].until - clock.now == 5


def test_a_used_up_account_rests_for_long(health: Health, clock: Clock) -> None:
    """Five minutes, as nothing will change by itself; not for ever, as somebody may pay."""
    fail(health, TWO, Failure("quota", 402), with_key=A)
    rest = health.key_state("p", A.id).rests["m"]
    assert (rest.until - clock.now, rest.reason) == (300, "quota")


def test_all_rest_the_earliest_is_chosen(health: Health) -> None:
    """With nobody free it is the key that is free first, and when."""
    fail(health, TWO, Failure("rate_limit", 429, 20.0), with_key=A)
    fail(health, TWO, Failure("rate_limit", 429, 9.0), with_key=B)
    choice = health.choose(TWO, "s")
    assert (choice.key.label, choice.free_at, choice.is_told) == ("B", 1009.0, True)


def test_a_refused_key_is_disabled(health: Health, clock: Clock) -> None:
    """With the reason that a person reads; for every model, and without an end."""
    fail(health, TWO, Failure("key", 401), with_key=A)
    assert health.key_state("p", A.id).disabled == "the provider refused it (401)"
    clock.now += 1e6
    other = dataclasses.replace(TWO, model="other")
    assert {chosen(health, one, f"s{n}") for n in range(50) for one in (TWO, other)} == {"B"}


def test_never_a_hard_pin_to_a_dead_key(health: Health) -> None:
    """Every session leaves a disabled key; are all disabled, they are asked all the same, and an answer mends one."""
    fail(health, TWO, Failure("key", 401), with_key=A)
    fail(health, TWO, Failure("key", 401), with_key=B)
    choice = health.choose(TWO, "s")
    assert choice is not None
    assert choice.free_at <= 1000.0
    health.end(TWO, B, None)
    assert not health.key_state("p", B.id).disabled
    assert {chosen(health, TWO, f"s{n}") for n in range(50)} == {"B"}


def test_a_disabled_key_stays_out_though_the_other_rests(health: Health) -> None:
    """A rest ends by itself; a refusal does not: the resting one is waited for."""
    fail(health, TWO, Failure("key", 401), with_key=A)
    fail(health, TWO, Failure("rate_limit", 429, 5.0), with_key=B)
    choice = health.choose(TWO, "s")
    assert (choice.key.label, choice.free_at) == ("B", 1005.0)


def test_those_that_were_tried_are_left_out(health: Health) -> None:
    """`without` names ids; with all of them there is none."""
    assert health.choose(TWO, "s", {A.id}).key == B
    assert health.choose(TWO, "s", {A.id, B.id}) is None


# -- whose turn it is --------------------------------------------------------------------------------------------------


def test_the_least_priority_serves_while_it_can(health: Health, clock: Clock) -> None:
    """Others come only when every key before them rests, and leave when one is back."""
    first, second, spare = key("A"), key("B"), key("S", priority=1)
    one = target(spare, first, second)
    sessions = [f"s{n}" for n in range(100)]
    assert {chosen(health, one, name) for name in sessions} == {"A", "B"}
    fail(health, one, Failure("rate_limit", 429, 5.0), with_key=first)
    assert {chosen(health, one, name) for name in sessions} == {"B"}
    fail(health, one, Failure("rate_limit", 429, 9.0), with_key=second)
    assert {chosen(health, one, name) for name in sessions} == {"S"}
    clock.now += 6
    assert {chosen(health, one, name) for name in sessions} == {"A"}


def test_weights_over_ten_thousand_sessions(health: Health) -> None:
    """Each key gets its share of the sessions, within two percent of all."""
    one = target(key("A", weight=1.0), key("B", weight=2.0), key("C", weight=5.0))
    counted = Counter(chosen(health, one, f"session-{n}") for n in range(10_000))
    for label, share in (("A", 1 / 8), ("B", 2 / 8), ("C", 5 / 8)):
        assert counted[label] / 10_000 == pytest.approx(share, abs=0.02)


def test_a_session_keeps_its_key(health: Health, clock: Clock) -> None:
    """The same in another process, after a reload, in whatever order the keys are written, and at any time."""
    one, turned = target(A, B, C), target(key("C"), key("A"), key("B"))
    before = {f"s{n}": chosen(health, one, f"s{n}") for n in range(500)}
    clock.now += 1e5
    other = Health(Clock(5.0))
    assert {name: chosen(health, one, name) for name in before} == before
    assert {name: chosen(other, turned, name) for name in before} == before
    assert "".join(before[f"s{n}"] for n in range(20)) == "BACACCAAACABCBBCCACB"  # as every process has it


def test_only_the_sessions_of_a_lost_key_move(health: Health) -> None:
    """A key that drops out takes nobody else's cache with it, and what it loses spreads over the others."""
    three = target(A, B, C)
    before = {f"s{n}": chosen(health, three, f"s{n}") for n in range(3000)}
    fail(health, three, Failure("key", 401), with_key=C)
    after = {name: chosen(health, three, name) for name in before}
    assert all(after[name] == label for name, label in before.items() if label != "C")
    spread = Counter(after[name] for name, label in before.items() if label == "C")
    assert spread["A"] == pytest.approx(spread["B"], rel=0.25)
    assert after == {name: chosen(Health(Clock()), target(A, B), name) for name in before}


# -- limits ------------------------------------------------------------------------------------------------------------


def ask(health: Health, one: Target, session: str = "s") -> str:
    """One request from its beginning to its end; the key that it was asked with."""
    picked = health.choose(one, session).key
    health.begin(one, picked)
    health.end(one, picked, None)
    return picked.label


def test_two_a_minute_the_third_uses_the_next_key(health: Health, clock: Clock) -> None:
    """A limit by the minute is kept over any sixty seconds, and the key is back when they are over."""
    one = target(key("A", per_minute=2), key("B", priority=1))
    assert [ask(health, one) for _ in range(3)] == ["A", "A", "B"]
    clock.now += 59
    assert ask(health, one) == "B"
    clock.now += 1
    assert ask(health, one) == "A"


def test_a_limit_slides(health: Health, clock: Clock) -> None:
    """At 0, 30, 60 and 90 seconds two a minute are never more than two in any minute."""
    lone = target(key("A", per_minute=2))
    for seconds in (0, 30):
        clock.now = 1000.0 + seconds
        assert health.choose(lone, "s").free_at <= clock.now
        ask(health, lone)
    choice = health.choose(lone, "s")
    assert (choice.free_at, choice.is_told) == (1060.0, True)
    clock.now = 1060.0
    ask(health, lone)
    assert health.choose(lone, "s").free_at == 1090.0


def test_tokens_by_the_minute(health: Health, clock: Clock) -> None:
    """What answers took counts; the key is asked again when less than the limit is left in the last minute."""
    limited = key("A", tokens_per_minute=1000)
    one = target(limited, key("B", priority=1))
    health.end(one, limited, None, 600)
    assert chosen(health, one) == "A"
    clock.now += 10
    health.end(one, limited, None, 600)
    assert chosen(health, one) == "B"
    assert health.choose(target(limited), "s").free_at == 1060.0
    clock.now = 1060.0
    assert chosen(health, one) == "A"


def test_so_many_at_a_time(health: Health) -> None:
    """A key that is at work as often as it may is left alone until a request ends, however it ends."""
    limited = key("A", concurrent=2)
    one = target(limited, key("B", priority=1))
    health.begin(one, limited)
    assert chosen(health, one) == "A"
    health.begin(one, limited)
    assert chosen(health, one) == "B"
    health.give_back(one, limited)
    assert chosen(health, one) == "A"
    health.begin(one, limited)
    health.end(one, limited, Failure("cut"))
    health.end(one, limited, None)
    assert health.key_state("p", limited.id).at_work == 0


def test_what_is_at_work_is_counted_right_under_any_limit(health: Health) -> None:
    """A key limited by the minute gives back what it took, too: a reload may limit it at a time."""
    limited = key("A", per_minute=100)
    one = target(limited)
    for _ in range(10):
        ask(health, one)
    assert health.load_of("p", limited).at_work == 0
    both = key("A", per_minute=100, concurrent=1)
    assert health.choose(target(both), "s").free_at <= 1000.0


def test_the_load_is_told(health: Health, clock: Clock) -> None:
    """Requests and tokens of the last minute, those at work, and when there is room."""
    limited = key("A", per_minute=2, tokens_per_minute=50, concurrent=5)
    one = target(limited)
    ask(health, one)
    health.begin(one, limited)
    health.end(one, limited, None, 70)
    health.begin(one, limited)
    load = health.load_of("p", limited)
    assert (load.requests, load.tokens, load.at_work, load.free_at) == (3, 70, 1, 1060.0)
    clock.now += 60
    load = health.load_of("p", limited)
    assert (load.requests, load.tokens, load.at_work) == (0, 0, 1)
    assert load.free_at <= clock.now


def test_asking_for_the_load_is_no_news(health: Health) -> None:
    """Somebody who looks leaves no trace."""
    health.load_of("p", A)
    assert health.key_state("p", A.id) is None


# -- forgetting --------------------------------------------------------------------------------------------------------


def spoil(health: Health) -> tuple[Target, Target, Target]:
    """Two models of `p` and one of `q` are open; key A of `p` rests for both and B is disabled, C of `q` is too."""
    one, two, other = target(A, B, model="m"), target(A, B, model="n"), target(C, model="m", name="q")
    for each in (one, two, other):
        fail(health, each, times=5)
    fail(health, one, Failure("rate_limit", 0, 50.0), with_key=A)
    fail(health, two, Failure("rate_limit", 0, 50.0), with_key=A)
    fail(health, one, Failure("key", 0), with_key=B)
    fail(health, other, Failure("key", 0), with_key=C)
    return one, two, other


def bad(health: Health) -> tuple[set[tuple[str, str]], set[str], bool, bool]:
    """Known targets, models that A rests for, whether B and C are disabled."""
    states = [health.key_state(name, one.id) for name, one in (("p", A), ("p", B), ("q", C))]
    return set(health.known_targets()), set(states[0].rests), bool(states[1].disabled), bool(states[2].disabled)


def test_reset_of_a_target(health: Health) -> None:
    """It alone, and rests for it; disabled keys are the provider's."""
    spoil(health)
    health.reset("p", "m")
    assert bad(health) == ({("p", "n"), ("q", "m")}, {"n"}, True, True)


def test_reset_of_a_provider(health: Health) -> None:
    """All its targets and keys, and nobody else's."""
    spoil(health)
    health.reset("p")
    assert bad(health) == ({("q", "m")}, set(), False, True)


def test_reset_of_everything(health: Health) -> None:
    """Nothing bad is known of anybody."""
    spoil(health)
    health.reset()
    assert bad(health) == (set(), set(), False, False)


def test_a_reset_keeps_the_count_of_limits(health: Health) -> None:
    """What the user allows per minute is not allowed twice by a reset."""
    limited = key("A", per_minute=1)
    one = target(limited)
    ask(health, one)
    health.reset()
    assert health.choose(one, "s").free_at > 1000.0


def test_a_reload_that_changes_nothing_forgets_nothing(health: Health) -> None:
    """What is known belongs to places and keys, not to a configuration."""
    spoil(health)
    providers = [provider(A, B), provider(C, name="q")]
    health.follow(providers)
    before = bad(health)
    assert before == ({("p", "m"), ("p", "n"), ("q", "m")}, {"m", "n"}, True, True)
    health.follow(providers)
    health.follow([dataclasses.replace(one, models=("x",)) for one in providers])
    assert bad(health) == before


def test_a_reload_forgets_keys_that_are_gone(health: Health) -> None:
    """Of a mended key nothing bad is known; the others keep theirs."""
    health.follow([provider(A, B)])
    spoil(health)
    health.follow([provider(A, key("mended"))])
    assert health.key_state("p", B.id) is None
    assert set(health.key_state("p", A.id).rests) == {"m", "n"}
    assert ("p", "m") in health.known_targets()


def test_a_reload_forgets_another_place(health: Health) -> None:
    """A provider at another URL is another one: neither its targets nor its keys are ill there."""
    health.follow([provider(A, B), provider(C, name="q")])
    spoil(health)
    health.follow([provider(A, B, url="http://elsewhere.test/v1"), provider(C, name="q")])
    assert health.known_targets() == [("q", "m")]
    assert health.key_state("p", A.id) is None
    assert health.key_state("q", C.id).disabled


def test_a_reload_forgets_providers_that_are_gone(health: Health) -> None:
    """Also what a request of the configuration before said of them after they were gone."""
    health.follow([provider(A, B), provider(C, name="q")])
    health.follow([provider(A, B)])
    spoil(health)
    health.follow([provider(A, B)])
    assert {name for name, _ in health.known_targets()} == {"p"}
    assert health.key_state("q", C.id) is None


def test_memory_is_bounded(health: Health, clock: Clock) -> None:
    """Clients can name any model: the targets and rests that were heard of last are kept; so is only the last minute."""
    limited = key("A", per_minute=10, tokens_per_minute=10)
    for n in range(2500):
        clock.now += 0.125
        one = target(limited, model=f"m{n}")
        fail(health, one)
        fail(health, one, LIMITED)
        health.end(one, limited, None, 1)
        fail(health, one, LIMITED)
        fail(health, one)
    state = health.key_state("p", limited.id)
    assert len(health.known_targets()) == 2000
    assert health.known_targets()[-1] == ("p", "m2499")
    assert len(state.rests) == 2000
    assert "m2499" in state.rests
    assert len(state.taken) <= 480 * 4
    assert len(state.spent) <= 480


def test_what_others_took_is_bounded_without_being_asked(clock: Clock) -> None:
    """A process that hears of every request elsewhere, and has none itself, forgets them after a minute."""
    told = Health(clock)
    teller = Health(clock, told.apply)
    for limited in (key("A", per_minute=10), key("B", concurrent=10), key("C", tokens_per_minute=10)):
        one = target(limited)
        for _ in range(1000):
            clock.now += 1
            teller.begin(one, limited)
            teller.end(one, limited, None, 5)
        state = told.key_state("p", limited.id)
        assert len(state.taken) + len(state.spent) == 60


# -- several processes -------------------------------------------------------------------------------------------------

POOL = (key("A", per_minute=3), key("B", concurrent=2, priority=1), key("C", tokens_per_minute=100))
kinds = st.sampled_from(
    ["connect", "first_byte", "server", "overloaded", "rate_limit", "quota", "key", "request", "refused", "unsupported"]
)
failures = st.builds(
    Failure, kinds, st.sampled_from([0, 400, 429, 500]), st.none() | st.floats(allow_nan=True, allow_infinity=True)
)
deeds = st.one_of(
    st.tuples(st.just("begin"), st.integers(0, 2), st.sampled_from("mn")),
    st.tuples(st.just("fail"), st.integers(0, 2), st.sampled_from("mn"), failures),
    st.tuples(st.just("answer"), st.integers(0, 2), st.sampled_from("mn"), st.integers(0, 80)),
    st.tuples(st.just("leave"), st.integers(0, 2), st.sampled_from("mn")),
    st.tuples(st.just("reset"), st.sampled_from(["", "p"]), st.sampled_from(["", "m"])),
    st.tuples(st.just("pass"), st.floats(0, 90)),
)


def do(health: Health, clock: Clock, deed: tuple) -> None:
    what, *more = deed
    if what == "pass":
        clock.now += more[0]
        return
    if what == "reset":
        health.reset(*(more if more[0] else ("", "")))
        return
    one, picked = target(*POOL, model=more[1]), POOL[more[0]]
    if what == "begin":
        health.begin(one, picked)
    elif what == "fail":
        health.end(one, picked, more[2])
    elif what == "answer":
        health.end(one, picked, None, more[2])
    else:
        health.give_back(one, picked)


def snapshot(health: Health) -> object:
    """All that can be seen of it: states, whose turn it is, and what is used."""
    targets = {name: health.target_state(*name) for name in health.known_targets()}
    loads = [health.load_of("p", one) for one in POOL]
    keys = {one.id: health.key_state("p", one.id) for one in POOL}
    turns = [health.choose(target(*POOL, model=model), f"s{n}") for model in "mn" for n in range(5)]
    opens = [health.is_open(target(*POOL, model=model)) for model in "mn"]
    return repr((targets, {name: state for name, state in keys.items() if state is not None and _says(state)}, loads,
                 turns, opens))  # fmt: skip


def _says(state: object) -> bool:
    """False for one that holds nothing: looking may have made it."""
    return repr(state) != "KeyState(disabled='', rests={}, taken=deque([]), spent=deque([]), at_work=0)"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.booleans(), deeds), max_size=60))
def test_processes_that_tell_each_other_know_the_same(deeds: list[tuple[bool, tuple]]) -> None:
    """Whatever happens in either of two processes, both know the same afterwards, and so does one that only listened:
    choices, breakers, rests and limits.
    """
    clock = Clock()
    left, right, listener = Health(clock), Health(clock), Health(clock)
    left.publish_to(lambda event: (right.apply(event), listener.apply(event)))
    right.publish_to(lambda event: (left.apply(event), listener.apply(event)))
    for is_left, deed in deeds:
        do(left if is_left else right, clock, deed)
        assert snapshot(left) == snapshot(right)
    assert snapshot(left) == snapshot(listener)


@settings(max_examples=200, deadline=None)
@given(st.lists(deeds, max_size=60))
def test_nothing_rests_longer_than_the_longest(deeds: list[tuple]) -> None:
    """Whatever providers say, garbage included: no key and no target is out for more than five minutes, and somebody
    can always be asked.
    """
    clock = Clock()
    health = Health(clock)
    for deed in deeds:
        do(health, clock, deed)
        for name in health.known_targets():
            assert health.target_state(*name).open_until <= clock.now + LONGEST_REST
        for one in POOL:
            state = health.key_state("p", one.id)
            assert all(rest.until <= clock.now + LONGEST_REST for rest in (state.rests.values() if state else ()))
        assert health.choose(target(*POOL), "s") is not None


def test_names_of_any_length_are_not_kept():
    """A client can name any text for a model: what nobody could have for one is not remembered."""
    now = [1000.0]
    health = Health(lambda: now[0])
    endless = Target(Provider("p", (Endpoint("anthropic", "http://p.test/v1/messages"),)), "x" * 1_000_000)
    key = endless.provider.pool[0]
    for failure in (Failure("connect"), Failure("rate_limit", 429), Failure("server", 500)):
        health.begin(endless, key)
        health.end(endless, key, failure)
    assert not health.known_targets()
    state = health.key_state("p", key.id)
    assert state is None or not state.rests
