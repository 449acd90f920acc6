"""What the one function decides, claim by claim."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from ccrouter.compliance.judge import Extension, KeySource, Listener, Passage, enforce, judge
from ccrouter.compliance.policy import NO_POLICY, Policy, fold_name
from ccrouter.errors import Denied
from ccrouter.secret import Secret
from tests.compliance.configs import ANTHROPIC_ONLY, OPEN


def policy(**rules):
    return Policy(name="test", source="test", **rules)


def rule_of(found):
    return found.rule if found else None


@pytest.mark.parametrize(
    ("allowed", "host", "port", "is_allowed"),
    [
        ("api.anthropic.com", "api.anthropic.com", 443, True),
        ("api.anthropic.com", "api.anthropic.com", None, True),
        ("api.anthropic.com", "API.Anthropic.com", 443, True),
        ("api.anthropic.com", "api.anthropic.com.", 443, True),
        ("api.anthropic.com.", "api.anthropic.com", 443, True),
        ("api.anthropic.com", "api.anthropic.com", 8443, False),
        ("api.anthropic.com", "xapi.anthropic.com", 443, False),
        ("api.anthropic.com", "api.anthropic.com.evil.example", 443, False),
        ("api.anthropic.com", "evil.example", 443, False),
        ("api.anthropic.com", "", None, False),
        ("api.anthropic.com:8443", "api.anthropic.com", 8443, True),
        ("api.anthropic.com:8443", "api.anthropic.com", 443, False),
        ("api.anthropic.com:*", "api.anthropic.com", 1, True),
        ("*.anthropic.com", "api.anthropic.com", 443, True),
        ("*.anthropic.com", "anthropic.com", 443, False),
        ("*.anthropic.com", "evilanthropic.com", 443, False),
        ("api?.example", "api1.example", 443, True),
        ("[::1]:8080", "::1", 8080, True),
        ("[::1]", "::1", 443, True),
        ("[::1]", "[::1]", 443, True),
        ("[::1]", "::2", 443, False),
    ],
)
def test_allowed_hosts(allowed, host, port, is_allowed):
    """A host is the whole name, whatever its case and final dot; a port that is not written is the scheme's own."""
    found = judge(policy(allowed_hosts=(allowed,)), Passage(scheme="https", host=host, port=port))
    assert rule_of(found) == (None if is_allowed else "hosts.allowed")


@pytest.mark.parametrize(
    ("banned", "host", "port", "is_banned"),
    [
        ("openrouter.ai", "openrouter.ai", 443, True),
        ("openrouter.ai", "openrouter.ai", 8443, True),
        ("openrouter.ai", "OPENROUTER.AI.", 443, True),
        ("openrouter.ai", "api.openrouter.ai", 443, False),
        ("*.openrouter.ai", "api.openrouter.ai", 443, True),
        ("openrouter.ai:443", "openrouter.ai", 8443, False),
        ("[::1]", "::1", 1, True),
        ("[::1]", "0:0:0:0:0:0:0:1", 1, True),
    ],
)
def test_banned_hosts(banned, host, port, is_banned):
    """A banned host is banned at every port, unless the ban names one."""
    found = judge(policy(banned_hosts=(banned,)), Passage(scheme="https", host=host, port=port))
    assert rule_of(found) == ("hosts.banned" if is_banned else None)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "[::1]",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001::1",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public(address):
    """No address of a machine, a network, or a provider's metadata service passes, in whatever clothes."""
    assert rule_of(judge(ANTHROPIC_ONLY, Passage(address=address))) == "addresses.banned"
    open_hosts = policy(banned_addresses=ANTHROPIC_ONLY.banned_addresses)
    assert rule_of(judge(open_hosts, Passage(scheme="https", host=address))) == "addresses.banned"


@pytest.mark.parametrize("address", ["160.79.104.10", "2607:6bc0::10", "64:ff9b::a04f:680a", "8.8.8.8", "172.32.0.1"])
def test_public_addresses(address):
    """Public addresses pass, those included that an IPv6-only network translates."""
    assert judge(ANTHROPIC_ONLY, Passage(address=address)) is None


