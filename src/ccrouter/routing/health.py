"""What is known of targets and keys: which of them failed of late, which rest, and whose turn it is. Figures only, in
bounded memory; no I/O, and the clock is given.

Everything that changes it is an `Event`, which `note` applies and hands on, so that several processes that serve as one
may know the same. Nothing here ever refuses the only way there is: what rests is asked last, not never.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

import msgspec

from ccrouter.config.schema import PoolKey, Provider, Retries, Target
from ccrouter.routing.failures import Failure
from ccrouter.routing.quota import Quotas, packed, read_allowances
from ccrouter.routing.recovery import UNHEALTHY

#: No key or target rests longer than this, in seconds, whatever a provider says.
LONGEST_REST = 300.0
#: Seconds that a key rests after a 429 that named no time; twice as long each time on end.
_FIRST_REST = 5.0
_LONGEST_GUESS = 60.0
#: Seconds that a key rests whose account is used up.
_QUOTA_REST = 300.0
#: A request that tries a resting target out holds others back for this long at most, in seconds.
_PROBE = 60.0
_WINDOW = 60.0  # of limits by the minute, in seconds
#: Targets and keys that are remembered: clients can name any model.
_CAPACITY = 2000
#: Of models with a longer name nothing is remembered: no provider has one, and clients can send any text for one.
_LONGEST_NAME = 500

EventKind = Literal[
    "answered", "alive", "failed", "rested", "disabled", "taken", "released", "spent", "probing", "reset", "told"
]


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that became known. `at` and `until` in seconds of the clock; `key` is a PoolKey's id."""

    kind: EventKind
    provider: str
    model: str = ""
    key: str = ""
    at: float = 0.0
    until: float = 0.0
    failure: str = ""
    reason: str = ""
    is_told: bool = False
    tokens: int = 0
    open_after: int = 0


@dataclass(slots=True)
class TargetState:
    """A target. `open_until` is set while it is passed over; then one request tries it out (`probed_until`)."""

    failures: int = 0
    opened: int = 0
    open_until: float = 0.0
    probed_until: float = 0.0
    last_failure: str = ""
    last_failed: float = 0.0


@dataclass(slots=True)
class Rest:
    """A key that rests for a model. `is_told` if the provider itself named the time."""

    until: float
    reason: str
    is_told: bool
    times: int = 1


@dataclass(slots=True)
class KeyState:
    """A key of a provider. `disabled` is why it is not used while another can be; `rests` are by model."""

    disabled: str = ""
    rests: dict[str, Rest] = field(default_factory=dict)
    taken: deque[float] = field(default_factory=deque)
    spent: deque[tuple[float, int]] = field(default_factory=deque)
    at_work: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """A key to ask with. It is free at `free_at` (of the clock; in the past: now); `is_told` if the provider said so,
    or if the user's own limit does: then asking earlier is useless.
    """

    key: PoolKey
    free_at: float = 0.0
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """What is used of a key's limits: requests and tokens of the last minute, requests at work. `free_at` (of the
    clock; in the past: now) is when all of them leave room. Requests are counted where one of their limits is set.
    """

    requests: int
    tokens: int
    at_work: int
    free_at: float


