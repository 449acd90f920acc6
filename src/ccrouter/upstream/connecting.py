"""When a connection was made for a request: known without asking the client library to trace every step of each.

A socket is made for a new connection only, so its making tells that there was none to use again.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aiohttp

#: Of an address: family, kind, protocol, canonical name, and the address itself (socket.getaddrinfo).
Address = tuple[Any, ...]
Factory = Callable[[Address], socket.socket]


@dataclass(slots=True)
class Connecting:
    """`made` is when a connection was ready, TLS included, of the monotonic clock; 0.0 if there was one."""

    is_new: bool = False
    made: float = 0.0


_now: ContextVar[Connecting | None] = ContextVar("connecting", default=None)


def watch_connection() -> Connecting:
    """What will tell of the connection that the next request of this task is sent by."""
    connecting = Connecting()
    _now.set(connecting)
    return connecting


def new_socket(address: Address) -> socket.socket:
    """A socket for `address`, as the library would make it."""
    family, kind, protocol, _, _ = address
    return socket.socket(family, kind, protocol)


def noting(make: Factory) -> Factory:
    """`make`, and whoever watches knows of it."""

    def made(address: Address) -> socket.socket:
        connecting = _now.get()
        if connecting is not None:
            connecting.is_new = True
        return make(address)

    return made


class TimedConnector(aiohttp.TCPConnector):
    """Tells whoever watches when its connection was ready."""

    async def connect(self, *args: Any, **named: Any) -> aiohttp.connector.Connection:
        connection = await super().connect(*args, **named)
        connecting = _now.get()
        if connecting is not None and connecting.is_new:
            connecting.made = time.monotonic()
        return connection
