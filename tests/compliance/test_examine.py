"""The examination beyond the file itself: projects, presets, files; and what policies less strict make of it."""

from __future__ import annotations

import hashlib
import json

import pytest

from ccrouter.compliance import files
from ccrouter.compliance.document import read_policy
from ccrouter.compliance.examine import Verdict, examine
from ccrouter.compliance.policy import NO_POLICY
from ccrouter.config.load import Overrides, load
from ccrouter.errors import ConfigError
from tests.compliance.configs import ANTHROPIC_ONLY, ENVIRON, GUIDE, OPEN, OPENROUTER, changed, messages, put

NEEDS_MODES = pytest.mark.skipif(not files.HAS_MODES, reason="modes of files are POSIX's")

CLASSIC = {"Providers": [OPENROUTER], "Router": {"default": "openrouter,qwen/qwen3-coder"}}


# -- no file, no object ------------------------------------------------------------------------------------------------


def test_no_file_at_the_usual_place(desk):
    """Without a configuration the guide's message stands, the tilde included, with the guide's exit code."""
    for path in (desk.path, None):
        verdict = examine(path, desk.environ({}), ANTHROPIC_ONLY)
        (finding,) = verdict.errors
        assert finding.message == "Router config missing at ~/.claude-code-router/config.json"
        assert (finding.code, finding.hint) == (2, "ccr install (or: npm run router:install)")
        assert verdict.config is None


def test_no_file_elsewhere(desk):
    """A file that was named is missing by its name."""
    verdict = examine(desk.home / "mine.json", desk.environ({}), ANTHROPIC_ONLY)
    assert messages(verdict) == [f"Router config missing at {desk.home / 'mine.json'}"]


@pytest.mark.parametrize("policy", [NO_POLICY, OPEN], ids=["none", "open"])
def test_the_defaults_alone(desk, policy):
    """Where no rule forbids it, the router runs without a file."""
    assert examine(None, desk.environ({}), policy).accepted().path is None


@pytest.mark.parametrize(
    ("text", "message", "code"),
    [
        ("[]", "Config must be an object", 10),
        ("{", "Config JSON malformed: line 1, column 2: the file ends too early", 3),
        ("", "Config JSON malformed: is empty", 3),
        ("[" * 100_000, "Config JSON malformed: is nested too deeply", 3),
    ],
)
@pytest.mark.parametrize("policy", [NO_POLICY, OPEN, ANTHROPIC_ONLY], ids=lambda policy: policy.name)
def test_a_file_that_cannot_be_read(desk, policy, text, message, code):
    """What is no configuration is an error whatever the policy."""
    (finding,) = desk.examine(text, policy).errors
    assert (finding.message, finding.code) == (message, code)


def test_json5_is_no_mistake(desk):
    """Comments and trailing commas, which the router reads, are no fault of a file."""
    text = json.dumps(GUIDE).replace('"LOG": true', "/* yes */ 'LOG': true") + "// done"
    assert desk.examine(text).errors == ()


# -- without a policy --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [NO_POLICY, OPEN], ids=["none", "open"])
def test_what_no_rule_forbids(desk, policy):
    """Without rules the first guide's configuration is accepted, as it is by the loader."""
    verdict = desk.examine(CLASSIC, policy)
    assert repr(verdict.accepted()) == repr(load(desk.path, desk.environ({})))
    assert verdict.errors == ()


@pytest.mark.parametrize("policy", [NO_POLICY, OPEN], ids=["none", "open"])
def test_the_loaders_own_problems(desk, policy):
    """What cannot be used is an error, what is doubtful a warning."""
    tree = {**CLASSIC, "Router": {"default": "nowhere,m"}, "Routr": 1}
    verdict = desk.examine(tree, policy)
    assert verdict.config is None
    assert [(finding.path, finding.rule, finding.code) for finding in verdict.errors] == [("Router.default", "", 32)]
    assert [finding.path for finding in verdict.warnings] == ["Routr"]
    with pytest.raises(ConfigError, match="no provider is called"):
        verdict.accepted()


