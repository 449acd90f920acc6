"""What is known of targets and keys, told anew as the events that lead another Health to the same. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ccrouter.routing.health import Event, Health, KeyState, TargetState
from ccrouter.routing.quota import packed

#: So many failures on end, or rests, are told of one target or key at most: more make no difference to what is done.
_MOST = 64
#: More failures than anybody waits for before a target is passed over.
_NEVER = 1 << 30


def retold(health: Health) -> list[Event]:
    """Events for a Health that knows nothing yet. Counts of failures are told up to 64."""
    events: list[Event] = []
    for provider, model in health.known_targets():
        state = health.target_state(provider, model)
        if state is not None:
            events += _target(provider, model, state)
    for provider, key in health.known_keys():
        known = health.key_state(provider, key)
        if known is not None:
            events += _key(provider, key, known)
    for provider, key, quota in health.quotas.known():
        events.append(Event("told", provider, key=key, at=quota.at, reason=packed(quota.allowances)))
    return events


def _target(provider: str, model: str, state: TargetState) -> Iterator[Event]:
    """Failures that opened it nowhere, then those that did, each over before the next; the last as it is."""
    opened = min(state.opened, _MOST)
    at = state.last_failed

    def failed(until: float, least: int) -> Event:
        return Event("failed", provider, model, at=at, until=until, failure=state.last_failure, open_after=least)

    for _ in range(min(state.failures, _MOST) - opened):
        yield failed(0.0, _NEVER)
    for number in range(opened):
        yield failed(state.open_until if number == opened - 1 else at, 0)
    if state.probed_until:
        yield Event("probing", provider, model, at=at, until=state.probed_until)


def _key(provider: str, key: str, state: KeyState) -> Iterator[Event]:
    if state.disabled:
        yield Event("disabled", provider, key=key, reason=state.disabled)
    for model, rest in state.rests.items():
        for _ in range(min(rest.times, _MOST) - 1):
            yield Event("rested", provider, model, key, failure=rest.reason)
        yield Event("rested", provider, model, key, 0.0, rest.until, rest.reason, is_told=rest.is_told)
    extra = state.at_work - len(state.taken)  # at work for longer than a minute: they count for no other limit
    for _ in range(extra):
        yield Event("taken", provider, key=key)
    for at in state.taken:
        yield Event("taken", provider, key=key, at=at)
    for _ in range(-extra):
        yield Event("released", provider, key=key)
    for at, tokens in state.spent:
        yield Event("spent", provider, key=key, at=at, tokens=tokens)
