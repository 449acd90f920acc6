"""Times as people write them on a command line: `7d`, `today`, `2026-11-01`. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_AGO = re.compile(r"(\d{1,6})\s*(m|h|d|w)", re.IGNORECASE)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_DAYS = {"today": 0, "yesterday": 1}

HELP = "7d, 24h, 90m, 2w, today, yesterday, a date or a time (2026-11-01, 2026-11-01T14:30)"


def moment_of(text: str, now: datetime, zone: tzinfo | None = None) -> datetime:
    """The time that `text` tells, in UTC: so long before `now`, the beginning of a day, or a time of its own.

    Days, and times that name no zone, are those of `zone`, None for the machine's. Raises ValueError, whose words tell
    what may be written, for what is none.
    """
    text = text.strip()
    try:
        return _read(text, now, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: write {HELP}") from None


def local(at: datetime, zone: tzinfo | None = None) -> datetime:
    """The same time in `zone`, None for the machine's, by the rules (summer time) that hold there then."""
    return at.astimezone(zone)


def _read(text: str, now: datetime, zone: tzinfo | None) -> datetime:
    if found := _AGO.fullmatch(text):
        return now - int(found[1]) * _UNITS[found[2].lower()]
    if text.lower() in _DAYS:
        return _midnight(local(now, zone).date() - timedelta(days=_DAYS[text.lower()]), zone)
    if text.lower() == "now":
        return now
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return _midnight(date.fromisoformat(text), zone)
    told = datetime.fromisoformat(text)
    return told if told.tzinfo else _in_zone(told, zone)


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    return _in_zone(datetime.combine(day, time()), zone)


def _in_zone(at: datetime, zone: tzinfo | None) -> datetime:
    return at.replace(tzinfo=zone) if zone else at.astimezone()


def iso(at: datetime) -> str:
    """The time in UTC with milliseconds, as every report has it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
