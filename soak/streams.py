"""Two phases about many streams at once: paced ones without a stall, and as many as can be, all complete and right."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp

from soak.client import Request, Seen, ask
from soak.flatness import percentile
from soak.processes import ROUTER_KEY
from soak.script import Ask
from soak.tally import Tally

#: A delta that is older than this on arrival was held up: somebody looked at a stream that stood still. In ms.
STALL = 250.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """`count` streams of `deltas` deltas, one every `every` ms."""

    count: int
    deltas: int
    every: int

    def request(self, number: int, *, together: bool) -> Request:
        model = "m,plain" if number % 2 else "c,plain"
        crowd = {"together": self.count, "crowd": "all"} if together else {}
        name = "t" if together else "p"
        return Request(Ask(f"{name}{number}", self.deltas, self.every, stamped=1, **crowd), model)  # type: ignore[arg-type]  # mypy does not see which


async def paced(session: aiohttp.ClientSession, url: str, crowd: Crowd, tally: Tally, *, stall: float = STALL) -> None:
    """Each stream begins a little after the one before, and none of its deltas is ever held up for longer than `stall`
    ms. The age of a delta is what lies between the provider's writing it and the client's reading it.
    """

    async def one(number: int) -> Seen:
        await asyncio.sleep(number * crowd.every * 4 / crowd.count / 1000)
        return await ask(session, url, crowd.request(number, together=False), ROUTER_KEY)

    answers = await asyncio.gather(*map(one, range(crowd.count)))
    add_paced(tally, crowd, answers, stall)


def add_paced(tally: Tally, crowd: Crowd, answers: list[Seen], stall: float) -> None:
    phase = f"{crowd.count} paced streams, {crowd.deltas} deltas each, one every {crowd.every} ms"
    tally.add_answers(phase, answers, least=crowd.count)
    ages = [age for seen in answers for age in seen.ages]
    figure = ", ".join(f"p{round(share * 100)} {percentile(ages, share):.1f}" for share in (0.5, 0.99))
    oldest = max(ages, default=0.0)
    tally.add(phase, "age of a delta, ms", f"{figure}, oldest {oldest:.1f}, of {len(ages)}", "told", holds=bool(ages))
    stalled = [seen for seen in answers if max(seen.ages, default=stall + 1) > stall]
    tally.add(
        phase, "streams that stalled", len(stalled), f"0 with a delta older than {stall:.0f} ms", holds=not stalled
    )
    tally.add(phase, "largest gap in a stream, ms", f"{max(seen.gap for seen in answers):.1f}", "told", holds=True)


async def together(session: aiohttp.ClientSession, url: str, crowd: Crowd, tally: Tally) -> None:
    """The provider answers none of them before the last has arrived: all are under way at once."""
    requests = [crowd.request(number, together=True) for number in range(crowd.count)]
    answers = await asyncio.gather(*(ask(session, url, request, ROUTER_KEY) for request in requests))
    phase = f"{crowd.count} streams at once"
    tally.add_answers(phase, answers, least=crowd.count)
    ages = [age for seen in answers for age in seen.ages]
    figure = ", ".join(f"p{round(share * 100)} {percentile(ages, share):.1f}" for share in (0.5, 0.99))
    tally.add(phase, "age of a delta, ms", figure, "told", holds=bool(ages))
