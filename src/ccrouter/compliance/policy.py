"""What a policy says, as data: immutable, names folded, absent rules made explicit. Reads no file, decides nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
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

    def model_sent(self, model: str) -> str:
        """The model that goes out for a configured one: another only where the policy says so."""
        return self.sent_as.get(model, model)


#: No policy: everything is allowed, as it is without this package.
NO_POLICY = Policy()


def fold_name(name: str) -> str:
    """`name` as names are compared: compatibility forms unified (NFKC), invisible characters and outer blanks gone, no
    case. Letters of other scripts stay different: they are in no list of allowed names.
    """
    unified = unicodedata.normalize("NFKC", name)
    visible = "".join(char for char in unified if unicodedata.category(char) != "Cf")
    return visible.strip().casefold()
