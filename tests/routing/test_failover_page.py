"""docs/failover.md against the code: the table of failures, and the figures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from ccrouter.config.schema import Endpoint, PoolKey, Provider, Retries, Target
from ccrouter.routing.failures import Failure, FailureKind
from ccrouter.routing.health import Health
from ccrouter.routing.recovery import Chances, Step, is_passing, next_step

PAGE = (Path(__file__).parents[2] / "docs" / "failover.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| (yes|no) \| ([^|]+) \|$", re.MULTILINE)
WORDS: dict[Step, str] = {
    "next_key": "another key",
    "longer_context": "the `longContext` route's target",
    "next_target": "the next target",
}
TARGET = Target(Provider("p", (Endpoint("anthropic", "http://p.test"),)), "m")


def at_once(kind: FailureKind) -> str:
    """The steps that need no pause, each taken while there is a chance for it."""
    left = {"has_key": True, "has_longer": True, "has_target": True}
    uses: dict[Step, str] = {"next_key": "has_key", "longer_context": "has_longer", "next_target": "has_target"}
    steps: list[str] = []
    while (step := next_step(Failure(kind), Chances(**left))) != "give_up":
        steps.append(WORDS[step])
        left[uses[step]] = False
    return ", ".join(steps) or "nothing"


def counts_against(kind: FailureKind) -> str:
    """Of what something bad is known after one such failure."""
    health = Health(lambda: 0.0)
    health.end(TARGET, TARGET.provider.pool[0], Failure(kind))
    if health.known_targets():
        return "the target"
    state = health.key_state("p", TARGET.provider.pool[0].id)
    return "the key" if state is not None and (state.rests or state.disabled) else "nothing"


def test_the_table_of_failures_is_the_codes() -> None:
    """Every kind, what is tried, whether again, and what it counts against."""
    told = {kind: (steps, again, counted) for kind, steps, again, counted in ROW.findall(PAGE)}
    kinds: tuple[FailureKind, ...] = get_args(FailureKind)
    assert told == {
        kind: (at_once(kind), "yes" if is_passing(Failure(kind)) else "no", counts_against(kind)) for kind in kinds
    }


def test_the_figures_are_the_defaults() -> None:
    """What the page says of `retry`, and of how long rests last."""
    given = Retries()
    settings = PAGE[PAGE.index("## Settings") :]
    for name, value in (
        ("again", f"{given.again} further rounds"),
        ("waitSeconds", f"{given.wait:g}"),
        ("attempts", f"{given.attempts}"),
        ("openAfter", f"{given.open_after}"),
        ("openSeconds", f"{given.open_seconds:g}"),
    ):
        assert f"`{name}` ({value})" in settings
    assert f"{given.wait:g} seconds of waiting and {given.attempts} attempts" in PAGE
    assert f"After {given.open_after} failures on end" in PAGE


def rests(failure: Failure, times: int = 1) -> float:
    clock = [0.0]
    health = Health(lambda: clock[0])
    key: PoolKey = TARGET.provider.pool[0]
    until = 0.0
    for _ in range(times):
        clock[0] = until
        health.end(TARGET, key, failure)
        until = health.key_state("p", key.id).rests["m"].until
    return until - clock[0]


def test_the_rests_are_as_long_as_told() -> None:
    """5 minutes at the most, 5 seconds to a minute where nobody said, 5 minutes without credit."""
    assert "| a 429 with a time | that time, 5 minutes at the most" in PAGE
    assert rests(Failure("rate_limit", 429, 9999.0)) == 300
    assert "| a 429 without one | 5 seconds, and twice as long each time, up to a minute |" in PAGE
    assert [rests(Failure("rate_limit", 429), times) for times in (1, 2, 20)] == [5, 10, 60]
    assert "| the account is used up | 5 minutes |" in PAGE
    assert rests(Failure("quota", 402)) == 300
