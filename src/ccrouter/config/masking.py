"""What the user wrote, fit to be kept and shown: literal secrets become `***`. Placeholders stay."""

from __future__ import annotations

import re

from ccrouter.jsontypes import Json, JsonObject
from ccrouter.secret import MASK, redact

_SECRET_NAME = re.compile(r"api[-_]?key$|^key$|token$|secret|passw|authorization|cookie|credential", re.IGNORECASE)
_DEFAULT = re.compile(r"(\$\{[^}]+?:-)[^}]*(\})")
_PLACEHOLDERS = re.compile(r"(?:\$\{[^}]+\}|\$[A-Z_][A-Z0-9_]*)+")
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")


def mask(tree: JsonObject) -> JsonObject:
    """A copy of `tree` in which no text that is a secret by its key's name or by its form can be read."""
    return {key: _visit(key, value) for key, value in tree.items()}


def is_secret_name(name: str) -> bool:
    """True if the value of a member called `name` is a secret."""
    return _SECRET_NAME.search(name) is not None


def _visit(name: str, node: Json) -> Json:
    if isinstance(node, dict):
        return {key: _visit(key, value) for key, value in node.items()}
    if isinstance(node, list):
        return [_visit(name, value) for value in node]
    if not isinstance(node, str) or not node:
        return node
    text = _PASSWORD.sub(f"{MASK}@", redact(node))
    if not _SECRET_NAME.search(name):
        return text
    text = _DEFAULT.sub(rf"\1{MASK}\2", text)
    return text if _PLACEHOLDERS.fullmatch(text) else MASK
