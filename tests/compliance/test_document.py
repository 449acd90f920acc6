"""Policy documents: what they come to, what is refused in them, and which one is in force."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ccrouter.compliance import document, files
from ccrouter.compliance.document import PRESETS, load_policy, preset_text, read_policy
from ccrouter.compliance.policy import EXTENSION_POINTS, NO_POLICY
from ccrouter.errors import ConfigError

NEEDS_MODES = pytest.mark.skipif(not files.HAS_MODES, reason="modes of files are POSIX's")


@pytest.fixture(autouse=True)
def no_machine_policy(monkeypatch, tmp_path):
    """The machine that runs the tests has no policy of its own."""
    monkeypatch.setattr(document, "MACHINE_FILE", tmp_path / "etc" / "policy.json")
    tmp_path.chmod(0o700)


def write(path: Path, said: object) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(said if isinstance(said, str) else json.dumps(said), encoding="utf-8")
    path.chmod(0o600)
    return path


def read(folder: Path, said: object):
    return read_policy(str(write(folder / "policy.json", said)), {})


def refusal(folder: Path, said: object) -> str:
    with pytest.raises(ConfigError) as raised:
        read(folder, said)
    return str(raised.value)


# -- presets -----------------------------------------------------------------------------------------------------------


def test_anthropic_only_is_the_guides():
    """Providers and models are exactly those that the guide's scripts list; the rest makes its promises true."""
    policy = read_policy("anthropic-only", {})
    assert policy.allowed_providers == ("anthropic",)
    assert set(policy.banned_providers) == {"openrouter", "iflow", "volcengine", "modelscope", "dashscope"}
    assert policy.allowed_models == ("claude-3.7-sonnet", "claude-3.7-haiku")
    assert set(policy.sent_as) == set(policy.allowed_models)
    assert policy.allowed_hosts == ("api.anthropic.com",)
    assert policy.https_only
    assert policy.loopback_only
    assert policy.private_files
    assert policy.strict_syntax
    assert policy.audit_required
    assert (policy.client_key_length, policy.allowed_proxies, policy.allowed_extensions) == (16, (), frozenset())
    assert policy.allowed_key_origins == {"environment"}
    assert (policy.source, policy.is_pinned, policy.is_in_force) == ("preset anthropic-only", False, True)


def test_open_makes_no_rule_and_is_in_force():
    """The open policy says what no policy says, with a name and a digest."""
    policy = read_policy("open", {})
    assert policy.is_in_force
    for rule in ("allowed_providers", "allowed_hosts", "allowed_models", "allowed_proxies", "allowed_extensions"):
        assert getattr(policy, rule) is None
    assert not policy.restricts_models
    assert policy.client_key_length == 0


@pytest.mark.parametrize("name", PRESETS)
def test_a_written_preset_is_the_preset(name, tmp_path):
    """A preset's text, put into a file, says the same: it has the same digest."""
    written = read(tmp_path, preset_text(name).decode())
    assert written.digest == read_policy(name, {}).digest
    assert written.name == name


# -- what a document comes to ------------------------------------------------------------------------------------------


def test_what_is_not_said(tmp_path):
    """Absent lists allow anything, but for extension points and proxies, of which none is allowed."""
    policy = read(tmp_path, {"name": "little"})
    assert (policy.allowed_providers, policy.allowed_hosts, policy.allowed_models) == (None, None, None)
    assert (policy.allowed_proxies, policy.allowed_extensions) == ((), frozenset())
    assert policy.allowed_key_origins is None
    assert policy.client_key_length == 0


@pytest.mark.parametrize(
    ("said", "length"),
    [
        ({}, 0),
        ({"required": False}, 0),
        ({"required": True}, 16),
        ({"minLength": 32}, 32),
        ({"required": True, "minLength": 8}, 8),
        ({"required": False, "minLength": 8}, 0),
    ],
)
def test_client_key(said, length, tmp_path):
    """A required key has 16 characters at least unless the policy says how many."""
    assert read(tmp_path, {"name": "x", "clientKey": said}).client_key_length == length