@NEEDS_MODES
def test_modes_are_warnings_without_a_rule(desk):
    """A file that others can read is a warning, and an error where the policy makes a rule of it."""
    desk.write(GUIDE, mode=0o644)
    for policy, errors, warnings in ((NO_POLICY, 0, 1), (OPEN, 0, 1), (ANTHROPIC_ONLY, 1, 0)):
        verdict = desk.examine(policy=policy)
        assert (len(verdict.errors), len(verdict.warnings)) == (errors, warnings)
        (finding,) = (*verdict.errors, *verdict.warnings)
        assert finding.message == f"{desk.path} is open to others (mode 0644)"
        assert (finding.code, finding.rule) == (37, "privateFiles" if errors else "")
        rule = " (rule privateFiles)" if errors else ""
        told = f"{desk.path}: is open to others (mode 0644){rule}\n  hint: chmod 600 {desk.path}"
        assert str(finding.problem) == told  # the place once, and no rule that is not in force


def test_a_link_is_refused(desk):
    """A configuration that is only linked to is refused where files must be private, and nobody's business elsewhere."""
    desk.write(GUIDE)
    link = desk.folder / "link.json"
    link.symlink_to(desk.path)
    verdict = examine(link, desk.environ({}), ANTHROPIC_ONLY)
    assert messages(verdict) == [f"{link} is a symbolic link"]
    assert str(verdict.errors[0].problem).startswith(f"{link}: is a symbolic link (rule privateFiles)")
    for policy in (NO_POLICY, OPEN):
        verdict = examine(link, desk.environ({}), policy)
        assert (verdict.errors, verdict.warnings) == ((), ())


# -- routers beside the main one ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["-work-project/config.json", "-work-project/0f5e-session.json"])
def test_project_and_session_routers(desk, name):
    """Each router that can take the place of the main one is walked; what is found names its file."""
    desk.write(GUIDE)
    path = desk.beside(name, {"Router": {"default": "anthropic,claude-3.7-haiku", "think": "openrouter,x"}})
    verdict = desk.examine()
    (finding,) = verdict.errors
    assert finding.message == "Router.think → openrouter: BANNED provider: openrouter"
    assert (finding.file, finding.path, finding.code) == (str(path), "Router.think", 32)
    assert str(path) in str(finding.problem)


def test_a_project_router_that_is_fine(desk):
    """A project may choose among what is allowed."""
    desk.write(GUIDE)
    desk.beside("-work-project/config.json", {"Router": {"default": "anthropic,claude-3.7-haiku"}})
    desk.beside("-work-project/other.json", {"not": "a router"})
    desk.beside("-work-project/notes.txt", "openrouter")
    assert messages(desk.examine()) == []


def test_a_project_router_that_is_broken(desk):
    """A file that cannot be read could say anything: an error under strict syntax, else a warning."""
    desk.write(GUIDE)
    path = desk.beside("-work-project/config.json", "{")
    (finding,) = desk.examine().errors
    assert finding.file == str(path)
    verdict = desk.examine(policy=OPEN)
    assert (verdict.errors, len(verdict.warnings)) == ((), 1)


def test_a_project_router_that_says_something_twice(desk):
    """Duplicate keys are refused there too."""
    desk.write(GUIDE)
    desk.beside(
        "p/config.json",
        '{"Router": {"default": "anthropic,claude-3.7-haiku", "default": "anthropic,claude-3.7-haiku"}}',
    )
    assert messages(desk.examine()) == ["Router.default is written twice"]


def test_presets_of_others(desk):
    """Whatever lies in the folder of presets is an extension."""
    desk.write(GUIDE)
    desk.beside("presets/cheap/manifest.json", CLASSIC)
    assert messages(desk.examine()) == ["preset cheap is not allowed: presets is an extension point"]
    assert messages(desk.examine(policy=OPEN)) == []


# -- routers of one file -----------------------------------------------------------------------------------------------


def test_a_named_router_that_does_not_run_is_walked(desk):
    """A router that the next start may choose is judged today."""
    provider = {key: value for key, value in GUIDE["Providers"][0].items() if key != "name"}
    good = {"routes": {"anthropic,claude-3.7-sonnet": {"default": True}}}
    tree = {
        "HOST": "127.0.0.1",
        "APIKEY": "${CCR_APIKEY}",
        "providers": {"anthropic": provider},
        "routers": {"default": good, "cheap": {"routes": {"openrouter,x": {"default": True}}}},
    }
    assert messages(desk.examine(tree)) == [
        'routers.cheap.routes["openrouter,x"] → openrouter: BANNED provider: openrouter'
    ]
    assert desk.examine(tree, overrides=Overrides(router="default")).errors != ()


