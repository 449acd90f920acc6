"""What is secret in a provider beside its key: in headers and in URLs. Reads texts; keeps none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, unquote_plus, urlsplit

_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
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
