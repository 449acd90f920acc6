"""What every `ccr` answers without doing anything: version, help, a word it does not know."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import ccrouter
from ccrouter.cli.commands import ALIASES, COMMANDS
from tests.cli.conftest import Ccr, tree

HEAVY = ("click", "rich", "msgspec", "aiohttp", "ccrouter.config", "ccrouter.service")


@pytest.mark.parametrize("word", ["-v", "--version", "version"])
def test_version_line(ccr: Ccr, word: str) -> None:
    """The first line holds x.y.z and the classic words, the exit code is 0, and nothing else is printed."""
    done = ccr.run(word)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"claude-code-router version: {ccrouter.__version__}\n"
    assert re.search(r"\d+\.\d+\.\d+", done.stdout.splitlines()[0])


@pytest.mark.parametrize(
    "words", [["-v"], ["--version"], ["version"], ["help"], ["-h"], ["--help"], [], ["help", "start"]]
)
def test_words_touch_nothing(ccr: Ccr, words: list[str]) -> None:
    """Version and help write no file, not even with a broken config, and end with 0."""
    ccr.configure()
    (ccr.folder / "config.json").write_text("{ broken")
    before = tree(ccr.home)
    assert ccr.run(*words).returncode == 0
    assert tree(ccr.home) == before


@pytest.mark.parametrize(("words", "banned"), [(["-v"], HEAVY), ([], HEAVY[1:]), (["help"], HEAVY[1:])])
def test_words_import_nothing_heavy(ccr: Ccr, words: list[str], banned: tuple[str, ...]) -> None:
    """The version is told before even click is imported; help imports click and nothing of the router."""
    command = [sys.executable, "-X", "importtime", "-m", "ccrouter", *words]
    done = subprocess.run(command, env=ccr.environ, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "ccrouter.cli" in imported
    assert not [name for name in imported if name in banned or name.startswith(tuple(f"{one}." for one in banned))]


@pytest.mark.parametrize("words", [["-v"], ["version"], [], ["help"]])
def test_words_are_quick(ccr: Ccr, words: list[str]) -> None:
    """Version and help take less than 150 ms of processor time (elapsed time would measure the machine's other work)."""
    spent = []
    for _ in range(3):
        child = subprocess.Popen(ccr.command(*words), env=ccr.environ, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        spent.append(usage.ru_utime + usage.ru_stime)
    assert min(spent) < 0.15


def test_bare_call_shows_help_and_next_steps(ccr: Ccr) -> None:
    """`ccr` alone lists every command and says how to begin."""
    done = ccr.run()
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert "ccr start" in done.stdout


@pytest.mark.parametrize("name", [*COMMANDS, *ALIASES])
def test_every_command_has_help(ccr: Ccr, name: str) -> None:
    """`ccr help NAME` describes the command."""
    done = ccr.run("help", name)
    assert done.returncode == 0
    assert f"Usage: ccr {name}" in done.stdout


def test_unknown_word(ccr: Ccr) -> None:
    """A word that is no command ends with 1, help and the nearest command on stderr, nothing on stdout."""
    done = ccr.run("strat")
    assert (done.returncode, done.stdout) == (1, "")
    assert "'strat' is not a ccr command" in done.stderr
    assert "did you mean `ccr start`?" in done.stderr
    assert "Commands:" in done.stderr


def test_wrong_option(ccr: Ccr) -> None:
    """An option that is not understood ends with 2 and says where the options are listed."""
    done = ccr.run("start", "--port", "many")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: " in done.stderr
    assert "`ccr start --help`" in done.stderr


def test_output_in_a_narrow_encoding(ccr: Ccr) -> None:
    """A terminal that knows only ASCII gets `?` for a symbol, not a crash."""
    done = ccr.run("status", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "Status: Not Running" in done.stdout


def test_reader_that_leaves(ccr: Ccr) -> None:
    """`ccr status | true` complains about nothing."""
    child = ccr.spawn("status")
    child.stdout.close()
    _, stderr = child.communicate(timeout=30)
    assert "Traceback" not in stderr
    assert "BrokenPipe" not in stderr