def test_every_edge_is_told(desk):
    """All that is wrong is told at once, in the order in which the classic verification would stop."""

    def break_much(tree):
        tree["HOST"] = "0.0.0.0"
        tree["Providers"].append(OPENROUTER)
        tree["Providers"][0]["models"].append("claude-opus-4-8")
        tree["Router"]["think"] = "anthropic,claude-opus-4-8"
        tree["Router"]["image"] = "openrouter,qwen/qwen3-coder"
        tree["APIKEY"] = "short"

    verdict = desk.examine(changed(break_much))
    assert messages(verdict) == [
        "HOST must be 127.0.0.1 (localhost only)",
        "BANNED provider: openrouter",
        "Model not allowed: claude-opus-4-8",
        "Router.image → openrouter: BANNED provider: openrouter",
        "Router.think → anthropic,claude-opus-4-8: Model not allowed: claude-opus-4-8",
        "APIKEY is too weak: 5 characters",
        "APIKEY comes from the file itself",
    ]
    assert [finding.code for finding in verdict.errors] == [13, 20, 22, 32, 33, 35, 36]
    assert all(finding.hint for finding in verdict.errors)


def test_a_route_means_the_model_in_the_providers_spelling(desk):
    """A route in another case than the provider's list leads to the listed model, and is judged as that."""
    tree = changed(lambda tree: put(tree, "Anthropic,Claude-3.7-Sonnet", "Router", "think"))
    assert messages(desk.examine(tree)) == []


def test_a_bare_model_is_the_one_that_a_provider_lists(desk):
    """A model without its provider is judged as what it resolves to."""
    assert messages(desk.examine(changed(lambda tree: put(tree, "claude-3.7-haiku", "Router", "think")))) == []


# -- policies of other strictness --------------------------------------------------------------------------------------


def test_single_rules(desk, tmp_path):
    """A policy of one rule refuses what that rule forbids, and nothing else."""
    path = tmp_path / "one.json"
    path.write_text(json.dumps({
        "name": "one", "hosts": {"banned": ["openrouter.ai"]}, "extensions": {"allowed": ["*"]}, "proxies": {"allowed": ["*"]},
    }))  # fmt: skip
    path.chmod(0o600)
    policy = read_policy(str(path), {})
    assert messages(desk.examine(CLASSIC, policy)) == ['provider "openrouter": BANNED host: openrouter.ai']
    loose = changed(lambda tree: (put(tree, "localhost", "HOST"), tree.pop("APIKEY"), put(tree, 1, "Routr")))
    assert messages(desk.examine(loose, policy)) == []


def test_extension_points_that_are_allowed(desk, tmp_path):
    """What a policy lets in is let in."""
    path = tmp_path / "more.json"
    path.write_text('{ name: "more", extends: "anthropic-only", extensions: { allowed: ["transforms"] } }')
    path.chmod(0o600)
    policy = read_policy(str(path), {})
    tree = changed(lambda tree: put(tree, {"use": ["anthropic", "cleancache"]}, "Providers", 0, "transformer"))
    assert messages(desk.examine(tree, policy)) == []
    tree["REWRITE_SYSTEM_PROMPT"] = "/tmp/prompt.md"
    assert len(messages(desk.examine(tree, policy))) == 1


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_a_text_is_judged_as_if_it_stood_there(desk):
    """A new content is judged before it is written, and what stands there is left."""
    desk.write(GUIDE)
    before = desk.path.read_bytes()
    bad = json.dumps(changed(lambda tree: tree["Providers"].append(OPENROUTER)))
    verdict = examine(desk.path, desk.environ({}), ANTHROPIC_ONLY, text=bad)
    assert messages(verdict) == ["BANNED provider: openrouter"]
    assert {finding.file for finding in verdict.errors} == {str(desk.path)}
    assert desk.path.read_bytes() == before
    good = examine(desk.path, desk.environ({}), ANTHROPIC_ONLY, text=json.dumps(GUIDE)).accepted()
    assert repr(good) == repr(load(desk.path, desk.environ({})))


def test_the_digest_of_a_configuration(desk):
    """It is the SHA-256 of the file's bytes; without a file there is none."""
    desk.write(GUIDE)
    config = desk.examine().accepted()
    assert config.digest == hashlib.sha256(desk.path.read_bytes()).hexdigest()
    assert load(None, {}).digest == ""
    text = desk.path.read_text() + "\n"
    with_text = examine(desk.path, desk.environ({}), ANTHROPIC_ONLY, text=text).accepted()
    assert with_text.digest == hashlib.sha256(text.encode()).hexdigest()


