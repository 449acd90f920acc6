"""`ccr logs`: the lines of the log, the last ones and those to come; its files; and its level.

Reads files: no router has to run, except to be told another level.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccrouter.cli.terminal import fail, harmless, say, table

if TYPE_CHECKING:
    from ccrouter.logs.reading import Wanted
    from ccrouter.secret import Secret

_LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")
_PAUSE = 0.25  # seconds between two looks at a log that is followed
_SPAN = re.compile(r"([0-9]{1,6})\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

_PORT = click.option("--port", "-p", type=click.IntRange(1, 65535), metavar="N", help="The router on this port.")


@click.group(invoke_without_command=True)
@click.option("--lines", "-n", "count", type=click.IntRange(0), default=50, show_default=True, help="How many lines.")
@click.option("--follow", "-f", "follows", is_flag=True, help="Go on with new lines, until Ctrl-C.")
@click.option("--level", "-l", type=click.Choice(_LEVELS), help="Lines of at least this level.")
@click.option("--request", "-r", metavar="ID", help="Lines about this request.")
@click.option("--session", metavar="ID", help="Lines about this session.")
@click.option("--since", metavar="TIME", help='Since then: "10m", "2h", "3d", "2026-11-22", "2026-11-22T14:30".')
@click.option("--search", "-s", metavar="TEXT", help="Lines with this text, in any case.")
@click.option("--json", "as_json", is_flag=True, help="Print the lines as they are written.")
@_PORT
@click.pass_context
def command(  # noqa: PLR0913 - click hands over every option by name
    context: click.Context,
    *,
    count: int,
    follows: bool,
    level: str | None,
    request: str | None,
    session: str | None,
    since: str | None,
    search: str | None,
    as_json: bool,
    port: int | None,
) -> int:
    """Show the last lines of the router's log, in one line each; with --follow also those to come.

    With --since all lines since then, unless -n says how many. Exit code 1 if there is no log.
    """
    from ccrouter.cli.logline import line_shower
    from ccrouter.logs.reading import RANKS, Wanted

    if context.invoked_subcommand is not None:
        return 0
    given = context.get_parameter_source("count")
    most = sys.maxsize if since and given is click.core.ParameterSource.DEFAULT else count
    wanted = Wanted(
        rank=RANKS[level] if level else 0,
        request=request or "",
        session=session or "",
        search=search or "",
        since=_since(since, datetime.now().astimezone()) if since else "",
    )
    shown = _written if as_json else line_shower()
    return _show(wanted, most, port, shown, follows=follows)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead.")
def files(*, as_json: bool) -> int:
    """List the log files, the newest first; the first line names their folder."""
    import json

    from ccrouter.logs.files import list_files

    folder = _folder()
    found = list_files(folder)
    if as_json:
        say(json.dumps([{**file.facts, "path": str(file.path)} for file in found], indent=2))
        return 0
    say(str(folder))
    if found:
        rows = [(file.name, f"{_size(file.size)}, {_when(file.modified)}") for file in found]
        say(table(("File", "Size, last line"), rows))
    return 0


@command.command()
@click.argument("level", required=False, type=click.Choice([*_LEVELS, "config"]))
@_PORT
def level(level: str | None, port: int | None) -> int:
    """Show or set the level of the running router's log, until its next reload or restart.

    "config" goes back to what its config says (LOG_LEVEL). Exit code 1 if no router runs.
    """
    from ccrouter.service.inquiry import Unanswered, ask_log_level, set_log_level

    place = _place(port)
    if place is None:
        return 1
    try:
        told = set_log_level(*place, None if level == "config" else level) if level else ask_log_level(*place)
    except Unanswered as error:
        if error.status == 409:
            fail("this router keeps no log: LOG is false in its config")
        elif error.status in (401, 403):
            fail("the running router refuses the key of the config", "its APIKEY is another one: ccr restart")
        else:
            fail(f"the running router cannot be asked: {error}", "ccr restart")
        return 1
    is_other = told["level"] != told["configured"]
    words = f", until the next reload or restart; the config says {told['configured']}" if is_other else ""
    say(f"the log takes lines of level {told['level']} and above{words}")
    return 0


# -- which lines -------------------------------------------------------------------------------------------------------


def _show(wanted: Wanted, count: int, port: int | None, shown: Callable[[bytes], str], *, follows: bool) -> int:
    from ccrouter.logs.files import list_files
    from ccrouter.logs.reading import last_lines
    from ccrouter.logs.tail import Tail

    folder = _folder()
    tail = Tail(lambda: _newest(folder, port)) if follows else None
    try:
        place = tail.begin() if tail else None
        newest = place[0] if place else _newest(folder, port)
        if newest is None and not follows:
            fail(f"there is no log in {folder}", "ccr start makes one, unless LOG is false in the config")
            return 1
        paths = [] if newest is None else _from(newest, [file.path for file in list_files(newest.parent)])
        for line in last_lines(paths, wanted, count, place[1] if place else None) if count else ():
            say(shown(line))
        while tail is not None:
            for line in tail.read():
                if wanted.takes(line):
                    say(shown(line))
            time.sleep(_PAUSE)
    finally:
        if tail is not None:
            tail.close()
    return 0


def _from(newest: Path, paths: Iterable[Path]) -> list[Path]:
    """The log that is asked for, and those older than it."""
    found = list(paths)
    return found[found.index(newest) :] if newest in found else [newest, *found]


def _newest(folder: Path, port: int | None) -> Path | None:
    """The log of the router that runs, on `port` if one is named; else the newest there is."""
    from ccrouter.logs.files import find_file
    from ccrouter.service.state import read_live

    live = [state for state in read_live(folder.parent) if state.log and port in (None, state.port)]
    if live and live[0].log and Path(live[0].log).exists():
        return Path(live[0].log)
    if port is not None:
        return None
    found = find_file(folder, "")
    return None if found is None else found.path


def _since(text: str, now: datetime) -> str:
    """The time that is meant, as lines tell theirs. Raises BadParameter."""
    span = _SPAN.fullmatch(text.strip().lower())
    if span is not None:
        moment = now - timedelta(seconds=int(span[1]) * _SECONDS[span[2]])
    else:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            example = '"10m", "2h", "2026-11-22" or "2026-11-22T14:30"'
            raise click.BadParameter(f"{text!r} is no time: write {example}", param_hint="--since") from None
        moment = moment.astimezone()  # one without a zone is of this machine
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _folder() -> Path:
    from ccrouter.service.private import router_folder

    return router_folder() / "logs"


def _place(port: int | None) -> tuple[str, int, Secret | None] | None:
    """Where the router answers, and the key for it; None after saying that none does."""
    from ccrouter.cli.options import StartOptions, follow, listening_place, load_for_clients
    from ccrouter.service.private import router_folder
    from ccrouter.service.running import find_running

    options = StartOptions(port=port)
    running = find_running(router_folder(), *listening_place(options))
    if running is None or not running.is_answering or (port and running.port != port):
        where = f" on port {port}" if port else ""
        fail(
            f"no router is running{where}: another level lasts as long as a router does",
            "LOG_LEVEL in the config stays",
        )
        return None
    return running.host, running.port, follow(load_for_clients(options), running).api_key


def _written(line: bytes) -> str:
    return harmless(line.decode("utf-8", "backslashreplace"))  # what it writes as numbers is JSON too


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
