"""An event loop from which nothing leaves this machine: it looks up no names and connects to loopback alone.

The drill runs on it, so that no mistake in a configuration, in the router or in the drill itself can cost more than
the drill.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

from ccrouter.loopback import is_loopback


class IslandLoop(asyncio.SelectorEventLoop):
    """Names but `localhost` are unknown here, as they are where there is no network; other addresses are refused."""

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        """As of any event loop. Raises socket.gaierror for whatever is not this machine, without asking anybody."""
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if name is not None and not is_loopback(name):
            raise socket.gaierror(socket.EAI_NONAME, "the drill looks up no names")
        return await super().getaddrinfo(host, port, **hints)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """As of any event loop. Raises PermissionError for whatever is not this machine: nothing is sent to it."""
        if sock.family in {socket.AF_INET, socket.AF_INET6} and not is_loopback(str(address[0])):
            raise PermissionError(errno.EACCES, "the drill connects to nothing but this machine")
        await super().sock_connect(sock, address)
