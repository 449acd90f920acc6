"""`ccr code` with the real Claude Code: it starts the router, gets out of the way, and the router outlives it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.e2e.brain import GREETING
from tests.e2e.claude_code import ClaudeCode
from tests.e2e.conftest import UPSTREAM_KEY, Roads, config
from tests.e2e.router import CCR, free_port

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def ccr(claude: ClaudeCode, roads: Roads, port: int, tmp_path: Path) -> Iterator[Command]:
    """Runs a `ccr` command in a home whose config names the scripted model and the installed Claude Code."""
    folder = tmp_path / ".claude-code-router"
    folder.mkdir()
    settings = json.loads(config("anthropic", roads.take("direct").url))
    settings |= {"PORT": port, "CLAUDE_PATH": claude.command[0]}
    (folder / "config.json").write_text(json.dumps(settings))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "SCRIPTED_API_KEY": UPSTREAM_KEY,
        "OTHER_API_KEY": "unused",
        "IS_SANDBOX": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_MAX_RETRIES": "2",
    }

    def run(*arguments: str, entered: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(CCR), *arguments],
            env=environment,
            cwd=tmp_path,
            input=entered,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    yield run
    run("stop")


def test_code_runs_claude_through_the_router(ccr: Command, roads: Roads, port: int):
    """stdout is Claude Code's own JSON lines, its arguments and stdin are untouched, and the router stays up."""
    done = ccr("code", "-p", "--output-format", "stream-json", "--verbose", entered="[[GREET]]")
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    events = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert events[-1]["result"] == GREETING
    assert roads.take("direct").upstream.requests[-1].headers["x-api-key"] == UPSTREAM_KEY
    with urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        assert answer.status == 200
    stopped = ccr("stop")
    assert (stopped.returncode, "successfully stopped" in stopped.stdout) == (0, True), stopped
    with pytest.raises(OSError, match="refused"):
        urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
