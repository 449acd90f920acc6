"""What a worker that starts is told of targets, keys, conversations and sessions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.facts import Thread
from ccrouter.routing.health import Event, Health
from ccrouter.routing.retelling import retold
from ccrouter.routing.sessions import SessionUsage
from ccrouter.secret import Secret
from ccrouter.server.sessions import Sessions

names = st.sampled_from(["a", "b"])
moments = st.floats(0, 100, allow_nan=False)
events = st.builds(
    Event,
    kind=st.sampled_from(
        ["answered", "alive", "failed", "rested", "disabled", "taken", "released", "spent", "probing", "reset"]
    ),
    provider=names,
    model=names,
    key=names,
    at=moments,
    until=moments,
    failure=st.sampled_from(["rate_limit", "quota"]),
    reason=st.just("why"),
    is_told=st.booleans(),
    tokens=st.integers(1, 9),
    open_after=st.integers(0, 3),
)


def state(health: Health):
    targets = {name: health.target_state(*name) for name in health.known_targets()}
    keys = {name: health.key_state(*name) for name in health.known_keys()}
    return (
        targets,
        {
            name: (one.disabled, one.rests, [at for at in one.taken if at > 40], one.at_work, list(one.spent))
            for name, one in keys.items()
            if one.disabled or one.rests or one.taken or one.at_work or one.spent
        },
    )


@given(st.lists(events, max_size=60))
def test_health_is_told_whole(happened):
    """Another Health that applies what is retold knows the same, whatever happened; but for requests that are older
    than the minute that limits count."""
    health = Health(lambda: 100.0)
    for event in sorted(happened, key=lambda event: event.at):
        health.apply(event)
    other = Health(lambda: 100.0)
    for event in retold(health):
        other.apply(event)
    assert state(other) == state(health)


def test_conversations_are_told():
    """What is published and what is retold make another account know the same."""
    usage, follower, late = SessionUsage(), SessionUsage(), SessionUsage()
    usage.publish_to(follower.apply)
    thread = Thread("s", "", 7)
    usage.record(thread, 1000, 900)
    usage.record(Thread("", "", 0), 5, 5)
    for record in usage.retold():
        late.apply(record)
    for one in (usage, follower, late):
        assert (one.previous(thread), one.corrected(thread, 950), len(one)) == (1000, 1050, 1)


def test_sessions_are_told():
    """A session that is opened or closed is so elsewhere, and no token is told; of too many the oldest end there too."""
    told = []
    sessions, follower, late = (Sessions(lambda: 0.0) for _ in range(3))
    for one in (sessions, follower, late):
        one.follow(Secret("the-key-0123456789"))
    sessions.publish_to(lambda event: (told.append(event), follower.apply(event)))
    tokens = [sessions.open() for _ in range(70)]
    for event in sessions.retold():
        late.apply(event)
    for one in (sessions, follower, late):
        assert [one.is_open(token) for token in tokens] == [False] * 6 + [True] * 64
    sessions.close(tokens[-1])
    assert not follower.is_open(tokens[-1])
    assert not any(token.encode() in event.token for token in tokens for event in told)
