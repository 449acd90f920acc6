"""What providers say of a key's limits: read from every form of header, kept by key, and the same in two processes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.config.schema import Endpoint, PoolKey, Provider, Target
from ccrouter.routing.health import Event, Health
from ccrouter.routing.quota import Allowance, read_allowances
from ccrouter.routing.retelling import retold
from ccrouter.secret import Secret

DATE = {"date": "Sun, 22 Nov 2026 12:00:00 GMT"}


@pytest.mark.parametrize(("headers", "allowances"), [
    (
        {
            "anthropic-ratelimit-input-tokens-limit": "400000",
            "anthropic-ratelimit-input-tokens-remaining": "399000",
            "anthropic-ratelimit-input-tokens-reset": "2026-11-22T12:00:30Z",
        },
        [Allowance("input tokens", 400_000, 399_000, None, 30)],
    ),
    (
        {
            "anthropic-ratelimit-unified-5h-utilization": "0.42",
            "anthropic-ratelimit-unified-5h-reset": "1795350600",
            "anthropic-ratelimit-unified-5h-status": "allowed",
            "anthropic-ratelimit-unified-status": "allowed",
        },
        [Allowance("subscription, 5 hours", None, None, 0.42, 1800)],
    ),
    (
        {
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-reset-requests": "6m0s",
            "x-ratelimit-remaining-tokens": "149984",
            "x-ratelimit-reset-tokens": "6ms",
        },
        [Allowance("requests", 10_000, 9_999, None, 360), Allowance("tokens", None, 149_984, None, 0.006)],
    ),
    (
        {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-tokens-day": "5", "x-ratelimit-reset-tokens-day": "33011.4"},
        [Allowance("requests per minute", 60), Allowance("tokens per day", None, 5, None, 33_011.4)],
    ),
    (
        {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795348860000"},
        [Allowance("requests", 20, 0, None, 60)],
    ),
    ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "50", "ratelimit-reset": "30"}, [Allowance("requests", 100, 50, None, 30)]),
    ({"content-type": "text/event-stream", "x-request-id": "ratelimit"}, []),
    ({"x-ratelimit-limit": "many", "x-ratelimit-remaining": "nan", "x-ratelimit-reset": "soon"}, []),
    ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "9" * 400}, [Allowance("requests", None, 5)]),
])  # fmt: skip
def test_every_form_is_read(headers, allowances):
    """Subject, limit, what is left and in how many seconds it begins anew, in all forms; garbage says nothing."""
    assert list(read_allowances({**DATE, **headers})) == allowances


def test_a_date_needs_a_date():
    """When a limit begins anew is unknown if it is told as a date and the answer has none to compare it with."""
    headers = {
        "anthropic-ratelimit-requests-remaining": "5",
        "anthropic-ratelimit-requests-reset": "2026-11-22T12:00:30Z",
    }
    assert read_allowances(headers) == (Allowance("requests", None, 5),)


@given(
    st.dictionaries(st.from_regex(r"(x-)?ratelimit-[a-z0-9-]{0,30}", fullmatch=True), st.text(max_size=30), max_size=40)
)
def test_anything_can_stand_there(headers):
    """Whatever a provider writes there is read or left, never an error, and never more than 16 limits."""
    assert len(read_allowances({**DATE, **headers})) <= 16


FIRST, SECOND = (PoolKey(Secret(f"sk-{name}-0123456789"), "", name) for name in ("first", "second"))
PROVIDER = Provider("p", (Endpoint("anthropic", "http://p.test/v1"),), key=FIRST.secret, keys=(FIRST, SECOND))


def told(remaining: int) -> dict[str, str]:
    return {"x-ratelimit-remaining-requests": str(remaining)}


def test_it_is_kept_by_key_and_told_to_others():
    """What was said to a key is known of that key alone; another Health that applies the events knows the same, and so
    does one that begins later. A key that is no more is forgotten."""
    now = [100.0]
    events: list[Event] = []
    health = Health(lambda: now[0], events.append)
    health.follow([PROVIDER])
    health.hear(Target(PROVIDER.using(SECOND), "m"), told(7))
    assert health.quotas.of("p", FIRST.id) is None
    quota = health.quotas.of("p", SECOND.id)
    assert quota is not None
    assert (quota.at, [one.remaining for one in quota.allowances]) == (100.0, [7])
    for known in (events, retold(health)):
        other = Health(lambda: now[0])
        for event in known:
            other.apply(event)
        assert other.quotas.known() == health.quotas.known()
    health.follow([Provider("p", PROVIDER.endpoints, key=FIRST.secret, keys=(FIRST,))])
    assert health.quotas.known() == []


def test_the_same_is_not_noted_with_every_answer():
    """Within half a second the first word stands, unless a limit is used up; after it the last one does."""
    now = [100.0]
    events: list[Event] = []
    health = Health(lambda: now[0], events.append)
    target = Target(PROVIDER, "m")
    for moment, left in ((100.0, 9), (100.1, 8), (100.2, 0), (100.3, 5), (100.8, 4)):
        now[0] = moment
        health.hear(target, told(left))
    assert [event.at for event in events] == [100.0, 100.2, 100.8]


def test_silence_costs_nothing():
    """An answer without such headers is no event."""
    events: list[Event] = []
    Health(lambda: 1.0, events.append).hear(Target(PROVIDER, "m"), {"content-type": "application/json", **DATE})
    assert events == []
