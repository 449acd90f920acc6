"""The faulty upstream: one server on loopback for all providers of a drill, on bare sockets.

An HTTP library would not let us break the protocol; here every byte is ours. Each run of the drill has a path of its
own, so that the server knows who is asked, and may answer one well and the other badly.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias, cast
from urllib.parse import unquote

import httptools
import msgspec

from ccrouter.config.schema import DialectName
from ccrouter.drill.truth import TOOL_NAME, TRUTH, Said, Scene
from ccrouter.drill.wires import Wire
from ccrouter.jsontypes import Json, JsonObject

HOST = "127.0.0.1"
#: Below the place of a run, where the dialects have their own paths.
PATHS: Mapping[DialectName, str] = {
    "anthropic": "/v1/messages",
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "gemini": "/v1beta/models",
}
#: A place below every run where nobody is to go.
ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a drill goes, in seconds. The router is to lose patience with a silent upstream after `patience`; a slow
    one is silent for `gap` at a time.
    """

    patience: float = 1.0
    gap: float = 0.1


PACE = Pace()


@dataclass(frozen=True)
class Asked:
    """A request that arrived. `run` and `provider` are named by its path."""

    path: str
    body: bytes
    pace: Pace = PACE
    headers: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)

    @property
    def run(self) -> str:
        return self._step(1)

    @property
    def provider(self) -> str:
        return self._step(2)

    @property
    def dialect(self) -> DialectName:
        return cast("DialectName", self._step(3))

    @cached_property
    def model(self) -> str:
        """The model that is asked for; "" if none is."""
        if self.dialect == "gemini":
            name = self.path.partition("?")[0].rpartition("/")[2].partition(":")[0]
            return unquote(name)
        return str(self._members.get("model", ""))

    @cached_property
    def is_streamed(self) -> bool:
        if self.dialect == "gemini":
            return ":streamGenerateContent" in self.path
        return self._members.get("stream") is True

    @cached_property
    def said(self) -> Said:
        """What is to be answered, in full: the scene that is asked for, or the rest of what was said already."""
        scene: Scene = "tool" if TOOL_NAME.encode() in self.body else "text"
        return TRUTH[scene].after("".join(_said_already(self._members)))

    def wire(self, said: Said | None = None) -> Wire:
        """The answer in the dialect that is asked in; of other words, if there are."""
        return Wire(self.dialect, self.model, self.said if said is None else said)

    def answer(self, said: Said | None = None) -> bytes:
        """All of the answer, streamed or not as it was asked for."""
        wire = self.wire(said)
        return wire.stream if self.is_streamed else wire.whole

    @cached_property
    def _members(self) -> JsonObject:
        try:
            found = msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return {}
        return found if isinstance(found, dict) else {}

    def _step(self, number: int) -> str:
        steps = self.path.split("/")
        return steps[number] if number < len(steps) else ""


class Line:
    """One connection, to be answered on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def port(self) -> int:
        """Where it was called."""
        port: int = self._writer.get_extra_info("sockname")[1]
        return port

    async def send(self, data: bytes) -> None:
        """Bytes as they are. Raises ConnectionError once the other side has gone."""
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Status and headers; the connection serves one request."""
        lines = [f"{name}: {value}" for name, value in {**headers, "connection": "close"}.items()]
        await self.send("\r\n".join([f"HTTP/1.1 {status} Drill", *lines, "", ""]).encode())

    async def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole answer of a stated length."""
        await self.head(status, {**headers, "content-length": str(len(body))})
        await self.send(body)

    async def begin(self, content_type: str) -> None:
        """A good answer in chunks begins."""
        await self.head(200, {"content-type": content_type, "transfer-encoding": "chunked"})

    async def chunk(self, data: bytes) -> None:
        if data:
            await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        """The chunks are over, by all the rules of HTTP."""
        await self.send(b"0\r\n\r\n")

    async def hold(self) -> None:
        """Say nothing more until the other side leaves."""
        while await self._reader.read(65536):
            pass

    def reset(self) -> None:
        """The connection is gone at once, with what was not read of it."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0))
        self._writer.transport.abort()


#: Answers one request on a line, well or badly; when it returns, the connection is closed.
Serve: TypeAlias = Callable[[Line, Asked], Awaitable[None]]


class FaultyServer:
    """Open one with `serving`. `asked` tells who was asked in a run, by provider and model; `leaks` which of `secrets`
    arrived, though none may.
    """

    def __init__(self, pace: Pace, secrets: Iterable[str] = ()) -> None:
        self.pace = pace
        self.port = 0
        self.leaks: set[str] = set()
        self._secrets = [secret for secret in secrets if len(secret) >= 8]
        self._casts: dict[str, Callable[[Asked], Serve]] = {}
        self._asked: dict[str, list[tuple[str, str]]] = {}

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[FaultyServer]:
        """While open, it answers at HOST and `port`."""
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stage(self, run: str, cast_of: Callable[[Asked], Serve]) -> None:
        """From now on requests of `run` are answered as `cast_of` says of each."""
        self._casts[run] = cast_of
        self._asked[run] = []

    def strike(self, run: str) -> list[tuple[str, str]]:
        """`run` is over. Gives whom it asked, in order."""
        self._casts.pop(run, None)
        return self._asked.pop(run, [])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        try:
            asked = await self._read(reader)
            if asked is None:  # no HTTP: somebody expects TLS here
                await line.send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                return
            self._note(asked)
            cast_of = self._casts.get(asked.run)
            if cast_of is None:
                await line.answer(404, {}, b"")
            else:
                await cast_of(asked)(line, asked)
        except ConnectionError:
            pass  # the router has turned away: its good right
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> Asked | None:
        """The request; None for what is not HTTP. Raises ConnectionError if the other side leaves."""
        sheet = _Sheet()
        parser: Any = httptools.HttpRequestParser(sheet)
        while not sheet.is_whole:
            data = await reader.read(65536)
            if not data:
                raise ConnectionResetError
            try:
                parser.feed_data(data)
            except httptools.HttpParserError:
                return None
        return Asked(sheet.url.decode("latin-1"), bytes(sheet.body), self.pace, tuple(sheet.headers))

    def _note(self, asked: Asked) -> None:
        if asked.run in self._asked:
            self._asked[asked.run].append((asked.provider, asked.model))
        if self._secrets:
            arrived = b"\n".join([asked.path.encode(), asked.body, *(value for _, value in asked.headers)])
            self.leaks.update(secret for secret in self._secrets if secret.encode("utf-8", "surrogatepass") in arrived)


class _Sheet:
    """What the parser tells of one request."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.is_whole = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_whole = True


def _said_already(members: JsonObject) -> list[str]:
    """The text of the model's own turns in a conversation, in whichever wire format. The drill's client sends none, so
    that it is the beginning of an answer that is to be gone on with.
    """
    found: list[str] = []
    for name in ("messages", "input", "contents"):
        turns = members.get(name)
        for turn in turns if isinstance(turns, list) else []:
            if isinstance(turn, dict) and turn.get("role") in {"assistant", "model"}:
                found += _texts(turn.get("content", turn.get("parts")))
    return found


def _texts(content: Json) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part]
