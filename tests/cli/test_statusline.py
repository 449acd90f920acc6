"""`ccr statusline` as Claude Code runs it: JSON in, a line out, with a router, without one, and with a broken one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from ccrouter.service.owncommand import own_command
from tests.cli.conftest import LIMIT, Ccr, FakeClaude, read_until

SESSION = "6d0bbd9e-2a2f-4a51-9d3e-3f1f0a1b2c3d"
KEY = "router-key-of-the-line-0123"
GUIDE = {
    "servers": {"claude-code-router": {}},
    "providers": {"local": {"type": "openai", "baseUrl": "http://127.0.0.1:9/v1", "apiKey": "k", "models": ["m"]}},
    "routers": {"default": {"routes": {"local,m": {"default": True}}}},
}


def said(**more: object) -> str:
    told = {"session_id": SESSION, "model": {"display_name": "Sonnet 5"}, "workspace": {"current_dir": "/srv/shop"}}
    return json.dumps(told | more)


def converse(url: str, key: str) -> None:
    """A turn of the session."""
    body = b'{"model":"claude-x","max_tokens":8,"messages":[{"role":"user","content":"hi"}]}'
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "x-claude-code-session-id": SESSION,
    }
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/messages", body, headers), timeout=10) as answer:
        assert answer.status == 200


def line_until(ccr: Ccr, wanted: str, *words: str, **environ: str) -> str:
    """The line, once it has `wanted` in it: records are written in batches, and a busy router is not waited for."""
    until = time.monotonic() + LIMIT
    while True:
        done = ccr.run("statusline", *words, stdin=said(), NO_COLOR="1", **environ)
        assert (done.returncode, done.stderr) == (0, "")
        if wanted in done.stdout or time.monotonic() > until:
            return done.stdout


def style(text: str, **more: object) -> dict:
    return {"enabled": True, "default": {"modules": [{"type": "x", "text": text}]}, **more}


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"a":'])
def test_what_is_not_json(ccr: Ccr, text: str) -> None:
    """Is said on stderr, in the words that are known, with exit code 1 and nothing on stdout."""
    done = ccr.run("statusline", stdin=text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error parsing status line data:")
    assert len(done.stderr.splitlines()) == 1


def test_without_a_router(ccr: Ccr, port: int) -> None:
    """There is a line of what Claude Code says, whether none is named, none is there, or something else is; no file is
    written.
    """
    shown = "shop Sonnet 5 ↑ 0 ↓ 0\n"
    for environ in (
        {},
        {"ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}"},
        {"ANTHROPIC_BASE_URL": "https://api.example.org"},
    ):
        done = ccr.run("statusline", stdin=said(), USE_SIMPLE_ICONS="true", NO_COLOR="1", **environ)
        assert (done.returncode, done.stdout, done.stderr) == (0, shown, "")
    assert not ccr.folder.exists()


def test_a_router_that_does_not_answer(ccr: Ccr) -> None:
    """Is not waited for: the line is there in far less time than it would take to give up on it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        done = ccr.run("statusline", stdin=said(), NO_COLOR="1", ANTHROPIC_BASE_URL=url)
        assert time.monotonic() - began < LIMIT / 2
    assert (done.returncode, done.stderr) == (0, "")
    assert "Sonnet 5" in done.stdout