def test_stars_and_words(tmp_path):
    """`*` alone allows anything; words stand for ranges; names are folded and hosts in lower case."""
    policy = read(
        tmp_path,
        {
            "name": "x",
            "providers": {"allowed": ["*"], "banned": ["OpenRouter "]},
            "hosts": {"allowed": ["*"], "banned": ["Evil.Example"]},
            "models": {"allowed": ["*"]},
            "proxies": {"allowed": ["*"]},
            "extensions": {"allowed": list(EXTENSION_POINTS)},
            "addresses": {"banned": ["linkLocal", "203.0.113.0/24"]},
        },
    )
    assert (policy.allowed_providers, policy.allowed_hosts, policy.allowed_models) == (None, None, None)
    assert policy.allowed_proxies is None
    assert policy.allowed_extensions == set(EXTENSION_POINTS)
    assert (policy.banned_providers, policy.banned_hosts) == (("openrouter",), ("evil.example",))
    assert [str(network) for network in policy.banned_addresses] == ["169.254.0.0/16", "fe80::/10", "203.0.113.0/24"]


def test_json5_is_read(tmp_path):
    """A policy may have comments and trailing commas, like a configuration."""
    assert read(tmp_path, "{ // mine\n name: 'x', httpsOnly: true, }").https_only


def test_extends_replaces_member_by_member(tmp_path):
    """What is written replaces that member of the base, and nothing beside it."""
    base = read_policy("anthropic-only", {})
    policy = read(tmp_path, {"name": "x", "extends": "anthropic-only", "models": {"allowed": ["claude-opus-4-8"]}})
    assert policy.allowed_models == ("claude-opus-4-8",)
    assert policy.banned_models == base.banned_models
    assert policy.allowed_hosts == base.allowed_hosts
    assert policy.sent_as == {}, "what was sent for a model that is allowed no more is sent no more"
    assert policy.source == str(tmp_path / "policy.json")


def test_more_models_beside_the_guides(tmp_path):
    """The documented way to allow more: the base's models with new ones, the base's ids still sent for them."""
    allowed = ["claude-3.7-sonnet", "claude-3.7-haiku", "claude-opus-4-8"]
    policy = read(tmp_path, {"name": "x", "extends": "anthropic-only", "models": {"allowed": allowed}})
    assert policy.model_sent("claude-3.7-sonnet") == "claude-sonnet-4-6"
    assert policy.model_sent("claude-opus-4-8") == "claude-opus-4-8"


def test_extends_a_path(tmp_path):
    """A base may be a file, by its path from the file that names it, and may itself have a base."""
    write(tmp_path / "base.json", {"name": "base", "extends": "anthropic-only", "httpsOnly": False})
    policy = read(tmp_path / "sub", {"name": "x", "extends": "../base.json", "loopbackOnly": False})
    assert (policy.https_only, policy.loopback_only, policy.strict_syntax) == (False, False, True)


