"""The first of two providers dies: before, at and after the first byte. Real Claude Code comes to its end all the same.

The provider is a process that ends itself by SIGKILL, in whichever dialect: the answers of the first one pass as they are
or are translated, those of the second the other way round.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.brain import GREETING, Brain
from tests.e2e.claude_code import ClaudeCode, ClaudeRun
from tests.e2e.installs import ROOT
from tests.e2e.router import Router, free_port
from tests.upstream import ThreadedUpstream

pytestmark = pytest.mark.parametrize("claude", ["2.1"], indirect=True)
PATHS = {"anthropic": "/v1/messages", "chat": "/v1/chat/completions"}
#: The dialect of the first provider, and that of the second.
ROADS = [("anthropic", "chat"), ("chat", "anthropic")]


@dataclass
class Pair:
    """A router in front of a provider that dies and one that does not."""

    url: str
    first: str
    second: Brain
    router: Router

    def told(self) -> str:
        """For the reader of a failed test."""
        missed = [f"missed: {failure}" for failure in self.second.failures]
        logs = sorted((self.router.home / ".claude-code-router" / "logs").glob("*.log"))
        lines = [line for log in logs for line in log.read_text().splitlines() if '"exchange"' in line]
        return "\n".join([*missed, *lines, self.router.told()[-3000:]])

    @property
    def exchanges(self) -> list[dict]:
        """The router's own account of what was asked of it."""
        log = next((self.router.home / ".claude-code-router" / "logs").glob("*.log"))
        told = [json.loads(line) for line in log.read_text().splitlines()]
        return [line for line in told if line["msg"] == "exchange" and line["path"] == "/v1/messages"]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Callable[[tuple[str, str], int], Pair]]:
    """Builds a Pair whose first provider, of the first dialect, is at that port."""
    with ExitStack() as stack:

        def build(road: tuple[str, str], port: int) -> Pair:
            second = stack.enter_context(ThreadedUpstream())
            brain = Brain(road[1])
            second.always(brain)
            models = ["scripted-large"]
            settings = {
                "HOST": "127.0.0.1",
                "LOG": True,
                "API_TIMEOUT_MS": 60_000,
                "Providers": [
                    {
                        "name": "first",
                        "api_base_url": f"http://127.0.0.1:{port}{PATHS[road[0]]}",
                        "api_key": "sk-upstream-key-of-the-first",
                        "models": models,
                    },
                    {
                        "name": "second",
                        "api_base_url": f"{second.url}{PATHS[road[1]]}",
                        "api_key": "sk-upstream-key-of-the-second",
                        "models": models,
                    },
                ],
                "Router": {"default": "first,scripted-large"},
                "fallback": {"default": ["second,scripted-large"]},
            }
            home = tmp_path / "router"
            home.mkdir()
            router = stack.enter_context(Router(json.dumps(settings), home, {}))
            return Pair(router.url, road[0], brain, router)

        yield build