class Health:
    """What is known of every target and key. `clock` gives seconds that never go back; `publish` is told of every event
    that happened here, for those who keep the same account elsewhere and `apply` it.
    """

    def __init__(self, clock: Callable[[], float], publish: Callable[[Event], None] | None = None) -> None:
        self._clock = clock
        self._publish = publish
        self._targets: OrderedDict[tuple[str, str], TargetState] = OrderedDict()
        self._keys: dict[tuple[str, str], KeyState] = {}
        self.quotas = Quotas()
        self._places: dict[str, tuple[object, ...]] = {}
        self.retries = Retries()

    @property
    def now(self) -> float:
        return self._clock()

    def publish_to(self, publish: Callable[[Event], None]) -> None:
        """From now on `publish` is told of every event."""
        self._publish = publish

    def follow(self, providers: Iterable[Provider], retries: Retries = Retries()) -> None:  # noqa: B008 - immutable
        """The configuration is another one: what is known of keys and places that are no more is forgotten."""
        self.retries = retries
        places = {provider.name: provider.endpoints for provider in providers}
        keys = {(provider.name, key.id) for provider in providers for key in provider.pool}
        moved = {name for name, place in self._places.items() if places.get(name) != place}
        for target in [one for one in self._targets if one[0] in moved or one[0] not in places]:
            del self._targets[target]
        for key in [one for one in self._keys if one not in keys or one[0] in moved]:
            del self._keys[key]
        self.quotas.keep(one for one in keys if one[0] not in moved)
        self._places = dict(places)

    # -- what is asked of it -----------------------------------------------------------------------------------------

    def is_open(self, target: Target) -> bool:
        """True while `target` is better passed over. Once its time is over one request may try it (`try_out`)."""
        state = self._targets.get((target.provider.name, target.model))
        if state is None or not state.open_until:
            return False
        now = self._clock()
        return now < state.open_until or now < state.probed_until

    def choose(self, target: Target, affinity: str, without: Iterable[str] = ()) -> Choice | None:
        """The key to ask `target` with; None if every one is among the ids `without`.

        Keys that can serve now come first, of these the ones of the least priority, of these one by weight: always the
        same for the same `affinity` (a session), so that the provider's caches stay warm. Is none free, it is the one
        that is free first; are all disabled, they are asked all the same.
        """
        provider, pool = target.provider, target.provider.pool
        if len(pool) == 1 and not without and (provider.name, pool[0].id) not in self._keys:
            return Choice(pool[0])  # one key, and nothing is known of it: nearly every request
        left = [key for key in pool if key.id not in without] if without else pool
        if not left:
            return None
        living = [key for key in left if not self._key(provider.name, key.id).disabled] or left
        choices = [self._when_free(provider.name, target.model, key) for key in living]
        now = self._clock()
        free = [choice for choice in choices if choice.free_at <= now]
        if not free:
            return min(choices, key=lambda choice: choice.free_at)
        least = min(choice.key.priority for choice in free)
        first = [choice for choice in free if choice.key.priority == least]
        return first[0] if len(first) == 1 else max(first, key=lambda choice: _score(affinity, choice.key))

    def target_state(self, provider: str, model: str) -> TargetState | None:
        """What is known of a target, not to be changed; None if nothing is."""
        return self._targets.get((provider, model))

    def key_state(self, provider: str, key: str) -> KeyState | None:
        """What is known of a key by its id, not to be changed; None if nothing is."""
        return self._keys.get((provider, key))

    def load_of(self, provider: str, key: PoolKey) -> Load:
        """What is used of the limits of `key` now."""
        state, now = self._keys.get((provider, key.id)) or KeyState(), self._clock()
        free_at = max(self._limits(state, key, now), default=0.0)
        spent = sum(tokens for _, tokens in state.spent)
        return Load(len(state.taken), spent, state.at_work, free_at)

    def known_targets(self) -> list[tuple[str, str]]:
        """Providers and models of which something is known."""
        return list(self._targets)

    def known_keys(self) -> list[tuple[str, str]]:
        """Providers and ids of keys of which something is known."""
        return list(self._keys)

    # -- what it is told ---------------------------------------------------------------------------------------------

    def begin(self, target: Target, key: PoolKey) -> None:
        """An attempt begins. `end` is to be called when it is over, however it ended."""
        name, now = target.provider.name, self._clock()
        state = self._targets.get((name, target.model))
        if state is not None and state.open_until:
            self.note(Event("probing", name, target.model, at=now, until=now + _PROBE))
        if key.per_minute or key.concurrent:
            self.note(Event("taken", name, key=key.id, at=now))

    def end(self, target: Target, key: PoolKey, failure: Failure | None, tokens: int = 0) -> None:
        """An attempt is over: it answered, or it failed so. One that tells nothing (the client left) is `give_back`."""
        name, model, now = target.provider.name, target.model, self._clock()
        self.give_back(target, key)
        if tokens and key.tokens_per_minute:
            self.note(Event("spent", name, key=key.id, at=now, tokens=tokens))
        if len(model) > _LONGEST_NAME:
            return
        if failure is None:
            state, held = self._targets.get((name, model)), self._keys.get((name, key.id))
            if state is not None or (held is not None and (held.rests or held.disabled)):
                self.note(Event("answered", name, model, key.id, at=now))
            return
        if failure.kind not in UNHEALTHY and failure.status and (name, model) in self._targets:
            self.note(Event("alive", name, model, at=now))  # whatever it said, it is there
        if failure.kind in UNHEALTHY:
            until = now + self._open_time(name, model)
            least = self.retries.open_after
            self.note(Event("failed", name, model, at=now, until=until, failure=failure.kind, open_after=least))
        elif failure.kind in {"rate_limit", "quota"}:
            seconds = _QUOTA_REST if failure.kind == "quota" else self._guessed_rest(name, model, key)
            is_told = failure.retry_after is not None
            until = now + min(LONGEST_REST, failure.retry_after if failure.retry_after is not None else seconds)
            self.note(Event("rested", name, model, key.id, now, until, failure.kind, is_told=is_told))
        elif failure.kind == "key":
            self.note(Event("disabled", name, key=key.id, at=now, reason="the provider refused it (401)"))

    def hear(self, target: Target, headers: Mapping[str, str]) -> None:
        """An answer has begun, with these headers (lower-case): what they tell of the key's limits is known."""
        allowances = read_allowances(headers)
        if not allowances:
            return
        provider, now = target.provider, self._clock()
        key = next((one.id for one in provider.pool if one.secret is provider.key), "")
        if self.quotas.are_news(provider.name, key, allowances, now):
            self.note(Event("told", provider.name, key=key, at=now, reason=packed(allowances)))

    def give_back(self, target: Target, key: PoolKey) -> None:
        """What `begin` took of `key` and `target` is free again."""
        if key.per_minute or key.concurrent:
            self.note(Event("released", target.provider.name, key=key.id))
        state = self._targets.get((target.provider.name, target.model))
        if state is not None and state.probed_until:
            self.note(Event("probing", target.provider.name, target.model))

    def reset(self, provider: str = "", model: str = "") -> None:
        """After the call nothing bad is known: of the target, of everything at a provider, or of all."""
        self.note(Event("reset", provider, model))

    def note(self, event: Event) -> None:
        """Apply what happened here, and tell those who keep the same account."""
        self.apply(event)
        if self._publish is not None:
            self._publish(event)

    def apply(self, event: Event) -> None:
        """After the call `event` is known, wherever it happened."""
        match event.kind:
            case "failed" | "probing":
                self._apply_to_target(event)
            case "alive":
                self._targets.pop((event.provider, event.model), None)
            case "answered":
                self._targets.pop((event.provider, event.model), None)
                key = self._key(event.provider, event.key)
                key.rests.pop(event.model, None)
                key.disabled = ""
            case "rested":
                rests = self._key(event.provider, event.key).rests
                before = rests.get(event.model)
                times = 1 if before is None else before.times + (before.until <= event.at)
                rests[event.model] = Rest(event.until, event.failure, event.is_told, times)
                while len(rests) > _CAPACITY:
                    del rests[next(iter(rests))]
            case "disabled":
                self._key(event.provider, event.key).disabled = event.reason
            case "taken":
                key = self._key(event.provider, event.key)
                key.taken.append(event.at)
                key.at_work += 1
                _forget_old(key, event.at)
            case "released":
                key = self._key(event.provider, event.key)
                key.at_work = max(0, key.at_work - 1)
            case "spent":
                key = self._key(event.provider, event.key)
                key.spent.append((event.at, event.tokens))
                _forget_old(key, event.at)
            case "told":
                self.quotas.note(event.provider, event.key, event.reason, event.at)
            case "reset":
                self._reset(event)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _apply_to_target(self, event: Event) -> None:
        name = (event.provider, event.model)
        if event.kind == "probing":
            if name in self._targets:
                self._targets[name].probed_until = event.until
            return
        state = self._targets.setdefault(name, TargetState())
        self._targets.move_to_end(name)
        while len(self._targets) > _CAPACITY:
            self._targets.popitem(last=False)
        state.failures += 1
        state.last_failure, state.last_failed, state.probed_until = event.failure, event.at, 0.0
        if state.failures >= max(1, event.open_after) and event.at >= state.open_until:
            state.opened += 1
            state.open_until = event.until

    def _reset(self, event: Event) -> None:
        for name in [one for one in self._targets if event.provider in ("", one[0]) and event.model in ("", one[1])]:
            del self._targets[name]
        for (provider, _), key in self._keys.items():
            if event.provider not in ("", provider):
                continue
            if event.model:
                key.rests.pop(event.model, None)
            else:
                key.rests.clear()
                key.disabled = ""

    def _key(self, provider: str, key: str) -> KeyState:
        return self._keys.setdefault((provider, key), KeyState())

    def _open_time(self, provider: str, model: str) -> float:
        state = self._targets.get((provider, model))
        return min(LONGEST_REST, self.retries.open_seconds * 2.0 ** min(10, state.opened if state else 0))

    def _guessed_rest(self, provider: str, model: str, key: PoolKey) -> float:
        """Twice as long each time; those that were under way when the rest began meet the same limit, not another."""
        rest = self._key(provider, key.id).rests.get(model)
        times = 0 if rest is None else rest.times - (rest.until > self._clock())
        return min(_LONGEST_GUESS, _FIRST_REST * 2.0 ** min(10, times))

    def _when_free(self, provider: str, model: str, key: PoolKey) -> Choice:
        state, now = self._key(provider, key.id), self._clock()
        free_at, is_told = 0.0, False
        rest = state.rests.get(model)
        if rest is not None and rest.until > now:
            free_at, is_told = rest.until, rest.is_told
        for moment in self._limits(state, key, now):
            if moment > free_at:
                free_at, is_told = moment, True
        return Choice(key, free_at, is_told)

    def _limits(self, state: KeyState, key: PoolKey, now: float) -> Iterable[float]:
        """When each of the user's limits leaves room for one more request."""
        _forget_old(state, now)
        if key.per_minute and len(state.taken) >= key.per_minute:
            yield state.taken[-key.per_minute] + _WINDOW
        if key.tokens_per_minute:
            left = sum(tokens for _, tokens in state.spent)
            for at, tokens in state.spent:
                if left < key.tokens_per_minute:
                    break
                left -= tokens
                moment = at + _WINDOW
                if left < key.tokens_per_minute:
                    yield moment
        if key.concurrent and state.at_work >= key.concurrent:
            yield now + 1.0  # nobody knows when one ends: a look once a second


def _forget_old(state: KeyState, now: float) -> None:
    """What is older than a minute counts for no limit."""
    while state.taken and state.taken[0] <= now - _WINDOW:
        state.taken.popleft()
    while state.spent and state.spent[0][0] <= now - _WINDOW:
        state.spent.popleft()


def _score(affinity: str, key: PoolKey) -> float:
    """Weighted rendezvous hashing: the highest wins. Each key gets its share of all affinities, and what a key loses by
    falling out spreads over the others, while everybody else stays where they are.
    """
    digest = blake2b(f"{affinity}\0{key.id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    uniform = (int.from_bytes(digest) + 1) / (2**64 + 1)
    return -key.weight / math.log(uniform)
