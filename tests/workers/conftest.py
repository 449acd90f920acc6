"""A real `ccr start --workers N` on loopback, and connections of which the test knows which worker has them."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import LIMIT, Ccr, ccr, port, read_until
from tests.upstream.threaded import ThreadedUpstream

__all__ = ["ccr", "port"]

linux = pytest.mark.skipif(sys.platform != "linux", reason="which worker has a connection is read from /proc")

WORKERS = 3


@pytest.fixture
def up() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream() as threaded:
        yield threaded


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


class Connection:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        self._connection.connect()

    @property
    def local_port(self) -> int:
        return self._connection.sock.getsockname()[1]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = None if body is None else body if isinstance(body, (str, bytes)) else json.dumps(body)
        given = {"content-type": "application/json"} if sent is not None else {}
        self._connection.request(
            method, path, sent, {**given, **{name.replace("_", "-"): text for name, text in headers.items()}}
        )
        answer = self._connection.getresponse()
        return Answer(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())

    def message(self, model: str = "any", **more: Any) -> Answer:
        return self.ask("POST", "/v1/messages", message(model, **more))

    def close(self) -> None:
        self._connection.close()


def message(model: str = "any", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}], **more}


@dataclass
class Service:
    """`ccr start --workers`, its supervising process being `child`."""

    ccr: Ccr
    child: subprocess.Popen[str]
    port: int
    stack: ExitStack

    def connect(self) -> Connection:
        connection = Connection(self.port)
        self.stack.callback(connection.close)
        return connection

    @property
    def workers(self) -> set[int]:
        """The processes that it has started and that live."""
        return children_of(self.child.pid)

    def each(self, wanted: int = WORKERS) -> dict[int, Connection]:
        """An open connection to every worker, by its process."""
        found: dict[int, Connection] = {}
        for _ in range(2000):
            connection = self.connect()
            assert connection.ask("GET", "/health").status == 200  # it has been accepted then
            found.setdefault(owner_of(connection.local_port, self.port), connection)
            if len(found) == wanted:
                return found
        raise AssertionError(f"after 2000 connections only {len(found)} workers have one")


def children_of(pid: int) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] not in {"Z", "X"}:
            found.add(int(path.parent.name))
    return found


def owner_of(client_port: int, port: int) -> int:
    """The process that holds the server's end of this connection."""
    inode = ""
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = row.split()
        local, remote = (int(fields[at].partition(":")[2], 16) for at in (1, 2))
        if (local, remote) == (port, client_port):
            inode = f"socket:[{fields[9]}]"
    assert inode, "the connection is there"
    for folder in Path("/proc").glob("[0-9]*/fd"):
        if inode in open_in(folder):
            return int(folder.parent.name)
    raise AssertionError("somebody holds it")


def open_in(folder: Path) -> set[str]:
    """What a process has open. It opens and closes files meanwhile."""
    found = set()
    with suppress(FileNotFoundError, PermissionError, ProcessLookupError):
        for one in folder.iterdir():
            with suppress(FileNotFoundError):
                found.add(str(one.readlink()))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def serve(ccr: Ccr, port: int):
    """Starts a service; `serve(Providers=..., ...)` is what its config says."""
    with ExitStack() as stack:

        def start(*words: str, workers: int = WORKERS, **settings: Any) -> Service:
            ccr.configure(**{"PORT": port, **settings})
            child = ccr.spawn("start", f"--workers={workers}", *words)
            read_until(child, "listens on")
            return Service(ccr, child, port, stack)

        yield start


def provider(up: ThreadedUpstream, name: str = "p", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "api_base_url": f"{up.url}/v1/messages",
        "api_key": f"k-{name}-0123456789",
        "models": ["m"],
        **more,
    }
