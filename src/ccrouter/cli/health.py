"""`ccr health`: how targets and keys of the running router are, and forgetting what is bad. Also for `ccr status`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ccrouter.cli.options import StartOptions, follow, listening_place, load_for_clients
from ccrouter.cli.terminal import fail, harmless, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrouter.config.schema import Config
    from ccrouter.jsontypes import JsonObject
    from ccrouter.secret import Secret
    from ccrouter.service.running import Running

_WIDEST = 110
_NOT_ASKED = frozenset({"open", "trying", "resting", "disabled"})
_MARGIN = 12  # columns before the text: the longest state and a gap
_GREEN, _YELLOW, _RED = "\033[32m", "\033[33m", "\033[31m"
_COLOURS = {
    "well": _GREEN, "ready": _GREEN,
    "failing": _YELLOW, "trying": _YELLOW, "resting": _YELLOW, "limited": _YELLOW,
    "open": _RED, "disabled": _RED,
}  # fmt: skip

_PORT = click.option("--port", "-p", type=click.IntRange(1, 65535), metavar="N", help="The router on this port.")


@dataclass(frozen=True, slots=True)
class Line:
    """One target or key: its state in a word, its name, and what is to be said of it, "" for nothing."""

    state: str
    name: str
    words: str


@click.group(invoke_without_command=True)
@_PORT
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
@click.pass_context
def command(context: click.Context, port: int | None, *, as_json: bool) -> int:
    """Show how every target and every key of the running router is: which are asked, which rest, and until when.

    Exit code 1 if no router runs.
    """
    if context.invoked_subcommand is not None:
        return 0
    place = _place(port)
    told = None if place is None else _answer(lambda: _ask(*place))
    if told is None:
        return 1
    if as_json:
        say(json.dumps(told, indent=2, ensure_ascii=False))
        return 0
    paint = _painter()
    for title, lines in (("Targets", target_lines(told)), ("Keys", key_lines(told))):
        say(title)
        for line in lines:
            _show(line, paint)
        say()
    return 0


@command.command()
@click.argument("target", required=False, metavar="[PROVIDER[,MODEL]]")
@_PORT
def reset(target: str | None, port: int | None) -> int:
    """Forget what is bad: of a target, of all of a provider, or of everything. They are asked again at once.

    Exit code 1 if no router runs, or if it knows no such target.
    """
    from ccrouter.service.inquiry import reset_health

    place = _place(port)
    if place is None:
        return 1
    provider, _, model = (part.strip() for part in (target or "").partition(","))
    if target is not None and (not provider or ("," in target and not model)):
        raise click.UsageError("name a PROVIDER, or a PROVIDER,MODEL")
    told = _answer(lambda: reset_health(*place, provider, model))
    if told is None:
        return 1
    say(harmless(str(told.get("message", ""))))
    return 0


def health_of(running: Running | None, config: Config) -> JsonObject | None:
    """What the running router tells of its targets and keys; None if none runs, or it does not tell."""
    from ccrouter.service.inquiry import Unanswered

    if running is None or not running.is_answering:
        return None
    try:
        return _ask(running.host, running.port, config.api_key)
    except Unanswered:
        return None


def worries(told: JsonObject | None) -> list[str]:
    """What somebody should know who asked for nothing in particular: one sentence for each that is not asked now."""
    lines = [*target_lines(told), *key_lines(told)] if told else []
    return [harmless(f"{line.name} {line.words}") for line in lines if line.state in _NOT_ASKED]


def target_lines(told: JsonObject) -> Iterator[Line]:
    """Every target."""
    for one in told.get("targets", ()):
        yield Line(one["state"], f"{one['provider']},{one['model']}", _words_of_target(one))


def key_lines(told: JsonObject) -> Iterator[Line]:
    """Every key of every provider."""
    for provider in told.get("providers", ()):
        for key in provider["keys"]:
            is_only = len(provider["keys"]) == 1
            source = f" ({key['source']})" if key["source"] and key["label"] not in key["source"] else ""
            name = f"the key of {provider['name']}" if is_only else f"{key['label']} of {provider['name']}"
            yield Line(key["state"], name + source, _words_of_key(key))


def _words_of_target(one: JsonObject) -> str:
    last = one["lastFailure"]
    if last is None:
        return ""
    count = f"{one['failures']} failure{'s' if one['failures'] != 1 else ''}"
    failed = f"{count}, the last {_seconds(last['secondsAgo'])} ago: {last['kind']}"
    match one["state"]:
        case "open":
            return f"is passed over for {_seconds(one['secondsLeft'])}: {failed}"
        case "trying":
            return f"was passed over, and is tried by the next request: {failed}"
        case _:
            return f"is asked all the same: {failed}"


def _words_of_key(key: JsonObject) -> str:
    match key["state"]:
        case "disabled":
            return f"is disabled: {key['reason']}"
        case "resting":
            return "rests: " + "; ".join(
                f"{rest['model']} for {_seconds(rest['secondsLeft'])} ({rest['reason']})" for rest in key["rests"]
            )
        case "limited":
            return f"waits for {_seconds(key['secondsLeft'])}: {key['reason']}"
        case _:
            return _words_of_limits(key["limits"])


def _words_of_limits(limits: JsonObject) -> str:
    units = {"requestsPerMinute": "requests a minute", "tokensPerMinute": "tokens a minute", "concurrent": "at work"}
    used = (f"{limits[name]['used']} of {limits[name]['limit']} {unit}" for name, unit in units.items() if limits[name])
    return ", ".join(used)


def _seconds(number: float) -> str:
    if number >= 5400:
        return f"{number / 3600:.0f} h"
    return f"{number / 60:.0f} min" if number >= 90 else f"{max(1, round(number))} s"


def _ask(host: str, port: int, key: Secret | None) -> JsonObject:
    from ccrouter.service.inquiry import ask_health

    return ask_health(host, port, key)


def _place(port: int | None) -> tuple[str, int, Secret | None] | None:
    """Where the router answers, and the key for it; None after saying that none does."""
    from ccrouter.service.private import router_folder
    from ccrouter.service.running import find_running

    options = StartOptions(port=port)
    running = find_running(router_folder(), *listening_place(options))
    if running is None or not running.is_answering or (port and running.port != port):
        where = f" on port {port}" if port else ""
        fail(f"no router is running{where}: what is known of targets and keys ends with it", "ccr start")
        return None
    return running.host, running.port, follow(load_for_clients(options), running).api_key


def _answer(ask: Callable[[], JsonObject]) -> JsonObject | None:
    """What `ask` gives; None after saying why it gives nothing."""
    from ccrouter.service.inquiry import Unanswered

    try:
        return ask()
    except Unanswered as error:
        if error.status == 404:
            fail(str(error), "ccr health lists them; a router from before an update: ccr restart")
        elif error.status in (401, 403):
            fail("the running router refuses the key of the config", "its APIKEY is another one: ccr restart")
        else:
            fail(f"the running router cannot be asked: {error}", "ccr restart")
    return None


def _show(line: Line, paint: Callable[[str, str], str]) -> None:
    width = min(max(shutil.get_terminal_size().columns, 40), _WIDEST)
    mark, margin = f"  {line.state}".ljust(_MARGIN), " " * _MARGIN
    say(paint(line.state, mark) + harmless(line.name))
    if line.words:
        for text in _filled(harmless(line.words), width - _MARGIN):
            say(margin + text)


def _filled(text: str, width: int) -> Iterable[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _painter() -> Callable[[str, str], str]:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.name == "nt":
        return lambda _state, mark: mark
    return lambda state, mark: f"{_COLOURS[state]}{mark}\033[0m" if state in _COLOURS else mark
