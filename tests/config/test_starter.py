"""The starter file: private, whole, never in the place of another, and right in every line."""

from __future__ import annotations

import os
import re
import stat
import sys

import pytest

from ccrouter.config import starter
from ccrouter.config.load import create_starter, load
from ccrouter.config.schema import DRY_RUN
from ccrouter.errors import ConfigError

EXAMPLE = re.compile(r"^(\s*)//(?=[{\"])", re.MULTILINE)
KEYS = dict.fromkeys(("CCR_APIKEY", "OPENROUTER_API_KEY", "ANTHROPIC_API_KEY", "DEEPSEEK_API_KEY"), "k")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_folder_and_file_are_private(tmp_path):
    """The folder is its owner's alone, and so are the files in it, whatever the umask."""
    before = os.umask(0)
    try:
        assert create_starter(tmp_path / "router" / "config.json")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "router").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "router").iterdir()}
    assert modes == {"config.json": 0o600, "config.schema.json": 0o600}


def test_nothing_is_overwritten(tmp_path, monkeypatch):
    """A file that is there stays as it is, and its folder need not be writable."""
    monkeypatch.setattr(starter.tempfile, "mkstemp", lambda **_: pytest.fail("tried to write"))
    path = tmp_path / "config.json"
    path.write_text("{}")
    assert not create_starter(path)
    assert path.read_text() == "{}"
    assert [child.name for child in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("fails", [False, True], ids=["links", "no links"])
def test_a_file_that_appears_meanwhile_stays(tmp_path, monkeypatch, fails):
    """Another process that is quicker wins, on file systems with and without hard links."""
    path = tmp_path / "config.json"
    link = os.link

    def late(source, target):
        path.write_text("theirs")
        if fails:
            raise PermissionError
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert not create_starter(path)
    assert path.read_text() == "theirs"
    assert [child.name for child in tmp_path.iterdir()] == ["config.json"]


def test_without_hard_links(tmp_path, monkeypatch):
    """A file system without hard links gets the file all the same."""

    def refuse(source, target):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    assert create_starter(tmp_path / "config.json")
    assert (tmp_path / "config.json").read_bytes() == starter.TEMPLATE.read_bytes()


def test_what_cannot_be_written_is_a_config_error(tmp_path):
    """No place to write is told as a problem of the configuration."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be created"):
        create_starter(tmp_path / "file" / "config.json")


def test_the_starter_runs_without_a_provider(tmp_path):
    """As it stands the starter has the built-in provider answer, and the only thing to say is that."""
    path = tmp_path / "config.json"
    create_starter(path)
    config = load(path, KEYS)
    assert config.router.routes["default"].provider == DRY_RUN
    assert [warning.path for warning in config.warnings] == ["Providers"]
    assert "OPENROUTER_API_KEY is set" in config.warnings[0].message


def test_every_commented_example_is_right(tmp_path):
    """With all examples uncommented the file loads without a warning."""
    path = tmp_path / "config.json"
    path.write_text(EXAMPLE.sub(r"\1", starter.TEMPLATE.read_text(encoding="utf-8")), encoding="utf-8")
    config = load(path, KEYS)
    assert config.warnings == ()
    assert {provider.name for provider in config.providers} == {
        "openrouter",
        "anthropic",
        "deepseek",
        "ollama",
        DRY_RUN,
    }
    assert {"default", "background", "think", "longContext", "webSearch", "image"} == set(config.router.routes)
    assert config.api_key
    assert config.router.aliases
    assert config.router.fallback
