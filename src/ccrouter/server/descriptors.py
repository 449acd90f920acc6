"""The descriptors of this process: how many connections they are enough for, and that they have run out, said once.

On systems without such a limit (Windows) nothing is bounded here.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

if sys.platform != "win32":
    import resource

#: For what is no connection: the log, the audit, the user's files while they are read, the event loop's own.
_OUR_OWN = 64
_LEAST = 8
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})

Tell = Callable[..., None]


def raise_limit() -> None:
    """After the call this process may have as many descriptors as its system lets it ask for."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # macOS says "unlimited" and takes no more than the kernel's own limit
        most = 10_240  # OPEN_MAX there
        if soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def connections_for(limit: int) -> int:
    """How many connections of clients `limit` descriptors are enough for, each with one to a provider."""
    return max(_LEAST, (limit - _OUR_OWN) // 2)


class Descriptors:
    """Watches whether one is free. `tell(level, message, **facts)` hears of it when none is, and when one is again."""

    def __init__(self, tell: Tell, take: Callable[[], None] | None = None) -> None:
        self._tell = tell
        self._take = take or _take_one
        self._beats_without = 0

    @property
    def most_connections(self) -> int | None:
        """How many connections of clients there may be; None for no bound."""
        if sys.platform == "win32":
            return None
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return None if soft == resource.RLIM_INFINITY else connections_for(soft)

    def beat(self) -> None:
        """To be called about once a second."""
        try:
            self._take()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                return
            if not self._beats_without:
                self._tell(
                    "error",
                    "no descriptor is free: new connections wait or are closed until one is",
                    error=error.strerror,
                    hint="more are allowed by `ulimit -n`, systemd's LimitNOFILE",
                )
            self._beats_without += 1
        else:
            if self._beats_without:
                self._tell("warn", "descriptors are free again", seconds=self._beats_without)
                self._beats_without = 0


def _take_one() -> None:
    os.close(os.open(os.devnull, os.O_RDONLY))
