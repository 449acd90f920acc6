"""Reading a request's body: bounded before it is read, decompressed within the same bound."""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from ccrouter.errors import ClientError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


#: The product that a client's `user-agent` names first (RFC 9110 §10.1.5).
_PRODUCT = re.compile(r"[A-Za-z0-9._-]{1,60}(?:/[A-Za-z0-9.+_-]{1,40})?")


def client_of(user_agent: str) -> str:
    """Which program asks, as it says of itself ("claude-cli/2.1.330"); "" if it says nothing fit to be shown."""
    found = _PRODUCT.match(user_agent)
    return found[0] if found else ""


class ClientGone(Exception):
    """The client hung up."""


def _count_nothing(_size: int) -> None:
    """For bodies that nobody counts."""


async def read_body(
    receive: Receive, headers: Mapping[str, str], limit: int, hold: Callable[[int], None] = _count_nothing
) -> bytes:
    """The whole body. Raises ClientError: 413 above `limit` bytes, compressed or not; 415 for an unknown encoding; 400
    for damaged compression. Raises ClientGone if the client hangs up first.

    `hold` is told how many bytes are held, before they are: what is declared at once, more as it comes. What it raises
    is raised. Nothing is asked of the client before that.
    """
    declared = headers.get("content-length", "")
    if declared.isdigit():
        if int(declared) > limit:
            raise _too_large(limit)
        hold(int(declared))
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        hold(size)
        chunks.append(chunk)
        if not message.get("more_body", False):
            break
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return body
    plain = _decompress(body, encoding, limit)
    hold(len(plain))
    return plain


def _decompress(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise ClientError(f"content-encoding {encoding} is not supported; send gzip, deflate or none", status=415)
    inflater = zlib.decompressobj(wbits=47)  # 32 + 15: zlib and gzip headers are told apart
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise ClientError(f"the {encoding} body cannot be decompressed: {error}") from error
    if len(plain) > limit:
        raise _too_large(limit)
    if not inflater.eof:
        raise ClientError(f"the {encoding} body is cut off")
    return plain


def _too_large(limit: int) -> ClientError:
    return ClientError(
        f"the request body is larger than {limit} bytes (`maxBodyBytes` in the config raises the limit)",
        status=413,
        type="request_too_large",
    )
