"""What `ccr providers add` puts into the config: from flags, from the catalogue, and, where somebody can be asked, from
answers. No key ever goes through here: what is written is the name of the variable that holds it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from ccrouter.cli.menu import ask, choose, choose_many, confirm
from ccrouter.cli.terminal import note

if TYPE_CHECKING:
    from ccrouter.config.catalogue import Entry
    from ccrouter.config.changes import ProviderWords
    from ccrouter.config.schema import DialectName
    from ccrouter.jsontypes import Json

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN = "own"
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; "" and () where it says nothing. `key` None: nothing was said of a key. With
    `may_ask` what is not said may be asked.
    """

    what: str = ""
    name: str = ""
    url: str = ""
    key: str | None = None
    dialect: str = ""
    models: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    answers: dict[str, str] = field(default_factory=dict)
    may_ask: bool = False


@dataclass(frozen=True, slots=True)
class Addition:
    """A provider to add, and the routes that are to lead to it, each with its model."""

    words: ProviderWords
    key: str
    routes: dict[str, str]
    entry: Entry | None = None


def gather(flags: Flags, *, needs_default: bool) -> Addition:
    """What is to be added. `needs_default`: nothing in the file says yet which model serves a request.

    Raises UsageError where something is missing and nobody can be asked, or where flags contradict each other.
    """
    from ccrouter.config.changes import ProviderWords

    entry = _entry(flags)
    url, more = _place(flags, entry)
    name = flags.name or (entry.name if entry else flags.what) or _ask_name(flags, url)
    dialect = _dialect(flags, entry)
    key = _key(flags, entry, name, url)
    models = _models(flags, entry)
    routes = _routes(flags, entry, models, needs_default=needs_default)
    more = (*more, *_protocol(name, url, dialect, is_placed=bool(entry and entry.platform)))
    words = ProviderWords(name, url, f"${{{key}}}" if key else "", models, more)
    return Addition(words, key, routes, entry)


def _entry(flags: Flags) -> Entry | None:
    from ccrouter.config.catalogue import find, nearest
    from ccrouter.config.catalogue_entries import ENTRIES

    if flags.what:
        found = find(flags.what, ENTRIES)
        if found is None and not flags.url:
            near = nearest(flags.what, ENTRIES)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise click.UsageError(
                f"{flags.what!r} is not in the catalogue: {hint}`ccr providers search WORD` looks further, and --url "
                "adds one that is not in it"
            )
        return found
    if flags.url:
        return None
    if not flags.may_ask:
        raise click.UsageError(
            "say which provider: `ccr providers catalogue` lists those that are known, --url adds others"
        )
    items = [(entry.name, entry.title) for entry in ENTRIES]
    chosen = choose("Which provider?", [(_OWN, "another one, by its URL"), *items])
    return None if chosen == _OWN else find(chosen, ENTRIES)


def _place(flags: Flags, entry: Entry | None) -> tuple[str, tuple[tuple[str, Json], ...]]:
    """The URL, and the members that say it on a platform."""
    if entry is None:
        return flags.url or ask("URL to POST to, in full", check=_url), ()
    answers = dict(flags.answers)
    missing = [name for name in entry.placeholders if name not in answers] if not flags.url else []
    if missing and not flags.may_ask:
        said = " ".join(f"--set {name}={entry.questions[name].example}" for name in missing)
        raise click.UsageError(f"{entry.title} needs to know: {said}")
    for name in missing:
        question = entry.questions[name]
        answers[name] = ask(f"{question.text[:1].upper()}{question.text[1:]} (such as {question.example})", check=_word)
    more: list[tuple[str, Json]] = [("platform", entry.platform)] if entry.platform else []
    more += [(name, entry.filled(value, answers)) for name, value in entry.options.items()]
    return flags.url or entry.filled(entry.url, answers), tuple(more)


def _ask_name(flags: Flags, url: str) -> str:
    from urllib.parse import urlsplit

    if not flags.may_ask:
        raise click.UsageError("say what to call the provider: --name NAME")
    host = (urlsplit(url).hostname or "provider").removeprefix("api.").partition(".")[0]
    return ask("What to call it", host, check=_word)


