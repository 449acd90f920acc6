"""The long phase: a steady load of good and faulty answers while the configuration is changed under it, and what the
router holds on to meanwhile: memory, descriptors, threads, tasks.

It is looked at every few seconds under load, and, since a busy router holds more than an idle one, in short rests: then
nothing is under way, and what is there was left over.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

import aiohttp

from soak import files, mix
from soak.client import Request, Seen, ask
from soak.flatness import LEAST, MAY_GROW, judge
from soak.processes import ROUTER_KEY, ProviderProcess, RouterProcess
from soak.tally import Tally

#: So many requests have one of each kind among them.
_ENOUGH = 600
#: Of the changes, every so many is one that the router must refuse.
_INVALID = 6


@dataclass(slots=True)
class Pace:
    """Requests a second, seconds of load between two rests, seconds in all; and, in seconds too, between two looks
    under load, between two changes of the configuration, and of quiet before a look at rest.
    """

    rate: float
    stretch: float
    seconds: float
    is_quick: bool = False
    look: float = 2.0
    change: float = 3.0
    quiet: float = 0.5


@dataclass(slots=True)
class Series:
    """What was measured, by what it is: (seconds, figure)."""

    loaded: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {name: [] for name in MAY_GROW})
    at_rest: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {name: [] for name in MAY_GROW})
    names: list[Counter[str]] = field(default_factory=list)
    left_open: list[str] = field(default_factory=list)


class Mixed:
    """One run of the phase. The router has to have been started with a window."""

    def __init__(self, router: RouterProcess, provider: ProviderProcess, chance: random.Random, pace: Pace) -> None:
        self._router = router
        self._provider = provider
        self._chance = chance
        self._pace = pace
        self._numbers = count()
        self._answers: list[Seen] = []
        self._series = Series()
        self._began = time.monotonic()
        self.changes = 0
        self.invalid = 0

    async def run(self, tally: Tally) -> None:
        deadline = self._began + self._pace.seconds
        changing = asyncio.create_task(self._keep_changing())
        try:
            while time.monotonic() < deadline or len(self._series.at_rest["tasks"]) < 2 * LEAST:
                await self._stretch(self._pace.stretch)
                await self._look(self._series.at_rest, collected=True)
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
        self._tell(tally)

    # -- the load ------------------------------------------------------------------------------------------------------

    async def _stretch(self, seconds: float) -> None:
        """Load for so long; after the call nothing is under way, and no connection of a client open."""
        looking = asyncio.create_task(self._keep_looking())
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
                asyncio.TaskGroup() as all_of,
            ):
                end = time.monotonic() + seconds
                due = time.monotonic()
                while due < end:
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    request = mix.draw(self._chance, next(self._numbers), is_quick=self._pace.is_quick)
                    all_of.create_task(self._one(session, request))
                    due += self._chance.expovariate(self._pace.rate)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        await asyncio.sleep(self._pace.quiet)

    async def _one(self, session: aiohttp.ClientSession, request: Request) -> None:
        self._answers.append(await ask(session, self._router.url, request, ROUTER_KEY))

    async def _keep_changing(self) -> None:
        """The configuration, every few seconds, now and then to one that cannot be."""
        while True:
            await asyncio.sleep(self._pace.change)
            self.changes += 1
            settings = mix.settings(self._provider.url, self.changes, again=0 if self._pace.is_quick else 1)
            if self.changes % _INVALID == 0:
                self.invalid += 1
                settings["Router"] = {"default": "nobody,knows-it"}
            self._router.configure(settings)
            self._router.reload()

    # -- looking -------------------------------------------------------------------------------------------------------

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._pace.look)
            await self._look(self._series.loaded, collected=False)

    async def _look(self, series: dict[str, list[tuple[float, float]]], *, collected: bool) -> None:
        at = time.monotonic() - self._began
        told = await self._router.tasks(collected=collected)
        for name, figure in {**self._router.sample(), "tasks": float(told["tasks"])}.items():
            series[name].append((at, figure))
        if collected:
            self._series.names.append(Counter(told["names"]))
            async with aiohttp.ClientSession() as session:
                still_open = (await self._provider.told(session))["open"]
            if still_open:
                self._series.left_open.append(f"{still_open} at {at:.0f} s")

    # -- telling -------------------------------------------------------------------------------------------------------

    def _tell(self, tally: Tally) -> None:
        pace = self._pace
        phase = f"{pace.seconds / 60:g} minutes of mixed faults, {pace.rate:g} requests a second"
        tally.add_answers(phase, self._answers, least=int(pace.seconds * pace.rate / 4))
        kinds = Counter(seen.request.kind for seen in self._answers)
        missing = sorted(set(mix.WEIGHTS) - set(kinds)) if len(self._answers) >= _ENOUGH else []
        tally.add_list(phase, "kinds of requests that never came", missing)
        tally.add_list(phase, "requests left open at the provider, at rest", self._series.left_open)
        applied = files.count_lines(self._router.folder, "reloaded")
        refused = files.count_lines(self._router.folder, "reload refused")
        figure = f"{self.changes}, {applied} reloads, {refused} refused"
        tally.add(
            phase,
            "changes of the configuration",
            figure,
            "some applied, the invalid refused",
            holds=applied > 0 and refused >= min(self.invalid, 1),
        )
        for name, series in self._series.at_rest.items():
            tally.add_verdict(phase, judge(name, series, pace.seconds / 60), "at rest")
        for name, series in self._series.loaded.items():
            if len(series) < 2 * LEAST:  # a short run: what is left at rest tells enough
                continue
            tally.add_verdict(phase, judge(name, series, pace.seconds / 60), "under load")
        if not tally.holds and self._series.names:
            first, last = self._series.names[len(self._series.names) // 2], self._series.names[-1]
            tally.notes.append(f"tasks at rest, first against last: {dict(first)} {dict(last)}")
        said = [line for line in self._router.said().splitlines() if line and not line.startswith("warning: ")]
        tally.add_list(phase, "defects in the log", files.defects(self._router.folder))
        tally.add_list(phase, "lines on stderr", said)
