"""The files of `deploy/`: they are what their readers take, and what they start is what we have."""

from __future__ import annotations

import json
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from ccrouter.cli.start import command as start
from ccrouter.cli.stop import _MARGIN
from ccrouter.config.schema import DEFAULT_DRAIN, DEFAULT_PORT
from tests.cli.conftest import Ccr, ccr, port

__all__ = ["ccr", "port"]

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICES = [DEPLOY / "systemd" / "ccrouter.service", DEPLOY / "systemd" / "user" / "ccrouter.service"]


class Unit(RawConfigParser):
    """A unit's file; of what is written more than once the last counts."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, delimiters=("=",), comment_prefixes=("#",), interpolation=None)
        self.optionxform = str  # type: ignore[method-assign,assignment] # names are as they are written
        self.read(path)


def words_after(command: list[str], name: str) -> list[str]:
    at = next(position for position, word in enumerate(command) if word.endswith(name))
    return command[at + 1 :]


def check_start(words: list[str]) -> None:
    """That `ccr <words>` is a start in the foreground, with options that there are."""
    assert words[0] == "start"
    context = start.make_context("start", words[1:])
    assert not context.params["daemon"]


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "container" / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]


def last(name: str) -> str:
    return [rest for found, rest in instructions() if found == name][-1]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_services(path: Path):
    """A unit starts the router in the foreground, tells systemd's protocol, gives the end the time that it may take, and
    holds the process closely.
    """
    service = Unit(path)["Service"]
    check_start(words_after(shlex.split(service["ExecStart"]), "ccr"))
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
    assert float(service["TimeoutStopSec"]) >= DEFAULT_DRAIN + _MARGIN
    assert int(service["WatchdogSec"]) >= 10
    assert service["NoNewPrivileges"] == "yes"
    assert service["UMask"] == "0077"


def test_the_service_of_the_machine():
    """It runs under a user of its own, writes nowhere but below its state directory, and has no capability."""
    service = Unit(SERVICES[0])["Service"]
    assert service["User"] not in {"", "root"}
    assert (service["ProtectSystem"], service["ProtectHome"]) == ("strict", "yes")
    assert service["ReadWritePaths"] == "/var/lib/ccrouter"
    assert service["CapabilityBoundingSet"] == ""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here to ask")
def test_systemd_takes_the_units(tmp_path: Path):
    """systemd's own verification finds nothing, once the program's path is one that is here."""
    for name in ("ccrouter.service", "ccrouter.socket"):
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/ccrouter/bin/ccr", sys.executable))
    names = [str(tmp_path / name) for name in ("ccrouter.service", "ccrouter.socket")]
    done = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_socket():
    """It is opened on loopback alone, at the port that clients know."""
    text = (DEPLOY / "systemd" / "ccrouter.socket").read_text()
    assert re.findall("^ListenStream=(.*)$", text, re.MULTILINE) == [
        f"127.0.0.1:{DEFAULT_PORT}",
        f"[::1]:{DEFAULT_PORT}",
    ]


def test_the_agent_of_macos():
    """The property list can be read, starts the router in the foreground, and again only after a crash."""
    with (DEPLOY / "launchd" / "ccrouter.plist").open("rb") as file:
        told = plistlib.load(file)
    shell, flag, script = told["ProgramArguments"]
    assert (shell, flag) == ("/bin/sh", "-c")
    assert subprocess.run([shell, "-n", flag, script], check=False).returncode == 0
    words = words_after(shlex.split(script.partition("; exec ")[2]), "ccr")
    check_start(words[: words.index("start") + 1])
    assert told["KeepAlive"] == {"SuccessfulExit": False}
    assert told["ExitTimeOut"] >= DEFAULT_DRAIN + _MARGIN


def test_the_container():
    """The image runs as nobody in particular, starts the router, and builds from what is pinned by its hash."""
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last("USER"))
    assert json.loads(last("ENTRYPOINT")) == ["ccr"]
    check_start(json.loads(last("CMD")))
    assert last("EXPOSE") == str(DEFAULT_PORT)
    assert any("--require-hashes" in rest for name, rest in instructions() if name == "RUN")
    copied = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    root = DEPLOY.parent
    ignored = (DEPLOY / "container" / "Containerfile.containerignore").read_text().splitlines()
    for source in (one for words in copied for one in words):
        assert (root / source).exists()
        assert f"!{source}" in ignored


def test_the_containers_health(ccr: Ccr, port: int):
    """Its health check ends with 0 where the router answers, and with 1 where nobody does, or somebody else."""
    words = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert words[0] == "python"
    assert words[-1] == str(DEFAULT_PORT)
    check = [sys.executable, *words[1:-1], str(port)]
    ccr.configure(PORT=port)
    assert subprocess.run(check, check=False, env=ccr.environ).returncode == 1
    ccr.serve()
    done = subprocess.run(check, check=False, env=ccr.environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_container_needs_a_key(ccr: Ccr):
    """What the image starts by default, at an address that others can reach, does not start without an APIKEY."""
    ccr.configure()
    done = ccr.run(*json.loads(last("CMD")))
    assert done.returncode == 1
    assert "APIKEY" in done.stderr
