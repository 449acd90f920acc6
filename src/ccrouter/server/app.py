"""The ASGI application. This module constructs things; nobody else does, and nobody reads a global.

Messages requests take a plain path from here to the gateway and back; Starlette serves the rest, where a few
microseconds do not matter and its conveniences do.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import secrets
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from ccrouter import __version__
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Config
from ccrouter.errors import ClientError, LocalProtocolError, NoTarget, RouterError
from ccrouter.gateway.attempt import error_frame
from ccrouter.gateway.pipeline import Gateway
from ccrouter.gateway.record import Exchange
from ccrouter.messages.fault import Fault, fault_of, type_of_status
from ccrouter.secret import redact
from ccrouter.server.guard import Guard
from ccrouter.server.intake import ClientGone, Receive, read_body
from ccrouter.server.log import ExchangeLog
from ccrouter.server.respond import HttpReply, Pulse, Send
from ccrouter.upstream.client import UpstreamClient

Scope = MutableMapping[str, Any]


class App:
    """The router as an ASGI application. `log` may be None: then nothing about exchanges is formatted or written."""

    def __init__(
        self,
        config: Config,
        *,
        projects: ProjectRouters | None = None,
        log: ExchangeLog | None = None,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._projects = projects
        self._log = log
        self._clock = clock
        self._guard = Guard(config, environ)
        self._pulse = Pulse(clock)
        self._client: UpstreamClient | None = None
        self._gateway: Gateway | None = None
        self._router = Router(
            [
                Route("/", self._root, methods=["GET", "HEAD"]),
                Route("/health", self._health, methods=["GET", "HEAD"]),
                Route("/api/hello", self._hello, methods=["GET", "HEAD"]),
                Route("/api/event_logging/batch", self._telemetry, methods=["POST"]),
                Route("/v1/messages/count_tokens", self._count_tokens, methods=["POST"]),
                Route("/v1/messages", self._wrong_method, methods=["GET", "PUT", "PATCH", "DELETE", "OPTIONS"]),
                Route("/v1/models", self._models, methods=["GET"]),
                Route("/v1/models/{id:path}", self._model, methods=["GET"]),
            ],
            redirect_slashes=False,
            lifespan=self._lifespan,
        )
        # Not the Starlette application: its outermost layer answers a defect in plain text and raises it again.
        self._rest = ExceptionMiddleware(
            self._router, handlers={HTTPException: self._http_error, RouterError: self._router_error}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._router(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        path = scope["path"]
        if "//" in path or path[1:].endswith("/"):  # base URLs are often written with a slash at the end
            scope["path"] = "/" + "/".join(part for part in path.split("/") if part)
        headers = _headers(scope)
        scope["ccr.headers"] = headers
        scope["ccr.request_id"] = request_id = f"req_{secrets.token_hex(12)}"
        try:
            self._guard.check(scope["path"], headers)
        except RouterError as error:
            await self._refuse(send, error, request_id)
            return
        if scope["path"] == "/v1/messages" and scope["method"] == "POST":
            await self._messages(headers, receive, send, request_id)
        else:
            await self._serve_rest(scope, receive, send, request_id)

    # -- messages ------------------------------------------------------------------------------------------------

    async def _messages(self, headers: Mapping[str, str], receive: Receive, send: Send, request_id: str) -> None:
        exchange = Exchange(request_id, "/v1/messages", self._clock())
        reply = HttpReply(send, self._pulse, {"request-id": request_id}, self._clock)
        try:
            body = await read_body(receive, headers, self._config.max_body)
            async with _until_client_leaves(receive, reply):
                await self._running.messages(body, headers, reply, exchange)
            exchange.status = 200
        except RouterError as error:
            await self._fail(reply, error, exchange)
        except ClientGone:
            exchange.status, exchange.error = 499, "the client hung up"
        except asyncio.CancelledError:  # the router is stopping, and has waited as long as it will
            stopped = ClientError("the router was stopped", status=503, type="overloaded_error")
            await self._fail(reply, stopped, exchange)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer in its own form
            self._report(error, exchange.id)
            await self._fail(reply, _defect(exchange.id), exchange)
        finally:
            reply.forget()
            exchange.total = self._clock() - exchange.began
            if self._log is not None:
                self._log.write(exchange)

    def _report(self, error: Exception, request_id: str) -> None:
        """A defect of ours, with its trace, where its user can find it: in the log, or on stderr without one."""
        trace = redact("".join(traceback.format_exception(error)), self._config.secrets)
        if self._log is not None:
            self._log.event("error", "a defect of the router", reqId=request_id, trace=trace)
        else:
            print(trace, file=sys.stderr)  # noqa: T201 - there is no log

    async def _fail(self, reply: HttpReply, error: RouterError, exchange: Exchange) -> None:
        fault = self._redacted(fault_of(error))
        exchange.status, exchange.error = fault.status, fault.message
        if reply.has_begun:
            await reply.write(error_frame(fault))
            await reply.end()
        else:
            headers = {**exchange.told, **fault_headers(fault)}
            if exchange.upstream_id:
                headers["x-ccr-upstream-request-id"] = exchange.upstream_id
            await reply.whole(fault.status, headers, fault.json(exchange.id))

    def _redacted(self, fault: Fault) -> Fault:
        """The fault without keys: providers quote them in their own error texts."""
        secrets_ = self._config.secrets
        message = redact(fault.message, secrets_)
        body = fault.body
        if body is not None:
            text = body.decode("utf-8", "replace")
            body = body if redact(text, secrets_) == text else None
        return Fault(fault.status, fault.type, message, fault.retry_after, fault.should_retry, fault.details, body)

    async def _refuse(self, send: Send, error: RouterError, request_id: str) -> None:
        fault = fault_of(error)
        if self._log is not None:
            self._log.event("warn", "refused", reqId=request_id, status=fault.status, error=fault.message)
        reply = HttpReply(send, self._pulse, {"request-id": request_id}, self._clock)
        await reply.whole(fault.status, {**fault_headers(fault), "connection": "close"}, fault.json(request_id))

    async def _serve_rest(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        scope["app"] = self  # with an application, the router raises its 404 and 405 instead of answering in plain text
        try:
            await self._rest(scope, receive, _with_request_id(send, request_id))
        except ClientGone:
            pass  # nobody is left to answer
        except Exception as error:  # noqa: BLE001 - as above
            self._report(error, request_id)
            await self._refuse(send, _defect(request_id), request_id)

    @property
    def _running(self) -> Gateway:
        assert self._gateway is not None, "the application serves only within its lifespan"
        return self._gateway

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        self._client = UpstreamClient()
        self._gateway = Gateway(self._config, self._client, self._clock, self._projects)
        beating = asyncio.create_task(self._pulse.run())
        try:
            yield
        finally:
            beating.cancel()
            await self._client.close()

    # -- the rest ------------------------------------------------------------------------------------------------

    async def _root(self, _request: Request) -> Response:
        return JSONResponse({"message": "ccrouter", "version": __version__, "docs": "POST /v1/messages"})

    async def _health(self, _request: Request) -> Response:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return JSONResponse({"status": "ok", "timestamp": now, "service": "ccrouter", "version": __version__})

    async def _hello(self, _request: Request) -> Response:
        return JSONResponse({"message": "hello"})

    async def _telemetry(self, request: Request) -> Response:
        """Claude Code 2.0's event batches: taken, so that it does not retry, and thrown away."""
        await read_body(request.receive, request.scope["ccr.headers"], self._config.max_body)
        return JSONResponse({"accepted_count": 0, "rejected_count": 0})

    async def _wrong_method(self, _request: Request) -> Response:
        raise HTTPException(405, headers={"allow": "POST"})

    async def _count_tokens(self, request: Request) -> Response:
        headers = request.scope["ccr.headers"]
        body = await read_body(request.receive, headers, self._config.max_body)
        exchange = Exchange(request.scope["ccr.request_id"], "/v1/messages/count_tokens", self._clock())
        return JSONResponse({"input_tokens": await self._running.count_tokens(body, headers, exchange)})

    async def _models(self, _request: Request) -> Response:
        data = [_model_entry(name) for name in self._running.catalog.models(self._config.router)]
        first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        return JSONResponse({"data": data, "has_more": False, "first_id": first, "last_id": last})

    async def _model(self, request: Request) -> Response:
        name = request.path_params["id"]
        catalog, router = self._running.catalog, self._config.router
        # Whatever a request may name is served: by its own route, or by the default one.
        if (
            name in catalog.models(router)
            or catalog.resolve(name, router.default_provider)
            or "default" in router.routes
        ):
            return JSONResponse(_model_entry(name))
        raise NoTarget(f"model {name!r} is not listed here; GET /v1/models shows what is")

    async def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        texts = {
            404: f"there is no {request.method} {request.url.path} here; the Messages API is at POST /v1/messages",
            405: f"{request.method} is not allowed for {request.url.path}",
        }
        message = texts.get(error.status_code, error.detail)
        fault = Fault(error.status_code, type_of_status(error.status_code), message)
        return self._fault_response(fault, request, dict(error.headers or {}))

    async def _router_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RouterError)
        fault = self._redacted(fault_of(error))
        return self._fault_response(fault, request, fault_headers(fault))

    def _fault_response(self, fault: Fault, request: Request, headers: Mapping[str, str]) -> Response:
        body = fault.json(request.scope["ccr.request_id"])
        return Response(body, fault.status, headers, media_type="application/json")


