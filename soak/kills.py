"""Killed with SIGKILL at random moments under load, and started again at once on the same port.

Meanwhile the configuration is saved through the API, a launch key is in use, and the audit log is written: whatever a
kill can interrupt. A client may lose its connection if it had one or wanted one while nobody was there, and only then.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from dataclasses import dataclass, field, replace
from itertools import count

import aiohttp

from ccrouter.service.launches import minted
from soak import files, mix
from soak.client import Request, Seen, ask
from soak.flatness import percentile
from soak.processes import ROUTER_KEY, ProviderProcess, RouterProcess, SoakError
from soak.script import Outcome
from soak.tally import Tally

_BASE = 60_000  # ms of API_TIMEOUT_MS: the number of a save is added to it
_LOST: frozenset[Outcome] = frozenset({"lost connection"})


@dataclass(slots=True)
class Lives:
    """What the kills showed. Times of absences on the monotonic clock; saves by the number that they wrote."""

    absences: list[tuple[float, float]] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    not_known: list[str] = field(default_factory=list)
    lost_saves: list[str] = field(default_factory=list)
    acknowledged: int = 0
    attempted: int = 0


class Kills:
    """`times` kills, each after a random time of at most `longest` seconds of load."""

    def __init__(
        self,
        router: RouterProcess,
        provider: ProviderProcess,
        chance: random.Random,
        *,
        times: int,
        longest: float = 2.0,
    ) -> None:
        self._router = router
        self._provider = provider
        self._chance = chance
        self._times = times
        self._longest = longest
        self._answers: list[Seen] = []
        self._numbers = count()
        self.lives = Lives()

    async def run(self, tally: Tally) -> None:
        """The router may run or not; after the call it runs."""
        self._router.stop()
        self._router.configure(mix.settings(self._provider.url) | {"API_TIMEOUT_MS": _BASE})
        loading: list[asyncio.Task[None]] = []
        with minted(self._router.folder) as launch_key:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                await self._begin_life(session)
                loading = [
                    asyncio.create_task(self._load(session, launch_key)),
                    asyncio.create_task(self._save(session)),
                ]
                try:
                    for _ in range(self._times):
                        await asyncio.sleep(self._chance.uniform(0.2, self._longest))
                        await self._kill(session)
                    await asyncio.sleep(1.0)
                finally:
                    for task in loading:
                        task.cancel()
                    await asyncio.gather(*loading, return_exceptions=True)
        self._tell(tally)

    async def _begin_life(self, session: aiohttp.ClientSession) -> float:
        self._router.start()
        return await self._router.healthy(session)

    async def _kill(self, session: aiohttp.ClientSession) -> None:
        lives, router = self.lives, self._router
        began = time.monotonic()
        router.kill()
        lives.corrupt += [f"after kill {len(lives.absences) + 1}: {one}" for one in files.corrupt(router.folder)]
        self._check_saves()
        await self._begin_life(session)
        lives.absences.append((began, time.monotonic()))
        lives.corrupt += [f"after start {len(lives.absences) + 1}: {one}" for one in files.corrupt(router.folder)]
        proof = await asyncio.to_thread(router.run, "audit", "verify", "--json")
        if proof.returncode:
            lives.unproven.append(f"after kill {len(lives.absences)}: {proof.stdout}{proof.stderr}")
        told = await asyncio.to_thread(router.run, "status", "--json")
        try:
            is_known = json.loads(told.stdout)["running"] is True
        except (ValueError, KeyError):
            is_known = False
        if not is_known:
            lives.not_known.append(f"after kill {len(lives.absences)}: {told.stdout}{told.stderr}")

    def _check_saves(self) -> None:
        """What was acknowledged is on the disk, or something newer."""
        lives = self.lives
        with contextlib.suppress(ValueError, KeyError):  # a file that is not whole is told of as such
            number = json.loads(self._router.config.read_bytes())["API_TIMEOUT_MS"] - _BASE
            if not lives.acknowledged <= number <= lives.attempted:
                lives.lost_saves.append(f"{lives.acknowledged} was acknowledged, {number} is on the disk")

    async def _load(self, session: aiohttp.ClientSession, launch_key: str) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                number = next(self._numbers)
                request = mix.draw(self._chance, number, is_quick=True)
                request = replace(request, ask=replace(request.ask, id=f"k{number}"))
                group.create_task(self._one(session, request, launch_key if number % 2 else ROUTER_KEY))
                await asyncio.sleep(self._chance.expovariate(15))

    async def _one(self, session: aiohttp.ClientSession, request: Request, key: str) -> None:
        self._answers.append(await ask(session, self._router.url, request, key))

    async def _save(self, session: aiohttp.ClientSession) -> None:
        """Save the configuration again and again, each time with another number in it."""
        lives = self.lives
        while True:
            lives.attempted += 1
            settings = mix.settings(self._provider.url) | {"API_TIMEOUT_MS": _BASE + lives.attempted}
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with session.post(
                    f"{self._router.url}/api/config", json=settings, headers={"x-api-key": ROUTER_KEY}
                ) as response:
                    if response.status != 200:
                        raise SoakError(f"the configuration was not saved: {await response.text()}")
                    lives.acknowledged = lives.attempted
            await asyncio.sleep(self._chance.uniform(0.0, 0.1))

    def _tell(self, tally: Tally) -> None:
        lives = self.lives
        phase = f"{self._times} times killed at a random moment, and started again on the same port"
        waits = [ended - began for began, ended in lives.absences]
        figure = f"p50 {percentile(waits, 0.5):.2f}, longest {max(waits, default=0.0):.2f}"
        tally.add(phase, "seconds from kill to answer", figure, "told", holds=len(waits) == self._times)
        answers = [self._excused(seen) for seen in self._answers]
        tally.add_answers(phase, answers, least=self._times)
        lost = sum(seen.outcome == "lost connection" for seen in answers)
        tally.add(phase, "answers cut or refused by the kills", lost, "at least one", holds=lost > 0)
        tally.add_list(phase, "files that are not whole", lives.corrupt)
        tally.add_list(phase, "times that the audit log was not proven", lives.unproven)
        tally.add_list(phase, "times that `ccr status` did not know the router", lives.not_known)
        tally.add_list(phase, "saves of the configuration that were lost", lives.lost_saves)
        tally.add(phase, "saves acknowledged", lives.acknowledged, "some", holds=lives.acknowledged > 0)
        tally.add_list(phase, "defects in the log", files.defects(self._router.folder))
        left = [str(path.relative_to(self._router.folder)) for path in files.litter(self._router.folder)]
        tally.add(phase, "temporary files left behind", f"{len(left)}", "told", holds=True)

    def _excused(self, seen: Seen) -> Seen:
        """Of a request that met an absence also the loss of the connection is as it must be, and an error."""
        if any(seen.began <= ended and began <= seen.ended for began, ended in self.lives.absences):
            return replace(seen, request=replace(seen.request, expects=seen.request.expects | _LOST))
        return seen
