"""The vendors' libraries are extras: missing ones are told at the start, and nobody loads them who does not need them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ccrouter.config import platforms
from ccrouter.config.load import load
from ccrouter.errors import ConfigError
from ccrouter.upstream.credentials.seam import library

VERTEX = {"name": "v", "platform": "vertex", "project": "p", "location": "global", "models": ["claude-x"]}
BEDROCK = {"name": "b", "platform": "bedrock", "region": "eu-west-1", "models": ["m"]}
LOCAL = {"name": "l", "api_base_url": "http://localhost:1/v1", "models": ["m"]}


@pytest.mark.parametrize(("provider", "extra"), [(VERTEX, "vertex"), (BEDROCK, "bedrock")])
def test_a_missing_library(provider, extra, tmp_path: Path, monkeypatch) -> None:
    """A provider that needs it keeps the router from starting, with the command that installs it; one that no route needs
    is left out."""
    monkeypatch.setattr(platforms, "is_installed", lambda _: False)
    path = tmp_path / "config.json"
    route = f"{provider['name']},{provider['models'][0]}"
    path.write_text(json.dumps({"Providers": [provider], "Router": {"default": route}}))
    with pytest.raises(ConfigError, match=rf"pip install 'ccrouter\[{extra}\]'"):
        load(path, {})
    path.write_text(json.dumps({"Providers": [provider, LOCAL], "Router": {"default": "l,m"}}))
    config = load(path, {})
    assert [one.name for one in config.providers][:1] == ["l"]
    assert f'extra "{extra}"' in config.unavailable[provider["name"]]


def test_what_is_installed_is_known() -> None:
    """A module is found without being run, one that is not there is missed, inside a package that is not there too."""
    assert platforms.is_installed("botocore")
    assert platforms.is_installed("google.auth")
    assert not platforms.is_installed("no_such_thing")
    assert not platforms.is_installed("no_such_thing.auth")
    with pytest.raises(ConfigError, match=r"pip install 'ccrouter\[vertex\]'"):
        library("no_such_thing.auth", "vertex")


def test_nobody_loads_them_unasked() -> None:
    """The client, the dialects and the configuration are imported without them."""
    code = (
        "import sys, ccrouter.upstream.client, ccrouter.server.app, ccrouter.config.load;"
        "print([name for name in ('botocore', 'google.auth', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
