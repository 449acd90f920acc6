"""Questions with numbered answers, on stderr, as they work over any line: no cursor is moved, nothing is redrawn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import click

from ccrouter.cli.terminal import note

_SHOWN = 60


def is_interactive() -> bool:
    """True if somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(text: str, default: str = "", *, check: Callable[[str], str] | None = None) -> str:
    """What is typed, or `default`. `check` gives the value to take, and raises ValueError with what is wrong."""
    while True:
        typed = str(click.prompt(text, default=default, show_default=bool(default), err=True)).strip()
        try:
            return check(typed) if check else typed
        except ValueError as error:
            note(f"  {error}")


def confirm(text: str, *, default: bool) -> bool:
    """True for yes."""
    return click.confirm(text, default=default, err=True)


def choose(title: str, items: Sequence[tuple[str, str]], *, default: str = "", other: str = "") -> str:
    """The value of the item that is chosen by its number or its value; each is a value and what is said of it.

    With `other`, anything else that is typed is taken as it is.
    """
    values = [value for value, _ in items]
    _show(title, items)

    def check(typed: str) -> str:
        found = _one(typed, values)
        if found:
            return found
        if other and typed:
            return typed
        raise ValueError(f"type a number from 1 to {len(values)}" + (f", or {other}" if other else ""))

    start = str(values.index(default) + 1) if default in values else default
    return ask("Number" + (f" or {other}" if other else ""), start, check=check)


def choose_many(title: str, items: Sequence[tuple[str, str]], *, default: Sequence[str], other: str) -> list[str]:
    """As `choose`, for any number of answers: separated by commas, or "all"."""
    values = [value for value, _ in items]
    _show(title, items)

    def check(typed: str) -> str:
        if typed.casefold() == "all" and values:
            return ",".join(map(str, range(1, len(values) + 1)))
        return typed

    start = ",".join(str(values.index(value) + 1) for value in default if value in values)
    typed = ask(f"Numbers or {other}, separated by commas" + (', or "all"' if values else ""), start, check=check)
    words = [word.strip() for word in typed.split(",") if word.strip()]
    return list(dict.fromkeys(_one(word, values) or word for word in words))


def _one(typed: str, values: Sequence[str]) -> str:
    if typed.isascii() and typed.isdigit() and 1 <= int(typed) <= len(values):
        return values[int(typed) - 1]
    return next((value for value in values if value.casefold() == typed.casefold()), "")


def _show(title: str, items: Sequence[tuple[str, str]]) -> None:
    note(title)
    width = max((len(value) for value, _ in items), default=0)
    for number, (value, told) in enumerate(items[:_SHOWN], 1):
        note(f"  {number:>3}  {value.ljust(width)}  {told}".rstrip())
    if len(items) > _SHOWN:
        note(f"       … and {len(items) - _SHOWN} more: type its name")
