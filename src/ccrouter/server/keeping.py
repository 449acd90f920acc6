"""The account of exchanges of one process: who writes it, by what is in force, and who reads what was written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from ccrouter.config.load import router_folder
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Config
from ccrouter.gateway.record import Exchange, PromptNote
from ccrouter.prices.book import PriceBook
from ccrouter.server.voice import Voice
from ccrouter.store.cachewatch import CacheWatch
from ccrouter.store.entry import Sink
from ccrouter.store.recorder import Recorder
from ccrouter.store.reports import Reports


class Keeper(Protocol):
    """Whoever takes exchanges and prompts, and never holds up who gives them (see `ccrouter.store.recorder`)."""

    def put(self, exchange: Exchange) -> None:
        """Take an exchange that is over; never blocks and never raises."""

    def note_prompt(self, note: PromptNote) -> None:
        """Take what a request was made of; likewise."""

    def flush(self, limit: float) -> bool:
        """Blocks until what was put before is on disk; False if that is not so after `limit` seconds."""


@dataclass(frozen=True, slots=True)
class _InForce:
    """A configuration, and the prices by it."""

    config: Config
    prices: PriceBook

    def window_of(self, provider: str, model: str) -> int | None:
        found = next((one for one in self.config.providers if one.name == provider), None)
        host = "" if found is None else urlsplit(found.endpoints[0].url).hostname or ""
        return self.prices.context_window(host, (found.profile if found else None) or "", model)


class Keeping:
    """Records in the file at `path`, told to `sinks` too. `recorder` writes, `reports` reads.

    The file is made with the first exchange. A fault of it costs records, which the log tells of, never a request.
    """

    def __init__(
        self, path: Path, config: Config, environ: Mapping[str, str], voice: Voice, sinks: Sequence[Sink] = ()
    ) -> None:
        self._folder = router_folder(environ)
        self._voice = voice
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted = config
        self._changing: asyncio.Task[None] | None = None
        self._put_in_force(config, PriceBook.load(config, self._folder))
        self.recorder = Recorder(
            path,
            config=config,
            prices=self._in_force.prices,
            sinks=sinks,
            watch=CacheWatch,
            find_project=ProjectRouters(config, environ).project_of,
            tell=self._tell,
        )
        self.reports = Reports(path, window_of=self._window_of)

    def begin(self) -> None:
        """From now on, on the running event loop, faults are told."""
        self._loop = asyncio.get_running_loop()

    def use(self, config: Config) -> None:
        """Soon records are kept, and priced, as `config` says: the file of prices is read in a thread before."""
        if config is self._wanted:
            return
        self._wanted = config
        self._changing = asyncio.get_running_loop().create_task(self._use(config))

    async def _use(self, config: Config) -> None:
        prices = await asyncio.to_thread(PriceBook.load, config, self._folder)
        if config is not self._wanted:  # another one has come meanwhile
            return
        self._put_in_force(config, prices)
        self.recorder.use(config, prices)

    def _put_in_force(self, config: Config, prices: PriceBook) -> None:
        self._in_force = _InForce(config, prices)
        for fault in prices.faults:
            self._voice.event("warn", "the file of prices is not used", reason=fault)

    async def close(self) -> None:
        """After the call everything is written that was to be recorded."""
        if self._changing is not None:
            await self._changing
        await asyncio.to_thread(self.recorder.close)
        self._loop = None
        self.reports.close()

    def _window_of(self, provider: str, model: str) -> int | None:
        """How many tokens a model takes at a provider, if that is known."""
        return self._in_force.window_of(provider, model)

    def _tell(self, words: str) -> None:
        """In the recorder's thread; the log is the event loop's."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(lambda: self._voice.event("warn", "records", reason=words))
