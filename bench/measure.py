"""Measuring: the rig's programs, one run of load against one contender, and the rounds that make figures.

A figure is a median over rounds in which the contenders take turns, so that a disturbance meets all of them.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import bodies, processes, workloads
from bench.contenders import Address, Ports
from bench.processes import BenchError, Child
from bench.targets import OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.contenders import Contender
    from bench.workloads import Workload

SOURCES = Path(__file__).parent / "rig"
SETTLE_S = 0.03  # work that a program puts off until after its answer counts too

Figures = dict[str, float]
Table = dict[str, dict[str, Figures]]  # workload → contender → figures


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int
    slice_s: float
    long_rounds: int  # of what takes seconds each time: sessions, conversations, paced streams
    paced_streams: int  # per client
    ramp_ms: int
    ladder: tuple[int, ...]
    starts: int
    limit_s: float  # of the whole run


FULL = Effort(
    rounds=7, slice_s=0.7, long_rounds=3, paced_streams=2, ramp_ms=2000, ladder=workloads.LADDER, starts=5, limit_s=1200
)
QUICK = Effort(rounds=2, slice_s=0.25, long_rounds=1, paced_streams=1, ramp_ms=600, ladder=(), starts=1, limit_s=240)


class Rig:
    """The mock upstream and the load generator: compiled when their source is newer, run on the rig's CPU."""

    def __init__(self, cache: Path, cpus: processes.Cpus) -> None:
        self.cache, self.cpus = cache, cpus
        self.folder = cache / "rig"
        self.folder.mkdir(parents=True, exist_ok=True)
        for body in self.folder.glob("*.json"):  # of an earlier run, maybe of other bodies
            body.unlink()
        self.child: Child | None = None
        self.requests_sent = 0  # numbers the bodies, so that no two of a whole run are alike

    def build(self) -> None:
        """BenchError when there is no C compiler or it fails."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if not compiler:
            raise BenchError("a C compiler (cc) is needed for the load generator and the mock upstream")
        newest = max(source.stat().st_mtime for source in SOURCES.iterdir())
        for name in ("mock", "load"):
            binary = self.folder / name
            if not binary.exists() or binary.stat().st_mtime < newest:
                command = [compiler, "-O2", "-Wall", "-o", str(binary), str(SOURCES / f"{name}.c")]
                processes.run(command, limit_s=60)

    def start_mock(self) -> Ports:
        behaviours = [f"{pace.deltas}:{pace.us}" for pace in workloads.PACES]
        with self.cpus.pinned(self.cpus.rig):
            self.child = Child([str(self.folder / "mock"), *behaviours], log=self.folder / "mock.log")
        give_up = time.monotonic() + 5
        while not (said := self.child.log.read_text()).endswith("\n"):
            if time.monotonic() > give_up or self.child.process.poll() is not None:
                raise BenchError(f"the mock upstream does not start: {said}")
            time.sleep(0.005)
        return {pace.name: int(port) for pace, port in zip(workloads.PACES, said.split()[1:], strict=True)}

    def stop(self) -> None:
        if self.child:
            self.child.stop()

    def load(
        self, address: Address, files: Sequence[Path], *options: str, limit_s: float = 60, varied: bool = True
    ) -> dict[str, Any]:
        """What the load generator counted. BenchError with its reason when a single reply was wrong."""
        command = [str(self.folder / "load"), "--port", str(address.port), "--path", address.path]
        command += ["--deadline", str(limit_s), *options]
        for file in files:
            command += ["--body", str(file)]
        if varied:
            command += ["--vary", str(self.requests_sent)]
        with self.cpus.pinned(self.cpus.rig):
            child = Child(command, log=self.folder / "load.json")
        try:
            child.process.wait(limit_s + 10)
        except subprocess.TimeoutExpired:
            raise BenchError("the load generator does not end") from None
        finally:
            child.stop()
        try:
            counted: dict[str, Any] = json.loads(child.log.read_text())
        except ValueError:
            raise BenchError(f"the load generator: {child.tail()}") from None
        self.requests_sent += counted["requests"] + counted["errors"]
        if counted["errors"]:
            raise BenchError(counted["error"])
        return counted


@dataclass
class Bench:
    """One run of the benchmark: the contenders that are up, what was measured, what failed."""

    rig: Rig
    effort: Effort
    contenders: list[Contender]
    figures: Table = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    measured_s: float = 0.0
    foreign_s: float = 0.0  # what other programs used of the contender's CPU meanwhile

    # ------------------------------------------------------------------ one measurement

    def body(self, model: str, size: int, *, stream: bool, salt: int = 0) -> Path:
        file = self.rig.folder / f"body-{size}-{stream}-{salt}-{model.replace(',', '-')}.json"
        if not file.exists():
            file.write_bytes(bodies.single(model, size, stream=stream, salt=salt))
        return file

    def run(self, contender: Contender, files: Sequence[Path], address: Address, *options: str, **more: Any) -> Figures:
        """One load run and the CPU time that the contender's processes used meanwhile."""
        pid = contender.child.pid if contender.child else None
        cpu, begin = self.rig.cpus.contender, time.monotonic()
        busy_before, before = processes.busy_seconds(cpu), processes.cpu_seconds(pid) if pid else 0.0
        loop_before = processes.loop_seconds(pid) if pid else 0.0
        counted = self.rig.load(address, files, *options, **more)
        time.sleep(SETTLE_S)
        used = processes.cpu_seconds(pid) - before if pid else 0.0
        self.foreign_s += max(0.0, processes.busy_seconds(cpu) - busy_before - used)
        self.measured_s += time.monotonic() - begin
        figures: Figures = {"requests": counted["requests"], "per_s": counted["requests"] / counted["wall_s"]}
        if pid:
            figures["cpu_ms"] = used * 1000 / max(1, counted["requests"])
            figures["loop_ms"] = (processes.loop_seconds(pid) - loop_before) * 1000 / max(1, counted["requests"])
        for series in ("first_event_ms", "first_delta_ms", "total_ms", "age_ms"):
            for point in ("p50", "p99", "max", "sum"):
                if series in counted:
                    figures[f"{series[:-3]}_{point}"] = counted[series][point]
        figures["cold"] = counted["cold_ms"]
        if "age_ms" in counted:
            figures["stalls"], figures["gap_max"] = counted["stalls"], counted["gap_ms"]["max"]
        return figures

    def run_workload(self, workload: Workload, contender: Contender, seconds: float) -> Figures:
        address = contender.address(workload.dialect, workload.pace)
        file = self.body(address.model, workload.size, stream=workload.stream)
        options = ["--clients", str(workload.clients)]
        if workload.pace.us:
            streams = workload.clients * self.effort.paced_streams
            options += ["--requests", str(streams), "--pace-us", str(workload.pace.us)]
            options += ["--ramp-ms", str(self.effort.ramp_ms)]
        else:
            options += ["--seconds", str(seconds)]
        options += ["--deltas", str(workload.pace.deltas)] if workload.stream else ["--json"]
        return self.run(contender, [file], address, *options)

    # ------------------------------------------------------------------ rounds

    def take_turns(
        self,
        name: str,
        once: Callable[[Contender, int], Figures],
        *,
        rounds: int,
        chosen: Sequence[Contender],
    ) -> None:
        """figures[name] has the medians afterwards; a contender that fails is noted and left out."""
        seen: dict[str, list[Figures]] = {contender.name: [] for contender in chosen}
        for turn in range(rounds):
            for contender in chosen:
                key = f"{name} {contender.name}"
                if key in self.failures:
                    continue
                try:
                    seen[contender.name].append(once(contender, turn))
                except BenchError as error:
                    self.failures[key] = str(error)
        self.figures[name] = {
            who: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            for who, runs in seen.items()
            if runs and f"{name} {who}" not in self.failures
        }

    def measure_bursts(self, chosen: Sequence[Workload]) -> None:
        slice_s = self.effort.slice_s
        for workload in chosen:
            for contender in self.contenders:
                try:
                    self.run_workload(workload, contender, min(0.4, slice_s / 2))  # warms up; a failure shows below
                except BenchError as error:
                    self.failures[f"{workload.name} {contender.name}"] = str(error)
            self.take_turns(
                workload.name,
                lambda contender, _turn, workload=workload: self.run_workload(workload, contender, slice_s),  # type: ignore[misc] # bound now
                rounds=self.effort.rounds,
                chosen=self.contenders,
            )

    def measure_records(self, unrecorded: Sequence[Contender]) -> None:
        """The router with records beside itself without, in rounds of their own: what they cost is little, and has to
        be told from the noise.
        """
        chosen = [contender for contender in self.contenders if contender.name == OURS] + list(unrecorded)
        for workload in workloads.RECORDED if len(chosen) > 1 else ():
            for contender in chosen:
                self.run_workload(workload, contender, self.effort.slice_s / 2)  # warms up
            self.take_turns(
                f"records-{workload.name}",
                lambda contender, _turn, workload=workload: self.run_workload(workload, contender, self.effort.slice_s),  # type: ignore[misc] # bound now
                rounds=self.effort.rounds * 2,
                chosen=chosen,
            )

    def measure_paced(self) -> None:
        self.take_turns(
            "W5",
            lambda contender, _turn: self.run_workload(workloads.PACED, contender, 0),
            rounds=self.effort.long_rounds,
            chosen=self.contenders,
        )

    def measure_step(self, clients: int) -> None:
        """Many paced streams at once; who stalled or failed on a smaller step is spared this one."""
        lost = {
            who
            for name, row in self.figures.items()
            for who in (contender.name for contender in self.contenders)
            if name.startswith("streams-") and row.get(who, {"stalls": 1.0})["stalls"]
        }
        self.take_turns(
            f"streams-{clients}",
            lambda contender, _turn: self._run_step(contender, clients),
            rounds=1,
            chosen=[contender for contender in self.contenders if contender.name not in lost],
        )

    def _run_step(self, contender: Contender, clients: int) -> Figures:
        address = contender.address("chat", workloads.STEADY)
        file = self.body(address.model, workloads.PACED.size, stream=True)
        options = ["--clients", str(clients), "--requests", str(clients), "--ramp-ms", "3000"]
        options += ["--pace-us", str(workloads.STEADY.us), "--deltas", str(workloads.STEADY.deltas)]
        return self.run(contender, [file], address, *options, limit_s=30)

    def measure_session(self) -> None:
        """Thirty growing requests of one conversation, each session a new one."""
        self.take_turns("session", self._run_session, rounds=self.effort.long_rounds, chosen=self.contenders)

    def _run_session(self, contender: Contender, turn: int) -> Figures:
        address = contender.address("chat")
        files = []
        for index, body in enumerate(bodies.growing(address.model, workloads.SESSION_SIZES, salt=turn + 1)):
            files.append(self.rig.folder / f"session-{index:02d}.json")
            files[-1].write_bytes(body)
        options = ["--clients", "1", "--requests", str(len(files)), "--deltas", str(workloads.BURST.deltas)]
        return self.run(contender, files, address, *options, varied=False)

    def measure_conversation(self) -> None:
        """A conversation of about 440 000 tokens: `cold` is its first request, the rest its next turns."""
        self.take_turns("conversation", self._run_conversation, rounds=self.effort.long_rounds, chosen=self.contenders)

    def _run_conversation(self, contender: Contender, turn: int) -> Figures:
        address = contender.address("chat")
        file = self.body(address.model, workloads.CONVERSATION_BYTES, stream=True, salt=turn + 1)
        options = ["--clients", "1", "--seconds", str(self.effort.slice_s), "--deltas", str(workloads.BURST.deltas)]
        return self.run(contender, [file], address, *options)

    def measure_start(self) -> None:
        """Start times and idle memory of fresh processes; the contenders run anew afterwards."""
        programs = [contender for contender in self.contenders if contender.child]
        self.take_turns(
            "start",
            lambda contender, _turn: start_once(contender),
            rounds=self.effort.starts,
            chosen=programs,
        )

    def note_memory(self, key: str) -> None:
        for contender in self.contenders:
            if contender.child:
                row = self.figures.setdefault("memory", {}).setdefault(contender.name, {})
                row[key] = processes.rss_mb(contender.child.pid)


def start_once(contender: Contender) -> Figures:
    contender.stop()
    seconds = contender.start()
    time.sleep(0.5)  # what a program still loads after its first answer belongs to its idle size
    child = contender.child
    return {"start_s": seconds, "rss_idle_mb": processes.rss_mb(child.pid) if child else 0.0}
