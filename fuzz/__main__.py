"""Runs the targets, each in a process of its own: `python -m fuzz --minutes 10 [TARGET ...]`.

Inputs that reached something new stay in `fuzz/corpus/TARGET`, those that broke a law in `fuzz/found/TARGET`.
Exit code 1 if a law was broken.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzz.seeds import seeds_of

HERE = Path(__file__).parent
_LARGEST = 64 * 1024


def main() -> int:
    from fuzz.targets import TARGETS  # noqa: PLC0415 - the runner itself needs none of the code

    options = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    options.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    options.add_argument("--jobs", type=int, default=2, help="processes at once")
    given = options.parse_args()
    names = given.targets or list(TARGETS)
    seconds = max(5, int(given.minutes * 60 * given.jobs / len(names)))
    waiting, running, broken = list(names), {}, []
    while waiting or running:
        while waiting and len(running) < given.jobs:
            name = waiting.pop(0)
            running[name] = _start(name, seconds)
            print(f"{name}: {seconds} s", flush=True)
        for name, process in list(running.items()):
            if process.poll() is not None:
                del running[name]
                print(f"{name}: {_told(name, process.returncode)}", flush=True)
                broken += [name] if process.returncode else []
        time.sleep(0.2)
    return 1 if broken else 0


def _start(name: str, seconds: int) -> subprocess.Popen[bytes]:
    corpus, found = HERE / "corpus" / name, HERE / "found" / name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    log = (found / "log.txt").open("wb")
    seeds = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for place, seed in enumerate(seeds_of(name)):
        (seeds / f"{place}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-max_len={_LARGEST}", "-timeout=20", "-rss_limit_mb=4096"]
    command = [sys.executable, "-m", "fuzz.one", name, *limits, f"-artifact_prefix={found}/", str(corpus), str(seeds)]
    return subprocess.Popen(command, stdout=log, stderr=log, cwd=HERE.parent)


def _told(name: str, code: int) -> str:
    log = (HERE / "found" / name / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line for line in reversed(log) if line.startswith("#")), "")
    if not code:
        return f"clean; {last}"
    return "BROKEN\n" + "\n".join(f"    {line}" for line in log[-40:])


if __name__ == "__main__":
    sys.exit(main())
