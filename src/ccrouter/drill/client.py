"""The client of a drill: one request on a bare socket, and everything that came back, however it ended. It believes
nothing and repairs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import httptools
import msgspec

from ccrouter.jsontypes import JsonObject

#: How the answer ended: by the rules of HTTP; cut off; not within the limit; or it was no HTTP.
End = Literal["whole", "cut", "late", "garbled"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a client heard, for `seconds`. `status` is 0 if nothing of an answer came; headers are lower-case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    end: End = "cut"
    seconds: float = 0.0


async def ask(place: tuple[str, int], body: JsonObject, limit: float) -> Heard:
    """POST a Messages request to host and port. `limit` in seconds, for all of the answer."""
    sheet = _Sheet()
    began = time.monotonic()
    end: End = "cut"
    try:
        async with asyncio.timeout(limit):
            end = await _converse(place, msgspec.json.encode(body), sheet)
    except TimeoutError:
        end = "late"
    except httptools.HttpParserError:
        end = "garbled"
    except OSError:  # refused or reset: what was heard until then counts
        end = "cut"
    return Heard(sheet.status, sheet.headers, bytes(sheet.body), end, time.monotonic() - began)


async def _converse(place: tuple[str, int], body: bytes, sheet: _Sheet) -> End:
    host, port = place
    reader, writer = await asyncio.open_connection(host, port)
    try:
        head = (
            f"POST /v1/messages HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\n"
            f"anthropic-version: 2023-06-01\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        parser: Any = httptools.HttpResponseParser(sheet)
        sheet.parser = parser
        while not sheet.is_whole:
            data = await reader.read(65536)
            if not data:
                return "whole" if sheet.status and not sheet.has_length else "cut"
            parser.feed_data(data)
        return "whole"
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class _Sheet:
    """What the parser tells of one answer."""

    def __init__(self) -> None:
        self.parser: Any = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.is_whole = False

    @property
    def has_length(self) -> bool:
        """True if its end is told otherwise than by that of the connection."""
        return bool({"content-length", "transfer-encoding"} & self.headers.keys())

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_whole = True