@pytest.fixture
def dying() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the provider that dies; its first line is its port."""
    with ExitStack() as stack:

        def start(wire: str, stage: str, turn: int = 1) -> subprocess.Popen[str]:
            words = ["--wire", wire, "--stage", stage, "--turn", str(turn)]
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.dying", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield start


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def ended_well(run: ClaudeRun, pair: Pair) -> str:
    """The final text of a run that went as it should."""
    told = f"{run.told()}\n{pair.told()}"
    assert not pair.second.failures, told
    assert run.code == 0, told
    assert run.result.get("subtype") == "success", told
    assert not run.result["is_error"], told
    return str(run.result["result"])


def was_invisible(run: ClaudeRun, pair: Pair) -> None:
    """One request of the client, two attempts of the router: nobody else had to do anything."""
    (exchange,) = pair.exchanges
    assert exchange["status"] == 200, pair.told()
    assert [attempt["target"] for attempt in exchange["attempts"]] == ["first,scripted-large", "second,scripted-large"]
    assert len(run.answers) == 1
    assert not [event for event in run.events if event.get("subtype") == "api_retry"]


@pytest.mark.parametrize("road", ROADS, ids=" ".join)
def test_refused(claude: ClaudeCode, pair, road, tmp_path: Path):
    """Nobody listens where the first provider was: Claude Code does not notice."""
    two = pair(road, free_port())
    run = claude.run("[[GREET]]", url=two.url, home=tmp_path)
    assert ended_well(run, two) == GREETING
    was_invisible(run, two)


@pytest.mark.parametrize("road", ROADS, ids=" ".join)
def test_killed_while_connecting(claude: ClaudeCode, pair, road, tmp_path: Path):
    """The first provider does not take the connection, and is killed meanwhile: Claude Code does not notice."""
    with Deaf() as deaf:
        two = pair(road, deaf.port)
        run = claude.run("[[GREET]]", url=two.url, home=tmp_path)
        assert deaf.was_tried
    assert ended_well(run, two) == GREETING
    was_invisible(run, two)


@pytest.mark.parametrize("road", ROADS, ids=" ".join)
@pytest.mark.parametrize("stage", ["request", "headers", "error"])
def test_before_and_at_the_first_byte(claude: ClaudeCode, pair, dying, road, stage, tmp_path: Path):
    """It dies with the request in hand, with nothing but headers sent, and with an error as its first event: Claude Code
    does not notice.
    """
    provider = dying(road[0], stage)
    two = pair(road, port_of(provider))
    run = claude.run("[[GREET]]", url=two.url, home=tmp_path)
    assert ended_well(run, two) == GREETING
    assert provider.wait(10) < 0
    was_invisible(run, two)


@pytest.mark.parametrize("road", ROADS, ids=" ".join)
def test_in_the_text(claude: ClaudeCode, pair, dying, road, tmp_path: Path):
    """It dies in the middle of a sentence: Claude Code asks again, and has the whole answer once."""
    provider = dying(road[0], "text")
    two = pair(road, port_of(provider))
    run = claude.run("[[GREET]]", url=two.url, home=tmp_path)
    assert ended_well(run, two) == GREETING
    assert provider.wait(10) < 0
    assert two.exchanges[0]["status"] != 200, two.told()
    assert two.exchanges[-1]["status"] == 200, two.told()


@pytest.mark.parametrize("road", ROADS, ids=" ".join)
@pytest.mark.parametrize(
    ("stage", "turn"),
    [("text", 1), ("tool", 1), ("tool", 2), ("complete", 1), ("request", 2), ("headers", 2), ("error", 3)],
)
def test_in_a_loop_of_tools(claude: ClaudeCode, pair, dying, road, stage, turn, tmp_path: Path):
    """It dies in the text before a call, within a call, and between two turns: the file is edited, once, and right."""
    file = tmp_path / "colours.txt"
    file.write_text("# my colours\ncolour = red\n")
    provider = dying(road[0], stage, turn)
    two = pair(road, port_of(provider))
    run = claude.run(f"[[EDIT-FILE {file}]]", url=two.url, home=tmp_path)
    assert ended_well(run, two) == "EDITED"
    assert provider.wait(10) < 0
    assert file.read_text() == "# my colours\ncolour = blau 蓝\n"
    used = [
        block["name"]
        for event in run.events
        if event["type"] == "assistant"
        for block in event["message"]["content"]
        if block["type"] == "tool_use"
    ]
    assert used.count("Edit") == 1, run.told()


class Deaf:
    """A listener whose queue is full: connections hang. When one more than our own hangs, it is closed: they are refused."""

    def __enter__(self) -> Self:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._own: list[socket.socket] = []
        while not self._hanging():
            line = socket.socket()
            line.setblocking(False)  # noqa: FBT003 - its name says what is set
            line.connect_ex(self._listener.getsockname())
            self._own.append(line)
        self._left = self._hanging()
        self._is_over = threading.Event()
        self.was_tried = False
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()
        return self

    def _hanging(self) -> int:
        """Connections to it that the system is making and has had no answer for (proc(5), tcp: state 02)."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[2].endswith(f":{self.port:04X}") and row[3] == "02" for row in rows)

    def _wait(self) -> None:
        while not self._is_over.is_set():
            if self._hanging() > self._left:
                self.was_tried = True
                self._listener.close()
                return
            time.sleep(0.01)  # the system tells nobody when a connection begins

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        for line in (*self._own, self._listener):
            line.close()
