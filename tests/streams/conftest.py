"""Fixtures of the gateway's tests, and what they need besides: a log, and a client made of a bare socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ccrouter.server.log import ExchangeLog
from tests.gateway.conftest import Router, dialect, upstream

__all__ = ["dialect", "upstream"]

LIMIT = 30.0  # seconds, after which a test gives up; what it waits for takes a fraction of one


class Log:
    """The router's log: `to_write` goes to the App, `lines` are what it says of exchanges."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.to_write = ExchangeLog(path, "info")

    @property
    def lines(self) -> list[dict[str, Any]]:
        told = [json.loads(line) for line in self._path.read_bytes().splitlines()]
        return [line for line in told if line["msg"] == "exchange"]

    async def line(self, number: int = 1) -> dict[str, Any]:
        """The number-th line about an exchange (from 1), waited for."""
        await until(lambda: len(self.lines) >= number)
        return self.lines[number - 1]


@pytest.fixture
def log(tmp_path: Path):
    told = Log(tmp_path / "log")
    yield told
    told.to_write.close()


async def until(is_so: Callable[[], object]) -> None:
    """Return once it is so; everybody else goes on meanwhile."""
    async with asyncio.timeout(LIMIT):
        while not is_so():  # noqa: ASYNC110 - of what is looked at nobody sets an event
            await asyncio.sleep(0)


def request_bytes(path: str = "/v1/messages", /, *, length: int | None = None, **body: Any) -> bytes:
    """A request as it goes over the wire; with `length` its head promises another one than it has."""
    body.setdefault("max_tokens", 9)
    body.setdefault("messages", [{"role": "user", "content": "x"}])
    told = json.dumps(body).encode()
    size = len(told) if length is None else length
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    )
    return head.encode() + told


@contextlib.asynccontextmanager
async def connected(router: Router, *, buffer: int = 0) -> AsyncIterator[socket.socket]:
    """A client's socket. `buffer` bounds what the system takes in for a client that does not read, in bytes."""
    loop = asyncio.get_running_loop()
    line = socket.socket()
    line.setblocking(False)  # noqa: FBT003 - its name says what is set
    if buffer:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    host, _, port = router.url.removeprefix("http://").partition(":")
    try:
        await loop.sock_connect(line, (host, int(port)))
        yield line
    finally:
        line.close()
