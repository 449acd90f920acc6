"""Providers that can be configured without knowing their URLs: the form of an entry, and finding one. Holds no entry.

An entry says how to reach a provider. What its server accepts is a profile's matter (`ccrouter.dialects`), and what it
offers today is asked of the provider itself.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ccrouter.config.schema import DialectName, Platform

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model by the id that the provider's API takes. `roles` are the routes that it suits, the first one most."""

    id: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A part of a URL, or an option, that only the user knows: what to ask, and what an answer looks like."""

    text: str
    example: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A provider that is known.

    `url` is where to POST, in full, with `{name}` for what `questions` ask; `key` the variable that its makers'
    documents name for the key, "" for a server that asks for none. On a `platform` the URL is "" and follows from the
    `options`, which are members of the provider in the file and may have placeholders too. `docs` is the
    provider's own page about it, and `confirmed` the day on which URL and models were looked up ("" where they were
    not: then they are as users of it report them).
    """

    name: str
    title: str
    url: str
    key: str
    dialect: DialectName
    docs: str
    models: tuple[KnownModel, ...] = ()
    confirmed: str = ""
    note: str = ""
    platform: Platform = ""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    questions: Mapping[str, Question] = field(default_factory=dict, hash=False)

    @property
    def is_local(self) -> bool:
        """True for a server on one's own machine."""
        return self.url.startswith("http://localhost")

    @property
    def placeholders(self) -> tuple[str, ...]:
        """What has to be filled in, in the order of the URL and then of the options."""
        return tuple(dict.fromkeys(_PLACEHOLDER.findall(" ".join([self.url, *self.options.values()]))))

    def filled(self, text: str, answers: Mapping[str, str]) -> str:
        """`text` (the URL or an option) with `answers` in the place of its placeholders; without one it stays."""
        return _PLACEHOLDER.sub(lambda found: answers.get(found[1], found[0]), text)


def entry(  # noqa: PLR0913, PLR0917 - the facts that every entry has, by position as in a table
    name: str,
    title: str,
    url: str,
    key: str,
    dialect: DialectName,
    docs: str,
    models: Mapping[str, str] | None = None,
    *,
    confirmed: str = "",
    note: str = "",
    platform: Platform = "",
    options: Mapping[str, str] | None = None,
    questions: Mapping[str, Question] | None = None,
) -> Entry:
    """An entry as the tables write it: `models` maps ids to the routes that they suit, in one text."""
    known = tuple(KnownModel(id, tuple(roles.split())) for id, roles in (models or {}).items())  # noqa: A001 - the API's word
    return Entry(name, title, url, key, dialect, docs, known, confirmed, note, platform, options or {}, questions or {})


def find(name: str, entries: Iterable[Entry]) -> Entry | None:
    """The entry of that name, whatever the case."""
    folded = name.strip().casefold()
    return next((one for one in entries if one.name == folded), None)


def nearest(name: str, entries: Iterable[Entry]) -> list[str]:
    """Names of entries that `name` may have been meant for, the likeliest first."""
    return difflib.get_close_matches(name.strip().casefold(), [one.name for one in entries], n=3, cutoff=0.5)


def search(words: str, entries: Iterable[Entry]) -> list[Entry]:
    """The entries in which every one of the `words` occurs: in name, title, URL, dialect or a model's id. Those whose
    name or title has them come first.
    """
    wanted = words.casefold().split()

    def has(text: str) -> bool:
        return all(word in text.casefold() for word in wanted)

    def told(one: Entry) -> str:
        return " ".join([one.name, one.title, one.url, one.dialect, *(model.id for model in one.models)])

    found = [one for one in entries if has(told(one))]
    return sorted(found, key=lambda one: not has(f"{one.name} {one.title}"))
