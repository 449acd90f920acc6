"""Environment variables put into texts: once, in every text value of the tree. What is unset is only marked."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ccrouter.jsontypes import Json, JsonObject

# `$NAME` in upper case only, as the classic router has it: "$5" and "$name" are texts.
_VARIABLE = re.compile(r"\$\$|\$\{([^}]+?)(?::-([^}]*))?\}|\$([A-Z_][A-Z0-9_]*)")
_MALFORMED = re.compile(r"(?<!\$)\$\{(?:\}|[^}]*$)")


class Filled(str):
    """A text in which variables were replaced.

    `written` is what the user wrote, `names` the variables whose values are in the text, `unset` those that have none
    and no default. Its repr is the written text: a value from the environment is often a secret.
    """

    __slots__ = ("names", "unset", "written")

    written: str
    names: tuple[str, ...]
    unset: tuple[str, ...]

    def __repr__(self) -> str:
        return repr(self.written)


def fill_text(text: str, environ: Mapping[str, str]) -> str:
    """`text` with `$NAME`, `${NAME}` and `${NAME:-default}` replaced and `$$` as `$`.

    A variable that is set to nothing counts as unset, as in the classic router. The result is a `Filled` if the text
    names any variable.
    """
    if "$" not in text:
        return text
    names: list[str] = []
    unset: list[str] = []

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name = (found[1] or found[3]).strip()
        if environ.get(name):
            names.append(name)
            return environ[name]
        if found[2] is not None:
            return found[2]
        unset.append(name)
        return found[0]

    filled = Filled(_VARIABLE.sub(value, text))
    filled.written = text
    filled.names = tuple(dict.fromkeys(names))
    filled.unset = tuple(dict.fromkeys(unset))
    return filled


def fill(tree: JsonObject, environ: Mapping[str, str]) -> JsonObject:
    """A copy of `tree` with every text value filled; keys stay as they are."""

    def visit(node: Json) -> Json:
        if isinstance(node, str):
            return fill_text(node, environ)
        if isinstance(node, list):
            return [visit(value) for value in node]
        if isinstance(node, dict):
            return {key: visit(value) for key, value in node.items()}
        return node

    return {key: visit(value) for key, value in tree.items()}


def variables_in(text: str) -> tuple[str, ...]:
    """The variables that `text`, as it is written, would be filled with, those with defaults too."""
    names = (found[1] or found[3] for found in _VARIABLE.finditer(text))
    return tuple(dict.fromkeys(name.strip() for name in names if name))


def is_malformed(text: str) -> bool:
    """True if what the user wrote has a `${` that names no variable or never ends."""
    return bool(_MALFORMED.search(getattr(text, "written", text)))


def unset_in(text: str) -> tuple[str, ...]:
    """The variables that a text still waits for."""
    return text.unset if isinstance(text, Filled) else ()
