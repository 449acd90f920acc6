"""The search finds what it is for: a canary in any dress, and the plugin a test that leaves one behind."""

from __future__ import annotations

import base64
import html
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.architecture.sources import ROOT
from tests.canary.canaries import CONTENT, CREDENTIALS, GOOGLE, KEYS, NON_ASCII, REGEX
from tests.canary.search import leaks, leaks_in_files
from tests.canary.watch import FIXTURE_KEYS

EVERY = (*KEYS, *CREDENTIALS, *CONTENT)

DRESSES = {
    "plain": lambda text: text.encode(),
    "json": lambda text: json.dumps({"error": text}).encode(),
    "json, not ASCII": lambda text: json.dumps({"error": text}, ensure_ascii=False).encode(),
    "json in json": lambda text: json.dumps({"raw": json.dumps({"error": text})}).encode(),
    "json of JavaScript or PHP": lambda text: json.dumps(text).replace("/", "\\/").encode(),
    "url": lambda text: quote(text, safe="").encode(),
    "url, lower case": lambda text: quote(text, safe="").lower().encode() if text.islower() else quote(text).encode(),
    "form": lambda text: quote_plus(text).encode(),
    "html": lambda text: html.escape(text).encode(),
    "repr": lambda text: repr(text).encode(),
    "hex": lambda text: text.encode().hex().encode(),
    "basic": lambda text: base64.b64encode(f"user:{text}".encode()),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64, as a part": lambda text: base64.urlsafe_b64encode(f"ab{text}cd".encode()),
    "cut off": lambda text: text[: len(text) // 2 + 1].encode() + b" ...",
    "its end": lambda text: b"... " + text[len(text) // 2 :].encode(),
}


@pytest.mark.parametrize("dress", DRESSES)
def test_every_dress_is_seen_through(dress):
    """Each canary is found in each dress, under its own name only; the line names canary and place, and quotes none of it."""
    for canary in EVERY:
        (line,) = leaks(EVERY, b"before " + DRESSES[dress](canary.text) + b" after", "the log")
        assert line.startswith(canary.name)
        assert "in the log" in line
        assert leaks([canary], line.encode(), "the line") == []


def test_nothing_is_found_where_nothing_is():
    """Masks, words and other canaries' neighbours are no canaries."""
    assert leaks(EVERY, b'{"error": "***", "key": "sk-ant-api03-***", "hint": "canary"}', "x") == []
    for one, other in itertools.permutations(EVERY, 2):
        assert leaks([one], other.text.encode(), "x") == []


def test_files_are_searched_with_their_names(tmp_path):
    """A canary in a file, or in the name of a file or folder, is found and placed."""
    (tmp_path / "a").write_bytes(b"\0\xff" + NON_ASCII.text.encode())
    (tmp_path / GOOGLE.text).mkdir()
    found = leaks_in_files([GOOGLE, NON_ASCII, REGEX], sorted(tmp_path.rglob("*")), tmp_path)
    assert len(found) == 2
    assert any(line.startswith(NON_ASCII.name) and " in a, after" in line for line in found)
    assert any(line.startswith(GOOGLE.name) for line in found)


def test_canaries_differ():
    """No canary has what another has as its half: a finding names the right one."""
    assert len({canary.name for canary in EVERY}) == len(EVERY)
    assert all(len(canary.text) >= 32 for canary in EVERY)


# -- the plugin --------------------------------------------------------------------------------------------------------

KEY = FIXTURE_KEYS[0].text
PLANTED = {
    "stdout": f"def test_it():\n    print({KEY!r})\n",
    "stderr": f"import sys\ndef test_it():\n    sys.stderr.write({KEY!r})\n",
    "a log record": f"import logging\ndef test_it():\n    logging.getLogger('x').warning('key %s', {KEY!r})\n",
    "the output of a fixture": f"import pytest\n@pytest.fixture\ndef f():\n    yield\n    print({KEY!r})\ndef test_it(f): pass\n",
    "a subprocess": f"import os\ndef test_it():\n    os.system('echo {KEY}')\n",
    "a log file": f"def test_it(tmp_path):\n    (tmp_path / 'h').mkdir()\n    (tmp_path / 'h' / 'ccr-1.log').write_text({KEY!r})\n",
    "an audit file": f"def test_it(tmp_path):\n    (tmp_path / 'audit-3456.jsonl').write_text({KEY!r})\n",
    "a folder of several tests": f"def test_it(tmp_path_factory):\n    (tmp_path_factory.mktemp('x') / 'x.log').write_text({KEY!r})\n",
    "a failing test": f"def test_it():\n    print({KEY!r})\n    assert 1 == 2\n",
}


@pytest.fixture
def folder():
    """A folder that this run's own plugin does not look into."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def run(folder, code, *options):
    """A run of pytest with the plugin over one file of tests, in a process of its own."""
    (folder / "conftest.py").write_text(
        "from tests.canary.watch import Watch\ndef pytest_configure(config):\n    config.pluginmanager.register(Watch())\n"
    )
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    (folder / "test_planted.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", folder / "temp"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [*command, *options, folder / "test_planted.py"],
        capture_output=True, text=True, timeout=60, check=False, cwd=folder, env={**environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("where", PLANTED)
def test_the_plugin_finds(folder, where):
    """A test that leaves a key in its output, a log or an audit file makes the run fail, naming key and place."""
    done = run(folder, PLANTED[where])
    assert done.returncode == 1, done.stdout
    assert "keys were left behind" in done.stdout
    assert FIXTURE_KEYS[0].name in done.stdout


def test_the_plugin_finds_in_other_processes(folder):
    """With the tests spread over processes the run fails as well, for a test's own folder and for a common one."""
    code = PLANTED["a log file"] + PLANTED["a folder of several tests"].replace("test_it", "test_common")
    done = run(folder, code, "-n", "2")
    assert done.returncode == 1, done.stdout
    assert "ccr-1.log" in done.stdout
    assert "x.log" in done.stdout


def test_the_plugin_lets_others_pass(folder):
    """What is not left behind, or is no key, is no failure: output that the test reads, configs, words."""
    code = f"""\
import subprocess
def test_reads(capfd):
    print({KEY!r})
    assert capfd.readouterr().out
def test_config(tmp_path):
    (tmp_path / "config.json").write_text({KEY!r})
def test_words():
    print("upstream-secret ***")
"""
    done = run(folder, code)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
