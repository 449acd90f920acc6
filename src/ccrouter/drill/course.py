"""A drill from its beginning to its end: every fault, in every form, for every route; each with a router of its own, so
that no failure is remembered from one to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from ccrouter.config.schema import Config
from ccrouter.dialects.profiles import profile_of
from ccrouter.drill.client import ask
from ccrouter.drill.faults import FAULTS, Fault, Form, followed, well
from ccrouter.drill.island import IslandLoop
from ccrouter.drill.server import ELSEWHERE, HOST, PACE, Asked, FaultyServer, Pace, Serve
from ccrouter.drill.setting import Drilled, Places, drilled_config, numbers_of
from ccrouter.drill.subject import HASTE, OwnRouter, Running, Subject
from ccrouter.drill.truth import NOTHING, TRUTH, Said, Scene, question
from ccrouter.drill.verdict import Saw, Verdict, judge

#: Whom the fault befalls: the first target of the plan, or all.
Who = Literal["first", "all"]

#: Each of them takes about six file descriptors, and a process may have 256 on some systems.
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Run:
    """One request in one fault."""

    fault: Fault
    route: Drilled
    who: Who
    form: Form
    scene: Scene


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. `asked` are the targets that were asked, in order."""

    run: Run
    verdict: Verdict
    seconds: float
    asked: tuple[str, ...]

    @property
    def saw(self) -> Saw:
        return self.verdict.saw

    @property
    def is_survived(self) -> bool:
        """True for the right answer, and for a safe error where there was no whole answer."""
        return self.saw == "answered" or (self.saw == "safe error" and not self.run.fault.is_whole)


@dataclass(frozen=True, slots=True)
class Drill:
    """What is to be done. `limit` is how long a client waits for the end of an answer, in seconds; None: as long as a
    router may take that asks every target of a route until it loses patience.
    """

    config: Config
    routes: Sequence[Drilled]
    faults: Sequence[Fault] = FAULTS
    pace: Pace = PACE
    limit: float | None = None

    def runs(self) -> Iterator[Run]:
        """Every run, route by route and fault by fault."""
        for route in self.routes:
            who: tuple[Who, ...] = ("first", "all") if len(route.plan.every) > 1 else ("all",)
            for fault in self.faults:
                for one in who:
                    for form in fault.forms:
                        for scene in fault.scenes:
                            yield Run(fault, route, one, form, scene)

    def limit_of(self, run: Run) -> float:
        """Seconds after which a client calls it hung."""
        if self.limit is not None:
            return self.limit
        asked = min(self.config.retries.attempts, sum(len(target.provider.pool) for target in run.route.plan.every))
        return 10.0 + 4 * self.pace.patience * asked + HASTE * self.config.retries.wait


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of a drill, in the order of its runs. `leaks` counts secrets of the user's that arrived somewhere."""

    outcomes: tuple[Outcome, ...]
    leaks: int = 0

    @property
    def is_good(self) -> bool:
        return not self.leaks and all(outcome.is_survived for outcome in self.outcomes)

    def count(self, saw: Saw) -> int:
        return sum(outcome.saw == saw for outcome in self.outcomes)


def hold(drill: Drill, told: Callable[[Outcome], None], subject: Subject | None = None) -> Findings:
    """Hold the drill, on an event loop from which nothing leaves this machine; `told` is called as outcomes come.

    Raises KeyboardInterrupt, with everything closed, on Ctrl-C.
    """
    with tempfile.TemporaryDirectory(prefix="ccr-drill-") as folder:
        chosen = subject or OwnRouter(Path(folder))
        with asyncio.Runner(loop_factory=IslandLoop) as runner:
            return runner.run(_hold(drill, told, chosen))


def is_possible(fault: Fault) -> bool:
    """False for a name that cannot be resolved, where not the event loop would look it up, but the network be asked."""
    return fault.place != "dns" or find_spec("aiodns") is None  # where it is installed, the client library prefers it


async def _hold(drill: Drill, told: Callable[[Outcome], None], subject: Subject) -> Findings:
    server = FaultyServer(drill.pace, [secret.reveal() for secret in drill.config.secrets])
    runs = list(drill.runs())
    outcomes: list[Outcome | None] = [None] * len(runs)
    lanes, heavy = asyncio.Semaphore(_AT_ONCE), asyncio.Lock()

    async def carry_out(number: int, run: Run, post: _Post) -> None:
        async with heavy if run.fault.is_heavy else contextlib.nullcontext(), lanes:
            outcome = await post.carry_out(number, run)
        outcomes[number] = outcome
        told(outcome)

    async with server.serving(), _refusing() as refused:
        post = _Post(drill, server, refused, subject)
        async with asyncio.TaskGroup() as group:
            for number, run in enumerate(runs):
                group.create_task(carry_out(number, run, post))
    return Findings(tuple(outcome for outcome in outcomes if outcome is not None), len(server.leaks))


@contextlib.asynccontextmanager
async def _refusing() -> AsyncIterator[int]:
    """A port that is taken and where nobody listens: connections to it are refused as long as this is open."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield taken.getsockname()[1]


@dataclass(frozen=True, slots=True)
class _Post:
    """Where runs are carried out."""

    drill: Drill
    server: FaultyServer
    refused: int
    subject: Subject

    async def carry_out(self, number: int, run: Run) -> Outcome:
        name = f"r{number}"
        plan = run.route.plan
        faulty = plan.targets[:1] if run.who == "first" else plan.every
        places = Places(
            name,
            self.server.port,
            self.refused,
            run.fault.place,
            frozenset(target.provider.name for target in faulty) if run.fault.place != "server" else frozenset(),
        )
        config = drilled_config(self.drill.config, run.route, places, self.drill.pace)
        self.server.stage(name, self._cast(run))
        try:
            async with self.subject.running(config) as running:
                asking = question(run.scene, streamed=run.form == "streamed")
                heard = await ask(running.place, asking, self.drill.limit_of(run))
                asked = self._asked(running, name, run)
        finally:
            self.server.strike(name)
        verdict = judge(heard, _truths(run), streamed=run.form == "streamed")
        return Outcome(run, verdict, heard.seconds, asked)

    def _cast(self, run: Run) -> Callable[[Asked], Serve]:
        serve, first = run.fault.serve, run.route.plan.targets[0]
        names = numbers_of(run.route.plan)
        others = {target.model for target in run.route.plan.every if target.provider is first.provider} - {first.model}

        def cast_of(asked: Asked) -> Serve:
            if asked.provider == ELSEWHERE:
                return followed
            if serve is None:
                return well
            # A transform may have renamed the model: whatever is not another target's is the first one's.
            is_first = names.get(asked.provider) == first.provider.name and asked.model not in others
            return serve if run.who == "all" or is_first else well

        return cast_of

    def _asked(self, running: Running, name: str, run: Run) -> tuple[str, ...]:
        """As the router says; else as the server knows, to which those that cannot be reached are unknown."""
        told = running.asked()
        if told is None:
            names = numbers_of(run.route.plan)
            told = [f"{names.get(number, number)},{model}" for number, model in self.server.strike(name)]
        return tuple(told)


def _truths(run: Run) -> tuple[Said, ...]:
    """The answers that are right. One without content is, where nobody had more to say, or where the API of the model's
    own maker finished it so: there a turn may really end without a word.
    """
    truth = TRUTH[run.scene]
    is_final = run.who == "all" or profile_of(run.route.plan.targets[0]).is_first_party
    return (truth, NOTHING) if run.fault.is_empty and is_final else (truth,)
