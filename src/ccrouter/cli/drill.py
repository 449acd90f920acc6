"""`ccr drill`: fire practice. The user's routes meet a faulty upstream on this machine; what a client sees is told."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccrouter.cli.options import StartOptions, config_path, load_with_stand_ins
from ccrouter.cli.terminal import fail, harmless, note, say
from ccrouter.errors import ConfigError, Problem

if TYPE_CHECKING:
    from ccrouter.config.schema import Config
    from ccrouter.drill.course import Drill, Findings, Outcome
    from ccrouter.drill.faults import Fault
    from ccrouter.drill.setting import Drilled
    from ccrouter.drill.table import Word

_UNUSABLE = 2
_INTERRUPTED = 130
_COLOURS = {
    "title": "\033[1m",
    "answered": "\033[32m",
    "safe error": "\033[33m",
    "misled": "\033[1;31m",
    "hung": "\033[1;31m",
    "bad": "\033[1;31m",
}


@click.command()
@click.option("--demo", is_flag=True, help="Two made-up providers instead of the config.")
@click.option("--route", "routes", multiple=True, metavar="NAME", help="Only this route; may be repeated.")
@click.option("--only", "names", multiple=True, metavar="FAULT", help="Only this fault; may be repeated.")
@click.option("--list", "lists", is_flag=True, help="Name the faults, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
@click.option("--router", metavar="NAME", help="Which entry of `routers` to use (Claudable shape).")
@click.option("--config", "-c", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH", help="Config file.")
def command(  # noqa: PLR0913 - as many as there are options, by name
    *,
    demo: bool,
    routes: tuple[str, ...],
    names: tuple[str, ...],
    lists: bool,
    as_json: bool,
    router: str | None,
    config: Path | None,
) -> int:
    """Practise faults: run your routes against providers that fail in every way, and show what a client sees.

    Nothing leaves this machine: no provider is asked, no key is used. Exit code 0 if nobody was misled and nobody left
    hanging, 1 if somebody was, 2 if the config cannot be used.
    """
    from ccrouter.drill.course import Drill

    if lists:
        return _list_faults()
    chosen = _chosen(names)
    try:
        config_of_drill, is_demo = _configuration(StartOptions(router=router, config=config), demo=demo)
        drilled = _routes(config_of_drill, routes)
    except ConfigError as error:
        for problem in error.problems:
            fail(str(problem))
        return _UNUSABLE
    drill = Drill(config_of_drill, drilled, chosen)
    notes = _notes(drill, names, is_demo=is_demo)
    began = time.monotonic()
    try:
        with _Progress(as_json=as_json).shown(sum(1 for _ in drill.runs())) as progress:
            findings = _hold(drill, progress)
    except KeyboardInterrupt:
        note("Interrupted: the drill was not finished.")
        return _INTERRUPTED
    _tell(findings, notes, config_of_drill, is_demo=is_demo, as_json=as_json, seconds=time.monotonic() - began)
    return 0 if findings.is_good else 1


def _hold(drill: Drill, progress: _Progress) -> Findings:
    from ccrouter.drill.course import hold

    return hold(drill, progress.tell)


def _list_faults() -> int:
    from ccrouter.drill.faults import FAULTS

    for fault in FAULTS:
        say(f"{fault.name:<20}{fault.sentence}")
    return 0


def _chosen(names: tuple[str, ...]) -> tuple[Fault, ...]:
    """The faults of these names, all of them for none, as far as they are possible here."""
    from difflib import get_close_matches

    from ccrouter.drill.course import is_possible
    from ccrouter.drill.faults import FAULTS

    known = {fault.name: fault for fault in FAULTS}
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        near = get_close_matches(unknown, known, n=1)
        more = f"did you mean {near[0]}?" if near else "`ccr drill --list` names them"
        raise click.UsageError(f"no fault is called {unknown!r}; {more}")
    return tuple(fault for fault in FAULTS if (not names or fault.name in names) and is_possible(fault))


def _configuration(options: StartOptions, *, demo: bool) -> tuple[Config, bool]:
    """What to drill, and whether it is the demo: the config as a start would read it, with something in the place of
    variables that are not set; the demo if there is none, or no provider in it. Raises ConfigError, also where a
    variable leads to a file that is not there: whoever set it wants no demo.
    """
    from ccrouter.config.load import PATH_VARIABLES, find_config, read
    from ccrouter.config.schema import DRY_RUN
    from ccrouter.drill.setting import DEMO

    if not demo and config_path(options) is not None:
        config = load_with_stand_ins(options)
        if any(provider.name != DRY_RUN for provider in config.providers):
            return config, False
    elif not demo and any(os.environ.get(name) for name in PATH_VARIABLES):
        raise ConfigError([Problem(str(find_config(None, os.environ)), "", "there is no such file")])
    return read(None, {}, text=json.dumps(DEMO)).config, True


def _routes(config: Config, names: tuple[str, ...]) -> list[Drilled]:
    from ccrouter.drill.setting import routes_of

    try:
        routes = routes_of(config, names)
    except KeyError as error:
        known = ", ".join(drilled.name for drilled in routes_of(config)) or "none"
        message = f"no route is called {error.args[0]!r} (routes that ask different providers first: {known})"
        raise ConfigError([Problem(str(config.path or "the demo"), "Router", message)]) from None
    if not routes:
        problem = Problem(
            str(config.path), "Router", "no route leads to a provider", 'set Router.default to "provider,model"'
        )
        raise ConfigError([problem])
    return routes


def _notes(drill: Drill, names: tuple[str, ...], *, is_demo: bool) -> list[str]:
    from ccrouter.compliance.document import load_policy
    from ccrouter.drill.course import is_possible
    from ccrouter.drill.faults import FAULTS
    from ccrouter.drill.setting import given_up

    notes = ["This is the demo: two made-up providers."] if is_demo else []
    notes += given_up(drill.config, list(drill.routes))
    try:
        policy = load_policy(None, os.environ)
    except ConfigError:
        notes.append("The policy cannot be read; a drill goes without one. `ccr verify` tells more.")
    else:
        if policy.is_in_force:
            notes.append(
                f"The policy {policy.name} is not in force in a drill: it would refuse this machine's own addresses."
            )
    missing = [fault.name for fault in FAULTS if not is_possible(fault) and (not names or fault.name in names)]
    if missing:
        notes.append(f"Left out, as another resolver is installed that would ask the network: {', '.join(missing)}.")
    return notes


def _tell(  # noqa: PLR0913 - what there is to tell, by name
    findings: Findings, notes: list[str], config: Config, *, is_demo: bool, as_json: bool, seconds: float
) -> None:
    from ccrouter.drill.table import as_json as told_of
    from ccrouter.drill.table import lines_of

    if as_json:
        facts = {
            "demo": is_demo,
            "config": None if is_demo else str(config.path),
            "notes": notes,
            "seconds": round(seconds, 1),
        }
        say(json.dumps(told_of(findings, facts), indent=2, ensure_ascii=False))
        return
    for line in lines_of(findings, _paint):
        say(line)
    say(f"It took {seconds:.0f} s, and nothing left this machine.")
    for one in notes:
        note(f"note: {harmless(one)}")


def _paint(text: str, word: Word) -> str:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.name == "nt":
        return text
    return f"{_COLOURS[word]}{text}\033[0m"


class _Progress:
    """On a terminal, how far it is."""

    def __init__(self, *, as_json: bool) -> None:
        self._is_quiet = as_json or not sys.stderr.isatty()
        self._done = 0
        self._count = 0
        self._status: Any = None

    @contextmanager
    def shown(self, count: int) -> Iterator[_Progress]:
        self._count = count
        if self._is_quiet:
            yield self
            return
        from rich.console import Console

        with Console(stderr=True).status("…", spinner="dots") as self._status:
            yield self

    def tell(self, outcome: Outcome) -> None:
        self._done += 1
        if self._status is not None:
            self._status.update(f"{self._done}/{self._count} {outcome.run.fault.sentence}")
