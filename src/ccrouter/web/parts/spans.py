"""The stretch of time that a page looks at, as its address chooses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ccrouter.jsontypes import JsonObject

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Span:
    """`seconds` until now, drawn in steps of `step` seconds. `name` is what addresses call it by."""

    name: str
    words: str
    seconds: int
    step: int


SPANS = (
    Span("1h", "the last hour", _HOUR, _MINUTE),
    Span("24h", "the last 24 hours", _DAY, 30 * _MINUTE),
    Span("7d", "the last 7 days", 7 * _DAY, 3 * _HOUR),
    Span("30d", "the last 30 days", 30 * _DAY, 12 * _HOUR),
    Span("90d", "the last 90 days", 90 * _DAY, _DAY),
)
_BY_NAME = {one.name: one for one in SPANS}
#: Where an address chooses none, or one that there is not.
USUAL = _BY_NAME["24h"]


def span_of(query: Mapping[str, str], name: str = "range") -> Span:
    """The span that the address chooses, the usual one without a choice."""
    return _BY_NAME.get(query.get(name, ""), USUAL)


def since_of(query: Mapping[str, str], now: datetime) -> datetime | None:
    """From when on an address asks by `since`: the name of a span, or a time in ISO 8601, UTC where it says no zone.
    None for always, and for what is neither.
    """
    asked = query.get("since", "").strip()
    if asked in _BY_NAME:
        return now - timedelta(seconds=_BY_NAME[asked].seconds)
    try:
        at = datetime.fromisoformat(asked)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def told(span: Span, now: datetime) -> JsonObject:
    """The facts of a span that ends now."""
    return {
        "name": span.name,
        "words": span.words,
        "since": timestamp(now - timedelta(seconds=span.seconds)),
        "until": timestamp(now),
        "stepSeconds": span.step,
        "choices": [one.name for one in SPANS],
    }


def timestamp(at: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def midnight(now: datetime) -> datetime:
    """When today began, in the zone of the machine that the router runs on."""
    return now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