def test_no_secret_is_in_any_finding(desk):
    """Neither a literal key nor one from the environment is told, wherever it stands."""
    secret = "sk-ant-api03-0123456789abcdef"
    tree = changed(lambda tree: put(tree, secret, "Providers", 0, "api_key"))
    tree["APIKEY"] = "local-literal-secret"
    tree["PROXY_URL"] = f"http://me:{secret}@proxy.example"
    tree["Router"]["think"] = f"anthropic,{secret}"
    tree["Providers"][0]["headers"] = {"x-token": "header-literal-secret"}
    told = repr(desk.examine(tree).errors) + repr(desk.examine(tree, NO_POLICY).errors)
    assert ENVIRON["CCR_APIKEY"] not in told
    for text in (secret, "local-literal-secret", "header-literal-secret"):
        assert text not in told


def test_what_a_policy_says_replaces_what_the_loader_says(desk):
    """One mistake is told once: where a rule has spoken, the loader's words are left out."""
    tree = changed(lambda tree: put(tree, "openrouter,x", "Router", "image"))
    assert len(desk.examine(tree).errors) == 1
    assert desk.examine(tree, OPEN).errors[0].rule == ""


def test_a_verdict_names_the_rule(desk):
    """What the start prints names file, place, message and rule."""
    tree = changed(lambda tree: tree["Providers"].append(OPENROUTER))
    with pytest.raises(ConfigError) as raised:
        desk.examine(tree).accepted()
    assert str(raised.value) == (
        f"{desk.path}: Providers[1].name: BANNED provider: openrouter (rule providers.banned)\n"
        "  hint: allowed: anthropic"
    )


def test_an_empty_verdict_accepts_nothing():
    """A verdict without a configuration cannot be taken for a good one."""
    with pytest.raises(ConfigError):
        Verdict(None, NO_POLICY).accepted()


def test_lone_surrogates_in_a_text(desk):
    """A text that JSON can say and UTF-8 cannot is no crash."""
    tree = changed(lambda tree: put(tree, "\ud800", "Providers", 0, "name"))
    assert "Only anthropic allowed, found '\ud800'" in messages(desk.examine(json.dumps(tree)))
    assert examine(desk.path, desk.environ({}), ANTHROPIC_ONLY, text='{"\ud800": 1}').errors


def test_a_target_without_a_route_is_walked(desk):
    """A target that a router merely lists can be asked for, and is judged."""
    provider = {key: value for key, value in GUIDE["Providers"][0].items() if key != "name"}
    tree = {
        "HOST": "127.0.0.1",
        "APIKEY": "${CCR_APIKEY}",
        "providers": {"anthropic": provider},
        "routers": {"default": {"routes": {"anthropic,claude-3.7-sonnet": {"default": True}, "openrouter,x": {}}}},
    }
    assert messages(desk.examine(tree)) == [
        'routers.default.routes["openrouter,x"] → openrouter: BANNED provider: openrouter'
    ]


def test_a_warning_of_the_loader_gives_way_to_a_rule(desk):
    """What is refused is not warned about as well."""
    verdict = desk.examine(changed(lambda tree: put(tree, 1, "Routr")))
    assert messages(verdict) == ["Routr is not a setting of this router"]
    assert verdict.warnings == ()


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("https://api.anthropic.com/v1/messages?model=claude-opus-4-8", "claude-opus-4-8"),
        ("https://api.anthropic.com/v1/messages?Models=x", "x"),
        ("https://api.anthropic.com/openai/deployments/gpt%2D5/chat/completions", "gpt-5"),
        ("https://api.anthropic.com/presets/mine/v1/messages", "@preset/mine"),
    ],
)
def test_a_url_that_chooses_a_model(desk, url, model):
    """A model that a provider's URL names is judged with the configuration, as what leaves is judged by it later."""
    tree = changed(lambda tree: put(tree, url, "Providers", 0, "api_base_url"))
    [finding] = [finding for finding in desk.examine(tree).errors if finding.rule == "models.allowed"]
    assert f"Model not allowed: {model}" in finding.message
    assert finding.path == "Providers[0].api_base_url"
