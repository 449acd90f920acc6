"""Colours as themes name them, and the codes that terminals know them by. Pure."""

from __future__ import annotations

import re

RESET = "\033[0m"

_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_BRIGHT = 8
#: Colours of classic themes that are not among the sixteen of every terminal: numbers of the 256.
_MORE = {"bright_orange": 202, "bright_purple": 129}
_HEX = re.compile(r"#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})")


class Colour:
    """One colour. `parts` are what follows 38 or 48 in the codes of foreground and background."""

    __slots__ = ("_number", "_parts")

    def __init__(self, parts: str, number: int = -1) -> None:
        self._parts = parts
        self._number = number  # of the sixteen, which have shorter codes that every terminal knows; else -1

    @property
    def foreground(self) -> str:
        """The code that paints what follows."""
        return self._code(30, 90, 38)

    @property
    def background(self) -> str:
        """The code that paints behind what follows."""
        return self._code(40, 100, 48)

    def _code(self, dark: int, bright: int, any_colour: int) -> str:
        if self._number < 0:
            return f"\033[{any_colour};{self._parts}m"
        return f"\033[{dark + self._number if self._number < _BRIGHT else bright + self._number - _BRIGHT}m"


def colour(name: object) -> Colour | None:
    """The colour of a name (`blue`, `bright_blue`) or a number (`#3af`, `33aaff`); None for what is none.

    A `bg_` before either is only a word: where the colour is written says what it paints.
    """
    if not isinstance(name, str):
        return None
    name = name.strip().removeprefix("bg_")
    if found := _HEX.fullmatch(name):
        digits = found[1] if len(found[1]) == 6 else "".join(digit * 2 for digit in found[1])
        return Colour(f"2;{int(digits[:2], 16)};{int(digits[2:4], 16)};{int(digits[4:], 16)}")
    name = name.lower()
    if name in _MORE:
        return Colour(f"5;{_MORE[name]}")
    base = name.removeprefix("bright_")
    if base not in _NAMES:
        return None
    number = _NAMES.index(base) + (_BRIGHT if base != name else 0)
    return Colour(f"5;{number}", number)
