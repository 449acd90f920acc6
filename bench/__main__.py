"""`python -m bench`: measures, prints one report and writes it as JSON. See README.md beside this file."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from bench import inprocess, measure, processes, report, targets, workloads
from bench.contenders import Ccrouter, Contender, Nginx, NodeRouter, Ports, Skipped, Unrecorded

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".bench"


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, coarser, without the 256 and 512 streams")
    parser.add_argument("--only", default="", metavar="W3,W4", help=f"some of {','.join(workloads.NAMES)}")
    parser.add_argument("--contenders", default=",".join(report.ORDER), metavar="A,B", help="default: %(default)s")
    parser.add_argument(
        "--ccr", type=Path, default=Path(sys.executable).with_name("ccr"), help="another ccr to measure"
    )
    parser.add_argument("--out", type=Path, help="where the JSON goes (default: .bench/result-<commit>.json)")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"), help="print the ratios of two results")
    arguments = parser.parse_args()
    for option, known in (("only", workloads.NAMES), ("contenders", report.ORDER)):
        chosen = [word for word in getattr(arguments, option).split(",") if word]
        if wrong := set(chosen) - set(known):
            parser.error(f"--{option} does not know {', '.join(sorted(wrong))}; it knows {', '.join(known)}")
        setattr(arguments, option, chosen)
    return arguments


def _stop_on_signal(number: int, _frame: object) -> NoReturn:
    raise SystemExit(
        f"bench: stopped by {signal.Signals(number).name}" + (", the time limit" * (number == signal.SIGALRM))
    )


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip()


def _machine(cpus: processes.Cpus) -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    apart = (
        "program and rig on a CPU each" if cpus.are_apart else "ONE CPU for program and rig: times are not comparable"
    )
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} CPUs, {system}; {apart}"


def start_contenders(
    arguments: argparse.Namespace, ports: Ports, cpus: processes.Cpus, stack: contextlib.ExitStack
) -> tuple[list[Contender], dict[str, str]]:
    """Those that run, and why the others do not."""
    everyone: list[Contender] = [
        Contender(ports, CACHE, cpus),
        Nginx(ports, CACHE, cpus),
        NodeRouter(ports, CACHE, cpus),
        Ccrouter(ports, CACHE, cpus, binary=arguments.ccr.absolute()),
        Unrecorded(ports, CACHE, cpus, binary=arguments.ccr.absolute()),
    ]
    running, skipped = [], {}
    for contender in everyone:
        if contender.name not in arguments.contenders:
            continue
        stack.callback(contender.stop)
        try:
            contender.prepare()
            contender.start()
            running.append(contender)
        except (Skipped, processes.BenchError) as error:
            skipped[contender.name] = str(error)
            contender.stop()
    return running, skipped


def measure_everything(bench: measure.Bench, only: list[str], unrecorded: list[Contender]) -> None:
    def is_wanted(name: str) -> bool:
        return not only or name in only

    def say(what: str) -> None:
        print(f"bench: {what}", file=sys.stderr, flush=True)

    if is_wanted("start"):
        say("start")
        bench.measure_start()
    bursts = [workload for workload in workloads.BURSTS if is_wanted(workload.name)]
    for workload in bursts:
        say(f"{workload.name}  {workload.title}")
        bench.measure_bursts([workload])
    if is_wanted("W5"):
        say(f"W5  {workloads.PACED.title}")
        bench.measure_paced()
    if bursts:
        bench.note_memory("rss_after_load_mb")
    if is_wanted("records"):
        say("with records and without")
        bench.measure_records(unrecorded)
    if is_wanted("session"):
        say("30-turn session")
        bench.measure_session()
    if is_wanted("conversation"):
        say("440 k-token conversation")
        bench.measure_conversation()
    if is_wanted("streams"):
        steps = bench.effort.ladder if not only else workloads.LADDER
        for clients in steps:
            say(f"{clients} paced streams")
            bench.measure_step(clients)
    if bursts:
        bench.note_memory("rss_at_end_mb")
    if is_wanted("micro"):
        say("in process")
        with bench.rig.cpus.pinned(bench.rig.cpus.contender):
            figures, missing = inprocess.measure()
        bench.figures["micro"] = {targets.OURS: figures}
        bench.failures |= missing


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    effort = measure.QUICK if arguments.quick else measure.FULL
    signal.signal(signal.SIGTERM, _stop_on_signal)
    signal.signal(signal.SIGALRM, _stop_on_signal)
    signal.alarm(int(effort.limit_s))
    begin = time.monotonic()
    cpus = processes.Cpus()
    with contextlib.ExitStack() as stack:
        rig = measure.Rig(CACHE, cpus)
        rig.build()
        stack.callback(rig.stop)
        contenders, skipped = start_contenders(arguments, rig.start_mock(), cpus, stack)
        for who, why in skipped.items():
            print(f"bench: without {who}: {why}", file=sys.stderr)
        bench = measure.Bench(rig, effort, [one for one in contenders if one.is_measured_everywhere])
        measure_everything(bench, arguments.only, [one for one in contenders if not one.is_measured_everywhere])
    return {
        "commit": _git("rev-parse", "--short", "--verify", "HEAD") or "uncommitted",
        "is_dirty": bool(_git("status", "--porcelain", "--", "src")),
        "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        "effort": f"{'quick' if arguments.quick else 'full'} run of {time.monotonic() - begin:.0f} s",
        "machine": _machine(cpus),
        "foreign_share": bench.foreign_s / max(1.0, bench.measured_s),
        "contenders": {contender.name: contender.version for contender in contenders},
        "skipped": skipped,
        "figures": bench.figures,
        "failures": bench.failures,
    }


def main() -> int:
    if not sys.platform.startswith("linux"):
        print("bench: needs Linux (epoll, CPU clocks and /proc of other processes)", file=sys.stderr)
        return 2
    arguments = read_arguments()
    if arguments.compare:
        old, new = (json.loads(file.read_text()) for file in arguments.compare)
        print(report.compare(old, new))
        return 0
    CACHE.mkdir(exist_ok=True)
    try:
        result = run(arguments)
    except processes.BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    out = arguments.out or CACHE / f"result-{result['commit']}.json"
    out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(report.show(result))
    print(f"\nwritten to {out}")
    # A wrong answer of ours is a failed run; a target missed is a finding, and the table says so.
    return 1 if any(targets.OURS in what for what in result["failures"]) else 0


if __name__ == "__main__":
    sys.exit(main())
