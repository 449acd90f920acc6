"""What is secret in a provider beside its key: in headers, URLs, and what is added to bodies. Keeps none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, unquote_plus, urlsplit

from ccrouter.jsontypes import Json

_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
#: Narrower than for headers: "max_tokens", "cache_key" and the like are parameters.
_SECRET_MEMBER = re.compile(r"api[-_]?keys?$|^key$|token$|secret|passw|authorization|cookie|credential", re.IGNORECASE)
_SECRET_PARAMETERS = frozenset({"key", "token", "api_key"})


def is_secret_header(name: str) -> bool:
    """True if a header of that name carries a secret, by its name."""
    return bool(_SECRET_HEADER.search(name))


def in_headers(headers: Mapping[str, str]) -> Iterator[str]:
    """The values of headers whose names speak of secrets; of "Bearer …" also what follows, as it is echoed alone."""
    for name, value in headers.items():
        if is_secret_header(name):
            yield value
            scheme, _, credential = value.partition(" ")
            if scheme.isalpha() and credential:
                yield credential.strip()


def in_url(url: str) -> Iterator[str]:
    """The password of `url` and the values of `key`, `token` and `api_key` in its query, as written and decoded."""
    parts = urlsplit(url)
    if parts.password:
        yield parts.password
        yield unquote(parts.password)
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if value and unquote_plus(name).casefold() in _SECRET_PARAMETERS:
            yield value
            yield unquote_plus(value)


def in_body(added: Json, name: str = "") -> Iterator[str]:
    """The texts of `extra_body` whose names, or those of what they are in, speak of secrets."""
    if isinstance(added, dict):
        for key, value in added.items():
            yield from in_body(value, key if _SECRET_MEMBER.search(key) else name)
    elif isinstance(added, list):
        for value in added:
            yield from in_body(value, name)
    elif isinstance(added, str) and name:
        yield added
