"""What to do after a failed attempt: one table, and how long to wait. Pure; asked only before the first byte went out.

Ours and the client's errors stay errors, and a provider's refusal of what was asked is never routed around (403: for
whom; 404: a wrong configuration must not hide). What another target need not share goes to the next one at once. Where
none is left, what may pass by itself is asked again after a pause, as long as the request's own budget lasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ccrouter.routing.failures import Failure, FailureKind

#: Another key of the same target at once; the longer-context target; the next target at once; those of this round that
#: may have recovered once more, after a pause; or the end.
Step = Literal["next_key", "longer_context", "next_target", "again", "give_up"]

#: Seconds before the second round; each further one waits twice as long.
FIRST_PAUSE = 1.0
#: Pauses are scattered by this share to both sides, so that many clients do not come back in one moment.
SCATTER = 0.25

_KEY: tuple[Step, ...] = ("next_key", "next_target", "again")
_ELSEWHERE: tuple[Step, ...] = ("next_target", "again")

#: What may help, in the order in which it is tried.
_STEPS: dict[FailureKind, tuple[Step, ...]] = {
    "connect": _ELSEWHERE,
    "dns": _ELSEWHERE,
    "tls": _ELSEWHERE,
    "first_byte": _ELSEWHERE,
    "idle": _ELSEWHERE,
    "total": _ELSEWHERE,
    "reset": _ELSEWHERE,
    "local": _ELSEWHERE,  # it may have a connection that is open
    "rate_limit": _KEY,
    "quota": _KEY,
    "key": _KEY,
    "overloaded": _ELSEWHERE,
    "server": _ELSEWHERE,
    "redirected": _ELSEWHERE,
    "empty": _ELSEWHERE,
    "cut": _ELSEWHERE,
    "protocol": _ELSEWHERE,
    "too_long": ("longer_context", "next_target", "again"),
    "unsupported": _ELSEWHERE,
    "refused": (),
    "missing": (),
    "request": (),
}

#: Failures that may pass by themselves: their targets are asked again in the next round. A time-out has cost minutes,
#: and the same again would cost as many; a certificate or a key is not another one a second later.
_PASSING: frozenset[FailureKind] = frozenset({
    "connect", "dns", "reset", "local", "rate_limit", "overloaded", "server", "empty", "cut", "protocol",
})  # fmt: skip

#: Failures that say something of a target's health; the others are about one key, or about the request.
UNHEALTHY: frozenset[FailureKind] = frozenset({
    "connect", "dns", "tls", "first_byte", "idle", "total", "reset", "overloaded", "server",
    "redirected", "empty", "cut", "protocol",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chances:
    """What there is to go on with. `may_repeat` if some target may have recovered after a pause, a further round is
    left for it, and the pause is within the budget.
    """

    has_key: bool = False
    has_target: bool = False
    has_longer: bool = False
    may_repeat: bool = False


def next_step(failure: Failure, chances: Chances) -> Step:
    """The first step that may help after `failure` and that there is a chance for."""
    there = {
        "next_key": chances.has_key,
        "longer_context": chances.has_longer,
        "next_target": chances.has_target,
        "again": chances.may_repeat,
    }
    return next((step for step in _STEPS[failure.kind] if there[step]), "give_up")


def is_passing(failure: Failure) -> bool:
    """True if the same target may succeed a little later."""
    return failure.kind in _PASSING


def is_of_key(failure: Failure) -> bool:
    """True if another key of the same provider may succeed at once."""
    return "next_key" in _STEPS[failure.kind]


def pause(times: int, retry_after: float | None, scatter: float) -> float:
    """Seconds before the next round after `times` rounds (at least one): twice as long each time, and no shorter than
    the provider asked for. `scatter` in [0, 1) is a random number.
    """
    backoff = FIRST_PAUSE * 2.0 ** (times - 1) * (1 - SCATTER + 2 * SCATTER * scatter)
    return max(backoff, retry_after or 0.0)
