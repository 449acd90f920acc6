"""Amazon's event stream, encoded by hand from its description: what a real Bedrock would put on the wire.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html (the only page that draws the frame)
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable
from typing import Any
from zlib import crc32


def message(headers: dict[str, str], payload: bytes) -> bytes:
    """One frame: prelude, its checksum, headers, payload, checksum."""
    named = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(named) + len(payload), len(named))
    whole = prelude + struct.pack("!I", crc32(prelude)) + named + payload
    return whole + struct.pack("!I", crc32(whole))


def chunk(event: dict[str, Any] | bytes) -> bytes:
    """A Messages event as Bedrock wraps it, with the padding that it adds."""
    data = event if isinstance(event, bytes) else json.dumps(event, separators=(",", ":")).encode()
    payload = json.dumps({"bytes": base64.b64encode(data).decode(), "p": "abcdefghij"}).encode()
    named = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return message(named, payload)


def chunks(sse: Iterable[bytes]) -> list[bytes]:
    """The frames of a stream whose server-sent events are given."""
    return [chunk(frame.split(b"data: ", 1)[1].strip()) for frame in sse]


def exception(kind: str, **members: Any) -> bytes:
    """An exception within the stream."""
    named = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return message(named, json.dumps(members).encode())


def failure(code: str, words: str) -> bytes:
    """An error of the protocol itself, without a payload."""
    return message({":message-type": "error", ":error-code": code, ":error-message": words}, b"")
