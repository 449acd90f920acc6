"""The way out for the vendors' libraries, which block a thread: through the router's own client, and thus through its
policy, its proxies and its certificates, like everything else that leaves.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from ccrouter.config.schema import Provider
from ccrouter.errors import ConfigError, Problem, UpstreamUnreachable

#: Seconds for one answer of a server of tokens.
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A small answer in full. `headers` are lower-case."""

    status: int
    headers: Mapping[str, str]
    data: bytes


@dataclass(frozen=True, slots=True)
class Errand:
    """A request that is none to a model: for a token, mostly."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    patience: float = PATIENCE


class Fetch(Protocol):
    """Sends for a provider what `errand` says. Raises Denied, UpstreamError."""

    def __call__(self, provider: Provider, errand: Errand) -> Awaitable[Fetched]: ...


class Seam:
    """Made in the event loop, used from threads, for one provider."""

    def __init__(self, provider: Provider, fetch: Fetch) -> None:
        self.provider = provider
        self._fetch = fetch
        self._loop = asyncio.get_running_loop()
        self._under_way: set[Future[Fetched]] = set()
        self._closed = threading.Event()

    def send(self, errand: Errand) -> Fetched:
        """The answer, for the thread that calls. Raises Denied, UpstreamError; UpstreamUnreachable once closed."""
        if self._closed.is_set():
            raise self._stopped()
        future = asyncio.run_coroutine_threadsafe(self._carry_out(errand), self._loop)
        self._under_way.add(future)
        if self._closed.is_set():  # by now: `close` may have gone through the others before this one was among them
            future.cancel()
        try:
            return future.result()
        except CancelledError as error:
            raise self._stopped() from error
        finally:
            self._under_way.discard(future)

    def close(self) -> None:
        """No thread waits here any more."""
        self._closed.set()
        for future in tuple(self._under_way):
            future.cancel()

    async def _carry_out(self, errand: Errand) -> Fetched:
        return await self._fetch(self.provider, errand)

    def _stopped(self) -> UpstreamUnreachable:
        name = self.provider.name
        return UpstreamUnreachable(f"{name}: the router was stopped", kind="reset", provider=name)


def library(module: str, extra: str) -> Any:
    """A module of a vendor's library, imported now. Raises ConfigError if it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        hint = f"pip install 'ccrouter[{extra}]'"
        raise ConfigError([Problem("ccrouter", "", f"{module} cannot be imported ({error})", hint)]) from error