def test_a_range_of_ones_own():
    """A range is a CIDR, of either family."""
    rules = policy(banned_addresses=(ip_network("203.0.113.0/24"), ip_network("2a00::/16")))
    assert rule_of(judge(rules, Passage(address="203.0.113.9"))) == "addresses.banned"
    assert rule_of(judge(rules, Passage(address="2a00:1::1"))) == "addresses.banned"
    assert judge(rules, Passage(address="127.0.0.1")) is None


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("anthropic", None),
        ("Anthropic", None),
        (" anthropic ", None),
        ("\uff21nthropic", None),
        ("openrouter", "providers.banned"),
        ("OPENROUTER", "providers.banned"),
        ("open\u200brouter", "providers.banned"),
        ("open\u00adrouter", "providers.banned"),
        ("\ufeffopenrouter", "providers.banned"),
        ("openr\u043euter", "providers.allowed"),
        ("anthropic2", "providers.allowed"),
        ("\u0430nthropic", "providers.allowed"),
        ("", "providers.allowed"),
    ],
)
def test_providers(name, rule):
    """Names are compared without case, blanks, invisible characters and compatibility forms; letters of other scripts
    are other letters.
    """
    assert rule_of(judge(ANTHROPIC_ONLY, Passage(provider=name))) == rule


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("claude-3.7-sonnet", None),
        ("Claude-3.7-sonnet", "models.allowed"),
        ("claude-3.7-sonnet ", "models.allowed"),
        ("claude-3.7-sonnet,claude-3.7-haiku", "models.allowed"),
        ("anthropic,claude-3.7-sonnet", "models.allowed"),
        ("claude-sonnet-4-6", "models.allowed"),
        ("", "models.allowed"),
    ],
)
def test_models(model, rule):
    """Allowed models are compared as they are written: what is written is what is sent."""
    assert rule_of(judge(ANTHROPIC_ONLY, Passage(model=model))) == rule


def test_what_is_sent():
    """In outgoing bytes stands what is sent for a model, and not its name in the configuration."""
    assert judge(ANTHROPIC_ONLY, Passage(sent="claude-sonnet-4-6")) is None
    assert rule_of(judge(ANTHROPIC_ONLY, Passage(sent="claude-3.7-sonnet"))) == "models.allowed"
    assert rule_of(judge(ANTHROPIC_ONLY, Passage(sent="claude-opus-4-8"))) == "models.allowed"


def test_patterns_of_models():
    """`*` and `?` stand for characters; brackets are letters; a ban holds in every case and before what is allowed."""
    rules = policy(allowed_models=("claude-*", "gpt-?", "x[1m]"), banned_models=("*-preview",))
    for model in ("claude-a/b", "gpt-5", "x[1m]"):
        assert judge(rules, Passage(model=model)) is None
    for model in ("gpt-50", "x1", "xm"):
        assert rule_of(judge(rules, Passage(model=model))) == "models.allowed"
    for model in ("claude-PREVIEW", "claude-9-preview"):
        assert rule_of(judge(rules, Passage(model=model))) == "models.banned"
    assert rule_of(judge(rules, Passage(sent="claude-9-preview"))) == "models.banned"


@pytest.mark.parametrize("scheme", ["http", "HTTP", "", "ftp", "https "])
def test_https_only(scheme):
    """Nothing but https passes for https."""
    assert rule_of(judge(ANTHROPIC_ONLY, Passage(scheme=scheme))) == "httpsOnly"


def test_proxies():
    """A proxy is judged by its host; none needs no leave."""
    assert judge(ANTHROPIC_ONLY, Passage(proxy="")) is None
    assert rule_of(judge(ANTHROPIC_ONLY, Passage(proxy="proxy.example"))) == "proxies.allowed"
    some = policy(allowed_proxies=("*.corp.example", "[::1]"))
    assert judge(some, Passage(proxy="Proxy.CORP.example")) is None
    assert judge(some, Passage(proxy="::1")) is None
    assert rule_of(judge(some, Passage(proxy="corp.example"))) == "proxies.allowed"
    assert judge(OPEN, Passage(proxy="proxy.example")) is None


