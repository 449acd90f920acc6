"""`serve` as a process of its own: what the audit is told of it, and what SIGHUP does."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from ccrouter import __version__
from ccrouter.compliance.policy import Policy
from ccrouter.config.load import load
from ccrouter.errors import RouterError
from ccrouter.server.run import serve
from tests.server.conftest import Recorder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")

ROOT = Path(__file__).parents[2]
#: Serves the config named first; writes "ready", and each reload, to stdout, and the audit to stderr as JSON.
SERVER = """
import json, sys
from pathlib import Path
from ccrouter.compliance.policy import NO_POLICY
from ccrouter.config.load import load
from ccrouter.server.run import serve

path = Path(sys.argv[1])

def reload(_in_force):
    config = load(path, {})
    print("reload", flush=True)
    return config, NO_POLICY

class Auditor:
    def record(self, kind, facts):
        print(json.dumps([kind, dict(facts)]), file=sys.stderr, flush=True)

code = serve(load(path, {}), on_ready=lambda: print("ready", flush=True), auditor=Auditor(), reload=reload)
print("exit", code, flush=True)
sys.exit(code)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def serving(path: Path, **how):
    child = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}"},
        **how,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()


def health(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
        return json.load(answer)


def test_hangup_reloads(tmp_path):
    """SIGHUP puts the file's new content in force in the same process, a broken file changes nothing, and SIGTERM still
    ends it; start, reloads and stop are on record."""
    path, port = tmp_path / "config.json", free_port()
    path.write_text(json.dumps({"PORT": port}))
    with serving(path, start_new_session=True) as child:
        assert child.stdout.readline() == "ready\n"
        first = health(port)["config"]["digest"]
        path.write_text(json.dumps({"PORT": port, "strict": True}))
        child.send_signal(signal.SIGHUP)
        assert child.stdout.readline() == "reload\n"
        told = [json.loads(child.stderr.readline()) for _ in range(2)]
        second = health(port)["config"]["digest"]
        assert second != first
        path.write_text("{ broken")
        child.send_signal(signal.SIGHUP)
        refused = json.loads(child.stderr.readline())
        assert health(port)["config"]["digest"] == second
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0
        rest = child.stderr.read().splitlines()
    start = {"config": first, "policy": "", "reason": "policy none", "version": __version__, "port": port}
    assert told[0] == ["start", start]
    assert told[1] == ["reload", {"policy": "", "config": second, "result": "ok"}]
    assert refused[0] == "reload"
    assert refused[1]["result"] == "refused"
    assert refused[1]["config"] == second
    assert json.loads(rest[-1]) == ["stop", {**start, "config": second}]


def _take_terminal():
    """In the child: the terminal that is its stdin becomes the one that controls it."""
    import fcntl  # noqa: PLC0415 - POSIX only
    import termios  # noqa: PLC0415 - POSIX only

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_a_closed_terminal_ends_us(tmp_path):
    """With its terminal still there SIGHUP is a reload; when the terminal is closed it is the end, in order."""
    path, port = tmp_path / "config.json", free_port()
    path.write_text(json.dumps({"PORT": port}))
    ours, theirs = pty.openpty()
    with serving(path, stdin=theirs, preexec_fn=_take_terminal) as child:
        os.close(theirs)
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGHUP)
        assert child.stdout.readline() == "reload\n"
        os.close(ours)
        assert child.stdout.readline() == "exit 0\n"
        assert child.wait(30) == 0
        assert json.loads(child.stderr.read().splitlines()[-1])[0] == "stop"


def test_a_start_that_cannot_be_recorded(tmp_path):
    """If the start has to be recorded and cannot be, nothing is served, and the port is free again."""
    path, port = tmp_path / "config.json", free_port()
    path.write_text(json.dumps({"PORT": port}))
    auditor = Recorder()
    auditor.failure = RouterError("the disk is full")
    ready = []
    with pytest.raises(RouterError, match="disk is full"):
        serve(load(path, {}), policy=Policy(source="s"), on_ready=lambda: ready.append(1), auditor=auditor)
    assert ready == []
    socket.create_server(("127.0.0.1", port)).close()