def test_extends_in_a_circle(tmp_path):
    """A policy that is its own base is refused."""
    write(tmp_path / "other.json", {"name": "other", "extends": "policy.json"})
    assert "extends: leads in a circle" in refusal(tmp_path, {"name": "x", "extends": "other.json"})


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "name: is missing: a policy needs a name"),
        ({"name": ""}, "name: is empty"),
        ({"name": "a\nb"}, "name: must be one line"),
        ({"name": 3}, "name: must be a text, not a number"),
        ({"name": "x", "modles": {}}, 'modles: is no member of a policy\n  hint: did you mean "models"?'),
        ({"name": "x", "models": {"alowed": []}}, 'alowed: is no member of a policy\n  hint: did you mean "allowed"?'),
        ({"name": "x", "hosts": {"deny": []}}, "hint: known: hosts.allowed, hosts.banned"),
        ({"name": "x", "models": ["a"]}, 'must be an object, not a list\n  hint: with the members "allowed"'),
        ({"name": "x", "models": {"allowed": "a"}}, 'must be a list, not a text\n  hint: write ["claude-sonnet-4-6"'),
        ({"name": "x", "models": {"allowed": None}}, "models.allowed: must be a list, not null"),
        ({"name": "x", "models": {"allowed": [3]}}, "models.allowed: 3 must be a text"),
        ({"name": "x", "models": {"allowed": ["*", "a"]}}, '"*" allows everything: write it alone'),
        ({"name": "x", "providers": {"allowed": ["a,b"]}}, '"a,b" is no name of a provider'),
        ({"name": "x", "providers": {"banned": ["open*"]}}, '"open*" is no name of a provider'),
        ({"name": "x", "hosts": {"allowed": ["https://a.example"]}}, '"https://a.example" is no host'),
        ({"name": "x", "hosts": {"allowed": ["a.example/v1"]}}, '"a.example/v1" is no host'),
        ({"name": "x", "hosts": {"allowed": ["a.example:99999"]}}, '"a.example:99999" is no host'),
        ({"name": "x", "hosts": {"allowed": ["\u0430.example"]}}, "is no host"),
        ({"name": "x", "hosts": {"banned": ["::1"]}}, '"::1" is no host'),
        ({"name": "x", "proxies": {"allowed": ["proxy.example:3128"]}}, "write the name of the proxy's host alone"),
        ({"name": "x", "addresses": {"banned": ["privat"]}}, 'did you mean "private"?'),
        ({"name": "x", "addresses": {"banned": ["10.0.0.1/8"]}}, "has host bits set"),
        ({"name": "x", "extensions": {"allowed": ["plugin"]}}, 'did you mean "plugins"?'),
        ({"name": "x", "keySources": ["keychain"]}, "known: environment, file, commandLine"),
        ({"name": "x", "httpsOnly": "yes"}, "httpsOnly: must be true or false, not a text"),
        ({"name": "x", "httpsOnly": 1}, "httpsOnly: must be true or false, not a number"),
        ({"name": "x", "clientKey": {"minLength": 0}}, "must be a whole number from 1 to 1024, not 0"),
        ({"name": "x", "clientKey": {"minLength": True}}, "must be a whole number"),
        ({"name": "x", "onViolation": "default"}, "is never sent elsewhere in silence"),
        ({"name": "x", "models": {"sentAs": {"a*": "b"}}}, "must be two names of models"),
        ({"name": "x", "models": {"sentAs": {"a": 3}}}, "must be two names of models"),
        ({"name": "x", "models": {"allowed": ["a"], "sentAs": {"b": "c"}}}, "b is not an allowed model"),
        (
            {"name": "x", "models": {"allowed": ["a"], "banned": ["C"], "sentAs": {"a": "c"}}},
            "models.sentAs: BANNED model: c",
        ),
        (
            {"name": "x", "providers": {"allowed": ["OpenRouter"], "banned": ["open\u200brouter"]}},
            "providers.allowed: openrouter is allowed and banned at once",
        ),
        ({"name": "x", "models": {"allowed": ["a-1"], "banned": ["A-*"]}}, "a-1 is allowed and banned at once"),
        ({"name": "x", "hosts": {"allowed": ["a.b:1"], "banned": ["*.b"]}}, "a.b is allowed and banned at once"),
        (
            {"name": "x", "hosts": {"allowed": ["127.0.0.1:*"]}, "addresses": {"banned": ["loopback"]}},
            "Address not allowed: 127.0.0.1 is in 127.0.0.0/8",
        ),
        ({"name": "x", "extends": "anthropic"}, 'did you mean "anthropic-only"?'),
        ({"name": "x", "extends": "./nowhere.json"}, "there is no such policy"),
        ('{"name": "x", "httpsOnly": true, "httpsOnly": false}', "httpsOnly: is written twice"),
        ('{"name": "x", "models": {"allowed": ["a"], "allowed": ["*"]}}', "models.allowed: is written twice"),
        ("[]", "must be an object"),
        ("", "is empty"),
        ('{"name": ', "the file ends too early"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_refused(said, words, tmp_path):
    """What is wrong is refused, naming the file, the place and what to write."""
    told = refusal(tmp_path, said)
    assert words in told
    assert str(tmp_path) in told


def test_everything_wrong_is_told_at_once(tmp_path):
    """One reading names every mistake."""
    told = refusal(tmp_path, {"httpsOnly": 1, "modles": {}, "hosts": {"allowed": "a"}})
    for place in ("name:", "httpsOnly:", "modles:", "hosts.allowed:"):
        assert place in told


def test_a_part_of_a_pattern_may_be_banned(tmp_path):
    """A ban that takes a part out of what a pattern allows is no contradiction."""
    read(tmp_path, {"name": "x", "models": {"allowed": ["claude-*"], "banned": ["claude-3*"]}})


# -- digests -----------------------------------------------------------------------------------------------------------


def test_the_digest_is_of_what_is_said(tmp_path):
    """Order, spelling of the same thing, description and place do not change a digest."""
    one = read(tmp_path / "a", {"name": "x", "hosts": {"allowed": ["a.b", "c.d"]}, "httpsOnly": True})
    two = read(
        tmp_path / "b",
        {"httpsOnly": True, "description": "mine", "hosts": {"banned": [], "allowed": ["c.d", "A.B"]}, "name": "x"},
    )
    assert one.digest == two.digest
    assert len(one.digest) == 64


def test_extending_and_writing_out_say_the_same(tmp_path):
    """A policy that adds nothing to its base but has its name says the same."""
    assert read(tmp_path, {"name": "open", "extends": "open"}).digest == read_policy("open", {}).digest


@pytest.mark.parametrize(
    "more",
    [
        {"name": "y"},
        {"providers": {"allowed": ["a"]}},
        {"providers": {"banned": ["a"]}},
        {"hosts": {"allowed": ["a"]}},
        {"addresses": {"banned": ["private"]}},
        {"models": {"allowed": []}},
        {"models": {"sentAs": {"a": "b"}}},
        {"httpsOnly": True},
        {"loopbackOnly": True},
        {"clientKey": {"required": True}},
        {"proxies": {"allowed": ["*"]}},
        {"extensions": {"allowed": ["plugins"]}},
        {"keySources": ["environment"]},
        {"privateFiles": True},
        {"strictSyntax": True},
        {"auditRequired": True},
    ],
)
def test_every_rule_is_in_the_digest(more, tmp_path):
    """Whatever changes what is allowed changes the digest."""
    assert read(tmp_path / "a", {"name": "x"}).digest != read(tmp_path / "b", {"name": "x", **more}).digest


def test_the_digest_of_a_preset_is_known():
    """A digest that changes without the preset is a mistake: audit logs and pinned policies hold it."""
    assert read_policy("open", {}).digest == "5c12208264bc1be0d842319a7f7edaec75a69f93615e4c7df7e69c91c2b56e65"


# -- which one is in force ---------------------------------------------------------------------------------------------


def test_the_order(tmp_path):
    """The machine's policy, then the environment's, then the one named, then the user's, then none."""
    environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    assert load_policy(None, environ) is NO_POLICY
    assert load_policy("open", environ).name == "open"
    write(tmp_path / ".claude-code-router" / "policy.json", {"name": "own"})
    assert load_policy(None, environ).name == "own"
    assert load_policy("open", environ).name == "open"
    other = write(tmp_path / "other.json", {"name": "other"})
    environ["CCR_POLICY"] = "~/other.json"
    assert load_policy(None, environ).name == "other"
    assert load_policy(str(other), environ).name == "other"
    write(document.MACHINE_FILE, {"name": "machine"})
    assert load_policy(None, {**environ, "CCR_POLICY": ""}).name == "machine"


def test_a_pinned_policy_cannot_be_named_away(tmp_path):
    """Where the machine or the environment pins a policy, naming another is an error; naming the same is none."""
    environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "CCR_POLICY": "anthropic-only"}
    assert load_policy("anthropic-only", environ).name == "anthropic-only"
    with pytest.raises(ConfigError, match="--policy: names another policy than CCR_POLICY does"):
        load_policy("open", environ)
    write(document.MACHINE_FILE, {"name": "machine"})
    with pytest.raises(ConfigError, match="environment: CCR_POLICY: names another policy than"):
        load_policy(None, environ)
    with pytest.raises(ConfigError, match="--policy: names another policy than"):
        load_policy("open", {"HOME": str(tmp_path)})


