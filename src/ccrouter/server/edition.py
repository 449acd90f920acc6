"""What is in force: one configuration and policy, and all that serves by them. Replaced whole, never changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ccrouter.compliance.policy import Policy
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Config
from ccrouter.errors import Problem
from ccrouter.extensions.extensions import Extensions
from ccrouter.gateway.pipeline import Gateway
from ccrouter.jsontypes import JsonObject
from ccrouter.server.guard import Guard
from ccrouter.upstream.client import UpstreamClient

#: What came of a reload: "refused" for what the files say, "failed" for any other reason.
Outcome = Literal["ok", "refused", "failed"]


class Lease:
    """An upstream client in use: one that is retired is closed when the last request that began with it has ended."""

    def __init__(self, client: UpstreamClient) -> None:
        self.client = client
        self._users = 0
        self._is_retired = False
        self._closing: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """For the time of one request, from its acceptance to the last byte of its answer."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._close_if_idle()

    def retire(self) -> None:
        """No new request will use it."""
        self._is_retired = True
        self._close_if_idle()

    @property
    def is_closed(self) -> bool:
        """True once it has been closed entirely."""
        return self._closing is not None and self._closing.done()

    async def close(self) -> None:
        """Close it now, whoever uses it: the process ends."""
        if self._closing is None:
            self._closing = asyncio.create_task(self.client.close())
        await self._closing

    def _close_if_idle(self) -> None:
        if self._is_retired and not self._users and self._closing is None:
            self._closing = asyncio.create_task(self.client.close())


@dataclass(frozen=True, slots=True)
class ServedPreset:
    """One preset in force. `gateway` is None for one that cannot be used: `problems` tell why."""

    config: Config
    gateway: Gateway | None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Edition:
    """One configuration in force. A request is served to its end by the edition that it began with.

    `amended` is the configuration's tree where providers were changed in memory, else None.
    """

    config: Config
    policy: Policy
    projects: ProjectRouters | None
    guard: Guard
    gateway: Gateway
    lease: Lease
    extensions: Extensions
    presets: Mapping[str, ServedPreset] = field(default_factory=dict)
    amended: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Reloaded:
    """A reload that took effect; `notes` says what of the new configuration did not, and when it will."""

    edition: Edition
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LastReload:
    """How the last reload ended, and when; before the first one the start stands for it. `reason` tells why it was not
    "ok", without secrets; `config` is the digest of the file's content that was tried, "" if it could not be read.
    """

    state: Outcome
    at: datetime
    config: str
    reason: str = ""