def test_any_encoding(ccr: Ccr) -> None:
    """A terminal that lacks the glyphs gets question marks, and no traceback."""
    done = ccr.run("statusline", stdin=said(), PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    assert "? shop" in done.stdout


def test_the_model_that_answered(ccr: Ccr, port: int) -> None:
    """With a router that has a record of the session the line tells who really answered, and where."""
    ccr.configure(PORT=port, APIKEY=KEY, StatusLine=style("{{model}} of {{provider}} by {{route}}, {{requests}}"))
    ccr.serve()
    url = f"http://127.0.0.1:{port}"
    environ = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": KEY}
    assert line_until(ccr, "dry-run", **environ) == "dry-run of  by ,\n"  # the default route's, before the first turn
    converse(url, KEY)
    assert line_until(ccr, "1", **environ) == "dry-run of dry-run by default, 1\n"
    done = ccr.run("statusline", stdin=said(), **environ | {"ANTHROPIC_AUTH_TOKEN": "another"})
    assert (done.returncode, done.stdout) == (0, "Sonnet 5 of  by ,\n")


@pytest.mark.parametrize("shape", [{}, GUIDE], ids=["classic", "guide"])
def test_ccr_code_turns_it_on(ccr: Ccr, claude: FakeClaude, port: int, shape: dict) -> None:
    """Where `StatusLine.enabled` says so, in either shape of the config, claude is given the command; it works with what
    claude's environment has, and the key of the launch lets it in.
    """
    config = ccr.configure(PORT=port, APIKEY=KEY, StatusLine=style("{{model}}"), **shape)
    child = ccr.spawn("code", FAKE_CLAUDE="wait")
    read_until(child, "ready")
    told = claude.told
    given = told["settings"]["statusLine"]
    assert given == {"type": "command", "command": given["command"], "padding": 0}
    environ = {**told["env"], "NO_COLOR": "1"}
    assert environ["ANTHROPIC_AUTH_TOKEN"] != KEY
    config.rename(config.with_name("away.json"))  # the style is the running router's
    until = time.monotonic() + LIMIT
    wanted = "m\n" if shape else "dry-run\n"
    shown = ""
    while shown != wanted and time.monotonic() < until:
        done = subprocess.run(
            given["command"], shell=True, env=environ, input=said(), capture_output=True, text=True, timeout=LIMIT, check=True
        )  # fmt: skip
        shown = done.stdout
    assert shown == wanted


@pytest.mark.parametrize("setting", [None, {"enabled": False}, {}])
def test_ccr_code_leaves_it_off(ccr: Ccr, claude: FakeClaude, port: int, setting: object) -> None:
    """Anywhere else claude's own setting is left as it is."""
    ccr.configure(PORT=port, **({} if setting is None else {"StatusLine": setting}))
    assert ccr.run("code").returncode == 0
    assert "statusLine" not in claude.told["settings"]


def test_a_preset_brings_its_own(ccr: Ccr, claude: FakeClaude, port: int) -> None:
    """`ccr NAME` gives claude the preset's line where the preset turns one on, and the config's otherwise."""
    ccr.configure(PORT=port, StatusLine=style("ours"))
    provider = {"name": "p", "api_base_url": "http://127.0.0.1:9/v1/chat/completions", "api_key": "k", "models": ["m"]}
    for name, more in (("team", {"StatusLine": style("theirs")}), ("plain", {})):
        folder = ccr.folder / "presets" / name
        folder.mkdir(parents=True)
        manifest = {"name": name, "version": "1", "Providers": [provider], "Router": {"default": "p,m"}, **more}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    assert ccr.run("team").returncode == 0
    assert claude.told["settings"]["statusLine"]["command"].endswith(" statusline team")
    url = claude.told["env"]["ANTHROPIC_BASE_URL"]
    assert line_until(ccr, "theirs", "team") == line_until(ccr, "theirs", ANTHROPIC_BASE_URL=url) == "theirs\n"
    assert ccr.run("plain").returncode == 0
    assert claude.told["settings"]["statusLine"]["command"].endswith(" statusline")
    assert line_until(ccr, "ours", "plain") == "ours\n"


def test_the_command_is_this_one(tmp_path: Path) -> None:
    """`ccr` alone only where the PATH leads to this very one; else its path, quoted for a shell."""
    script = Path(sys.executable).with_name("ccr")
    assert script.is_file()
    assert own_command({"PATH": str(script.parent)}) == "ccr"
    other = tmp_path / "ccr"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert own_command({"PATH": str(tmp_path)}) == own_command({"PATH": ""}) == str(script)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(tmp_path / "a b" / "python"))
        assert own_command({"PATH": ""}) == f"'{tmp_path}/a b/python' -m ccrouter"


def test_at_a_terminal(ccr: Ccr) -> None:
    """Nothing is waited for: the line is that of the folder."""
    ours, theirs = os.openpty()
    try:
        done = subprocess.run(
            ccr.command("statusline"), env=ccr.environ | {"NO_COLOR": "1", "USE_SIMPLE_ICONS": "true"}, stdin=theirs,
            capture_output=True, text=True, timeout=LIMIT, check=True, cwd=ccr.home,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout.startswith("home ")


def test_it_is_quick(ccr: Ccr) -> None:
    """It takes less than 120 ms of processor time (elapsed time would measure the machine's other work)."""
    spent = []
    for _ in range(3):
        child = subprocess.Popen(
            ccr.command("statusline"), env=ccr.environ, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert child.stdin is not None
        child.stdin.write(said().encode())
        child.stdin.close()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        spent.append(usage.ru_utime + usage.ru_stime)
    assert min(spent) < 0.12


def test_help(ccr: Ccr) -> None:
    """The options are those of every other command."""
    assert "[PRESET]" in ccr.run("statusline", "--help").stdout
    assert ccr.run("statusline", "--nonsense").returncode == 2
    assert ccr.run("statusline", "a", "b").returncode == 2
