"""The keys `fidelity` of a provider and of a router, in both shapes of the file."""

from __future__ import annotations

import json

import pytest

from ccrouter.config.load import load
from ccrouter.errors import ConfigError

PROVIDER = {"name": "p", "api_base_url": "http://127.0.0.1:9/v1/chat/completions", "models": ["m"]}


def loaded(tmp_path, **config):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"Providers": [PROVIDER], "Router": {"default": "p,m"}, **config}))
    return load(path, {})


def test_the_default_is_any(tmp_path):
    """Without the keys nothing is refused for its losses."""
    config = loaded(tmp_path)
    assert config.providers[0].fidelity == "any"
    assert config.router.fidelity_of("default") == "any"


@pytest.mark.parametrize(
    ("written", "read"), [("strict", "strict"), ("STRICT", "strict"), (True, "strict"), ("any", "any")]
)
def test_of_a_provider(tmp_path, written, read):
    """`strict` and `any`, whatever their case; true means strict."""
    assert loaded(tmp_path, Providers=[{**PROVIDER, "fidelity": written}]).providers[0].fidelity == read


def test_of_routes(tmp_path):
    """A route has its own, else that of `*`, else any."""
    router = loaded(tmp_path, Router={"default": "p,m", "fidelity": {"*": "strict", "think": "any"}}).router
    assert [router.fidelity_of(name) for name in ("default", "explicit", "think")] == ["strict", "strict", "any"]


def test_in_the_guides_shape(tmp_path):
    """Providers in a map and named routers know the same keys."""
    path = tmp_path / "config.json"
    url = "http://127.0.0.1:9/v1"
    config = {
        "providers": {"p": {"baseURL": url, "models": ["m"], "fidelity": "strict"}},
        "routers": {"default": {"routes": {"p,m": {"default": True}}, "fidelity": {"default": "strict"}}},
    }
    path.write_text(json.dumps(config))
    read = load(path, {})
    assert read.providers[0].fidelity == "strict"
    assert read.router.fidelity_of("default") == "strict"


def test_nonsense_is_refused(tmp_path):
    """Another word is an error with its place."""
    with pytest.raises(ConfigError, match=r"Providers\[0\]\.fidelity: must be one of any, strict"):
        loaded(tmp_path, Providers=[{**PROVIDER, "fidelity": "strickt"}])


def test_an_unknown_route_is_warned_about(tmp_path):
    """A route that is not one would never be asked for: a warning with the one that was meant."""
    config = loaded(tmp_path, Router={"default": "p,m", "fidelity": {"defualt": "strict"}})
    (warning,) = (one for one in config.warnings if "fidelity" in one.path)
    assert warning.path == "Router.fidelity.defualt"
    assert '"default"' in warning.hint
