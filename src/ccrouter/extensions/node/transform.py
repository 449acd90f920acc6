"""A transformer of the classic router as a transform of this one.

    transformRequestIn, then auth   on the request as it is about to leave, in the provider's wire format
    transformResponseOut            on the provider's answer, as a `Response` whose body streams

A provider that names no other wire format speaks Chat Completions, which is what such transformers were written for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ccrouter.config.schema import Target
from ccrouter.errors import UpstreamStatus
from ccrouter.extensions.node.module import Made, Module
from ccrouter.extensions.node.worker import Call, JavaScriptError, Worker, WorkerEnded
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.fault import type_of_status
from ccrouter.transforms.base import Answer, Context, Transform, Wire

#: Headers of an answer that say how its bytes were sent, which the module's are not.
_FRAMING = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive"})
#: Of an answer that the module makes an error, bytes that are quoted.
_MOST_WORDS = 2000


class _Sent(msgspec.Struct):
    body: msgspec.Raw
    url: str | None = None
    headers: dict[str, str] = {}


class _Begun(msgspec.Struct):
    status: int


class NodeTransform(Transform):
    """One instance in the module's process."""

    def __init__(self, module: Module, made: Made, options: JsonObject, shown: str) -> None:
        super().__init__(options)
        self._module = module
        self._made = made
        self._shown = self.name = shown

    def acts(self, hook: str) -> bool:
        hooks = self._made.hooks
        if hook == "wire":
            return "transformRequestIn" in hooks or "auth" in hooks
        return hook == "stream" and "transformResponseOut" in hooks

    async def wire(self, wire: Wire, context: Context) -> Wire:
        what = self._doing("transformRequestIn" if "transformRequestIn" in self._made.hooks else "auth")
        answer = await self._module.ask(
            what,
            "request",
            request_id=context.request_id,
            handle=self._made.handle,
            body=msgspec.Raw(wire.body.replace(b"\n", b" ").replace(b"\r", b" ")),
            provider=_provider(context.target),
            context=_request(context),
        )
        sent = msgspec.json.decode(answer, type=_Sent)
        if bytes(sent.body)[:1] != b"{":
            words = "the body that it gives must be an object"
            raise self._module.faults.tell(what, self._module.path, None, words, words, request_id=context.request_id)
        headers = {**wire.headers, **{name.lower(): value for name, value in sent.headers.items()}}
        return Wire(wire.url if sent.url is None else sent.url, bytes(sent.body), headers)

    def stream(self, answer: Answer, context: Context) -> Answer:
        if not self.acts("stream"):
            return answer
        return _Bridged(self._module, self._made.handle, answer, context, self._doing("transformResponseOut"))

    def _doing(self, hook: str) -> str:
        return f"`{hook}` of transformer {self._shown!r}"


def _provider(target: Target) -> JsonObject:
    """The provider as transformers know it, its own key included: they put it where their provider wants it."""
    provider = target.provider
    return {
        "name": provider.name,
        "baseUrl": target.endpoint.url,
        "apiKey": provider.key.reveal() if provider.key else "",
        "models": list(provider.models),
    }


def _request(context: Context) -> JsonObject:
    """What of `context.req` there is."""
    return {"id": context.request_id, "url": "/v1/messages", "method": "POST"}


class _Bridged:
    """An Answer that has gone through the module: begun there when it is first read."""

    def __init__(self, module: Module, handle: int, source: Answer, context: Context, what: str) -> None:
        self.status: int = source.status
        self.headers: Mapping[str, str] = source.headers
        self._module = module
        self._handle = handle
        self._source = source
        self._context = context
        self._what = what
        self._worker: Worker | None = None
        self._call: Call | None = None
        self._is_over = False

    async def read(self) -> bytes:
        if self._is_over:
            return b""
        try:
            if self._call is None:
                await self._begin()
            return await self._next()
        except (JavaScriptError, WorkerEnded) as error:
            raise self._module.blame(error, self._what, self._context.request_id) from error

    async def _begin(self) -> None:
        self._worker = await self._module.worker()
        self._call = self._worker.begin(self._what, self._module.limit, self._source)
        headers = {name: value for name, value in self._source.headers.items() if name not in _FRAMING}
        begun: Any = await self._worker.say(
            self._call,
            "response",
            handle=self._handle,
            status=self._source.status,
            headers=headers,
            context=_request(self._context),
        )
        status = msgspec.json.decode(begun, type=_Begun).status
        if status >= 400:
            raise UpstreamStatus(
                f"{self._what} made an error of the answer: {await self._quoted()}",
                status=status,
                type=type_of_status(status),
                provider=self._context.target.provider.name,
            )

    async def _next(self) -> bytes:
        assert self._worker is not None
        assert self._call is not None
        while True:
            piece = await self._worker.say(self._call, "more")
            if piece is None:
                self._is_over = True
                self._worker.forget(self._call)
                return b""
            if piece:
                return bytes(piece)

    async def _quoted(self) -> str:
        body = b""
        while len(body) < _MOST_WORDS and (piece := await self._next()):
            body += piece
        return body[:_MOST_WORDS].decode("utf-8", "replace")

    def close(self) -> None:
        if self._worker is not None and self._call is not None and not self._is_over:
            self._worker.cancel(self._call)
        self._is_over = True
        self._source.close()
