"""Profiles of providers: read into the configuration where they fit, told of where they do not, never a reason to fail."""

from __future__ import annotations

import json
import os

import pytest

from ccrouter.config.certified import MEMBERS, as_json, profile_path
from ccrouter.config.load import load
from ccrouter.config.projects import router_files

URL = "https://host.example/v1/chat/completions"


def profile(models: dict, **more) -> dict:
    endpoint = {"dialect": "openai_chat", "url": URL, "platform": ""}
    return {"format": 1, "provider": "mine", "endpoint": endpoint, "models": models, **more}


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / ".claude-code-router"
    (folder / "profiles").mkdir(parents=True)
    config = {
        "Providers": [{"name": "Mine", "api_base_url": URL, "api_key": "${KEY}", "models": ["M1"]}],
        "Router": {"default": "mine,m1"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return tmp_path


def loaded(home, content) -> tuple[dict, list[str]]:
    """What is certified of the provider, and the warnings."""
    path = profile_path(home / ".claude-code-router", "mine")
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    config = load(home / ".claude-code-router" / "config.json", {"HOME": str(home), "KEY": "k" * 20})
    certified = {name: dict(changes) for name, changes in config.providers[0].certified.items()}
    return certified, [str(warning) for warning in config.warnings]


def test_what_was_found_is_read(home):
    """Changes are there by model in small letters, in the form that profiles have: tuples and sets, which can be hashed."""
    changes = {
        "accepts_images": False,
        "efforts": ["low", "max"],
        "tool_choice_forms": ["auto"],
        "max_tokens_cap": None,
    }
    certified, warnings = loaded(
        home, profile({"M1": {"tested": "2026-11-22", "changes": changes}, "": {"changes": {"max_stops": 3}}})
    )
    assert certified == {
        "m1": {
            "accepts_images": False,
            "efforts": ("low", "max"),
            "tool_choice_forms": frozenset({"auto"}),
            "max_tokens_cap": None,
        },
        "": {"max_stops": 3},
    }
    assert hash(tuple(certified["m1"].items()))
    assert warnings == []


def test_without_a_file_nothing_is_certified(home):
    """No file, no word about it."""
    assert loaded(home, None) == ({}, [])


BROKEN = {
    "no JSON": ("{", "is not a profile; it is not applied"),
    "no object": ("[]", "is not a profile; it is not applied"),
    "no models": ('{"format": 1}', "is not a profile; it is not applied"),
    "of a later version": (profile({}, format=2), "has a form that this version does not know (2)"),
    "of another URL": (
        profile({"m1": {"changes": {"max_stops": 1}}}, endpoint={"url": "https://elsewhere.example/v1"}),
        "endpoint.url: is about another URL of the provider; it is not applied",
    ),
    "of no URL": (profile({"m1": {"changes": {"max_stops": 1}}}, endpoint=None), "is about another URL"),
    "a model that is none": (profile({"m1": 7}), "models.m1: is not what was found out about a model"),
    "too large": ('{"models": {}, "x": "' + "x" * 2**20 + '"}', "is not a profile"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_used_is_a_warning(home, name):
    """A file that is broken, foreign or about something else is named in a warning with what to do, and not applied."""
    content, message = BROKEN[name]
    certified, warnings = loaded(home, content)
    assert certified == {}
    (warning,) = warnings
    assert str(profile_path(home / ".claude-code-router", "mine")) in warning
    assert message in warning
    assert "hint: `ccr providers test Mine` makes a new one; or delete it" in warning


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auth": "bearer"}, "models.m1.changes.auth: is not known to this version; it is ignored"),
        ({"extra": {"model": "other"}}, "changes.extra: is not known to this version"),
        ({"max_stops": "many"}, 'changes.max_stops: cannot be "many"; it is ignored'),
        ({"max_stops": True}, "cannot be true"),
        ({"max_stops": -1}, "cannot be -1"),
        ({"accepts_images": 1}, "cannot be 1"),
        ({"efforts": ["huge"]}, 'cannot be ["huge"]'),
        ({"reasoning_style": ["none"]}, 'cannot be ["none"]'),
        ({"tool_choice_forms": "auto"}, 'cannot be "auto"'),
    ],
)
def test_a_change_that_cannot_be_is_left_out(home, changes, message):
    """An unknown member, or a value that a member cannot have, is ignored with a warning; the others count."""
    certified, warnings = loaded(home, profile({"m1": {"changes": {**changes, "accepts_files": "data"}}}))
    assert certified == {"m1": {"accepts_files": "data"}}
    assert [message in warning for warning in warnings] == [True]


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="who may read everything can read this")
def test_an_unreadable_file_is_a_warning(home):
    """A file that may not be read is told of, and the start goes on."""
    path = profile_path(home / ".claude-code-router", "mine")
    path.write_text("{}")
    path.chmod(0)
    certified, warnings = loaded(home, None)
    assert certified == {}
    assert "cannot be read" in warnings[0]


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("OpenAI", "openai.json"),
        ("a/b", "a%2Fb.json"),
        ("..", "...json"),
        ("\ud800", "%ED%A0%80.json"),
        (" my provider ", "my%20provider.json"),
        ("x" * 400, "x" * 150 + "~"),
    ],
)
def test_names_of_files(tmp_path, provider, name):
    """Whatever a provider is called, its file is in the folder of profiles, the same for every case of its name."""
    path = profile_path(tmp_path, provider)
    assert path.parent == tmp_path / "profiles"
    assert path.name.startswith(name)
    assert path == profile_path(tmp_path, provider.upper().lower())


def test_profiles_are_no_project_routers(home):
    """The folder of profiles is not taken for a project that has routers of its own."""
    loaded(home, "{ broken")
    assert router_files({"HOME": str(home)}) == []


def test_values_go_out_as_they_came_in():
    """Writing a value and reading it gives the value, for every kind of member."""
    values = {
        "tool_choice_forms": frozenset({"none", "auto"}), "efforts": ("low",), "max_stops": 3, "max_tokens_cap": None,
        "accepts_files": "", "accepts_images": True, "max_tokens_field": "max_tokens",
    }  # fmt: skip
    written = json.loads(json.dumps(as_json(values)))
    assert {name: MEMBERS[name](value) for name, value in written.items()} == values