@pytest.mark.parametrize(
    ("host", "key", "rule"),
    [
        ("127.0.0.1", "a-local-secret-of-some-length", None),
        ("::1", "a-local-secret-of-some-length", None),
        ("0.0.0.0", "a-local-secret-of-some-length", "loopbackOnly"),
        ("127.0.0.1.example.com", "a-local-secret-of-some-length", "loopbackOnly"),
        ("127.0.0.1", None, "clientKey"),
        ("127.0.0.1", "", "clientKey"),
        ("127.0.0.1", "fifteen-letters", "clientKey"),
        ("127.0.0.1", "sixteen-letters!", None),
        ("127.0.0.1", "aaaaaaaaaaaaaaaaaaaaaaaa", "clientKey"),
    ],
)
def test_listeners(host, key, rule):
    """The router listens to this machine alone, and clients show a key that is not guessed."""
    claim = Listener(host, None if key is None else Secret(key))
    assert rule_of(judge(ANTHROPIC_ONLY, claim)) == rule


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("<a_local_secret>", "it is what an instruction writes in place of a key"),
        ("<your_key>-and-more", "it is what an instruction writes in place of a key"),
        ("0123456789abcdef", "it counts"),
        ("fedcba9876543210", "it counts"),
        ("aabbccddeeffgghh", "it counts"),
        ("1234567890123456", "it counts"),
        ("passwordpassword", "it repeats a word"),
        ("PassWordpasswordpass", "it repeats a word"),
        ("abcabcabcabcabcabc", "it repeats few characters"),
    ],
)
def test_keys_that_are_guessed(key, why):
    """A key that is long enough and yet the first that anybody tries is refused."""
    found = judge(ANTHROPIC_ONLY, Listener("127.0.0.1", Secret(key)))
    assert found is not None
    assert (found.rule, found.message) == ("clientKey", f"APIKEY is too weak: {why}")


@pytest.mark.parametrize(
    "key",
    [
        "your-local-router-secret",
        "4f1d9b0c7a3e2586",
        "9305718264039175",
        "correct horse battery staple",
        "ccr-0123456789-of-me",
        "a<b>c!d?e>f<g-h_i",
    ],
)
def test_keys_that_are_not(key):
    """The guide's own, a random one of digits alone, and a few words all pass: nobody is asked for more than they need."""
    assert judge(ANTHROPIC_ONLY, Listener("127.0.0.1", Secret(key))) is None


def test_a_key_is_in_no_message():
    """What is said of a weak key does not repeat it."""
    for key in ("hunter2", "<hunter two my secret>", "hunter2hunter2hunter2"):
        found = judge(ANTHROPIC_ONLY, Listener("127.0.0.1", Secret(key)))
        assert found is not None
        assert "hunter" not in found.explanation


def test_extensions_and_key_sources():
    """What is not allowed is refused, naming it."""
    found = judge(policy(allowed_extensions=frozenset(("plugins",))), Extension("transforms", "transformer x"))
    assert found is not None
    assert found.explanation == "transformer x is not allowed: transforms is an extension point (allowed: plugins)"
    assert judge(policy(allowed_extensions=frozenset(("plugins",))), Extension("plugins", "plugin x")) is None
    assert rule_of(judge(ANTHROPIC_ONLY, KeySource("APIKEY", "file"))) == "keySources"
    assert judge(ANTHROPIC_ONLY, KeySource("APIKEY", "environment")) is None


CLAIMS = (
    Passage("openrouter", "m", "m", "http", "evil.example", 1, "proxy.example", "127.0.0.1"),
    Listener("0.0.0.0", None),
    Extension("customRouter", "x"),
    KeySource("x", "file"),
)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: type(claim).__name__)
def test_no_policy_and_the_open_one_allow_everything(claim):
    """Without a policy, and under the open one, nothing is refused."""
    assert judge(NO_POLICY, claim) is None
    assert judge(OPEN, claim) is None


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: type(claim).__name__)
def test_a_denial_names_rule_and_policy(claim):
    """What a client is told names the rule, the policy and what is allowed."""
    with pytest.raises(Denied) as raised:
        enforce(ANTHROPIC_ONLY, claim)
    assert f"; rule {raised.value.rule} of policy anthropic-only" in str(raised.value)


def test_folding_is_stable():
    """A folded name folds to itself."""
    for name in ("\u0130stanbul", "\ufb01ne", " \u200bX\u200b ", "\uff2f"):
        assert fold_name(fold_name(name)) == fold_name(name)
