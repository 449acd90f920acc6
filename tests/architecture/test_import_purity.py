"""Importing a module does nothing but define what is in it; the command starts without what it does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, modules

PROBE = Path(__file__).with_name("import_probe.py")
#: Only run as programs: importing one is running it.
PROGRAMS = {"ccrouter.__main__"}


def deeds(names: list[str], path: Path) -> dict[str, list[str]]:
    """What importing each of the modules did, in one process after another's imports; {} if nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(PROBE), *names],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def loaded_by(statement: str) -> set[str]:
    """The modules that a new interpreter has loaded after `statement`."""
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_importing_does_nothing():
    """Importing the modules of the package, all of them, starts no thread or process, opens no file but code, no socket,
    no database, reads no variable of the environment, and sets neither environment nor signals.
    """
    names = [name for name in modules() if name not in PROGRAMS]
    assert len(names) > 50
    assert deeds(names, ROOT / "src") == {}


@pytest.mark.parametrize(
    ("code", "deed"),
    [
        ("import threading\nthreading.Thread(target=print, daemon=True).start()", "started a thread"),
        ("open('/dev/null').close()", "opened /dev/null"),
        ("from pathlib import Path\nPath(__file__ + '.txt').write_text('x')", "opened"),
        ("import socket\nsocket.socket().close()", "socket."),
        ("import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''], check=True)", "subprocess."),
        ("import os\nos.environ['X'] = '1'", "os.putenv"),
        ("import os\nos.environ.get('HOME')", "read the environment: HOME"),
        ("import os\nX = os.getenv('CCR_NOT_THERE', '1')", "read the environment: CCR_NOT_THERE"),
        ("import os\nX = os.path.expanduser('~/x')", "read the environment: HOME"),
        ("import os\ndef f():\n    return 'HOME' in os.environ and os.environ['HOME']\nf()", "read the environment: HOME"),
        ("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_DFL)\nimport sqlite3\nsqlite3.connect(':memory:').close()", "sqlite3."),
    ],
)  # fmt: skip
def test_deeds_are_found(tmp_path, code, deed):
    """A module that does any of it while it is imported is found, and an innocent one beside it is not blamed."""
    (tmp_path / "guilty.py").write_text(code)
    (tmp_path / "innocent.py").write_text("import json\nX = 1\n")
    found = deeds(["guilty", "innocent"], tmp_path)
    assert set(found) == {"guilty"}
    assert any(one.startswith(deed) for one in found["guilty"])


def test_the_command_starts_light():
    """`import ccrouter.cli`, which is all that `ccr -v` pays for, loads nothing but the standard library's least."""
    loaded = loaded_by("import ccrouter.cli")
    heavy = {
        "aiohttp",
        "msgspec",
        "rich",
        "click",
        "uvicorn",
        "uvloop",
        "starlette",
        "httptools",
        "json5",
        "asyncio",
        "ssl",
        "socket",
    }
    assert loaded & heavy == set()
    assert {name for name in loaded if name.startswith("ccrouter")} == {"ccrouter", "ccrouter.cli"}


def test_what_is_loaded_is_seen():
    """The same question, asked of a module that does load one of them, says so."""
    assert "msgspec" in loaded_by("import ccrouter.messages.events")


def test_every_module_is_asked():
    """The list of modules holds packages, modules within them and the leaves."""
    assert {"ccrouter", "ccrouter.errors", "ccrouter.messages.writer", "ccrouter.server.app", "ccrouter.cli"} <= set(
        modules()
    )
