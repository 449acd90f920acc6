"""What the user wrote, fit to be kept and shown: literal secrets become `***`. Placeholders stay.

Nobody can tell a secret from a word in every case: where a place is made for secrets (headers, queries of URLs, members
whose names say so) everything is masked but what is known to be harmless; elsewhere what has the form of a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ccrouter.config.provider_fields import KEY, PROVIDER
from ccrouter.config.table import Field
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.secret import MASK, Redactor, Secret, redact

_SECRET_NAME = re.compile(
    r"keys?$|tokens?$|secret|pass(?:w|phrase|code|$)|pwd|auth$|authori[sz]ation|cookie|credential"
    r"|bearer|signature|^sig$|^pat$|session(?:[-_]?id)?$",
    re.IGNORECASE,
)
# Counts of tokens; and words in which one of the above is part of another.
_NO_SECRET_NAME = re.compile(
    r"(?:max|min|limit|budget|count|threshold|input|output|thinking|completion|reasoning).*tokens?$"
    r"|^(?:prompt_)?tokens$|maxtoken$|hotkey$|monkey$",
    re.IGNORECASE,
)
_HEADERS = re.compile(r"headers?$", re.IGNORECASE)
_HARMLESS_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "anthropic-beta", "anthropic-version", "content-type"}
    | {"http-referer", "referer", "user-agent", "x-title"}
)
_HARMLESS_PARAMETERS = frozenset({"alt", "api-version", "beta", "model", "region", "stream", "v", "version"})
# What names the content of a sibling called "value": {"name": "X-Api-Key", "value": "..."}
_NAMES_OF_VALUES = ("name", "key", "header")


def _fold(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def _spellings(fields: Iterable[Field]) -> frozenset[str]:
    return frozenset(_fold(spelling) for field in fields for spelling in (field.name, *field.aliases))


#: Where several keys may stand, and what is said of one of them that is no secret.
_POOLS = _spellings(field for field in PROVIDER.fields if field.name == "api_key")
_TOLD_OF_KEYS = _spellings(field for field in KEY.fields if field.name != "key")

# All of these take time in proportion to the text: whoever may save a configuration may not stop the router with one.
_DEFAULT = re.compile(r"(\$\{\s*+\w++\s*+:-)[^{}]*(\})")
_VARIABLE = r"\$\{\s*[A-Za-z_]\w*\s*(?::-(?:\*\*\*)?)?\}|\$[A-Z_][A-Z0-9_]*"
_PLACEHOLDERS = re.compile(rf"(?:(?:Bearer|Basic)\s+)?(?:{_VARIABLE})+", re.ASCII)
# Up to the last @ of the authority; or up to the last @ of all, if a password with a slash in it stands before.
_PASSWORD = re.compile(r"(?<=://)(?:[^/?#\s]*@|[^/?#\s:]+:(?!\d+(?:[/?#]|$))\S{0,200}@)")
_BARE_PASSWORD = re.compile(r"^[^\s/@:]+:[^\s@]+@(?=[\w.\[-])")
_PARAMETER = re.compile(r"(?<=[?&#;])([^=&#;\s?]+)=([^&#;\s]+)")
_ASSIGNMENT = re.compile(
    r"((?:api[-_]?key|token|secret|passw(?:or)?d|authorization)[\"']?\s*[=:]\s*[\"']?)(?![$\s*])[^\s\"',;&]+",
    re.IGNORECASE,
)
_SHAPED = re.compile(
    r"\b(?P<scheme>Bearer|Basic)\s+(?!\$)[A-Za-z0-9._~+/=-]{6,}"
    # A JSON Web Token; looked for once in each run of letters, as in many of them a run has "eyJ" many times.
    r"|(?<![\w-])(?=[\w-]{9,}+\.[\w-]{6})[\w-]*?\beyJ[\w-]{6,}+\.[\w-]{6,}+(?:\.[\w-]*+)?"
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|pplx-|r8_|ya29\.|AKIA)[\w.-]{12,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*",
    re.DOTALL,
)
# Letters and digits without a word among them: no model, host or path looks like this.
_RANDOM = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_+=]{32,}")
# A literal that is masked wherever it stands: "lm-studio" is a word that people write where a key is asked for.
_UNMISTAKABLE = re.compile(r"(?=.*\d)[^$]{8,}", re.DOTALL)


def mask(tree: JsonObject) -> JsonObject:
    """A copy of `tree` in which no text that is a secret, by the name of its place or by its form, can be read.

    A literal secret is masked wherever else the tree repeats it, and so are members' names that have a key's form.
    """
    masker = _Masker([Secret(text) for text in _literals(tree, is_secret=False)])
    return masker.visit_object(tree, is_secret=False)


def is_secret_name(name: str) -> bool:
    """True if the value of a member called `name` is a secret."""
    return _SECRET_NAME.search(name) is not None and not _NO_SECRET_NAME.search(name)


def show_secret(text: str) -> str:
    """What is shown of a text that is a secret: the variables that it is made of, or nothing."""
    text = _DEFAULT.sub(rf"\1{MASK}\2", text)
    return text if _PLACEHOLDERS.fullmatch(text) else MASK


def shown_names(names: Iterable[str]) -> dict[str, str]:
    """How each member's name is shown: as it is, unless it has a key's form. No two are shown alike."""
    shown: dict[str, str] = {}
    taken = set()
    for name in names:
        base = label = redact(_SHAPED.sub(MASK, name))
        count = 1
        while label in taken:
            count += 1
            label = f"{base} {count}"
        taken.add(label)
        shown[name] = label
    return shown


def _literals(node: Json, name: str = "", *, is_secret: bool) -> Iterator[str]:
    """The secrets that are written out, where names say that they are secrets; `name` is that of `node`."""
    if isinstance(node, dict):
        for key, value in node.items():
            is_held = is_secret and not _is_told_of_key(name, key, value)
            yield from _literals(value, key, is_secret=is_held or is_secret_name(key))
    elif isinstance(node, list):
        for value in node:
            yield from _literals(value, name, is_secret=is_secret)
    elif isinstance(node, str) and is_secret and _UNMISTAKABLE.fullmatch(node):
        yield node


def _is_told_of_key(pool: str, name: str, value: Json) -> bool:
    """True if a member called `name`, of an object in a member called `pool`, says of a key what is no secret."""
    return _fold(pool) in _POOLS and _fold(name) in _TOLD_OF_KEYS and not isinstance(value, (dict, list))


class _Masker:
    """Walks through the tree. `is_secret`: a name above says that everything below is."""

    def __init__(self, literals: Iterable[Secret]) -> None:
        self._hidden = Redactor(literals)  # once: it is asked of every text

    def visit_object(self, node: Mapping[str, Json], name: str = "", *, is_secret: bool) -> JsonObject:
        shown = shown_names(node)
        named = any(is_secret_name(text) for key in _NAMES_OF_VALUES if isinstance(text := node.get(key), str))

        def is_held(key: str, value: Json) -> bool:
            is_inside = is_secret and not _is_told_of_key(name, key, value)
            return is_inside or is_secret_name(key) or (named and key == "value")

        return {shown[key]: self._visit(key, value, is_secret=is_held(key, value)) for key, value in node.items()}

    def _visit(self, name: str, node: Json, *, is_secret: bool) -> Json:
        if isinstance(node, dict):
            if _HEADERS.search(name):
                return {
                    key: self._visit(key, value, is_secret=key.casefold() not in _HARMLESS_HEADERS)
                    for key, value in node.items()
                }
            return self.visit_object(node, name, is_secret=is_secret)
        if isinstance(node, list):
            return self._visit_list(name, node, is_secret=is_secret or _HEADERS.search(name) is not None)
        if isinstance(node, str):
            is_secret = is_secret or _HEADERS.search(name) is not None  # "X-Key: ..." in one text
            return show_secret(node) if is_secret and node else self._show(name, node)
        is_number = isinstance(node, (int, float)) and not isinstance(node, bool)
        return MASK if is_secret and is_number else node

    def _visit_list(self, name: str, node: list[Json], *, is_secret: bool) -> list[Json]:
        shown = []
        before: Json = None
        for value in node:
            follows_flag = isinstance(before, str) and before.startswith("-") and is_secret_name(before)
            shown.append(self._visit(name, value, is_secret=is_secret or follows_flag))
            before = value
        return shown

    def _show(self, name: str, text: str) -> str:
        text = self._hidden.redact(text)
        text = _SHAPED.sub(lambda found: f"{found['scheme']} {MASK}" if found["scheme"] else MASK, text)
        text = _ASSIGNMENT.sub(rf"\1{MASK}", text)
        if "://" in text:
            text = _PARAMETER.sub(_show_parameter, _PASSWORD.sub(f"{MASK}@", text))
        elif re.search(r"proxy|url|uri|dsn|host|endpoint", name, re.IGNORECASE):
            text = _BARE_PASSWORD.sub(f"{MASK}@", text)
        return MASK if _RANDOM.fullmatch(text) else text


def _show_parameter(found: re.Match[str]) -> str:
    is_shown = found[1].casefold() in _HARMLESS_PARAMETERS or _PLACEHOLDERS.fullmatch(found[2])
    return found[0] if is_shown else f"{found[1]}={MASK}"
