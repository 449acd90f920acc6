"""The real router as a subprocess: `ccr start` in a scratch home, stopped with SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

CCR = Path(sys.executable).with_name("ccr")
START_LIMIT = 20
STOP_LIMIT = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Router:
    """`with Router(config_text, home, variables)`: `url` answers /health from then on."""

    def __init__(self, config: str, home: Path, variables: dict[str, str], more: tuple[str, ...] = ()) -> None:
        self.home = home
        self.config = home / "router-config.json"
        self.config.write_text(config, encoding="utf-8")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._out, self._err = home / "router.out", home / "router.err"
        self._variables = variables
        self._more = more

    def __enter__(self) -> Self:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            **self._variables,
        }
        command = [str(CCR), "start", "--config", str(self.config), "--port", str(self.port), *self._more]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                command, env=environment, cwd=self.home, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        deadline = time.monotonic() + START_LIMIT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"ccr start did not become healthy\n{self.told()}")
        return self

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/health", timeout=1) as answer:
                return bool(json.load(answer)) and answer.status == 200
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.02)  # another process starts; nothing here to wait on
            return False

    def told(self) -> str:
        """Everything the router has printed."""
        return (
            f"-- ccr stdout --\n{self._out.read_text(errors='replace')}"
            f"\n-- ccr stderr --\n{self._err.read_text(errors='replace')}"
        )

    @property
    def first_line(self) -> str:
        return self._out.read_text().partition("\n")[0]

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"SIGTERM did not stop ccr in {STOP_LIMIT} s\n{self.told()}") from None
        told = self.told()
        assert "Traceback" not in told, told
        assert code in (0, -signal.SIGTERM), f"ccr ended with {code}\n{told}"
