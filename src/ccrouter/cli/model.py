"""`ccr model`: which models there are and which serve what, and changing that. Comments in the config survive."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccrouter.cli.menu import ask, choose, is_interactive
from ccrouter.cli.terminal import fail, note, say, table, warn

if TYPE_CHECKING:
    from ccrouter.cli.configfile import ConfigFile
    from ccrouter.jsontypes import JsonObject

_CONFIG = click.option(
    "--config", "-c", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH", help="Config file."
)
_ROUTER = click.option(
    "--router", default="", metavar="NAME", help="Which entry of `routers`, if not the one that runs."
)
_PROJECT = click.option(
    "--project", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="FOLDER",
    help="The router of this project alone, which replaces the whole other one there.",
)  # fmt: skip
_NO_RELOAD = click.option("--no-reload", is_flag=True, help="Leave a running router as it is.")
_END = "done"


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """The models, and which of them serves what. `ccr model` alone asks, or lists where nobody can be asked."""
    if context.invoked_subcommand is not None:
        return
    if is_interactive():
        _pick()
    else:
        context.invoke(list_, online="", config=None, as_json=False)


@command.command("list")
@click.option("--online", default="", metavar="PROVIDER", help="Ask this provider what it offers today.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
@_CONFIG
def list_(online: str, config: Path | None, *, as_json: bool) -> int:
    """List the models of all providers, and the routes that lead to them."""
    from ccrouter.cli.reading import read_config

    if online:
        return _list_online(online, config, as_json=as_json)
    reading = read_config(config)
    router = reading.config.router
    routes = {name: str(ref) for name, ref in router.routes.items()}
    serving: dict[str, list[str]] = {}
    for name, target in routes.items():
        serving.setdefault(target, []).append(name)
    listed = [f"{one.name},{model}" for one in reading.providers for model in one.models]
    models = list(dict.fromkeys([*listed, *map(str, router.listed)]))
    if as_json:
        told = [{"target": target, "routes": serving.get(target, [])} for target in models]
        say(json.dumps({"router": reading.router_name, "routes": routes, "models": told}, indent=2, ensure_ascii=False))
        return 0
    if not models:
        note("No model is configured: `ccr providers add` adds a provider with its models.")
        return 0
    say(table(("provider,model", "serves"), [(target, ", ".join(serving.get(target, []))) for target in models]))
    return 0


@command.command("set")
@click.argument("route")
@click.argument("target", metavar="PROVIDER,MODEL")
@_ROUTER
@_PROJECT
@_CONFIG
@_NO_RELOAD
def set_(route: str, target: str, **given: Any) -> int:
    """Let ROUTE be served by PROVIDER,MODEL. ROUTE may be a pattern of asked models, such as claude-opus-*."""
    file = _open(given["config"], given["project"])
    name, comma, model = (word.strip() for word in target.partition(","))
    if not comma or not name or not model:
        raise click.UsageError(f"write the model with its provider: PROVIDER,MODEL, not {target!r}")
    router = given["router"] or file.router
    _set(file, router, _known_route(route), f"{name},{model}", reloads=not given["no_reload"])
    return 0


@command.command()
@click.argument("route")
@_ROUTER
@_PROJECT
@_CONFIG
@_NO_RELOAD
def unset(route: str, router: str, project: Path | None, config: Path | None, *, no_reload: bool) -> int:
    """Take ROUTE out: what it served, the default route serves."""
    from ccrouter.config.changes import unset_route

    file = _open(config, project)
    tree = file.copy()
    if not unset_route(tree, router or file.router, route):
        fail(f"there is no route {route!r} in {file.path}")
        return 1
    _save(file, tree, f"{route} → the default route", reloads=not no_reload)
    return 0


def _open(config: Path | None, project: Path | None) -> ConfigFile:
    from ccrouter.cli.configfile import open_config
    from ccrouter.cli.projectrouter import open_project

    return open_config(config) if project is None else open_project(project)


def _known_route(route: str) -> str:
    """The route as the config spells it. Raises UsageError for what is neither a route nor a pattern."""
    from ccrouter.config.draft import is_pattern
    from ccrouter.config.fields import REQUEST_CLASSES
    from ccrouter.config.report import suggestion
    from ccrouter.config.schema import ROUTE_NAMES

    known = (*ROUTE_NAMES, *REQUEST_CLASSES)
    found = next((name for name in known if name.casefold() == route.casefold()), None)
    if found is None and not is_pattern(route):
        raise click.UsageError(f"{route!r} is not a route: {suggestion(route, known)}")
    return found or route


def _set(file: ConfigFile, router: str, route: str, target: str, *, reloads: bool) -> None:
    from ccrouter.config.changes import set_route

    tree = file.copy()
    set_route(tree, router, route, target)
    _save(file, tree, f"{route} → {target}", reloads=reloads)


def _save(file: ConfigFile, tree: JsonObject, what: str, *, reloads: bool) -> None:
    from ccrouter.cli.applying import apply
    from ccrouter.cli.configfile import save_config

    saved = save_config(file, tree)
    say(f"{what} in {file.path}" + (f" (it was: {saved.backup})" if saved.backup else ""))
    for fault in saved.faults:
        warn(str(fault.problem))
    if reloads and file.main is None:  # the router reads those of projects anew by itself
        apply(file.path)


# -- asking ------------------------------------------------------------------------------------------------------------


def _pick() -> None:
    """Asks which route, and which model for it, until there is nothing more to change."""
    from ccrouter.cli.configfile import open_config
    from ccrouter.config.schema import DRY_RUN, ROUTE_NAMES

    while True:
        file = open_config(None)
        router = file.reading.config.router
        routes = {name: str(ref) for name, ref in router.routes.items() if ref.provider != DRY_RUN}
        names = list(dict.fromkeys([*ROUTE_NAMES, *routes]))
        items = [*((name, routes.get(name, "-")) for name in names), (_END, "")]
        route = choose("Which route?", items, default=_END)
        if route == _END:
            return
        providers = file.reading.providers
        models = [(f"{one.name},{model}", "") for one in providers for model in one.models]
        if not models:
            note("No provider lists a model: `ccr providers add` adds one with its models.")
        chosen = choose(f"Which model serves {route}?", models, default=routes.get(route, ""), other="PROVIDER,MODEL")
        while "," not in chosen:
            chosen = ask("PROVIDER,MODEL")
        _set(file, file.router, route, chosen, reloads=True)


# -- online ------------------------------------------------------------------------------------------------------------


def _list_online(name: str, config: Path | None, *, as_json: bool) -> int:
    import asyncio

    from ccrouter.certify.discovery import Offer, offers
    from ccrouter.cli.reading import find_provider, read_config
    from ccrouter.compliance.document import load_policy
    from ccrouter.compliance.judge import Passage, judge
    from ccrouter.upstream.client import UpstreamClient

    provider = find_provider(read_config(config), name)
    policy = load_policy(None, os.environ)

    async def ask_provider() -> list[Offer]:
        client = UpstreamClient(policy)
        try:
            return await offers(client, provider)
        finally:
            await client.close()

    found = asyncio.run(ask_provider())
    allowed = [one for one in found if judge(policy, Passage(provider=provider.name, model=one.id)) is None]
    if as_json:
        told = [{"id": one.id, "context": one.context or None, "listed": one.id in provider.models} for one in allowed]
        say(json.dumps({"provider": provider.name, "models": told}, indent=2, ensure_ascii=False))
    else:
        for one in allowed:
            context = f"  {one.context} tokens" if one.context else ""
            say(f"{'*' if one.id in provider.models else ' '} {one.id}{context}")
        note(f"{len(allowed)} models at {provider.name}; * are in the config.")
    if len(found) > len(allowed):
        note(f"{len(found) - len(allowed)} more are not allowed by the policy {policy.name}.")
    return 0
