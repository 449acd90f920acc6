"""The router and the provider as processes: started, looked at from outside, killed."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT = 30.0
#: The largest number of descriptors that a run needs: two for each of 512 exchanges, and some.
_DESCRIPTORS = 4096
ROUTER_KEY = "soak-router-key-0123456789"


_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_us() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class SoakError(Exception):
    """The soak itself cannot go on; the text says why."""


def allow_descriptors() -> None:
    """After the call this process and its children may open as many files as are needed, where the system lets them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _DESCRIPTORS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_DESCRIPTORS, hard), hard))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ProviderProcess:
    """`with ProviderProcess() as provider`: the faulty provider; it ends with us, also if we are killed."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "soak.upstream"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    async def told(self, session: aiohttp.ClientSession) -> dict[str, int]:
        """How many requests it is working on, has answered, was left by."""
        async with session.get(f"{self.url}/open") as response:
            told: dict[str, int] = json.loads(await response.read())
            return told


class RouterProcess:
    """`ccr start` in a home of its own under `folder`, on a port that stays the same over its restarts."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.folder = self.home / ".claude-code-router"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.config = self.folder / "config.json"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.errors = folder / "router.err"
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._window: tuple[int, Any] | None = None

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        places = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return {**kept, "HOME": str(self.home), "LANG": "C.UTF-8", "PYTHONPATH": places}

    def configure(self, settings: dict[str, Any]) -> None:
        """After the call the config file says so; nobody sees a half of it."""
        fresh = self.config.with_name("config.next")
        fresh.write_text(json.dumps(settings, indent=2))
        fresh.chmod(0o600)
        fresh.replace(self.config)

    def start(self, *, is_watched: bool = False) -> None:
        """After the call the process is there; `healthy` tells when it serves."""
        words = ["start", "--config", str(self.config), "--port", str(self.port)]
        command = [sys.executable, "-m", "ccrouter", *words]
        passed: tuple[int, ...] = ()
        if is_watched:
            asked, asking = os.pipe()
            told, telling = os.pipe()
            command = [sys.executable, "-m", "soak.watched", str(asked), str(telling), *words]
            passed = (asked, telling)
        with self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                env=self.environ,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # without a terminal SIGHUP is a reload
                pass_fds=passed,
                preexec_fn=_die_with_us,  # noqa: PLW1509 - nothing may outlive the run
            )
        self.starts += 1
        if is_watched:
            for one in passed:
                os.close(one)
            self._window = (asking, os.fdopen(told, "rb"))

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process

    async def healthy(self, session: aiohttp.ClientSession) -> float:
        """Returns once it answers, with the seconds waited. Raises SoakError if it ends, or never does."""
        began = time.monotonic()
        while True:
            try:
                async with session.get(f"{self.url}/health") as response:
                    if response.status == 200:
                        return time.monotonic() - began
            except (aiohttp.ClientError, OSError):
                pass  # it is not there yet
            if self.process.poll() is not None:
                raise SoakError(f"ccr start ended with {self.process.returncode}:\n{self.said()}")
            if time.monotonic() - began > START_LIMIT:
                raise SoakError(f"ccr start does not answer after {START_LIMIT:.0f} s:\n{self.said()}")
            await asyncio.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL; after the call it is gone."""
        self.process.kill()
        self.process.wait()
        self._close_window()

    def stop(self) -> int:
        """SIGTERM; its exit code. Killed if it does not end in 20 s: then -9."""
        if self._process is None:
            return 0
        self._close_window()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def said(self) -> str:
        """What it wrote to stderr, in all its lives."""
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`ccr <words>` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "ccrouter", *words],
            env=self.environ,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def sample(self) -> dict[str, float]:
        """Memory in MB, open descriptors and threads of the process, as the system counts them."""
        place = Path(f"/proc/{self.process.pid}")
        facts = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        return {
            "rss": int(facts["VmRSS"].split()[0]) / 1024,
            "descriptors": float(len(list((place / "fd").iterdir()))),
            "threads": float(facts["Threads"]),
        }

    async def tasks(self, *, collected: bool = False) -> dict[str, Any]:
        """`tasks` of its event loop, and how many run what (`names`). With `collected` garbage does not count."""
        assert self._window is not None, "it was not started with a window"
        asking, told = self._window
        os.write(asking, b"g" if collected else b"c")
        found: dict[str, Any] = json.loads(await asyncio.to_thread(told.readline))
        return found

    def _close_window(self) -> None:
        if self._window is not None:
            os.close(self._window[0])
            self._window[1].close()
            self._window = None

    def remove(self) -> None:
        shutil.rmtree(self.home.parent, ignore_errors=True)