def _dialect(flags: Flags, entry: Entry | None) -> DialectName | None:
    from ccrouter.config.endpoint import PROTOCOLS

    if not flags.dialect:
        return entry.dialect if entry and not flags.url else None
    return PROTOCOLS.get(flags.dialect) or flags.dialect  # type: ignore[return-value] # of a click.Choice of the two


def _protocol(name: str, url: str, dialect: DialectName | None, *, is_placed: bool) -> tuple[tuple[str, Json], ...]:
    """The member that says the wire format where the URL does not."""
    from ccrouter.config.endpoint import PROTOCOLS, complaint, endpoints_of

    if dialect is None or is_placed or complaint(url):
        return ()
    if endpoints_of(url, name=name)[0].dialect == dialect:
        return ()
    return (("protocol", next(word for word, known in PROTOCOLS.items() if known == dialect)),)


def _key(flags: Flags, entry: Entry | None, name: str, url: str) -> str:
    """The variable that holds the key; "" for none."""
    if flags.key is not None:
        return flags.key
    if entry is not None and not flags.url and not (entry.key and flags.may_ask):
        return entry.key
    usual = entry.key if entry else re.sub(r"\W+", "_", name).upper() + "_API_KEY"
    if not flags.may_ask:
        raise click.UsageError(f"say which variable holds the key: --key-env {usual}, or --no-key for a server without")
    note("The config holds no keys, only the names of environment variables that do.")
    default = "-" if url.startswith("http://") else usual
    return ask('Variable of its key ("-" for no key)', default, check=variable)


def _models(flags: Flags, entry: Entry | None) -> tuple[str, ...]:
    if flags.models:
        return tuple(dict.fromkeys(flags.models))
    known = [model.id for model in entry.models] if entry else []
    if not flags.may_ask:
        return tuple(known)
    items = [(model.id, ", ".join(model.roles)) for model in entry.models] if entry else []
    title = "Which models?" if items else "Which models? (`ccr model list --online` shows what is on offer, later)"
    return tuple(choose_many(title, items, default=known, other="ids"))


def _routes(flags: Flags, entry: Entry | None, models: Sequence[str], *, needs_default: bool) -> dict[str, str]:
    routes: dict[str, str] = {}
    for said in flags.routes:
        route, _, model = (word.strip() for word in said.partition("="))
        chosen = model or _suiting(route, entry, models)
        if not chosen:
            raise click.UsageError(f"say which model serves the route {route}: --model MODEL, or --route {route}=MODEL")
        routes[route] = chosen
    if _DEFAULT in routes or not models:
        return routes
    best = _suiting(_DEFAULT, entry, models)
    is_wanted = needs_default
    if flags.may_ask and not flags.routes:
        is_wanted = confirm(f"Serve everything with {best}?", default=needs_default)
    return {**routes, _DEFAULT: best} if is_wanted else routes


def _suiting(route: str, entry: Entry | None, models: Sequence[str]) -> str:
    suiting = [model.id for model in entry.models if route in model.roles] if entry else []
    return next((model for model in suiting if model in models), models[0] if models else "")


def variable(typed: str) -> str:
    """The name of a variable, "" for "-". Raises ValueError for what is none, without repeating it: it may be a key."""
    if typed in {"", "-"}:
        return ""
    if not _VARIABLE.fullmatch(typed):
        raise ValueError("that is no variable's name; the key itself does not go into the config")
    if _looks_like_a_key(typed):
        raise ValueError("that looks like a key; give the name of the variable that holds it")
    return typed


def _looks_like_a_key(typed: str) -> bool:
    from ccrouter.secret import redact

    return redact(typed) != typed or (
        len(typed) >= 32 and any(char.isdigit() for char in typed) and typed not in os.environ
    )


def _word(typed: str) -> str:
    if not typed or "," in typed:
        raise ValueError("it has to be a word, without a comma")
    return typed


def _url(typed: str) -> str:
    from ccrouter.config.endpoint import complaint

    wrong = "" if "$" in typed else complaint(typed)
    if wrong:
        raise ValueError(f"it {wrong}, such as https://host/v1/chat/completions")
    return typed