def _defect(request_id: str) -> LocalProtocolError:
    return LocalProtocolError(f"a defect of the router; its log tells more under {request_id}")


def fault_headers(fault: Fault) -> dict[str, str]:
    """The headers that clients decide by whether and when to try again."""
    headers: dict[str, str] = {}
    if fault.retry_after is not None:
        headers["retry-after"] = str(max(0, math.ceil(fault.retry_after)))
    if fault.should_retry is not None:
        headers["x-should-retry"] = "true" if fault.should_retry else "false"
    return headers


def _headers(scope: Scope) -> dict[str, str]:
    """Lower-case names; a name sent twice has its values joined, as RFC 9110 §5.3 says."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _with_request_id(send: Send, request_id: str) -> Send:
    line = (b"request-id", request_id.encode())

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], line]
        await send(message)

    return sending


@contextlib.asynccontextmanager
async def _until_client_leaves(receive: Receive, reply: HttpReply) -> AsyncIterator[None]:
    """Run the body of the `async with` until it is done or the client hangs up; then raise ClientGone in it.

    The upstream request ends with it: its connection is closed by the cancellation, and generation (and billing) stops.
    """
    task = asyncio.current_task()
    assert task is not None
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        while (await receive())["type"] != "http.disconnect":
            pass
        if not reply.has_ended:  # after the last byte the server reports a disconnect too
            has_left = True
            task.cancel()

    watching: asyncio.Task[None] = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if has_left and task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watching.cancel()


def _model_entry(name: str) -> dict[str, str]:
    return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
