"""Under a policy: every key of a pool is judged, and every target of a chain."""

from __future__ import annotations

import pytest

from ccrouter.compliance.policy import Policy
from tests.compliance.configs import changed, messages, put

ENVIRONMENT = Policy(name="keys", source="test", digest="d" * 64, allowed_key_origins=frozenset({"environment"}))
ANTHROPIC = "anthropic,claude-3.7-sonnet"


def with_keys(keys, name="api_key"):
    def change(tree):
        del tree["Providers"][0]["api_key"]
        put(tree, keys, "Providers", 0, name)

    return changed(change)


@pytest.mark.parametrize("name", ["api_key", "apiKeys"])
@pytest.mark.parametrize(
    ("keys", "path"),
    [
        (["${ANTHROPIC_API_KEY}", "literal"], "[1]"),
        (["${ANTHROPIC_API_KEY}", {"key": "literal"}], "[1].key"),
        (["${ANTHROPIC_API_KEY}", {"apiKey": "literal", "label": "x"}], "[1].apiKey"),
        (["${ANTHROPIC_API_KEY}", "${ANTHROPIC_API_KEY}", 12345678], "[2]"),
        (["${ANTHROPIC_API_KEY}", "${UNSET:-literal}"], "[1]"),
        ({"key": "literal"}, ".key"),
        ("literal", ""),
    ],
)
def test_each_key_is_judged(desk, keys, path, name):
    """A key that stands in the file breaks the rule, whichever of several it is; the exit code is that of keys."""
    (finding,) = desk.examine(with_keys(keys, name), ENVIRONMENT).errors
    assert (finding.path, finding.rule, finding.code) == (f"Providers[0].{name}{path}", "keySources", 36)


def test_a_pool_of_variables_is_allowed(desk):
    """Keys from the environment keep the rule, also one whose variable is not set."""
    verdict = desk.examine(
        with_keys(["${ANTHROPIC_API_KEY}", {"key": "$SECOND", "label": "x"}, "${UNSET}"]), ENVIRONMENT, SECOND="k2"
    )
    assert messages(verdict) == []
    (warning,) = [one for one in verdict.warnings if "UNSET" in one.message]
    assert "write the value here" not in warning.hint


def test_a_key_that_cannot_be_used_is_a_matter_of_keys(desk):
    """What is wrong with one of several keys has the exit code that is wrong with one alone."""
    for keys in ("a b", ["a b"], [{"key": "a b"}], [{"label": "x"}]):
        assert {finding.code for finding in desk.examine(with_keys(keys)).errors} == {36}


@pytest.mark.parametrize("route", ["default", "think", "claude-opus-*", "subagent"])
def test_each_target_of_a_chain_is_judged(desk, route):
    """A banned provider breaks the rule wherever in a chain it stands."""
    tree = changed(lambda tree: put(tree, [ANTHROPIC, "openrouter,qwen/qwen3-coder"], "Router", route))
    found = [finding for finding in desk.examine(tree).errors if finding.rule]
    assert {finding.path.endswith("[1]") for finding in found} == {True}
    assert 32 in {finding.code for finding in found}


def test_each_target_of_a_projects_chain_is_judged(desk):
    """A project's router is no way around it."""
    desk.beside(
        "-project/config.json", {"Router": {"models": {"fast": [ANTHROPIC, "openrouter,x"]}, "default": ANTHROPIC}}
    )
    found = [finding for finding in desk.examine(changed(lambda tree: None)).errors if finding.rule]
    assert [finding.path for finding in found] == ["Router.models.fast[1]"]


def test_a_chain_of_what_is_allowed_is_allowed(desk):
    """Chains themselves break no rule."""
    assert messages(desk.examine(changed(lambda tree: put(tree, [ANTHROPIC, ANTHROPIC], "Router", "think")))) == []
