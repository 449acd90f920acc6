"""Runs the targets, each in a process of its own: `python -m fuzz --minutes 10 [TARGET ...]`.

Inputs that reached something new stay in `fuzz/corpus/TARGET`, those that broke a law in `fuzz/found/TARGET`.
Exit code 1 if a law was broken.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzz.seeds import seeds_of

HERE = Path(__file__).parent
#: Bytes of one input, and of one corpus that is to be committed.
_LARGEST = 64 * 1024
LARGEST_CORPUS = 120_000


def main() -> int:
    from fuzz.targets import TARGETS  # noqa: PLC0415 - the runner itself needs none of the code

    options = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    options.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    options.add_argument("--jobs", type=int, default=2, help="processes at once")
    options.add_argument("--merge", action="store_true", help="do not fuzz: make each corpus as small as it can be")
    given = options.parse_args()
    names = given.targets or list(TARGETS)
    if given.merge:
        for name in names:
            _merge(name)
        return 0
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
    seeds = _written_seeds(name)
    limits = [f"-max_total_time={seconds}", f"-max_len={_LARGEST}", "-timeout=20", "-rss_limit_mb=4096"]
    command = [sys.executable, "-m", "fuzz.one", name, *limits, f"-artifact_prefix={found}/", str(corpus), str(seeds)]
    return subprocess.Popen(command, stdout=log, stderr=log, cwd=HERE.parent)


def _written_seeds(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for place, seed in enumerate(seeds_of(name)):
        (folder / f"{place}").write_bytes(seed)
    return folder


def _merge(name: str) -> None:
    """Leave of a corpus the fewest and smallest inputs that reach all that it reaches and the seeds do not; of those,
    the smallest, so many as a repository should hold.
    """
    corpus, kept = HERE / "corpus" / name, Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    command = [sys.executable, "-m", "fuzz.one", name, "-merge=1", f"-max_len={_LARGEST}"]
    log = HERE / "found" / name / "merge.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        folders = [str(kept), str(_written_seeds(name)), str(corpus)]
        subprocess.run([*command, *folders], stdout=file, stderr=file, cwd=HERE.parent, check=True)
    seeds = {hashlib.sha1(seed).hexdigest() for seed in seeds_of(name)}  # as libFuzzer names files
    files = sorted((path for path in kept.iterdir() if path.name not in seeds), key=lambda path: path.stat().st_size)
    if not any(kept.iterdir()):
        raise SystemExit(f"{name}: nothing was merged, see {log}")
    total, size = 0, 0
    shutil.rmtree(corpus)
    corpus.mkdir()
    for path in files:
        size += path.stat().st_size
        if size > LARGEST_CORPUS:
            break
        shutil.copyfile(path, corpus / path.name)
        total += 1
    print(f"{name}: {total} inputs", flush=True)


def _told(name: str, code: int) -> str:
    log = (HERE / "found" / name / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line for line in reversed(log) if line.startswith("#")), "")
    if not code:
        return f"clean; {last}"
    return "BROKEN\n" + "\n".join(f"    {line}" for line in log[-40:])


if __name__ == "__main__":
    sys.exit(main())
