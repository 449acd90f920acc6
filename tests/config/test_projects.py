"""Routers of projects and sessions."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from ccrouter.config import syntax
from ccrouter.config.load import load
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.syntax import read_bounded
from ccrouter.errors import ConfigError

SESSION = "0b6a1c9e-1111-2222-3333-444455556666"
PROJECT = "-home-me-repo"
MAIN = {
    "Providers": [
        {"name": "Main", "api_base_url": "http://localhost:1/v1", "models": ["large", "small"]},
        {"name": "spare", "api_base_url": "http://localhost:1/v1", "api_key": "${SPARE}", "models": ["x"]},
    ],
    "Router": {"default": "Main,large", "background": "Main,small"},
    "fallback": {"default": ["Main,small"]},
    "strict": True,
}


class Home:
    """A home folder with a main configuration, and a clock that stands still until told."""

    def __init__(self, folder: Path) -> None:
        self.environ = {"HOME": str(folder), "MODEL": "Main,small"}
        self.router = folder / ".claude-code-router"
        self.claude = folder / ".claude" / "projects"
        self.router.mkdir()
        (self.router / "logs").mkdir()
        (self.router / "config.json").write_text(json.dumps(MAIN))
        self.time = 0.0
        self.routers = self.open(self.environ)

    def open(self, environ: dict[str, str]) -> ProjectRouters:
        config = load(self.router / "config.json", environ)
        return ProjectRouters(config, environ, clock=lambda: self.time, negative_ttl=5)

    def add_session(self, session: str = SESSION, project: str = PROJECT) -> None:
        (self.claude / project).mkdir(parents=True, exist_ok=True)
        (self.claude / project / f"{session}.jsonl").touch()

    def write(self, name: str, text: str, project: str = PROJECT) -> Path:
        (self.router / project).mkdir(exist_ok=True)
        path = self.router / project / name
        path.write_text(text)
        self.stamp = getattr(self, "stamp", 0) + 1  # a clock of files: coarse ones would hide a change
        os.utime(path, ns=(self.stamp * 10**9, self.stamp * 10**9))
        return path

    def default(self, session: str = SESSION) -> str | None:
        router = self.routers.router_for(session)
        return str(router.routes["default"]) if router else None


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def test_without_project_routers_there_is_none(home):
    """A session of a project without files of its own has no router of its own."""
    home.add_session()
    assert home.default() is None


def test_the_session_is_before_the_project(home):
    """The session's file counts before the project's, and a file without a router leaves it to the next."""
    home.add_session()
    home.write("config.json", '{Router: {default: "main,small"}} // JSON5')
    assert home.default() == "Main,small"
    home.write(f"{SESSION}.json", '{"Router": {"default": "Main,special"}}')
    assert home.default() == "Main,special"
    home.write(f"{SESSION}.json", '{"note": "no router"}')
    assert home.default() == "Main,small"


def test_the_whole_router_is_replaced(home):
    """Routes of the main router do not shine through; what stands outside of `Router` there goes on."""
    home.add_session()
    home.write("config.json", '{"Router": {"default": "$MODEL"}}')
    router = home.routers.router_for(SESSION)
    assert dict(router.routes) == {"default": router.routes["default"]}
    assert str(router.routes["default"]) == "Main,small"
    assert [str(target) for target in router.fallback["default"]] == ["Main,small"]
    assert router.is_strict


def test_changes_are_seen_at_once_and_unchanged_files_are_not_read_again(home, monkeypatch):
    """A file is read when it changes, and only then."""
    home.add_session()
    path = home.write("config.json", '{"Router": {"default": "Main,small"}}')
    first = home.routers.router_for(SESSION)
    reads = []
    monkeypatch.setattr(syntax, "read_bounded", lambda path: reads.append(path) or read_bounded(path))
    assert home.routers.router_for(SESSION) is first
    assert reads == []
    home.write("config.json", '{"Router": {"default": "Main,large"}}')
    assert home.default() == "Main,large"
    assert reads == [path]
    path.unlink()
    assert home.default() is None


def test_a_miss_is_remembered_only_for_a_while(home):
    """Claude Code may write a session's file after its first request: that it was not there is soon forgotten."""
    home.write("config.json", '{"Router": {"default": "Main,small"}}')
    assert home.default() is None
    home.add_session()
    home.time = 4.9
    assert home.default() is None
    home.time = 5.0
    assert home.default() == "Main,small"


@pytest.mark.parametrize("session", ["", "../config", "a/b", "..", "a\\b", "a.b", "x" * 201, "a\n"])
def test_what_is_no_session_id_reaches_no_file(home, session):
    """A session id from a request cannot name a path."""
    home.add_session("other")
    home.write("config.json", '{"Router": {"default": "Main,small"}}')
    with suppress(OSError):  # the transcript that the path would lead to, where there can be one
        (home.claude / PROJECT / f"{session}.jsonl").touch()
    assert home.routers.router_for(session) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the file ends too early"),
        ('{"Router": {"default": "man,small"}}', 'did you mean "Main"'),
        ('{"Router": {"think": "Main,small"}}', "Router.default: is missing"),
        ('{"Router": {"default": "spare,x"}}', "environment variable SPARE is not set"),
        ('{"Router": {"default": "$GONE"}}', "environment variable GONE is not set"),
        ('{"Router": []}', "must be an object"),
        ('{"Router": {}}', "Router.default: is missing"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_every_time(home, text, message):
    """A broken project router fails the request and names its file; it never falls back to the global one in silence."""
    home.add_session()
    path = home.write("config.json", text)
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            home.routers.router_for(SESSION)
        assert message in str(caught.value)
        assert str(path) in str(caught.value)


def test_claude_code_elsewhere(home, tmp_path):
    """CLAUDE_CONFIG_DIR moves Claude Code's folder, and the search follows it."""
    home.claude = tmp_path / "elsewhere" / "projects"
    home.routers = home.open({**home.environ, "CLAUDE_CONFIG_DIR": str(tmp_path / "elsewhere")})
    home.add_session()
    home.write("config.json", '{"Router": {"default": "Main,small"}}')
    assert home.default() == "Main,small"


def test_memory_is_bounded(home):
    """Sessions come and go by the thousand: what is remembered of them does not grow for ever."""
    home.write("config.json", '{"Router": {"default": "Main,small"}}')
    for number in range(1500):
        home.routers.router_for(f"session-{number}")
    assert len(home.routers._missed) <= 1000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_the_place_of_a_router_is_not_waited_for(home):
    """Nobody may ever write into it, and a request would wait: it is an error like any file that cannot be read."""
    home.add_session()
    (home.router / PROJECT).mkdir()
    os.mkfifo(home.router / PROJECT / "config.json")
    with pytest.raises(ConfigError, match="is no file"):
        home.routers.router_for(SESSION)