@pytest.mark.parametrize("value", ["", "  "])
def test_a_variable_that_names_nothing(value, tmp_path):
    """A CCR_POLICY that is set and empty (a variable of a unit file that was never filled in) is an error, and no way to
    have no policy; neither is it a way around the user's own.
    """
    environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "CCR_POLICY": value}
    for named in (None, "open"):
        with pytest.raises(ConfigError, match="environment: CCR_POLICY: is set, and empty"):
            load_policy(named, environ)
    write(tmp_path / ".claude-code-router" / "policy.json", {"name": "own"})
    with pytest.raises(ConfigError, match="is set, and empty"):
        load_policy(None, environ)


@pytest.mark.parametrize("content", ["", " \n", "[]", "null"])
def test_the_advice_for_an_empty_policy(content, tmp_path):
    """What is no policy yet is to become one: no advice to delete it, or to write a configuration there."""
    with pytest.raises(ConfigError) as caught:
        read_policy(str(write(tmp_path / "policy.json", content)), {})
    (problem,) = caught.value.problems
    assert problem.hint == 'write { "name": "my-policy", "extends": "anthropic-only" }, or copy a preset'


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"name": "x", "unknown": 1}'])
def test_a_broken_policy_is_not_no_policy(content, tmp_path):
    """Whoever has a policy that cannot be used has an error, and not the freedom of having none."""
    environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    write(tmp_path / ".claude-code-router" / "policy.json", content)
    with pytest.raises(ConfigError):
        load_policy(None, environ)


