"""The one function that decides: `judge(policy, claim)`. Pure; whoever has a claim asks, nobody decides elsewhere.

Claims are asked of it when a configuration is verified, when it is loaded, for the targets of each request, and once
more when the request leaves. What is not known yet at one point (an address, before the name is resolved) is judged at
a later one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

from ccrouter.compliance.policy import ExtensionPoint, KeyOrigin, Policy, fold_name
from ccrouter.errors import Denied
from ccrouter.loopback import is_loopback
from ccrouter.secret import Secret

#: Under these prefixes IPv4 addresses are written as IPv6: by translators (RFC 6052, RFC 2765), and in the old form
#: that was called compatible (RFC 4291 §2.5.5.1).
_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")))
#: The two of the last prefix that are addresses of their own.
_OWN = (ipaddress.IPv6Address("::"), ipaddress.IPv6Address("::1"))
_PORTS = {"https": 443, "http": 80}
#: A key of fewer different characters is a word or a run of one letter, however long.
_LEAST_VARIETY = 6
#: What instructions write where a key belongs.
_PLACEHOLDER = re.compile(r"<[a-z][a-z _.-]{2,}>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Passage:
    """A request on its way to a provider, as far as it is known. None: not known at this point.

    `model` is the one that the configuration or the client names, `sent` one that stands in the outgoing bytes. `host`
    is the URL's, `address` what it resolved to, `proxy` the host of a proxy ("" for none).
    """

    provider: str | None = None
    model: str | None = None
    sent: str | None = None
    scheme: str | None = None
    host: str | None = None
    port: int | None = None
    proxy: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """Where the router listens, and the key that its clients must show."""

    host: str
    key: Secret | None


@dataclass(frozen=True, slots=True)
class Extension:
    """Something at an extension point. `what` names it as its user would recognise it."""

    point: ExtensionPoint
    what: str


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a secret comes from. `what` is the setting that holds it."""

    what: str
    origin: KeyOrigin


@dataclass(frozen=True, slots=True)
class Collector:
    """A place that is told what the router did, without content. `address` is what its name resolved to, if known."""

    scheme: str
    host: str
    port: int | None = None
    address: str | None = None


Claim = Passage | Listener | Extension | KeySource | Collector


@dataclass(frozen=True, slots=True)
class Violation:
    """A claim that a policy does not allow: the rule by its path in the policy document, and what it would allow."""

    rule: str
    message: str
    allowed: tuple[str, ...] = ()

    @property
    def explanation(self) -> str:
        """The message, with what is allowed."""
        return f"{self.message} (allowed: {', '.join(self.allowed)})" if self.allowed else self.message


def judge(policy: Policy, claim: Claim) -> Violation | None:
    """Why `policy` does not allow `claim`; None if it does."""
    if not policy.is_in_force:
        return None
    match claim:
        case Passage():
            return _judge_passage(policy, claim)
        case Listener():
            return _judge_listener(policy, claim)
        case Collector():
            return _judge_collector(policy, claim)
        case Extension(point=point, what=what):
            if policy.allowed_extensions is None or point in policy.allowed_extensions:
                return None
            points = tuple(sorted(policy.allowed_extensions))
            return Violation("extensions.allowed", f"{what} is not allowed: {point} is an extension point", points)
        case KeySource(what=what, origin=origin):
            if policy.allowed_key_origins is None or origin in policy.allowed_key_origins:
                return None
            origins = tuple(sorted(policy.allowed_key_origins))
            return Violation("keySources", f"{what} comes from {_ORIGINS[origin]}", origins)


def enforce(policy: Policy, claim: Claim) -> None:
    """Raises Denied, naming rule and policy, if `policy` does not allow `claim`."""
    violation = judge(policy, claim)
    if violation is not None:
        raise denial(policy, violation)


def denial(policy: Policy, violation: Violation) -> Denied:
    """The violation as the error that a client is told."""
    text = f"{violation.explanation}; rule {violation.rule} of policy {policy.name}"
    return Denied(text, rule=violation.rule, allowed=violation.allowed)


_ORIGINS = {"environment": "the environment", "file": "the file itself", "commandLine": "the command line"}


def _judge_passage(policy: Policy, passage: Passage) -> Violation | None:
    if passage.provider is not None and (found := _judge_provider(policy, passage.provider)):
        return found
    if passage.model is not None and (found := _judge_model(policy, passage.model, policy.allowed_models)):
        return found
    if passage.sent is not None and (found := _judge_model(policy, passage.sent, policy.sendable_models)):
        return found
    if passage.scheme is not None and policy.https_only and passage.scheme != "https":
        return Violation("httpsOnly", f"HTTPS required, not {passage.scheme or 'nothing'}:", ("https",))
    if passage.host is not None and (found := _judge_host(policy, passage)):
        return found
    if passage.proxy and policy.allowed_proxies is not None and not _matches(passage.proxy, policy.allowed_proxies):
        return Violation("proxies.allowed", f"Proxy not allowed: {passage.proxy}", policy.allowed_proxies or ("none",))
    if passage.address is not None:
        return _judge_address(policy, passage.address)
    return None


