"""Time for tests of retries: pauses are written down and take no time, while the router's clock has passed them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime


class Patience:
    """`clock` and `wait` of an App. `waits` are the pauses that were made."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._passed = 0.0

    def clock(self) -> float:
        return time.monotonic() + self._passed

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._passed += seconds

    def let_pass(self, seconds: float) -> None:
        self._passed += seconds


def http_date(seconds: float) -> str:
    """The moment so many seconds after `date` of the same answer, as headers write it."""
    return format_datetime(datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC) + timedelta(seconds=seconds), usegmt=True)
