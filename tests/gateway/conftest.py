"""The whole router in this process, between the scripted upstream and a real HTTP client."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import uvicorn

from ccrouter.config.load import load
from ccrouter.server.app import App
from tests.upstream import Upstream


class Router:
    """A running router: `url`, and a client session for it."""

    def __init__(self, url: str, client: aiohttp.ClientSession, app: App) -> None:
        self.url = url
        self.client = client
        self.app = app

    async def ask(self, headers=None, **body):
        """POST a Messages request; gives (status, headers, body bytes)."""
        body.setdefault("model", "any")
        body.setdefault("max_tokens", 100)
        body.setdefault("messages", [{"role": "user", "content": "Hi"}])
        async with self.client.post(f"{self.url}/v1/messages", json=body, headers=headers) as response:
            return response.status, response.headers, await response.read()

    async def stream(self, headers=None, **body):
        """As `ask`, streamed; gives the events, decoded, in order."""
        status, answered, raw = await self.ask(headers, stream=True, **body)
        assert status == 200, raw
        assert answered["content-type"].startswith("text/event-stream")
        return events_of(raw)


def events_of(raw: bytes) -> list[dict]:
    """The decoded events of an SSE body; every frame must carry a matching event line."""
    events = []
    for frame in raw.decode().split("\n\n"):
        if not frame.strip():
            continue
        lines = dict(line.split(": ", 1) for line in frame.split("\n"))
        data = json.loads(lines["data"])
        assert lines["event"] == data["type"]
        events.append(data)
    return events


def text_of(events: list[dict]) -> str:
    return "".join(
        event["delta"]["text"]
        for event in events
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta"
    )


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


@contextlib.asynccontextmanager
async def running(
    config: dict | str, tmp_path: Path, environ: dict[str, str] | None = None, **options
) -> AsyncIterator[Router]:
    """Start a router with this configuration on a free port of the loopback."""
    path = tmp_path / "config.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    loaded = load(path, environ or {})
    if "retry" not in loaded.raw:  # most tests script one answer a request; those about retries say so
        loaded = dataclasses.replace(loaded, retries=dataclasses.replace(loaded.retries, again=0))
    app = App(loaded, environ=environ or {}, **options)
    await app.prepare()
    server = _Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            log_config=None,
            access_log=False,
            lifespan="on",
            http=app.lines.protocol,
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
    )
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with aiohttp.ClientSession() as client:
            yield Router(f"http://127.0.0.1:{port}", client, app)
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


def provider(upstream: Upstream, dialect: str, **more) -> dict:
    """A provider in the classic shape that leads to the scripted upstream."""
    paths = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}
    return {
        "name": dialect,
        "api_base_url": upstream.url + paths[dialect],
        "api_key": f"sk-{dialect}-upstream-secret-0123456789",
        "models": ["m1", "m2"],
        "protocol": dialect,
        **more,
    }


@pytest.fixture(params=["anthropic", "openai"])
def dialect(request) -> str:
    return request.param


@pytest.fixture
async def router(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Router]:
    """Both dialects, same upstream; `anthropic,m1` by default."""
    config = {
        "PORT": 3456,
        "Providers": [provider(upstream, "anthropic"), provider(upstream, "openai")],
        "Router": {"default": "anthropic,m1"},
    }
    async with running(config, tmp_path) as router:
        yield router