def _judge_provider(policy: Policy, name: str) -> Violation | None:
    folded = fold_name(name)
    if folded in policy.banned_providers:
        return Violation("providers.banned", f"BANNED provider: {name}", policy.allowed_providers or ())
    if policy.allowed_providers is not None and folded not in policy.allowed_providers:
        allowed = " or ".join(policy.allowed_providers) or "nothing"
        return Violation("providers.allowed", f"Only {allowed} allowed, found '{name}'", policy.allowed_providers)
    return None


def _judge_model(policy: Policy, model: str, allowed: tuple[str, ...] | None) -> Violation | None:
    """Allowed models are compared as they are written, since that is what is sent; banned ones in any guise."""
    folded = fold_name(model)
    if any(_is_like(folded, fold_name(pattern)) for pattern in policy.banned_models):
        return Violation("models.banned", f"BANNED model: {model}", allowed or ())
    if allowed is not None and not any(_is_like(model, pattern) for pattern in allowed):
        return Violation("models.allowed", f"Model not allowed: {model}", allowed)
    return None


def _judge_host(policy: Policy, passage: Passage) -> Violation | None:
    host = _canonical(passage.host or "")
    default = _PORTS.get(passage.scheme or "https")
    port = default if passage.port is None else passage.port
    shown = host if port == default else f"{host}:{port}"
    if any(_is_host(host, port, pattern, any_port=True) for pattern in policy.banned_hosts):
        return Violation("hosts.banned", f"BANNED host: {shown}", policy.allowed_hosts or ())
    if policy.allowed_hosts is not None and not any(
        _is_host(host, port, pattern, any_port=False, default=default) for pattern in policy.allowed_hosts
    ):
        return Violation("hosts.allowed", f"Host not allowed: {shown}", policy.allowed_hosts)
    return _judge_address(policy, host) if _is_address(host) else None


def _canonical(host: str) -> str:
    """One spelling for one host: no brackets, no final dot, no case; addresses in their shortest form."""
    name = host.strip("[]").rstrip(".").lower()
    return str(ipaddress.ip_address(name)) if _is_address(name) and "%" not in name else name


def _is_host(host: str, port: int | None, pattern: str, *, any_port: bool, default: int | None = None) -> bool:
    name, colon, wanted = pattern.lower().rpartition(":")
    if not colon or pattern.endswith("]"):  # "[::1]" ends in its bracket: no port
        name, wanted = pattern.lower(), ""
    if not fnmatchcase(host, name.strip("[]").rstrip(".")):
        return False
    if any_port and not wanted:
        return True
    return wanted == "*" or port == (int(wanted) if wanted else default)


def _judge_address(policy: Policy, text: str) -> Violation | None:
    address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    meant = _meant_by(address)
    for network in policy.banned_addresses:
        if meant in network or address in network:
            return Violation("addresses.banned", f"Address not allowed: {meant} is in {network}")
    return None


def _meant_by(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address where `address` is one in the clothes of IPv6."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address not in _OWN and any(address in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def _matches(value: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(value.lower().strip("[]"), pattern.lower().strip("[]")) for pattern in patterns)


def _is_like(model: str, pattern: str) -> bool:
    """Brackets are letters in the names of models ("...[1m]"), and no set of characters."""
    return fnmatchcase(model, pattern.replace("[", "[[]"))


def _judge_collector(policy: Policy, collector: Collector) -> Violation | None:
    """As for a provider's host, but for this very machine: what goes there does not leave it."""
    if not is_loopback(collector.host):
        place = Passage(scheme=collector.scheme, host=collector.host, port=collector.port, address=collector.address)
        return _judge_passage(policy, place)
    if collector.address is not None and not is_loopback(collector.address):
        message = f"{collector.host} is not this machine: it leads to {collector.address}"
        return Violation("hosts.allowed", message, policy.allowed_hosts or ())
    return None


def _judge_listener(policy: Policy, listener: Listener) -> Violation | None:
    if policy.loopback_only and not is_loopback(listener.host):
        return Violation("loopbackOnly", "HOST must be 127.0.0.1 (localhost only)", ("127.0.0.1",))
    least = policy.client_key_length
    if not least:
        return None
    key = listener.key.reveal() if listener.key else ""
    wanted = (f"at least {least} characters",)
    if not key:
        return Violation("clientKey", "APIKEY is missing: clients must show a key", wanted)
    if len(key) < least:
        return Violation("clientKey", f"APIKEY is too weak: {len(key)} characters", wanted)
    if weakness := _weakness(key):
        return Violation("clientKey", f"APIKEY is too weak: {weakness}", wanted)
    return None


def _weakness(key: str) -> str:
    """Why a key is guessed at once, however long; "" for what can only be guessed by trying."""
    if _PLACEHOLDER.search(key):
        return "it is what an instruction writes in place of a key"
    if len(set(key)) < _LEAST_VARIETY:
        return "it repeats few characters"
    folded = key.lower()
    if any(folded.startswith(folded[period:]) for period in range(1, len(key) // 2 + 1)):
        return "it repeats a word"
    steps = [ord(after) - ord(before) for before, after in pairwise(folded)]
    if 4 * sum(abs(step) <= 1 for step in steps) >= 3 * len(steps):
        return "it counts"
    return ""
