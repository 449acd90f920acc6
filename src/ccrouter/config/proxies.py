"""Which proxy a request to a provider goes through. One answer for those who send and those who examine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass, proxy_bypass_environment  # type: ignore[attr-defined] # typeshed leaves the last out


def environment_proxy(url: str, environ: Mapping[str, str]) -> str | None:
    """What `environ` names as the proxy for `url`; for the process's own environment also what the system's settings
    name (on macOS and Windows).
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in {"localhost", "127.0.0.1", "::1"}:
        return None
    if environ is os.environ:
        found = getproxies()
        is_exempt = bool(proxy_bypass(host))
    else:
        found = _named_in(environ)
        is_exempt = bool(proxy_bypass_environment(host, found))
    return None if is_exempt else found.get(parts.scheme) or found.get("all")


def variable_of(proxy: str, environ: Mapping[str, str]) -> str:
    """The variable that holds `proxy`, for messages; "the system's settings" if none does."""
    return next(
        (name for name, value in environ.items() if _is_proxy(name) and value == proxy), "the system's settings"
    )


def _named_in(environ: Mapping[str, str]) -> dict[str, str]:
    """The proxies of `environ` by scheme, lower-case names before others, as Python's own `getproxies` has it."""
    found: dict[str, str] = {}
    for name in sorted(filter(_is_proxy, environ), key=str.islower):
        found[name.lower().removesuffix("_proxy")] = environ[name]
    return {scheme: proxy for scheme, proxy in found.items() if proxy}


def _is_proxy(name: str) -> bool:
    return name.lower().endswith("_proxy")
