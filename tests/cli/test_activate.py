"""`ccr activate`: only shell commands on stdout, safe for any key, and nothing made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from ccrouter.cli.activate import fish, powershell
from tests.cli.conftest import Ccr, free_port, tree

HARD_KEY = "a\"b$HOME`id`\\c'd!e"
NAMES = ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "NO_PROXY", "DISABLE_COST_WARNINGS", "API_TIMEOUT_MS"]


@pytest.mark.parametrize("word", ["activate", "env"])
def test_classic_lines(ccr: Ccr, word: str) -> None:
    """The classic `export K="V"` lines and `unset`, nothing else on stdout; in an empty home nothing is made."""
    done = ccr.run(word)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert 'export ANTHROPIC_AUTH_TOKEN="test"' in lines
    assert 'export ANTHROPIC_BASE_URL="http://127.0.0.1:3456"' in lines
    assert 'export API_TIMEOUT_MS="600000"' in lines
    assert "unset CLAUDE_CODE_USE_BEDROCK" in lines
    assert all(line.startswith(("export ", "unset ")) for line in lines)
    assert tree(ccr.home) == set()


@pytest.mark.parametrize("shell", ["bash", "sh", "zsh"])
def test_a_shell_reads_it(ccr: Ccr, shell: str) -> None:
    """`eval` in a real shell gives exactly the values, for a key full of the shell's own characters, and runs none of it."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    ccr.configure(APIKEY=HARD_KEY.replace("$", "$$"))
    command = " ".join(ccr.command("activate"))
    script = (
        f'eval "$({command} 2>/dev/null)"; printf "%s\\0" "$ANTHROPIC_AUTH_TOKEN" "${{CLAUDE_CODE_USE_BEDROCK-unset}}"'
    )
    environ = ccr.environ | {"CLAUDE_CODE_USE_BEDROCK": "1"}
    done = subprocess.run([shell, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split("\0")[:2] == [HARD_KEY, "unset"]


def test_fish() -> None:
    """fish: its own words, its own escapes, and a backquote as it is."""
    text = fish({"K": HARD_KEY}, ["GONE"])
    assert text == 'set -gx K "a\\"b\\$HOME`id`\\\\c\'d!e"\nset -e GONE'


def test_powershell() -> None:
    """PowerShell: single quotes, doubled inside."""
    text = powershell({"K": HARD_KEY}, ["GONE"])
    assert text == "$env:K = 'a\"b$HOME`id`\\c''d!e'\nRemove-Item Env:GONE -ErrorAction SilentlyContinue"


def test_vscode(ccr: Ccr) -> None:
    """`--shell vscode` is JSON to paste into the editor's settings."""
    told = json.loads(ccr.run("activate", "--shell", "vscode").stdout)
    pairs = {entry["name"]: entry["value"] for entry in told["claudeCode.environmentVariables"]}
    assert pairs["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:3456"
    assert pairs["CLAUDE_CODE_USE_BEDROCK"] == ""


def test_port_of_what_runs(ccr: Ccr, port: int) -> None:
    """The URL is that of the running router, not of the config."""
    ccr.configure(PORT=free_port())
    ccr.serve("--port", str(port))
    done = ccr.run("activate")
    assert f'export ANTHROPIC_BASE_URL="http://127.0.0.1:{port}"' in done.stdout
    assert done.stderr == ""


def test_broken_config(ccr: Ccr) -> None:
    """A broken config puts nothing on stdout: `eval` of it does nothing. Exit code 1."""
    ccr.configure()
    (ccr.folder / "config.json").write_text("{ broken")
    done = ccr.run("activate")
    assert (done.returncode, done.stdout) == (1, "")
    assert "config.json" in done.stderr


def test_names(ccr: Ccr) -> None:
    """Every variable that the classic router exported is there, but DISABLE_TELEMETRY for a claude of unknown version."""
    lines = ccr.run("activate", PATH=os.devnull).stdout
    assert all(f"export {name}=" in lines for name in NAMES)
    assert "DISABLE_TELEMETRY" not in lines
