"""A policy in words: its rules that are lists, and what it demands. Pure."""

from __future__ import annotations

from ccrouter.compliance.policy import EXTENSION_POINTS, Policy
from ccrouter.jsontypes import JsonObject

#: A list with more in it is folded away.
_MANY = 12


def told_policy(policy: Policy) -> JsonObject | None:
    """What the policy says; None if none is in force."""
    if not policy.is_in_force:
        return None
    return {
        "name": policy.name,
        "digest": policy.digest,
        "source": policy.source,
        "isPinned": policy.is_pinned,
        "rules": _lists(policy),
        "demands": _demands(policy),
    }


def _lists(policy: Policy) -> list[JsonObject]:
    """The rules that are lists, of those that are made. An empty one of what is allowed allows nothing."""
    extensions = policy.allowed_extensions
    origins = policy.allowed_key_origins
    listed = (
        ("Allowed providers", policy.allowed_providers),
        ("Banned providers", policy.banned_providers or None),
        ("Allowed hosts", policy.allowed_hosts),
        ("Banned hosts", policy.banned_hosts or None),
        ("Banned addresses", tuple(map(str, policy.banned_addresses)) or None),
        ("Allowed models", policy.allowed_models),
        ("Banned models", policy.banned_models or None),
        ("Sent as another model", tuple(f"{name} → {sent}" for name, sent in policy.sent_as.items()) or None),
        ("Allowed proxies", policy.allowed_proxies),
        ("Allowed extensions", None if extensions is None else [one for one in EXTENSION_POINTS if one in extensions]),
        ("Keys may come from", None if origins is None else sorted(origins)),
    )
    made = [(name, list(values)) for name, values in listed if values is not None]
    return [{"name": name, "values": values, "isLong": len(values) > _MANY} for name, values in made]


def _demands(policy: Policy) -> list[str]:
    length = policy.client_key_length
    made = (
        ("https to every provider", policy.https_only),
        ("listens on this machine only", policy.loopback_only),
        (f"clients show a key of {length} characters or more", length > 0),
        ("files that nobody else can read", policy.private_files),
        ("a config in strict JSON", policy.strict_syntax),
        ("an audit log of every decision", policy.audit_required),
    )
    return [text for text, is_made in made if is_made]
