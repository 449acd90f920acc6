"""The drill's server, asked on bare sockets: what really goes over the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ccrouter.drill.faults import FAULTS, Fault
from ccrouter.drill.server import HOST, PATHS, FaultyServer, Pace, Serve
from ccrouter.drill.truth import TRUTH, question

#: The least that tells a pause from none.
QUICK = Pace(patience=0.2, gap=0.02)
BY_NAME: dict[str, Fault] = {fault.name: fault for fault in FAULTS}
DIALECTS = tuple(PATHS)


@dataclass(frozen=True)
class Wire:
    """What came, and how it ended: "closed", "reset" or "silent"."""

    raw: bytes
    end: str

    @property
    def head(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").lower()

    @property
    def status(self) -> int:
        return int(self.head.split()[1]) if self.raw.startswith(b"HTTP/1.1 ") else 0

    @property
    def is_chunked(self) -> bool:
        return "transfer-encoding: chunked" in self.head

    @property
    def is_complete(self) -> bool:
        """True if the body ended by the rules of HTTP."""
        _, ended = self._body()
        return ended

    @property
    def body(self) -> bytes:
        body, _ = self._body()
        return body

    def header(self, name: str) -> str:
        return next((line.partition(": ")[2] for line in self.head.split("\r\n") if line.startswith(f"{name}: ")), "")

    def _body(self) -> tuple[bytes, bool]:
        rest = self.raw.partition(b"\r\n\r\n")[2]
        if not self.is_chunked:
            length = int(self.header("content-length") or 0)
            return rest[:length], len(rest) == length
        return unchunked(rest)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def unchunked(rest: bytes) -> tuple[bytes, bool]:
    """The body of an answer in chunks, and whether its last chunk came."""
    pieces, at = [], 0
    while (end := rest.find(b"\r\n", at)) >= 0:
        count = int(rest[at:end], 16)
        if not count:
            return b"".join(pieces), True
        pieces.append(rest[end + 2 : end + 2 + count])
        at = end + 2 + count + 2
    return b"".join(pieces), False


@contextlib.asynccontextmanager
async def serving(serve: Serve, pace: Pace = QUICK, secrets: tuple[str, ...] = ()) -> AsyncIterator[FaultyServer]:
    async with FaultyServer(pace, secrets).serving() as server:
        server.stage("r0", lambda _: serve)
        yield server


def upstream_request(dialect: str, scene: str = "text", *, streamed: bool = True) -> tuple[str, dict]:
    """Path and body of a request as the router sends it upstream."""
    body = question(scene, streamed=streamed)  # close enough to every dialect: names of models, tools and forms
    path = f"/r0/0/{dialect}{PATHS[dialect]}"
    if dialect == "gemini":
        method = "streamGenerateContent?alt=sse" if streamed else "generateContent"
        path = f"{path}/gem-1:{method}"
    return path, {**body, "model": "m1"}


async def hear(
    server: FaultyServer,
    dialect: str = "anthropic",
    scene: str = "text",
    *,
    streamed: bool = True,
    patience: float = 1.0,
) -> Wire:
    """Everything that comes, until the connection ends or nothing came for `patience`."""
    path, body = upstream_request(dialect, scene, streamed=streamed)
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection(HOST, server.port)
    pieces, end = [], "closed"
    try:
        writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
        while True:
            async with asyncio.timeout(patience):
                piece = await reader.read(65536)
            if not piece:
                break
            pieces.append(piece)
    except TimeoutError:
        end = "silent"
    except ConnectionResetError:
        end = "reset"
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return Wire(b"".join(pieces), end)


def truth(scene: str = "text") -> str:
    return "".join(TRUTH[scene].text)
