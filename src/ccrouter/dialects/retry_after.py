"""When a provider wants to be asked again: read from headers, error objects and words. Pure, and safe with garbage.

Source: RFC 9110 10.2.3 (seconds or a date); OpenAI's x-ratelimit-reset-* ("6m0s"); Google's RetryInfo ("12s");
OpenRouter's x-ratelimit-reset (epoch in ms) and `availability.retry_after`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

#: No provider is waited for longer than this, in seconds, whatever it says.
MAX_RETRY_AFTER = 3600.0

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_WORDS = re.compile(r"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)", re.IGNORECASE)
_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


def retry_after(
    status: int, headers: Mapping[str, str], error: Mapping[str, Any], words: str, now: float | None
) -> float | None:
    """Seconds to wait, 0 <= s <= MAX_RETRY_AFTER, or None where upstream named no time that makes sense.

    `headers` are lower-case; `now` is in seconds since the epoch, and if None the answer's `date` stands for it.
    """
    if status not in _STATUSES:
        return None
    clock = now if now is not None else read_date(headers.get("date", ""))
    candidates = (
        _milliseconds(headers.get("retry-after-ms", "")),
        _seconds_or_date(headers.get("retry-after", ""), clock),
        _from_error(error),
        _exhausted(headers) if status == 429 else None,
        _epoch(headers.get("x-ratelimit-reset", ""), clock) if status == 429 else None,
        read_duration(match.group(1)) if (match := _WORDS.search(words)) else None,
    )
    return next((min(seconds, MAX_RETRY_AFTER) for seconds in candidates if seconds is not None), None)


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _milliseconds(text: str) -> float | None:
    value = _float(text)
    return None if value is None else value / 1000


def read_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _seconds_or_date(text: str, now: float | None) -> float | None:
    text = text.strip()
    if not text:
        return None
    if text[0].isdigit():
        return _float(text) if _float(text) is not None else read_duration(text)
    when = read_date(text)
    return None if when is None or now is None else max(0.0, when - now)


def read_duration(text: str) -> float | None:
    text = text.strip().lower()
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _exhausted(headers: Mapping[str, str]) -> float | None:
    """The longest reset among the limits that are used up."""
    waits = []
    for what in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{what}", "").strip() == "0":
            text = headers.get(f"x-ratelimit-reset-{what}", "")
            wait = read_duration(text) if not text.isdigit() else _float(text)
            if wait is not None:
                waits.append(wait)
    return max(waits, default=None)


def _epoch(text: str, now: float | None) -> float | None:
    value = _float(text)
    if value is None:
        return None
    if value < 1e8:  # a delay, not a date
        return value
    if now is None:
        return None
    return max(0.0, (value / 1000 if value > 1e11 else value) - now)


def _from_error(error: Mapping[str, Any]) -> float | None:
    availability = error.get("availability")
    if isinstance(availability, dict):
        return _float(str(availability.get("retry_after", "")))
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(detail.get("retryDelay"), str):
            return read_duration(detail["retryDelay"])
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("headers"), dict):
        lowered = {str(name).lower(): str(value) for name, value in metadata["headers"].items()}
        return _seconds_or_date(lowered.get("retry-after", ""), None)
    return None
