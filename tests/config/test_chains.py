"""Routes that are lists: a target, and what is tried after it. What each form comes to is in the cases `chains*.txt`."""

from __future__ import annotations

import json
import os

import pytest

from ccrouter.config.changes import set_route, unset_route
from ccrouter.config.load import read
from ccrouter.config.projects import ProjectRouters
from ccrouter.routing.catalog import refs_of

PROVIDERS = [
    {"name": "p", "api_base_url": "http://localhost:1/v1/messages", "models": ["m", "m2"]},
    {"name": "q", "api_base_url": "http://localhost:2/v1/messages", "models": ["n"]},
]
SESSION = "0b6a1c9e-1111-2222-3333-444455556666"


def config_of(router, **more):
    reading = read(None, {}, text=json.dumps({"Providers": PROVIDERS, "Router": router, **more}))
    assert reading.problems == ()
    return reading.config


def told(fallback):
    return {name: [str(ref) for ref in refs] for name, refs in fallback.items()}


@pytest.mark.parametrize("written", ["p,m", ["p,m"], ["", "p,m"]])
def test_a_list_of_one_is_a_text(written):
    """One target has no fallback, however it is written."""
    router = config_of({"default": written}).router
    assert str(router.routes["default"]) == "p,m"
    assert router.fallback == {}


def test_a_chain_in_one_text():
    """Targets with nothing but commas between them are one model's name, of which nobody heard: the hint has the form."""
    (warning,) = config_of({"default": "p,m,q,n"}).warnings
    assert 'several targets are a list: ["provider,model", "provider,model"]' in str(warning)
    (warning,) = config_of({"default": "p,m,x"}).warnings
    assert "list:" not in str(warning)


def test_a_chain_needs_its_providers():
    """A provider that only a chain names is needed: what is missing of it is an error."""
    tree = {"Providers": [*PROVIDERS], "Router": {"default": ["p,m", "r,o"], "models": {"fast": ["p,m", "s,o"]}}}
    tree["Providers"] += [
        {"name": name, "api_base_url": "https://r.example/v1/messages", "api_key": f"${{{name.upper()}_KEY}}"}
        for name in "rst"
    ]
    reading = read(None, {}, text=json.dumps(tree))
    assert [problem.path for problem in reading.problems] == ["Providers[2].api_key", "Providers[3].api_key"]
    assert list(reading.config.unavailable) == ["t"]


def test_a_strict_router_lists_its_chains():
    """What a chain names may be asked for."""
    router = config_of({"default": ["p,m", "q,n"], "models": {"fast": ["p,m", "q,other"]}}, strict=True).router
    assert {str(ref) for ref in router.listed} == {"p,m", "q,n", "q,other"}
    assert set(refs_of(router)) == set(router.listed)


def test_the_explicit_may_be_without_fallback():
    """Routes that no router writes may be given fallbacks of their own, or none, without a warning."""
    assert config_of({"default": ["p,m", "q,n"]}, fallback={"explicit": [], "alias": ["p,m2"]}).warnings == ()


# -- projects ----------------------------------------------------------------------------------------------------------


def router_of_project(tmp_path, main, project):
    home = tmp_path / ".claude-code-router"
    (home / "here").mkdir(parents=True)
    (tmp_path / ".claude" / "projects" / "here").mkdir(parents=True)
    (tmp_path / ".claude" / "projects" / "here" / f"{SESSION}.jsonl").touch()
    (home / "here" / "config.json").write_text(json.dumps({"Router": project}))
    return ProjectRouters(config_of(**main), {**os.environ, "HOME": str(tmp_path)}).router_for(SESSION)


def test_a_chain_is_its_own_routers(tmp_path):
    """A project's router inherits what the file's `fallback` lists, and not the chains of the router that it replaces."""
    main = {
        "router": {"default": ["p,m", "q,n"], "think": ["p,m", "q,n"], "models": {"fast": ["p,m", "q,n"]}},
        "fallback": {"default": ["p,m2"]},
    }
    router = router_of_project(tmp_path, main, {"default": "q,n", "think": "q,n", "models": {"fast": "p,m2"}})
    assert told(router.fallback) == {"default": ["p,m2"]}
    assert router.alias_fallback == {}


def test_a_project_may_have_chains(tmp_path):
    """A chain in a project's router comes before what it inherits."""
    main = {"router": {"default": "p,m"}, "fallback": {"default": ["p,m2"], "think": ["q,n"]}}
    project = {"default": ["q,n", "p,m"], "subagent": ["p,m2", "q,n"], "claude-*": ["p,m", "q,n"]}
    router = router_of_project(tmp_path, main, project)
    assert told(router.fallback) == {"default": ["p,m", "p,m2"], "think": ["q,n"], "subagent": ["q,n"]}
    assert told(router.alias_fallback) == {"claude-*": ["q,n"]}


# -- both shapes in one file, and commands -----------------------------------------------------------------------------


def test_both_shapes_may_name_a_chain():
    """Where both shapes have the default router the classic one counts, its chain with it; a difference in the chain
    alone is told.
    """
    routers = {"default": {"default": ["p,m", "p,m2"], "think": ["p,m2", "q,n"], "fidelity": {"think": "strict"}}}
    config = config_of({"default": ["p,m", "q,n"]}, routers=routers)
    assert told(config.router.fallback) == {"default": ["q,n"], "think": ["q,n"]}
    assert config.router.fidelity_of("think") == "strict"
    (warning,) = config.warnings
    assert "p,m, then q,n, which counts" in warning.message


def test_a_command_changes_the_head_of_a_chain():
    """`ccr model` says what serves a route: what is tried after it stays, without what now comes first."""
    tree = {"Router": {"default": ["p,m", "q,n", "p,m2"], "models": {"claude-*": ["p,m", "q,n"]}, "think": ["p,m"]}}
    set_route(tree, "default", "default", "q,n")
    set_route(tree, "default", "claude-*", "p,m2")
    set_route(tree, "default", "think", "q,n")
    assert tree["Router"] == {"default": ["q,n", "p,m2"], "models": {"claude-*": ["p,m2", "q,n"]}, "think": "q,n"}
    assert unset_route(tree, "default", "default")
    assert "default" not in tree["Router"]
