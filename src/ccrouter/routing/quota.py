"""What providers say in the headers of their answers is left of a key's limits. Pure; remembers, and decides nothing.

Sources: Anthropic (`anthropic-ratelimit-*`, of subscriptions `anthropic-ratelimit-unified-5h-utilization` and so on);
OpenAI and those that do as it does (`x-ratelimit-*`: Groq, Cerebras and Mistral put a period behind the subject,
OpenRouter has none); `ratelimit-*` of the IETF draft on RateLimit header fields.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from ccrouter.dialects.retry_after import read_date, read_duration

_MARK = "ratelimit"
_HEADER = re.compile(r"(?:anthropic-|x-)?ratelimit-([a-z0-9-]{1,60})")
_KINDS = frozenset({"limit", "remaining", "reset", "utilization"})
_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:[,;].*)?")
_SPELLED = {"req": "requests", "unified": "subscription", "5h": "5 hours", "7d": "7 days"}
_PERIODS = frozenset({"second", "minute", "hour", "day", "month"})
#: Of one answer so many are kept: a provider has a handful.
_MOST = 16
#: Seconds in which the same key's limits are noted once.
_PAUSE = 0.5
#: A time that lies further ahead is none, in seconds.
_FARTHEST = 32 * 86400.0
#: Below, a number is seconds to go; above the second, milliseconds since 1970.
_LEAST_DATE, _LEAST_MILLISECONDS = 1e8, 1e11


class Allowance(msgspec.Struct, frozen=True, omit_defaults=True):
    """One limit of a key. `limit` and `remaining` are counts, `used` a share of one, `resets` seconds after the answer;
    None for what was not told.
    """

    name: str
    limit: float | None = None
    remaining: float | None = None
    used: float | None = None
    resets: float | None = None


def read_allowances(headers: Mapping[str, str]) -> tuple[Allowance, ...]:
    """Every limit that `headers` (lower-case) tell of, by name; () for most providers' answers."""
    told: dict[str, dict[str, str]] = {}
    for name, value in headers.items():
        if _MARK in name and (found := _HEADER.fullmatch(name)):
            parts = found[1].split("-")
            kind = next((one for one in (parts[-1], parts[0]) if one in _KINDS), "")
            if kind:
                parts.remove(kind)
                told.setdefault("-".join(parts), {})[kind] = value
    if not told:
        return ()
    now = read_date(headers.get("date", ""))
    found_ones = (_allowance(_words(name), kinds, now) for name, kinds in sorted(told.items())[:_MOST])
    return tuple(one for one in found_ones if one is not None)


@dataclass(frozen=True, slots=True)
class Quota:
    """What a provider said last of the limits of a key, and when (of the clock)."""

    at: float
    allowances: tuple[Allowance, ...]


class Quotas:
    """The last word of every provider on each of its keys, by name and id."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Quota] = {}

    def of(self, provider: str, key: str) -> Quota | None:
        """What is known of a key; None if nothing was said."""
        return self._known.get((provider, key))

    def known(self) -> list[tuple[str, str, Quota]]:
        """Everything: provider, id of the key, what was said."""
        return [(provider, key, quota) for (provider, key), quota in self._known.items()]

    def are_news(self, provider: str, key: str, allowances: Iterable[Allowance], now: float) -> bool:
        """True unless the like was said a moment ago and nothing is used up: it is said with every answer."""
        before = self._known.get((provider, key))
        return before is None or now - before.at >= _PAUSE or any(one.remaining == 0 for one in allowances)

    def note(self, provider: str, key: str, text: str, at: float) -> None:
        """After the call what `packed` made `text` of is the last word."""
        self._known[provider, key] = Quota(at, tuple(msgspec.json.decode(text, type=list[Allowance])))

    def keep(self, keys: Iterable[tuple[str, str]]) -> None:
        """After the call nothing is known of other keys."""
        kept = set(keys)
        self._known = {name: quota for name, quota in self._known.items() if name in kept}


def packed(allowances: Iterable[Allowance]) -> str:
    """As text, for those who keep the same account elsewhere: `Quotas.note` reads it."""
    return msgspec.json.encode(list(allowances)).decode()


def _allowance(name: str, kinds: Mapping[str, str], now: float | None) -> Allowance | None:
    limit, remaining, used = (_number(kinds.get(kind, "")) for kind in ("limit", "remaining", "utilization"))
    if limit is None and remaining is None and used is None:
        return None
    return Allowance(name, limit, remaining, used, _seconds(kinds.get("reset", ""), now))


def _words(subject: str) -> str:
    """The subject in words: "requests per day" for `requests-day`; "" stands for requests of all kinds."""
    parts = [_SPELLED.get(part, part) for part in subject.split("-") if part]
    if not parts:
        return "requests"
    if parts[0] == "subscription":
        return ", ".join(parts)
    if len(parts) > 1 and parts[-1] in _PERIODS:
        parts.insert(-1, "per")
    return " ".join(parts)


def _number(text: str) -> float | None:
    found = _NUMBER.fullmatch(text)
    value = float(found[1]) if found else math.inf
    return value if math.isfinite(value) else None


def _seconds(text: str, now: float | None) -> float | None:
    """Seconds from the answer on. `now` is when it was made, of the calendar."""
    value = _number(text)
    if value is None:
        value = read_duration(text)
        if value is None:
            moment = _moment(text)
            value = None if moment is None or now is None else max(0.0, moment - now)
    elif value >= _LEAST_DATE:
        value = value / 1000 if value >= _LEAST_MILLISECONDS else value
        value = None if now is None else max(0.0, value - now)
    return value if value is not None and value <= _FARTHEST else None


def _moment(text: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time; one without a zone is none."""
    try:
        at = datetime.fromisoformat(text.strip())
        return at.timestamp() if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
