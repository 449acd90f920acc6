"""`ccr prices`: what is known of the costs of models, and where from; and a price list of one's own. Asks nobody on the
network.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from ccrouter.cli.terminal import harmless, note, say

if TYPE_CHECKING:
    from ccrouter.config.schema import Config, Provider
    from ccrouter.jsontypes import JsonObject
    from ccrouter.prices.book import PriceBook
    from ccrouter.prices.revision import Change

_SHOWN = 20  # changes that a person is told one by one

_config = click.option(
    "--config", "-c", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH", help="Config file."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")


@click.group(invoke_without_command=True)
@_config
@_json
@click.pass_context
def command(context: click.Context, config: Path | None, *, as_json: bool) -> None:
    """What models cost, in US dollars per million tokens, and where that is known from."""
    if context.invoked_subcommand is None:
        read = _read(config)
        book = _book(read)
        told = [_told(book, one, model) for one in read.providers for model in _models(read, one)]
        if as_json:
            say(json.dumps({"dates": list(book.dates), "models": told}))
            return
        for line in _lines(told):
            say(line)
        if not told:
            note("No models are configured: `ccr providers add` adds some.")
        elif any(one["price"] is None for one in told):
            note("Unknown prices can be said in the config (`prices`) or read from a list: `ccr prices update --from`.")


@command.command()
@click.argument("model")
@_config
@_json
def show(model: str, config: Path | None, *, as_json: bool) -> int:
    """Everything that is known about the price of MODEL: a configured one, PROVIDER,MODEL, or any of the lists.

    Exit code 1 if nothing is.
    """
    from ccrouter.errors import RouterError

    read = _read(config)
    book = _book(read)
    provider, comma, name = model.partition(",")
    asked = name.strip() if comma else model.strip()
    wanted = provider.strip().casefold() if comma else None
    owners = [one for one in read.providers if wanted in (None, one.name.casefold())]
    owners = [one for one in owners if wanted is not None or asked in _models(read, one)]
    told = [_told(book, one, asked) for one in owners]
    told += [] if told and any(one["price"] for one in told) else _listed(asked)
    if not told:
        raise RouterError(f"nothing is known of {model!r}\n  hint: `ccr prices` lists the models that are configured")
    if as_json:
        say(json.dumps({"dates": list(book.dates), "models": told}))
    else:
        for one in told:
            for line in _details(one):
                say(line)
    return 0 if any(one["price"] for one in told) else 1


@command.command()
@click.option(
    "--from", "source", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="A price list: our own form, LiteLLM's JSON, or OpenRouter's list of models.",
)  # fmt: skip
@_json
def update(source: Path, *, as_json: bool) -> None:
    """Take the prices of FILE over those of the catalogue; they are kept in prices.json, in the router's folder.

    What was there before is backed up. A file that does not make sense changes nothing.
    """
    from ccrouter.config.backup import save
    from ccrouter.prices.book import FILE_NAME, read_file
    from ccrouter.prices.catalogue import packaged, read_catalogue
    from ccrouter.prices.foreign import read_foreign
    from ccrouter.prices.revision import compare

    stamp = datetime.fromtimestamp(source.stat().st_mtime, tz=UTC).date().isoformat()
    found = read_foreign(_decoded(source), str(source), stamp)
    taken = read_catalogue(found.tree, str(source), f"file {FILE_NAME}")
    path = _folder() / FILE_NAME
    before = {"catalogue": packaged(), **_old(path)}
    changes = compare(before, {"catalogue": packaged(), "file": taken})
    text = json.dumps(found.tree, indent=1, ensure_ascii=False) + "\n"
    backup = save(path, text, now=datetime.now(UTC))
    count = sum(len(vendor.models) for vendor in taken.vendors.values())
    if as_json:
        told = {"file": str(path), "kind": found.kind, "date": taken.date, "models": count}
        lists = {"backup": str(backup) if backup else None, "leftOut": dict(found.left_out)}
        say(json.dumps({**told, **lists, "changes": [_change(one) for one in changes]}))
        return
    say(f"{count} models of {found.kind}'s form, {taken.date}, are in {path}")
    for why, number in found.left_out.items():
        note(f"  {number} left out {why}")
    _tell(changes)
    if backup:
        note(f"What was there before: {backup}")
    assert read_file(path) is not None, "it was written just now"
    note("A running router reads it with its config: `ccr restart`, or any change of the config.")


def _tell(changes: list[Change]) -> None:
    from ccrouter.prices.revision import words

    kinds = {"new": 0, "changed": 0, "gone": 0}
    for one in changes:
        kinds["new" if one.before is None else "gone" if one.after is None else "changed"] += 1
    say(", ".join(f"{number} {kind}" for kind, number in kinds.items()))
    changed = [one for one in changes if one.before is not None]
    for one in changed[:_SHOWN]:
        say(f"  {harmless(f'{one.vendor}: {one.model}')}: {words(one.before)} → {words(one.after)}")
    if len(changed) > _SHOWN:
        say(f"  … and {len(changed) - _SHOWN} more; --json lists all")


def _change(one: Change) -> JsonObject:
    from ccrouter.prices.revision import told

    return {"vendor": one.vendor, "model": one.model, "before": told(one.before), "after": told(one.after)}


def _old(path: Path) -> dict[str, Any]:
    """The list that is there, under "file"; nothing for one that could not be used anyway."""
    from ccrouter.errors import ConfigError
    from ccrouter.prices.book import read_file

    try:
        found = read_file(path)
    except ConfigError as error:
        note(f"The old list could not be used: {error}")
        return {}
    return {"file": found} if found else {}


def _decoded(source: Path) -> Any:
    from ccrouter.errors import ConfigError, Problem

    try:
        return json.loads(source.read_bytes())
    except OSError as error:
        raise ConfigError([Problem(str(source), "", f"cannot be read: {error.strerror or error}")]) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError([Problem(str(source), "", f"is not JSON: {error}")]) from None


def _folder() -> Path:
    from ccrouter.config.load import router_folder

    return router_folder(os.environ)


def _read(path: Path | None) -> Config:
    """The config, whether or not the keys that it names are set here."""
    from ccrouter.cli.options import StartOptions, load_with_stand_ins

    return load_with_stand_ins(StartOptions(config=path))


def _book(config: Config) -> PriceBook:
    from ccrouter.prices.book import PriceBook

    book = PriceBook.load(config, _folder())
    for fault in book.faults:
        note(f"warning: {fault}")
    return book


def _models(config: Config, provider: Provider) -> list[str]:
    """Those that the provider lists, and those that a route names."""
    from ccrouter.config.schema import DRY_RUN

    if provider.name == DRY_RUN:
        return []
    named = [
        ref.model for ref in (*config.router.routes.values(), *config.router.listed) if ref.provider == provider.name
    ]
    return list(dict.fromkeys([*provider.models, *named]))


def _told(book: PriceBook, provider: Provider, model: str) -> JsonObject:
    from ccrouter.config.schema import Target
    from ccrouter.dialects.profiles import profile_of
    from ccrouter.prices.revision import told

    host = urlsplit(provider.endpoints[0].url).hostname or ""
    profile = profile_of(Target(provider, model)).name
    price = book.price_of(provider.name, host, profile, model)
    return {
        "provider": provider.name,
        "model": model,
        "price": told(price),
        "source": price.source if price else None,
        "origin": (price.origin or None) if price else None,
        "context": book.context_window(host, profile, model),
    }


def _listed(model: str) -> list[JsonObject]:
    """What the catalogue says of a model that is not configured, by vendor."""
    from ccrouter.prices.catalogue import packaged
    from ccrouter.prices.names import spellings
    from ccrouter.prices.revision import told

    found = []
    for name, vendor in packaged().vendors.items():
        entry = next((vendor.models[one] for one in spellings(model) if one in vendor.models), None)
        if entry is not None:
            facts = {"price": told(entry.rates), "source": entry.source, "origin": entry.origin or None}
            found.append({"provider": f"({name})", "model": model, **facts, "context": entry.context})
    return found


def _lines(told: list[JsonObject]) -> list[str]:
    """One line a model, its provider above."""
    lines: list[str] = []
    width = max((len(one["model"]) for one in told), default=0)
    for at, one in enumerate(told):
        if not at or told[at - 1]["provider"] != one["provider"]:
            lines += ["", harmless(one["provider"])]
        source = f"  ({one['source']})" if one["price"] else ""
        lines.append(f"  {harmless(one['model']).ljust(width)}  {_figures(one['price'])}{source}")
    return lines[1:]


def _details(one: JsonObject) -> list[str]:
    price = one["price"]
    lines = [harmless(f"{one['provider']},{one['model']}"), f"  price     {_figures(price)}"]
    if price:
        lines += [f"  above {tier['tokens']} tokens: {_figures({**price, **tier})}" for tier in price.get("above", ())]
        lines += [f"  search    ${price['search']:g} per thousand"] if "search" in price else []
        lines += [f"  source    {one['source']}"] + ([f"  from      {one['origin']}"] if one["origin"] else [])
    return [*lines, f"  context   {one['context'] or 'unknown'}"]


def _figures(price: JsonObject | None) -> str:
    from ccrouter.prices.price import Rates
    from ccrouter.prices.revision import FIGURES, words

    if price is None:
        return "unknown"
    rates: dict[str, Any] = {member: price.get(name) for member, name in FIGURES.items()}
    return words(Rates(**rates))
