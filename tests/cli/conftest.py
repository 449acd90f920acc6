"""Runs the real `ccr` as a process of its own in a scratch home, with a claude that writes down how it was called."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ccrouter.service.process import end
from ccrouter.service.state import read_live

LIMIT = 30  # seconds after which a test gives up waiting; what it waits for takes one

FAKE_CLAUDE = """#!{python}
import json, os, signal, stat, sys
told = {{"argv": sys.argv[1:], "env": dict(os.environ), "pid": os.getpid()}}
if "--settings" in sys.argv and not os.environ.get("FAKE_NO_SETTINGS"):
    path = sys.argv[sys.argv.index("--settings") + 1]
    told["settings"] = json.load(open(path))
    told["settings_mode"] = stat.S_IMODE(os.stat(path).st_mode)
    told["settings_folder_mode"] = stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode)
mode = os.environ.get("FAKE_CLAUDE", "")
if mode == "stdin":
    told["stdin"] = sys.stdin.read()
json.dump(told, open(os.environ["FAKE_CLAUDE_OUT"], "w"))
if mode == "count-interrupts":
    count = 0
    def interrupted(*_):
        global count
        count += 1
        os.write(1, b"interrupted\\n")
    signal.signal(signal.SIGINT, interrupted)
    print("ready", flush=True)
    sys.stdin.readline()
    print("count", count, flush=True)
elif mode == "wait":
    print("ready", flush=True)
    signal.pause()
else:
    print('{{"type":"result"}}')
sys.exit(int(os.environ.get("FAKE_CLAUDE_EXIT", "0")))
"""


@dataclass
class Ccr:
    """`ccr` in a scratch home. Every router started there is ended when the test is over."""

    home: Path
    environ: dict[str, str] = field(default_factory=dict)
    children: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.home / ".claude-code-router"

    def configure(self, **settings: Any) -> Path:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        path = self.folder / "config.json"
        path.write_text(json.dumps(settings))
        path.chmod(0o600)
        return path

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "ccrouter", *words]

    def run(self, *words: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """`ccr <words>` to its end. Its pipes must close too: programs in the wild wait for that."""
        return subprocess.run(
            self.command(*words),
            env=self.environ | environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
            cwd=self.home,
        )

    def spawn(self, *words: str, prefix: Sequence[str] = (), stdin: Any = subprocess.PIPE, **environ: str) -> Any:
        child = subprocess.Popen(
            [*prefix, *self.command(*words)],
            env=self.environ | environ,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
        )
        self.children.append(child)
        return child

    def serve(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """`ccr start <words>` in the foreground, listening."""
        child = self.spawn("start", *words, **environ)
        read_until(child, "listens on")
        return child

    def close(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout, child.stderr):
                if pipe is not None:
                    pipe.close()
        for state in read_live(self.folder):
            end(state.process)


def read_until(child: subprocess.Popen[str], wanted: str) -> list[str]:
    """The lines of `child`'s stdout up to and with the first that contains `wanted`."""
    assert child.stdout is not None
    lines: list[str] = []
    giving_up = threading.Timer(LIMIT, child.kill)
    giving_up.start()
    try:
        for line in child.stdout:
            lines.append(line.rstrip("\n"))
            if wanted in line:
                return lines
    finally:
        giving_up.cancel()
    child.kill()
    assert child.stderr is not None
    raise AssertionError(f"no {wanted!r} in {lines}; stderr: {child.stderr.read()}")


@pytest.fixture
def ccr(tmp_path: Path) -> Iterator[Ccr]:
    home = tmp_path / "home"
    home.mkdir()
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    for name in ("PYTHONPATH", "SYSTEMROOT"):
        if name in os.environ:
            environ[name] = os.environ[name]
    scratch = Ccr(home, environ)
    yield scratch
    scratch.close()


@pytest.fixture
def port() -> int:
    return free_port()


def free_port() -> int:
    """A port that nobody listens on, below those that systems give to outgoing connections: it stays free."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:  # taken
                continue
        return port


@dataclass
class FakeClaude:
    """A `claude` that writes down how it was called."""

    path: Path
    out: Path

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.out.read_text())
        return told

    def close(self) -> None:
        """End a claude that still waits, if it is one of this test's."""
        if not self.out.exists():
            return
        pid = int(self.told["pid"])
        try:
            is_ours = str(self.path).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except FileNotFoundError:
            return
        if is_ours:
            os.kill(pid, signal.SIGKILL)

    @property
    def was_called(self) -> bool:
        return self.out.exists()


@pytest.fixture
def claude(ccr: Ccr, tmp_path: Path) -> Iterator[FakeClaude]:
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / "claude"
    path.write_text(FAKE_CLAUDE.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    fake = FakeClaude(path, tmp_path / "claude.json")
    ccr.environ["PATH"] = f"{folder}{os.pathsep}{ccr.environ['PATH']}"
    ccr.environ["FAKE_CLAUDE_OUT"] = str(fake.out)
    yield fake
    fake.close()


def tree(folder: Path) -> set[str]:
    """Every path under `folder`."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
