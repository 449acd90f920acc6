"""What a policy says, as data: immutable, names folded, absent rules made explicit. Reads no file, decides nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType
from typing import Literal

#: What can bring foreign opinions into the router, by the names that policies use. `transforms` are all transformers
#: that are not merely the name of a wire format, and what is merged into bodies.
ExtensionPoint = Literal["customRouter", "transforms", "plugins", "promptRewrite", "presets"]

KeyOrigin = Literal["environment", "file", "commandLine"]

EXTENSION_POINTS: tuple[ExtensionPoint, ...] = ("customRouter", "transforms", "plugins", "promptRewrite", "presets")


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy in full. `None` where a rule is not made: everything is allowed then.

    Names of providers are folded (`fold_name`). Hosts and models are globs (`*`, `?`); a host may have a port
    ("localhost:11434", "localhost:*"), and means the scheme's own port without one. `sent_as` maps models that
    configurations may name to those that are sent in their place. `source` is where the policy was read ("preset
    anthropic-only", a path); "" if none is in force. `digest` is the SHA-256 of what it says, in hex, whoever wrote it
    where. `is_pinned`: the user who runs the router cannot change it.
    """

    name: str = "none"
    source: str = ""
    digest: str = ""
    is_pinned: bool = False
    allowed_providers: tuple[str, ...] | None = None
    banned_providers: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] | None = None
    banned_hosts: tuple[str, ...] = ()
    banned_addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    allowed_models: tuple[str, ...] | None = None
    banned_models: tuple[str, ...] = ()
    sent_as: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    https_only: bool = False
    loopback_only: bool = False
    client_key_length: int = 0
    allowed_proxies: tuple[str, ...] | None = None
    allowed_extensions: frozenset[ExtensionPoint] | None = None
    allowed_key_origins: frozenset[KeyOrigin] | None = None
    private_files: bool = False
    strict_syntax: bool = False
    audit_required: bool = False

    @property
    def is_in_force(self) -> bool:
        """False for the absence of a policy."""
        return bool(self.source)

    @property
    def restricts_models(self) -> bool:
        """True if some model would be refused: the outgoing bytes are then read once more."""
        return self.allowed_models is not None or bool(self.banned_models)

    @property
    def sendable_models(self) -> tuple[str, ...] | None:
        """What may stand in outgoing bytes: an allowed model, unless another is sent for it, and those others."""
        if self.allowed_models is None or not self.sent_as:
            return self.allowed_models
        kept = [model for model in self.allowed_models if model not in self.sent_as]
        return tuple(dict.fromkeys([*kept, *self.sent_as.values()]))

    def model_sent(self, model: str) -> str:
        """The model that goes out for a configured one: another only where the policy says so."""
        return self.sent_as.get(model, model)

    def is_as_strict_as(self, other: Policy) -> bool:
        """True if everything that this policy allows is allowed by `other` too, as far as that can be shown.

        Patterns are not solved: one that is not written in `other` counts as wider, unless it is a plain case of a
        pattern for models there.
        """
        if not other.is_in_force:
            return True
        return self.is_in_force and not self.looser_rules(other)

    def looser_rules(self, other: Policy) -> tuple[str, ...]:
        """The rules, by their paths in the policy document, by which this policy may allow more than `other` does."""
        is_kept = {
            "providers.allowed": _is_within(self.allowed_providers, other.allowed_providers),
            "providers.banned": set(self.banned_providers) >= set(other.banned_providers),
            "hosts.allowed": _is_within(self.allowed_hosts, other.allowed_hosts),
            "hosts.banned": set(self.banned_hosts) >= set(other.banned_hosts),
            "addresses.banned": _covers(self.banned_addresses, other.banned_addresses),
            "models.allowed": _narrows(self.allowed_models, other.allowed_models),
            "models.banned": set(map(fold_name, self.banned_models)) >= set(map(fold_name, other.banned_models)),
            "models.sentAs": _narrows(self.sendable_models, other.sendable_models),
            "proxies.allowed": _is_within(self.allowed_proxies, other.allowed_proxies),
            "extensions.allowed": _is_within(self.allowed_extensions, other.allowed_extensions),
            "keySources": _is_within(self.allowed_key_origins, other.allowed_key_origins),
            "httpsOnly": self.https_only >= other.https_only,
            "loopbackOnly": self.loopback_only >= other.loopback_only,
            "clientKey": self.client_key_length >= other.client_key_length,
            "privateFiles": self.private_files >= other.private_files,
            "strictSyntax": self.strict_syntax >= other.strict_syntax,
            "auditRequired": self.audit_required >= other.audit_required,
        }
        return tuple(rule for rule, kept in is_kept.items() if not kept)


#: No policy: everything is allowed, as it is without this package.
NO_POLICY = Policy()


def fold_name(name: str) -> str:
    """`name` as names are compared: compatibility forms unified (NFKC), invisible characters and outer blanks gone, no
    case. Letters of other scripts stay different: they are in no list of allowed names.
    """
    unified = unicodedata.normalize("NFKC", name)
    visible = "".join(char for char in unified if unicodedata.category(char) != "Cf")
    return visible.strip().casefold()


def _is_within(allowed: Collection[str] | None, before: Collection[str] | None) -> bool:
    """Whether a list that may be absent, everything being allowed then, allows nothing that `before` does not."""
    return before is None or (allowed is not None and set(allowed) <= set(before))


def _narrows(patterns: Iterable[str] | None, before: Iterable[str] | None) -> bool:
    if before is None or patterns is None:
        return before is None
    known = tuple(before)
    return all(any(_is_case_of(pattern, wider) for wider in known) for pattern in patterns)


def _is_case_of(pattern: str, wider: str) -> bool:
    """Whether all models that `pattern` is like are like `wider`. Its own `*` may not fall under a `?` there."""
    if pattern == wider:
        return True
    return fnmatchcase(pattern, wider.replace("[", "[[]")) and not ("*" in pattern and "?" in wider)


def _covers(networks: Iterable[IPv4Network | IPv6Network], before: Iterable[IPv4Network | IPv6Network]) -> bool:
    spans = [(network.version, network.network_address, network.broadcast_address) for network in networks]
    return all(
        any(
            version == network.version and first <= network.network_address and network.broadcast_address <= last  # type: ignore[operator] # of one version
            for version, first, last in spans
        )
        for network in before
    )
