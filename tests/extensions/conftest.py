"""Fixtures: the whole router with custom code written by a test, between the scripted upstream and a real client."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ccrouter.server.log import ExchangeLog
from tests.gateway.conftest import Router, provider, running, upstream
from tests.upstream import Upstream, json_reply, sse_reply
from tests.upstream.anthropic_wire import message_json, message_stream
from tests.upstream.chat_wire import chat_json, chat_stream

__all__ = ["upstream"]

EXAMPLES = Path(__file__).parents[2] / "examples"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="NO NODE ON THIS MACHINE: the bridge to JavaScript is NOT tested")


class Bench:
    """A folder for a configuration and the custom code beside it."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self.folder = folder
        self.upstream = upstream

    def write(self, name: str, text: str) -> Path:
        """The file, with another stamp than before whatever the clock says."""
        path = self.folder / name
        fresh = self.folder / f".{name}.new"
        fresh.write_text(textwrap.dedent(text), encoding="utf-8")
        fresh.replace(path)
        return path

    def config(self, use: list[Any], dialect: str = "openai", **more: Any) -> dict[str, Any]:
        """Two providers at the scripted upstream, of which the first, with `use`, is the default."""
        own = {"transformer": {"use": use}} if use else {}
        return {
            "Providers": [
                provider(self.upstream, dialect, **own),
                provider(self.upstream, "openai" if dialect == "anthropic" else "anthropic"),
            ],
            "Router": {"default": f"{dialect},m1"},
            **more,
        }

    @contextlib.asynccontextmanager
    async def running(
        self, config: dict[str, Any], environ: dict[str, str] | None = None, **options: Any
    ) -> AsyncIterator[Router]:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **(environ or {})}
        log = ExchangeLog(self.folder / "test.log", "debug")
        try:
            async with running(config, self.folder, environ, log=log, **options) as router:
                yield router
        finally:
            log.close()

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "test.log").read_text().strip("\n").split("\n")]

    def logged(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["msg"] == message]

    def answer(self, text: str = "a damn good answer", times: int = 1) -> None:
        """Whatever is asked, in whichever dialect, streamed or not: this text."""
        self.upstream.always(lambda received: reply_to(received, text))

    def asked(self) -> dict[str, Any]:
        """The body that the upstream got last."""
        return self.upstream.requests[-1].json()


def reply_to(received: Any, text: str) -> Any:
    streamed = bool(received.json().get("stream"))
    if "messages" in received.path:
        return sse_reply(message_stream(text)) if streamed else json_reply(message_json(text))
    return sse_reply(chat_stream(text)) if streamed else json_reply(chat_json(text))


@pytest.fixture
def bench(tmp_path: Path, upstream: Upstream) -> Bench:
    return Bench(tmp_path, upstream)


def error_of(raw: bytes) -> dict[str, str]:
    told = json.loads(raw)
    assert told["type"] == "error"
    return told["error"]
