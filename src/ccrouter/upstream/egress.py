"""The last judgement before a socket opens, on what is really about to leave: URL, proxy, bytes, address.

It relies on no earlier check and knows nothing of routes. It asks `compliance.judge` and decides nothing itself.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from yarl import URL

from ccrouter.compliance.destination import destination, proxy_host
from ccrouter.compliance.judge import Passage, Violation, denial, enforce, judge
from ccrouter.compliance.policy import Policy
from ccrouter.config.named_models import models_in_url
from ccrouter.config.schema import Endpoint, Provider
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import Denied

# What the sockets of one request were refused for: they are made deep within the client library, which takes any
# exception of theirs for an address that does not answer.
_refusals: ContextVar[list[Denied] | None] = ContextVar("refusals", default=None)


@lru_cache(maxsize=256)
def url_of(endpoint: Endpoint) -> URL:
    """The URL that is judged and, as the same object, sent to. Raises ValueError if it is none."""
    return URL(endpoint.url)


def place_of(provider: Provider, endpoint: Endpoint) -> Passage:
    """Where a request to `endpoint` would go, before it is known what it says."""
    try:
        return destination(provider.name, url_of(endpoint))
    except ValueError:
        return destination(provider.name, endpoint.url)


def check_egress(policy: Policy, provider: Provider, endpoint: Endpoint, proxy: URL | None, body: bytes | None) -> None:
    """Raises Denied if `policy` does not let these bytes go there this way, LocalProtocolError if they are ambiguous.
    A body of None is a GET: it need not name a model, but its URL may not name one that is not allowed.

    The addresses of names are judged when sockets are made for them: see `JudgedSockets`.
    """
    _enforce_way(policy, place_of(provider, endpoint), proxy)
    if not policy.restricts_models:
        return
    url = str(url_of(endpoint))  # as it goes out: without steps that lead back, and with one spelling of each letter
    models = list(models_in_url(url)) if body is None else DIALECTS[endpoint.dialect].models_sent(url, body)
    for model in models:
        enforce(policy, Passage(sent=model))
    if not models and body is not None:
        text = "The outgoing request names no model, so that it cannot be told whether it is allowed"
        raise denial(policy, Violation("models.allowed", text, policy.allowed_models or ()))


def check_way(policy: Policy, provider: Provider, url: URL, proxy: URL | None) -> None:
    """Raises Denied if `policy` does not let anything of `provider` go to `url`, where credentials are fetched."""
    try:
        _enforce_way(policy, destination(provider.name, url), proxy)
    except Denied as denied:
        text = f"Provider '{provider.name}' would fetch its credentials from {url.raw_host}: {denied}"
        raise Denied(text, rule=denied.rule, allowed=denied.allowed) from denied


def _enforce_way(policy: Policy, place: Passage, proxy: URL | None) -> None:
    enforce(policy, place)
    if proxy is not None:
        enforce(policy, Passage(proxy=proxy_host(proxy)))


@contextmanager
def refusals() -> Iterator[list[Denied]]:
    """Collect what the sockets that are made within were refused for."""
    refused: list[Denied] = []
    token = _refusals.set(refused)
    try:
        yield refused
    finally:
        _refusals.reset(token)


@dataclass(frozen=True, slots=True)
class JudgedSockets:
    """Makes the sockets of a connector, one for each address that a name resolved to, and none for excluded ones."""

    policy: Policy

    def __call__(self, address_info: tuple[Any, ...]) -> socket.socket:
        """A socket for this address. Raises OSError for an excluded one, and adds a Denied to the `refusals`.

        The address is the one that is connected to next: nothing is resolved between this and that.
        """
        family, kind, protocol, _, place = address_info
        violation = judge(self.policy, Passage(address=str(place[0])))
        if violation is None:
            return socket.socket(family=family, type=kind, proto=protocol)
        refused = _refusals.get()
        if refused is not None:
            refused.append(denial(self.policy, violation))
        raise PermissionError(errno.EACCES, "address excluded by policy")
