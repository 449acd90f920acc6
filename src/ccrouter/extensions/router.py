"""`CUSTOM_ROUTER_PATH`: the user's own word on where a request goes, in Python or in JavaScript.

What it answers is only read here; whether that is configured, and allowed, is judged by whoever asked.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ccrouter.extensions.aside import at_work, took_too_long
from ccrouter.extensions.code import router_in, run_file
from ccrouter.extensions.context import RequestView, RouteContext
from ccrouter.extensions.node.module import Module
from ccrouter.extensions.shelf import Workshop
from ccrouter.jsontypes import JsonObject


class RouterCode(Protocol):
    """One version of the file."""

    async def route(self, request: RequestView, config: JsonObject, context: RouteContext) -> object:
        """What it answers. Raises RouterError."""

    def close(self) -> Coroutine[Any, Any, None]:
        """It is not used any more."""


class PythonRouter:
    """The function `route` of a Python file."""

    def __init__(self, path: Path, function: Callable[..., Any], limit: float, shop: Workshop) -> None:
        self._path = path
        self._function = function
        self._limit = limit
        self._shop = shop

    @classmethod
    async def load(cls, path: Path, limit: float, shop: Workshop) -> PythonRouter:
        """Runs the file. Raises RouterError."""
        function = await shop.run(f"loading {path.name}", path, limit, lambda: router_in(run_file(path)))
        return cls(path, function, limit, shop)

    async def route(self, request: RequestView, config: JsonObject, context: RouteContext) -> object:
        what = "the custom router"
        try:
            if inspect.iscoroutinefunction(self._function):
                return await self._in_time(self._function(request, config, context), what)
            return await self._shop.aside.carry_out(lambda: self._call(request, config, context, what))
        except (Exception, SystemExit) as error:
            raise self._shop.faults.blame(error, what, self._path, request_id=context.request_id) from error

    def _call(self, request: RequestView, config: JsonObject, context: RouteContext, what: str) -> object:
        with at_work(what, self._limit):
            return self._function(request, config, context)

    async def _in_time(self, call: Any, what: str) -> object:
        try:
            async with asyncio.timeout(self._limit) as clock:
                return await call
        except TimeoutError:
            if clock.expired():
                raise took_too_long(what, self._limit) from None
            raise

    async def close(self) -> None:
        """Nothing is held."""


class NodeRouter:
    """The function that a JavaScript module exports: `(req, config, { event })`."""

    def __init__(self, module: Module) -> None:
        self._module = module

    @classmethod
    async def load(cls, path: Path, limit: float, shop: Workshop) -> NodeRouter:
        """Starts a process. Raises RouterError."""
        assert shop.node is not None, "without node nothing of it is loaded"
        module = Module(path, shop.node, limit, shop.faults)
        try:
            await module.open()
        except BaseException:
            await module.close()
            raise
        return cls(module)

    async def route(self, request: RequestView, config: JsonObject, context: RouteContext) -> object:
        answer = await self._module.ask(
            "the custom router",
            "route",
            request_id=context.request_id,
            request={
                "id": context.request_id,
                "method": "POST",
                "url": context.path,
                "headers": dict(context.headers),
                "body": msgspec.Raw(request.raw),
                "sessionId": context.session_id or None,
                "tokenCount": context.token_estimate,
            },
            config=config,
        )
        return msgspec.json.decode(answer)

    async def close(self) -> None:
        await self._module.close()
