"""`ccr ui`: the router that it starts or finds, the address that it prints, the browser that it opens or leaves alone."""

from __future__ import annotations

import os
import socket
import stat
import urllib.request
from pathlib import Path

import pytest

from ccrouter.cli import ui
from ccrouter.cli.commands import COMMANDS
from ccrouter.cli.ui import has_browser
from ccrouter.service.packagejson import SCRIPTS
from ccrouter.service.running import Running
from tests.cli.conftest import Ccr

KEY = "router-key-of-the-pages-0123"


@pytest.fixture
def browser(ccr: Ccr, tmp_path: Path) -> Path:
    """A display, and a browser on it that writes down its address. The file is there once it was called."""
    out, program = tmp_path / "opened", tmp_path / "firefly"
    program.write_text(f'#!/bin/sh\necho chatter\nprintf %s "$1" > {out}.part && mv {out}.part {out}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    ccr.environ |= {"DISPLAY": ":77", "BROWSER": f"{program} %s"}
    for name in ("CI", "CCR_NO_BROWSER"):
        ccr.environ.pop(name, None)
    return out


def page(port: int, path: str = "") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ui/{path}", timeout=10) as response:
        return response.read().decode()


def test_it_starts_the_router(ccr: Ccr, port: int) -> None:
    """Where none runs one is started in the background and stays; the address is stdout's only line, and is the page."""
    config = ccr.configure(PORT=port)
    before = config.read_bytes(), config.stat().st_mtime_ns
    done = ccr.run("ui")
    assert (done.returncode, done.stdout) == (0, f"Opening UI at http://127.0.0.1:{port}/ui/\n")
    assert "Service not running, starting service..." in done.stderr
    assert "No browser was opened" in done.stderr
    assert "Overview" in page(port)
    assert (config.read_bytes(), config.stat().st_mtime_ns) == before
    assert "Status: Running" in ccr.run("status").stdout


def test_it_finds_the_router(ccr: Ccr, port: int) -> None:
    """One that runs, on another port than the config's too, is the one that is shown, and no second is started."""
    ccr.configure(PORT=port + 1)
    ccr.serve("--port", str(port))
    done = ccr.run("ui")
    assert (done.returncode, done.stdout) == (0, f"Opening UI at http://127.0.0.1:{port}/ui/\n")
    assert "starting service" not in done.stderr
    assert len(list(ccr.folder.glob(".claude-code-router.*.json"))) == 1


def test_it_opens_the_browser(ccr: Ccr, browser: Path, port: int) -> None:
    """Where there is a display the browser gets the address."""
    ccr.configure(PORT=port)
    done = ccr.run("ui")
    assert done.returncode == 0
    assert browser.read_text() == f"http://127.0.0.1:{port}/ui/"
    assert done.stdout.splitlines()[0] == f"Opening UI at http://127.0.0.1:{port}/ui/"
    assert "No browser was opened" not in done.stderr


@pytest.mark.parametrize("variables", [{"CCR_NO_BROWSER": "1"}, {"CI": "true"}, {"DISPLAY": ""}])
def test_it_leaves_the_browser_alone(ccr: Ccr, browser: Path, port: int, variables: dict[str, str]) -> None:
    """Where nobody would see it, or wants it, the address is all there is, and that is no failure."""
    ccr.configure(PORT=port)
    done = ccr.run("ui", **variables)
    assert (done.returncode, done.stdout) == (0, f"Opening UI at http://127.0.0.1:{port}/ui/\n")
    assert "open that address" in done.stderr
    assert not browser.exists()


def test_no_open(ccr: Ccr, browser: Path, port: int) -> None:
    """`--no-open` is the user's word."""
    ccr.configure(PORT=port)
    done = ccr.run("ui", "--no-open")
    assert (done.returncode, done.stdout) == (0, f"Opening UI at http://127.0.0.1:{port}/ui/\n")
    assert not browser.exists()


def test_from_afar(ccr: Ccr, port: int) -> None:
    """In a session by SSH the way to the page from the other machine is told."""
    ccr.configure(PORT=port)
    done = ccr.run("ui", SSH_CONNECTION="192.0.2.1 5 192.0.2.2 22")
    assert done.returncode == 0
    assert f"ssh -L {port}:127.0.0.1:{port} HOST" in done.stderr
    assert "ssh -L" not in ccr.run("ui").stderr


def test_a_port_that_is_taken(ccr: Ccr, port: int) -> None:
    """Where another program has the port the start's own reason is told, and what to do; nothing is opened or rewritten."""
    config = ccr.configure(PORT=port)
    before = config.read_bytes()
    with socket.create_server(("127.0.0.1", port)):
        done = ccr.run("ui")
    assert (done.returncode, done.stdout) == (1, "")
    assert str(port) in done.stderr
    assert "hint: `ccr start` runs it in this terminal" in done.stderr
    assert config.read_bytes() == before
    assert [path.name for path in ccr.folder.glob("config*")] == ["config.json"]


def test_a_browser_that_fails(ccr: Ccr, browser: Path, port: int) -> None:
    """Is no failure of ours: the address is there to be opened by hand."""
    ccr.configure(PORT=port)
    done = ccr.run("ui", BROWSER="/nowhere/firefly %s", PATH=os.path.dirname(ccr.command()[0]))  # noqa: PTH120 - a text for a variable
    assert done.returncode == 0
    assert "No browser was opened" in done.stderr


def test_the_key_is_in_no_address(ccr: Ccr, browser: Path, port: int) -> None:
    """With a key configured it is asked for in the page: neither output nor browser gets it."""
    ccr.configure(PORT=port, APIKEY=KEY)
    done = ccr.run("ui")
    assert done.returncode == 0
    assert KEY not in done.stdout + done.stderr + browser.read_text()
    assert "Sign in there with the router's key: APIKEY." in done.stderr
    text = page(port)  # by way of the redirect
    assert 'type="password"' in text
    assert "Overview" not in text


def test_the_key_of_a_start(ccr: Ccr, port: int) -> None:
    """A router with a key of its command line says that it is that one."""
    ccr.configure(PORT=port)
    ccr.serve("--apikey", KEY)
    done = ccr.run("ui")
    assert done.returncode == 0
    assert "that of its --apikey" in done.stderr


def test_without_a_config(ccr: Ccr, port: int) -> None:
    """The starter config is written, as `ccr start` does, and the dry run shown."""
    done = ccr.run("ui", SERVICE_PORT=str(port))
    assert done.returncode == 0
    assert "Created a starter config" in done.stderr
    assert "answers here, scripted" in page(port, "providers")


def test_a_router_that_cannot_start(ccr: Ccr, port: int) -> None:
    """Its reason is told, the exit code is 1, and no address is printed: not for a broken config, not for one that the policy
    forbids."""
    provider = {
        "name": "openrouter",
        "api_base_url": "https://openrouter.ai/api/v1/chat/completions",
        "api_key": "k" * 20,
        "models": ["m"],
    }
    ccr.configure(PORT=port, Providers=[provider], Router={"default": "openrouter,m"})
    done = ccr.run("ui", CCR_POLICY="anthropic-only")
    assert (done.returncode, done.stdout) == (1, "")
    assert "BANNED provider: openrouter" in done.stderr
    (ccr.folder / "config.json").write_text("{ broken")
    done = ccr.run("ui")
    assert (done.returncode, done.stdout) == (1, "")
    assert "config.json" in done.stderr


def test_a_router_that_is_not_on_loopback(ccr: Ccr, port: int) -> None:
    """Pages are for this machine by its loopback address: where none is listened on there is nothing to open."""
    running = Running("192.0.2.1", port, 1, "x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ui, "ensure_running", lambda _config: (True, running))
        patch.setattr(ui, "create_starter_config", lambda: None)
        patch.setattr(ui, "load_for_clients", lambda _options: None)
        patch.setattr(ui, "_open", lambda _url: pytest.fail("a browser was opened"))
        assert ui.command.main([], standalone_mode=False) == 1


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "linux", False),
        ({}, "freebsd14", False),
        ({"DISPLAY": ""}, "linux", False),
        ({}, "darwin", True),
        ({}, "win32", True),
        ({"SSH_CONNECTION": "a b"}, "darwin", False),
        ({"SSH_TTY": "/dev/x"}, "win32", False),
        ({"SSH_CLIENT": "a", "DISPLAY": "localhost:10.0"}, "linux", True),
        ({"CI": "true", "DISPLAY": ":0"}, "linux", False),
        ({"CI": "1"}, "darwin", False),
        ({"CCR_NO_BROWSER": "1", "DISPLAY": ":0"}, "linux", False),
        ({"CCR_NO_BROWSER": "yes"}, "darwin", False),
        ({"CCR_NO_BROWSER": "0"}, "darwin", True),
        ({"CCR_NO_BROWSER": ""}, "darwin", True),
    ],
)
def test_where_there_is_a_browser(environ: dict[str, str], platform: str, *, expected: bool) -> None:
    """A display, or a system that always has one and is not reached from afar; never in CI, nor against the user's word."""
    assert has_browser(environ, platform) is expected


def test_npm_run_leads_here(ccr: Ccr) -> None:
    """The script that `ccr install --npm` adds calls a command that there is."""
    assert SCRIPTS["router:ui"] == "ccr ui"
    assert {words.split()[1] for words in SCRIPTS.values()} <= set(COMMANDS)
