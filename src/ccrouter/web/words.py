"""How figures and times are written on pages. What is not known is said to be unknown, and never a nought."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import log10

NOTHING = "–"
_THOUSAND, _MILLION = 1_000, 1_000_000
_SECOND, _MINUTE = 1_000.0, 60_000.0


def money(usd: float | None) -> str:
    """US dollars with as many digits as matter: "$12.30", "$0.0042"; "unknown" for None."""
    if usd is None:
        return "unknown"
    if usd == 0:
        return "$0"
    digits = 2 if abs(usd) >= 1 else min(6, 1 - int(log10(abs(usd)) // 1))
    return f"${usd:,.{digits}f}" if abs(usd) >= 0.000_001 else "<$0.000001"


def tokens(count: float | None) -> str:
    """A number of tokens, short: "950", "12.3k", "1.2M"."""
    if count is None:
        return NOTHING
    if count < _THOUSAND:
        return f"{count:.0f}"
    if count < _MILLION:
        return f"{count / _THOUSAND:.1f}k" if count < 100 * _THOUSAND else f"{count / _THOUSAND:.0f}k"
    return f"{count / _MILLION:.2f}M"


def count(number: float | None) -> str:
    """A whole number with its thousands apart."""
    return NOTHING if number is None else f"{number:,.0f}"


def ms(milliseconds: float | None) -> str:
    """A duration: "12 ms", "1.24 s", "3 min 5 s"."""
    if milliseconds is None:
        return NOTHING
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    if milliseconds < _SECOND:
        return f"{milliseconds:.0f} ms"
    if milliseconds < _MINUTE:
        return f"{milliseconds / _SECOND:.2f} s"
    minutes, rest = divmod(round(milliseconds / _SECOND), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def percent(share: float | None) -> str:
    """A share of one: "93 %"."""
    if share is None:
        return NOTHING
    return f"{share * 100:.1f} %" if 0 < share < 0.0995 else f"{share * 100:.0f} %"


def size(number: float | None) -> str:
    """Bytes: "312 B", "4.1 kB", "2.0 MB"."""
    if number is None:
        return NOTHING
    for unit in ("B", "kB", "MB"):
        if number < _THOUSAND:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= _THOUSAND
    return f"{number:.1f} GB"


def moment(text: str | None) -> datetime | None:
    """The time that an ISO-8601 text tells; None for None."""
    return None if text is None else datetime.fromisoformat(text)


def when(text: str | None) -> str:
    """A time of the calendar, to the second, in the zone of the machine that the router runs on."""
    at = moment(text)
    return NOTHING if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def clock(text: str | None) -> str:
    """The time of day alone."""
    at = moment(text)
    return NOTHING if at is None else f"{at.astimezone():%H:%M:%S}"


def ago(text: str | None, now: datetime | None = None) -> str:
    """How long ago: "just now", "4 min ago", "3 h ago", "12 days ago"."""
    at = moment(text)
    if at is None:
        return NOTHING
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    if seconds < 5:
        return "just now"
    if seconds < 60:
        return f"{seconds:.0f} s ago"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 48 * 3600:
        return f"{seconds // 3600:.0f} h ago"
    return f"{seconds // 86400:.0f} days ago"


def short(text: str | None, length: int = 12) -> str:
    """The beginning of a long name."""
    if not text:
        return NOTHING
    return text if len(text) <= length else f"{text[: length - 1]}…"


#: What templates call them.
FILTERS: Mapping[str, Callable[..., str]] = {
    one.__name__: one for one in (money, tokens, count, ms, percent, size, when, clock, ago, short)
}
