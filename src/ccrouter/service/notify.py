"""Tells systemd, or whoever speaks its protocol, how the router is: sd_notify(3), datagrams to the socket of
NOTIFY_SOCKET. Nobody waits for them, and one that is lost changes nothing here.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress

_LONGEST = 1000  # characters of a status line


class Notifier:
    """Speaks to the socket at `address`, "" for nobody. `patience`: the seconds of WatchdogSec=, None without."""

    def __init__(
        self, address: str, patience: float | None = None, *, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._clock = clock
        self.patience = patience if address else None

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str]) -> Notifier:
        """The one that the environment names. After the call it does not any more: what we start is not the service."""
        address = environ.pop("NOTIFY_SOCKET", "")
        microseconds, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
            return cls("")
        is_meant = microseconds.isdecimal() and int(microseconds) > 0 and pid in {"", str(os.getpid())}
        return cls(address, int(microseconds) / 1_000_000 if is_meant else None)

    def ready(self, status: str) -> None:
        """The start, or a reload, is over."""
        self._tell("READY=1", _status(status))

    def reloading(self) -> None:
        """A reload has begun: the time tells systemd which of its SIGHUPs it answers (Type=notify-reload)."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={self._clock() // 1000}")

    def stopping(self, status: str) -> None:
        """The end has begun."""
        self._tell("STOPPING=1", _status(status))

    def alive(self) -> None:
        """To be said within `patience` seconds each time."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # A new one each time: the manager may have been started anew and listen at a new socket of that name.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | _CLOSE_ON_EXEC) as one:
            one.settimeout(0)  # a manager that does not read holds nobody up
            one.sendto("\n".join(lines).encode(), self._address)


#: Python closes its descriptors in children by itself; the flag is for C code that starts some.
_CLOSE_ON_EXEC: int = getattr(socket, "SOCK_CLOEXEC", 0)


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:_LONGEST]}"
