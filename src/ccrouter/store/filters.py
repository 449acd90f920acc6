"""What a report is asked for: which exchanges, of which time. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ccrouter.store.rollups import DAY, HOUR, MINUTE, MINUTES_KEPT
from ccrouter.store.rows import SHIFT

Status = Literal["", "ok", "failed"]
#: A span of rollups, and from when to when, in seconds since 1970, it is to be looked at.
Part = tuple[int, int, int]
#: Later than anything.
_EVER = (1 << 42) // DAY * DAY


@dataclass(frozen=True, slots=True)
class Filters:
    """Which exchanges: those that began from `since` on and before `until`, and of which all of the rest is so; ""
    asks for nothing. `model` is the one that was sent, `search` the beginning of an id or of a session's, or a part of
    a model's name, be it asked, sent or answered.
    """

    since: datetime | None = None
    until: datetime | None = None
    model: str = ""
    provider: str = ""
    route: str = ""
    session: str = ""
    project: str = ""
    client: str = ""
    status: Status = ""
    search: str = ""

    @property
    def lowest(self) -> int:
        """The least number that an exchange of that time has."""
        return 0 if self.since is None else _number(self.since)

    @property
    def highest(self) -> int:
        """A number that every exchange of that time is below."""
        return (_EVER << SHIFT) if self.until is None else _number(self.until)


def _number(moment: datetime) -> int:
    """The least number of an exchange that begins at that moment, of those that the file can have."""
    return min(max(int(moment.timestamp() * 1000), 0), _EVER) << SHIFT


def cover(since: datetime | None, until: datetime | None, now: float, least: int = MINUTE) -> list[Part]:
    """The spans that together make up the time from `since` to `until`: days, at its ends hours, and minutes as long as
    there are any of them and `least` allows; where not, the time is widened to whole hours.
    """
    oldest_minute = now - MINUTES_KEPT + HOUR
    low, high = 0, _EVER
    if since is not None:
        moment = int(since.timestamp())
        step = MINUTE if least == MINUTE and moment >= oldest_minute else HOUR
        low = moment // step * step
    if until is not None:
        moment = int(until.timestamp())
        step = MINUTE if least == MINUTE and moment >= oldest_minute else HOUR
        high = -(-moment // step) * step
    return list(_parts(low, high, (DAY, HOUR, MINUTE)))


def _parts(low: int, high: int, spans: tuple[int, ...]) -> Iterator[Part]:
    if low >= high or not spans:
        return
    span, *shorter = spans
    first, last = -(-low // span) * span, high // span * span
    if first >= last:
        yield from _parts(low, high, tuple(shorter))
        return
    yield from _parts(low, first, tuple(shorter))
    yield (span, first, last)
    yield from _parts(last, high, tuple(shorter))
