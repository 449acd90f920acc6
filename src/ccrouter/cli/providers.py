"""`ccr providers`: which ones there are, which could be, adding and removing them, and finding out what they can do."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccrouter.cli.terminal import fail, note, say, warn

if TYPE_CHECKING:
    from ccrouter.cli.configfile import Saved

_CONFIG = click.option(
    "--config", "-c", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH", help="Config file."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
_NO_RELOAD = click.option("--no-reload", is_flag=True, help="Leave a running router as it is.")
_DIALECTS = ("anthropic", "openai", "responses", "gemini", "openai_chat", "openai_responses")


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """The providers: those that are configured, and those that could be. `ccr providers` alone lists the first."""
    if context.invoked_subcommand is None:
        context.invoke(list_, config=None, as_json=False)


@command.command("list")
@_CONFIG
@_JSON
def list_(config: Path | None, *, as_json: bool) -> int:
    """List the configured providers: URL, key, models, and which routes lead to them."""
    from ccrouter.cli.provider_list import provider_lines, told_providers
    from ccrouter.cli.reading import read_config

    told = told_providers(read_config(config))
    if as_json:
        say(json.dumps({"providers": told}, indent=2, ensure_ascii=False))
        return 0
    for line in provider_lines(told):
        say(line)
    if not told:
        note("No provider is configured: `ccr providers add` adds one.")
    return 0


@command.command()
@_JSON
def catalogue(*, as_json: bool) -> int:
    """List the providers that are known: name, title, variable of the key."""
    from ccrouter.config.catalogue_entries import ENTRIES

    return _tell_entries(ENTRIES, as_json=as_json)


@command.command()
@click.argument("words", nargs=-1, required=True)
@_JSON
def search(words: tuple[str, ...], *, as_json: bool) -> int:
    """Search the catalogue: WORDS in names, titles, URLs, dialects and models."""
    from ccrouter.config.catalogue import search as search_entries
    from ccrouter.config.catalogue_entries import ENTRIES

    found = search_entries(" ".join(words), ENTRIES)
    if not found and not as_json:
        fail(f"nothing in the catalogue has {' '.join(words)!r}", "ccr providers add --url URL adds any other one")
        return 1
    return _tell_entries(found, as_json=as_json)


def _tell_entries(entries: Sequence[Any], *, as_json: bool) -> int:
    from ccrouter.cli.provider_list import entry_lines, told_entry

    if as_json:
        told = [told_entry(entry) for entry in entries]
        say(json.dumps({"catalogue": told}, indent=2, ensure_ascii=False))
        return 0
    for line in entry_lines(entries):
        say(line)
    return 0


def _variable(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    from ccrouter.cli.provider_addition import variable

    try:
        return None if value is None else variable(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None  # not repeated: it may be a key


def _pairs(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    pairs = [said.partition("=") for said in value]
    if any(not equals or not name for name, equals, _ in pairs):
        raise click.BadParameter("write NAME=VALUE")
    return {name: text for name, _, text in pairs}


@command.command()
@click.argument("what", metavar="[NAME]", required=False, default="")
@click.option("--name", default="", metavar="NAME", help="What to call it in the config, if not as in the catalogue.")
@click.option("--url", default="", metavar="URL", help="Where to POST, in full.")
@click.option("--key-env", callback=_variable, metavar="VAR", help="Environment variable that holds the key.")
@click.option("--no-key", is_flag=True, help="The server asks for no key.")
@click.option("--dialect", type=click.Choice(_DIALECTS), default=None, help="Wire format, if the URL does not tell.")
@click.option("--model", "-m", "models", multiple=True, metavar="MODEL", help="A model on offer there; repeatable.")
@click.option("--default", "is_default", is_flag=True, help="Let it serve everything that no other route takes.")
@click.option("--route", "routes", multiple=True, metavar="ROUTE[=MODEL]", help="A route to lead there; repeatable.")
@click.option("--set", "answers", multiple=True, callback=_pairs, metavar="NAME=VALUE", help="What its URL asks for.")
@click.option("--force", is_flag=True, help="Replace a provider of the same name.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing: take what the catalogue says.")
@_CONFIG
@_NO_RELOAD
def add(what: str, **given: Any) -> int:
    """Add a provider to the config: NAME of the catalogue, or any other with --url.

    What is not said is asked, where somebody can be asked. The key is never put into the file: what is written is the
    name of the environment variable that holds it.
    """
    from ccrouter.cli.menu import is_interactive
    from ccrouter.cli.provider_addition import Flags, gather

    if given["no_key"] and given["key_env"]:
        raise click.UsageError("--no-key and --key-env exclude each other")
    flags = Flags(
        what=what,
        name=given["name"],
        url=given["url"],
        key="" if given["no_key"] else given["key_env"],
        dialect=given["dialect"] or "",
        models=given["models"],
        routes=(*(("default",) if given["is_default"] else ()), *given["routes"]),
        answers=given["answers"],
        may_ask=is_interactive() and not given["yes"],
    )
    return _add(flags, gather, given)


def _add(flags: Any, gather: Any, given: dict[str, Any]) -> int:
    from ccrouter.cli.applying import apply
    from ccrouter.cli.configfile import open_config, save_config
    from ccrouter.cli.reading import serves_default
    from ccrouter.config.changes import add_provider, has_provider, set_route

    file = open_config(given["config"])
    addition = gather(flags, needs_default=not serves_default(file))
    words = addition.words
    if has_provider(file.tree, words.name) and not given["force"]:
        fail(
            f"there is a provider called {words.name!r} already", "--force replaces it, --name calls this one otherwise"
        )
        return 1
    tree = file.copy()
    add_provider(tree, words)
    for route, model in addition.routes.items():
        set_route(tree, file.router, route, f"{words.name},{model}")
    saved = save_config(file, tree)
    say(f"Added {words.name} to {file.path}" + (f" (it was: {saved.backup})" if saved.backup else ""))
    for route, model in addition.routes.items():
        say(f"  {route} → {words.name},{model}")
    _tell_faults(saved)
    if addition.key and not os.environ.get(addition.key):
        note(f"Set its key in the shell that starts the router: export {addition.key}=...")
    if addition.entry is not None and addition.entry.note:
        note(addition.entry.note)
    note(f"Find out what it can do: ccr providers test {words.name}")
    if not given["no_reload"]:
        apply(file.path)
    return 0


@command.command()
@click.argument("name")
@_CONFIG
@_NO_RELOAD
def remove(name: str, config: Path | None, *, no_reload: bool) -> int:
    """Remove a provider from the config. Refused while a route leads to it."""
    from ccrouter.cli.applying import apply
    from ccrouter.cli.configfile import open_config, save_config
    from ccrouter.config.changes import remove_provider

    file = open_config(config)
    tree = file.copy()
    if not remove_provider(tree, name):
        fail(f"no provider is called {name!r} in {file.path}")
        return 1
    saved = save_config(file, tree)
    say(f"Removed {name} from {file.path}" + (f" (it was: {saved.backup})" if saved.backup else ""))
    _tell_faults(saved)
    if not no_reload:
        apply(file.path)
    return 0


@command.command()
@click.argument("name", required=False, default="")
@click.option("--model", "-m", default="", metavar="MODEL", help="Which model to ask, if not the routed or first one.")
@click.option("--only", multiple=True, metavar="PROBE", help="Only this probe, and what it needs; repeatable.")
@click.option("--skip", multiple=True, metavar="PROBE", help="Not this probe; repeatable.")
@click.option("--timeout", type=click.FloatRange(1, 3600), default=60.0, show_default=True, help="Seconds of silence.")
@click.option("--budget", type=click.IntRange(1000), default=None, metavar="TOKENS", help="Stop after so many tokens.")
@click.option("--all-models", is_flag=True, help="What is found holds for all models of the provider.")
@click.option("--write/--no-write", default=True, help="Keep what is found as a profile, which is then obeyed.")
@click.option("--probes", "lists_probes", is_flag=True, help="List the probes, and ask nothing.")
@_JSON
@_CONFIG
@_NO_RELOAD
def test(name: str, **given: Any) -> int:
    """Find out what the provider NAME can do, by asking it with your key: costs some thousand tokens.

    What is found is kept in ~/.claude-code-router/profiles, and the translator obeys it from then on.
    """
    from ccrouter.cli.certification import Wanted, list_probes, run

    if given["lists_probes"]:
        return list_probes()
    if not name:
        raise click.UsageError("say which provider: `ccr providers list` names them")
    wanted = Wanted(
        provider=name,
        model=given["model"],
        only=given["only"],
        skipped=given["skip"],
        timeout=given["timeout"],
        budget=given["budget"],
        for_all=given["all_models"],
        writes=given["write"],
        reloads=not given["no_reload"],
        as_json=given["as_json"],
        config=given["config"],
    )
    return run(wanted)


def _tell_faults(saved: Saved) -> None:
    for fault in saved.faults:
        warn(f"{fault.problem}")
