"""How much of the processor something may have that can be done without. No I/O but the clock."""

from __future__ import annotations

import time
from collections.abc import Callable


class Allowance:
    """Grows by `share` of the time that passes, up to `most` seconds; whatever is done is taken from it."""

    def __init__(self, share: float, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._share, self._most, self._clock = share, most, clock
        self._left, self._seen = most, clock()

    def has_any(self) -> bool:
        """True if something may be done now. One that is begun may take more than there is: it is waited for then."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._seen) * self._share)
        self._seen = now
        return self._left > 0

    def take(self, seconds: float) -> None:
        """So much was used."""
        self._left -= seconds
