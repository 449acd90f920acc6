"""`python -m soak`: load and soak of a real router, for as long as one likes. See README.md beside this file."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import aiohttp

from soak import mix
from soak.kills import Kills
from soak.mixed import Mixed, Pace
from soak.processes import ProviderProcess, RouterProcess, SoakError, allow_descriptors
from soak.streams import STALL, Crowd, paced, together
from soak.tally import Tally

PHASES = ("paced", "together", "mixed", "kills")


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    paced: Crowd
    together: Crowd
    mixed: Pace
    kills: int
    stall: float = STALL


def full(minutes: float) -> Size:
    """128 streams for half a minute, 512 at once, `minutes` of faults, 25 kills."""
    return Size(
        Crowd(128, 600, 50), Crowd(512, 40, 100), Pace(20.0, min(40.0, minutes * 60 / 10), minutes * 60), kills=25
    )


#: The same in about a minute: the memory of a router that young still grows, everything else must hold.
QUICK = Size(Crowd(128, 100, 50), Crowd(512, 10, 50), Pace(20.0, 1.5, 30.0, is_quick=True, look=0.4), kills=3)


def read_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of mixed faults (default: %(default)g)")
    parser.add_argument("--quick", action="store_true", help="everything in about a minute")
    parser.add_argument("--only", default=",".join(PHASES), metavar="A,B", help="some of %(default)s")
    parser.add_argument("--seed", type=int, default=None, help="draw the same requests again (default: the time)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--keep", action="store_true", help="leave the router's files where they are, and say where")
    arguments = parser.parse_args(words)
    if unknown := set(arguments.only.split(",")) - set(PHASES):
        parser.error(f"--only does not know {', '.join(sorted(unknown))}; it knows {', '.join(PHASES)}")
    return arguments


async def run(size: Size, only: Sequence[str], seed: int, folder: Path) -> Tally:
    """The phases, one after the other, against one router. Raises SoakError if it does not even start."""
    chance = random.Random(seed)
    tally = Tally()
    router = RouterProcess(folder)

    def say(what: str) -> None:
        print(f"soak: {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)

    with ProviderProcess() as provider:
        router.configure(mix.settings(provider.url, again=0 if size.mixed.is_quick else 1))
        try:
            router.start(is_watched=True)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                await router.healthy(session)
                if "paced" in only:
                    say(f"{size.paced.count} paced streams")
                    await paced(session, router.url, size.paced, tally, stall=size.stall)
                if "together" in only:
                    say(f"{size.together.count} streams at once")
                    await together(session, router.url, size.together, tally)
            if "mixed" in only:
                say(f"{size.mixed.seconds / 60:g} minutes of mixed faults")
                await Mixed(router, provider, chance, size.mixed).run(tally)
            if "kills" in only:
                say(f"{size.kills} kills")
                await Kills(router, provider, chance, times=size.kills).run(tally)
            code = router.stop()
            tally.add("the end", "exit code on SIGTERM", code, "0", holds=code == 0)
        finally:
            router.stop()
    return tally


def _leave(_number: int, _frame: object) -> NoReturn:
    raise SystemExit("soak: stopped by SIGTERM")  # by way of what ends the router


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 0 if everything holds, 1 if something does not, 2 if the soak itself could not be done."""
    if not sys.platform.startswith("linux"):
        print("soak: needs Linux (/proc of other processes)", file=sys.stderr)
        return 2
    arguments = read_arguments(words)
    signal.signal(signal.SIGTERM, _leave)
    seed = arguments.seed if arguments.seed is not None else int(time.time())
    print(f"soak: seed {seed}", file=sys.stderr, flush=True)
    allow_descriptors()
    size = QUICK if arguments.quick else full(arguments.minutes)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    began = time.monotonic()
    router_folder = folder / "home" / ".claude-code-router"
    try:
        tally = asyncio.run(run(size, arguments.only.split(","), seed, folder))
    except SoakError as error:
        print(f"soak: {error}\nsoak: the files are in {router_folder}", file=sys.stderr)
        return 2
    print(tally.show())
    verdict = "Everything holds" if tally.holds else "NOT EVERYTHING HOLDS"
    print(f"\n{verdict}: {time.monotonic() - began:.0f} s, seed {seed}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"seed": seed, **tally.as_json()}, indent=1, ensure_ascii=False) + "\n")
    if arguments.keep or not tally.holds:
        print(f"the router's files are in {router_folder}, its stderr in {folder / 'router.err'}")
    else:
        RouterProcess(folder).remove()
    return 0 if tally.holds else 1


if __name__ == "__main__":
    sys.exit(main())
