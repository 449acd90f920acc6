"""From a theme and variables to the line. Pure; scripts of the user's have run by then."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from ccrouter.service.statusline.colours import RESET, colour
from ccrouter.service.statusline.themes import POWERLINE, TEXTS, Theme

TYPE_CHECKING = False  # see themes.py
if TYPE_CHECKING:
    from ccrouter.jsontypes import JsonObject

_MOST_IN_POWERLINE = 10
_ARROW = "\ue0b0"
_VARIABLE = re.compile(r"\{\{(\w+)\}\}")
_CODE = re.compile("\033\\[[0-9;]*m")
# As cli/terminal.py has them, and line breaks: neither a model's name nor a branch's may move the cursor.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Manner:
    """How the line is to be written: in colour or not, with glyphs of a special font or not, how wide (0: no limit)."""

    __slots__ = ("has_colour", "has_glyphs", "width")

    def __init__(self, *, has_colour: bool = True, has_glyphs: bool = True, width: int = 0) -> None:
        self.has_colour = has_colour
        self.has_glyphs = has_glyphs
        self.width = width


def render(theme: Theme, variables: Mapping[str, str], manner: Manner, said: Mapping[int, str] | None = None) -> str:
    """The line, no wider than wanted. `said` is what the scripts of modules gave, by their number.

    A module is left out if its text comes to nothing: all its variables are empty, or its script gave nothing.
    """
    limit = _MOST_IN_POWERLINE if theme.style == POWERLINE else len(theme.modules)
    pieces = [
        (module, text)
        for number, module in enumerate(theme.modules[:limit])
        if (text := _piece(module, variables, manner, (said or {}).get(number, "")))
    ]
    write = _in_powerline if theme.style == POWERLINE else _side_by_side
    return cut(write(pieces, manner), manner.width)


def _piece(module: JsonObject, variables: Mapping[str, str], manner: Manner, said: str) -> str:
    kind = module.get("type")
    text = said if kind == "script" else filled_in(_template(module), variables)
    text = _clean(text)
    icon = _clean(icon) if isinstance(icon := module.get("icon"), str) else ""
    if not manner.has_glyphs:
        icon = "".join(one for one in icon if unicodedata.category(one) != "Co")
    return f"{icon} {text}" if icon and text else text


def _template(module: JsonObject) -> str:
    text = module.get("text")
    return text if isinstance(text, str) else TEXTS.get(str(module.get("type")), "")


def filled_in(text: str, variables: Mapping[str, str]) -> str:
    """`text` with its variables' values; "" if it has variables, and all of them are empty."""
    names = _VARIABLE.findall(text)
    if names and not any(variables.get(name) for name in names):
        return ""
    return _VARIABLE.sub(lambda found: variables.get(found[1], ""), text)


def _clean(text: str) -> str:
    return _UNSAFE.sub(" ", text).strip()


def _side_by_side(pieces: Sequence[tuple[JsonObject, str]], manner: Manner) -> str:
    def paint(module: JsonObject, text: str) -> str:
        behind, before = colour(module.get("background")), colour(module.get("color"))
        codes = (behind.background if behind else "") + (before.foreground if before else "")
        return f"{codes}{text}{RESET}" if codes and manner.has_colour else text

    return " ".join(paint(module, text) for module, text in pieces)


def _in_powerline(pieces: Sequence[tuple[JsonObject, str]], manner: Manner) -> str:
    """Segments on coloured ground, an arrow from each ground to the next; without colour, an arrow between texts."""
    if not manner.has_colour:
        return (" \ue0b1 " if manner.has_glyphs else " > ").join(text for _, text in pieces)
    grounds = [colour(module.get("background")) or colour("bright_blue") for module, _ in pieces]
    line = ""
    for number, (module, text) in enumerate(pieces):
        ground, ink = grounds[number], colour(module.get("color")) or colour("white")
        following = grounds[number + 1] if number + 1 < len(grounds) else None
        assert ground is not None
        assert ink is not None
        line += f"{ground.background}{ink.foreground} {text} {RESET}"
        if manner.has_glyphs:
            line += f"{ground.foreground}{following.background if following else ''}{_ARROW}{RESET}"
    return line


def cut(line: str, width: int) -> str:
    """`line` in at most `width` columns (0: any number), with "…" where its rest was. Colours take up no column."""
    if width <= 0 or columns(_CODE.sub("", line)) <= width:
        return line
    kept, used, has_code = [], 0, False
    for part in _parts(line):
        if part.startswith("\033"):
            kept.append(part)
            has_code = True
            continue
        if used + columns(part) > width - 1:
            break
        kept.append(part)
        used += columns(part)
    return "".join(kept) + "…" + (RESET if has_code else "")


def _parts(line: str) -> Iterator[str]:
    """Codes whole, and every other character by itself."""
    at = 0
    for found in _CODE.finditer(line):
        yield from line[at : found.start()]
        yield found[0]
        at = found.end()
    yield from line[at:]


def columns(text: str) -> int:
    """How many columns a terminal gives to `text`."""
    if text.isascii():
        return len(text)
    return sum(
        2 if unicodedata.east_asian_width(one) in "WF" else 0 if unicodedata.category(one) in {"Mn", "Me", "Cf"} else 1
        for one in text
    )
