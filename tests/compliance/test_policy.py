"""`Policy.is_as_strict_as`: what a reload may bring. Whatever cannot be shown to be as strict is not."""

from __future__ import annotations

from dataclasses import fields, replace
from ipaddress import ip_network
from types import MappingProxyType

import pytest

from ccrouter.compliance.document import PRESETS, read_policy
from ccrouter.compliance.policy import NO_POLICY, Policy

STRICT = Policy(
    name="strict",
    source="test",
    allowed_providers=("anthropic", "local"),
    banned_providers=("openrouter",),
    allowed_hosts=("api.anthropic.com", "localhost:*"),
    banned_hosts=("*.openrouter.ai",),
    banned_addresses=(ip_network("10.0.0.0/8"), ip_network("fc00::/7")),
    allowed_models=("claude-*", "gpt-?", "named"),
    banned_models=("*-preview",),
    sent_as=MappingProxyType({"named": "claude-sonnet-4-6"}),
    https_only=True,
    loopback_only=True,
    client_key_length=16,
    allowed_proxies=("proxy.example",),
    allowed_extensions=frozenset({"presets"}),
    allowed_key_origins=frozenset({"environment"}),
    private_files=True,
    strict_syntax=True,
    audit_required=True,
)

#: Field → values that allow more than STRICT's, and values that allow as much or less.
VARIANTS: dict[str, tuple[list[object], list[object]]] = {
    "allowed_providers": ([None, ("anthropic", "other")], [("local",), ()]),
    "banned_providers": ([(), ("other",)], [("other", "openrouter")]),
    "allowed_hosts": ([None, ("api.anthropic.com", "*"), ("localhost:1",)], [("localhost:*",), ()]),
    "banned_hosts": ([()], [("a.example", "*.openrouter.ai")]),
    "banned_addresses": (
        [(), (ip_network("10.0.0.0/8"),), (ip_network("10.0.0.0/9"), ip_network("fc00::/7"))],
        [(ip_network("0.0.0.0/0"), ip_network("fc00::/7")), (ip_network("10.0.0.0/8"), ip_network("::/0"))],
    ),
    "allowed_models": (
        [None, ("*",), ("claude-*", "other"), ("gpt-*",), ("gpt-[1m]",)],
        [("claude-opus-*", "gpt-4"), ("claude-?",), ("claude-a[1m]",), ("named",), ()],
    ),
    "banned_models": ([(), ("claude-*-preview",)], [("x", "*-Preview")]),
    # "named" itself would go out then, which STRICT does not send
    "sent_as": ([{}, {"named": "other"}], [{"named": "claude-opus-4-8"}, {"named": "gpt-4", "claude-x": "claude-y"}]),
    "https_only": ([False], []),
    "loopback_only": ([False], []),
    "client_key_length": ([0, 15], [17]),
    "allowed_proxies": ([None, ("proxy.example", "other")], [()]),
    "allowed_extensions": ([None, frozenset({"presets", "plugins"})], [frozenset()]),
    "allowed_key_origins": ([None, frozenset({"environment", "file"})], [frozenset()]),
    "private_files": ([False], []),
    "strict_syntax": ([False], []),
    "audit_required": ([False], []),
}


def test_every_rule_counts() -> None:
    """The table below has every field that says something about what is allowed."""
    assert {field.name for field in fields(Policy)} - {"name", "source", "digest", "is_pinned"} == set(VARIANTS)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (more, _) in VARIANTS.items() for value in more])
def test_what_allows_more_is_less_strict(name: str, value: object) -> None:
    """One rule that allows more, all others being equal, is enough; the rule is named."""
    other = replace(STRICT, **{name: value})
    assert not other.is_as_strict_as(STRICT)
    assert other.looser_rules(STRICT)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (_, less) in VARIANTS.items() for value in less])
def test_what_allows_less_is_as_strict(name: str, value: object) -> None:
    """A rule that allows as much or less is as strict."""
    assert replace(STRICT, **{name: value}).is_as_strict_as(STRICT)


def test_names_and_places_say_nothing() -> None:
    """The same rules under another name from elsewhere are as strict, in both directions."""
    other = replace(STRICT, name="other", source="elsewhere", digest="1", is_pinned=True)
    assert other.is_as_strict_as(STRICT)
    assert STRICT.is_as_strict_as(other)


def test_no_policy() -> None:
    """Anything is as strict as no policy; no policy is as strict as none alone, a policy without rules included."""
    bare = Policy(name="bare", source="test")
    assert STRICT.is_as_strict_as(NO_POLICY)
    assert NO_POLICY.is_as_strict_as(NO_POLICY)
    assert not NO_POLICY.is_as_strict_as(STRICT)
    assert not NO_POLICY.is_as_strict_as(bare)
    assert bare.looser_rules(STRICT) == (
        "providers.allowed",
        "providers.banned",
        "hosts.allowed",
        "hosts.banned",
        "addresses.banned",
        "models.allowed",
        "models.banned",
        "models.sentAs",
        "proxies.allowed",
        "extensions.allowed",
        "keySources",
        "httpsOnly",
        "loopbackOnly",
        "clientKey",
        "privateFiles",
        "strictSyntax",
        "auditRequired",
    )


def test_presets() -> None:
    """Each preset is as strict as itself; `anthropic-only` tightens `open`, and not the other way round."""
    presets = {name: read_policy(name, {}) for name in PRESETS}
    assert all(one.is_as_strict_as(one) for one in presets.values())
    assert presets["anthropic-only"].is_as_strict_as(presets["open"])
    assert not presets["open"].is_as_strict_as(presets["anthropic-only"])
