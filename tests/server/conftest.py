"""Fixtures of the server's tests: the router over real HTTP, over raw sockets, and called as an application, where the
peer address of the socket is the test's to choose.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.gateway.conftest import Router, upstream
from tests.upstream import Upstream

__all__ = ["upstream"]

KEY = "router-key-0123456789"
UPSTREAM_KEY = "sk-upstream-secret-0123456789"


@dataclass
class Answer:
    """What came back. `raw` is the body."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self):
        return json.loads(self.raw)

    @property
    def message(self) -> str:
        return self.json["error"]["message"]


async def call(app, method, path, headers=(), body=b"", *, peer="127.0.0.1", query=b"") -> Answer:
    """Ask the application itself. `headers` are pairs or a mapping; the Host is ours unless they say otherwise."""
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("host", "127.0.0.1:3456"))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
        "client": (peer, 50_000) if peer is not None else None,
        "scheme": "http",
    }
    sent, gone = [], asyncio.Event()
    pieces = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if pieces:
            return pieces.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    raw = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    return Answer(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, raw)


async def raw(router: Router, data: bytes) -> Answer | None:
    """Send these very bytes; the first answer, read to the end of the connection. None if it was closed without one."""
    port = int(router.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        await writer.drain()
        got = await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
        await writer.wait_closed()
    if not got:
        return None
    head, _, body = got.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(status.split()[1]), headers, body)


async def until(is_so: Callable[[], bool]) -> None:
    """After the call it is so; raises TimeoutError if it is not within ten seconds."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - of what is looked at nobody sets an event
            await asyncio.sleep(0)


def settings(up: Upstream, **more) -> dict:
    """A configuration with one provider, the scripted upstream."""
    provider = {
        "name": "p",
        "api_base_url": f"{up.url}/v1/messages",
        "api_key": UPSTREAM_KEY,
        "models": ["m1", "m2"],
    }
    return {"Providers": [provider], "Router": {"default": "p,m1"}, **more}


JSON = {"content-type": "application/json"}


class Recorder:
    """An auditor that remembers, and that can be made to fail."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict]] = []
        self.failure: Exception | None = None

    def record(self, kind, facts):
        if self.failure is not None:
            raise self.failure
        json.dumps(dict(facts))  # plain JSON, or it cannot be written
        self.lines.append((kind, dict(facts)))

    def of(self, kind) -> list[dict]:
        return [facts for found, facts in self.lines if found == kind]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