def test_a_policy_that_leads_nowhere(tmp_path):
    """A dangling link where the policy should be, a folder in its place, or a variable that names no file: errors."""
    environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    with pytest.raises(ConfigError, match="there is no such policy"):
        load_policy(None, {**environ, "CCR_POLICY": "nowhere.json"})
    place = tmp_path / ".claude-code-router" / "policy.json"
    place.parent.mkdir(mode=0o700)
    place.symlink_to(tmp_path / "gone.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_policy(None, environ)
    place.unlink()
    place.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_policy(None, environ)


def test_a_place_that_cannot_be_looked_at(tmp_path, monkeypatch):
    """Where it cannot be seen whether there is a policy, there may be one: an error."""
    environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    monkeypatch.setattr(document, "MACHINE_FILE", tmp_path / ("x" * 300) / "policy.json")
    with pytest.raises(ConfigError, match="whether there is a policy cannot be seen"):
        load_policy(None, environ)


@NEEDS_MODES
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_policy_that_others_can_change(mode, tmp_path):
    """A file that its group or anybody may write is refused."""
    path = write(tmp_path / "policy.json", {"name": "x"})
    path.chmod(mode)
    with pytest.raises(ConfigError, match=rf"can be changed by others \(mode 0{mode:o}\)"):
        read_policy(str(path), {})


@NEEDS_MODES
def test_a_folder_that_others_can_change(tmp_path):
    """So is one in a folder where others may put another in its place, and one that a link there leads to."""
    path = write(tmp_path / "shared" / "policy.json", {"name": "x"})
    path.parent.chmod(0o777)
    with pytest.raises(ConfigError, match=r"can be changed by others \(mode 0777\)"):
        read_policy(str(path), {})
    link = tmp_path / "link.json"
    link.symlink_to(path)
    with pytest.raises(ConfigError, match=r"can be changed by others \(mode 0777\)"):
        read_policy(str(link), {})
    path.parent.chmod(0o1777)
    assert read_policy(str(path), {}).name == "x", "in a sticky folder nobody replaces another's file"


@NEEDS_MODES
def test_a_policy_of_somebody_else(tmp_path, monkeypatch):
    """A file that neither root nor the user owns is refused."""
    path = write(tmp_path / "policy.json", {"name": "x"})
    owner = path.stat().st_uid
    monkeypatch.setattr(files, "_trusted_owners", lambda: (owner + 1,))
    with pytest.raises(ConfigError, match="belongs to another user"):
        read_policy(str(path), {})


@NEEDS_MODES
def test_a_base_is_looked_at_as_well(tmp_path):
    """What a policy extends must be as safe as itself."""
    base = write(tmp_path / "base.json", {"name": "base"})
    base.chmod(0o666)
    with pytest.raises(ConfigError, match="can be changed by others"):
        read(tmp_path, {"name": "x", "extends": "base.json"})


def test_what_the_user_can_change_is_not_pinned(tmp_path):
    """A file of one's own is no pinned policy, and neither is a preset, which is chosen freely."""
    assert not read(tmp_path, {"name": "x"}).is_pinned
    assert not read_policy("anthropic-only", {}).is_pinned


@NEEDS_MODES
def test_what_is_out_of_reach_is_pinned(monkeypatch, tmp_path):
    """A file that another owns and that cannot be written, in folders of which the same is true, is pinned; one that
    extends a file within reach is not.
    """
    path = write(tmp_path / "policy.json", {"name": "x"})
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(files, "_trusted_owners", lambda: (owner,))
    assert read_policy(str(path), {}).is_pinned
    monkeypatch.setattr(os, "access", lambda place, _: place == tmp_path)
    assert not read_policy(str(path), {}).is_pinned
