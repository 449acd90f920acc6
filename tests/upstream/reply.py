"""What the scripted upstream is told to answer: data only, no I/O.

A `Reply` is a status, headers, a framing and a sequence of steps. A step is bytes (one write, and in chunked
framing one chunk) or one of the misbehaviours below.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Framing = Literal["chunked", "length", "close", "raw"]


@dataclass(frozen=True)
class Gate:
    """Nothing more is written until the test sets the event (or the client leaves)."""

    event: asyncio.Event


@dataclass(frozen=True)
class Reset:
    """The connection ends with RST (SO_LINGER 0).

    A receiver may lose bytes it has not read yet; put a `Gate` before it where they must have arrived.
    """


@dataclass(frozen=True)
class Cut:
    """The connection ends with FIN, the body unfinished."""


@dataclass(frozen=True)
class Stall:
    """Nothing more is written until the client leaves."""


Step = bytes | Gate | Reset | Cut | Stall


@dataclass(frozen=True)
class Reply:
    """One answer.

    framing: "chunked"; "length" (content-length: the true one, or `length` if given); "close" (the end of the
    connection ends the body); "raw" (the steps are everything that goes on the wire, status line included).
    A `length` that does not match the steps closes the connection after them, as a body of another size would.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    steps: Sequence[Step] = ()
    framing: Framing = "chunked"
    length: int | None = None

    @property
    def size(self) -> int:
        """Bytes the steps hold before the first one that ends the connection."""
        total = 0
        for step in self.steps:
            if isinstance(step, Reset | Cut | Stall):
                break
            if isinstance(step, bytes):
                total += len(step)
        return total


def json_reply(
    value: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    framing: Framing = "length",
    gzip: bool = False,
) -> Reply:
    """The value as a JSON body, in one write."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return body_reply(body, "application/json", status, headers, framing=framing, gzip=gzip)


def body_reply(
    body: bytes,
    content_type: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    framing: Framing = "length",
    gzip: bool = False,
) -> Reply:
    """Any body, in one write."""
    named = {
        "content-type": content_type,
        **({"content-encoding": "gzip"} if gzip else {}),
        **(headers or {}),
    }
    steps = tuple(_gzipped((body,), flush=False)) if gzip else (body,)
    return Reply(status, named, steps, framing)


def sse_reply(
    chunks: Iterable[bytes],
    cut_at: int | bytes | None = None,
    split: Literal["bytes", "whole"] | int | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    ending: Step | None = None,
    framing: Framing = "chunked",
    gzip: bool = False,
) -> Reply:
    """The chunks (frames, as `anthropic_wire` and `chat_wire` build them) as an event stream.

    cut_at: an int cuts after that many chunks, bytes cut right behind their first occurrence; the connection
    then ends with `ending` (default `Cut()`). Without cut_at, a given `ending` follows the last chunk.
    split: None writes one chunk a write, "bytes" one byte, N that many bytes, "whole" everything at once.
    """
    frames = list(chunks)
    if isinstance(cut_at, bytes):
        whole = b"".join(frames)
        if cut_at not in whole:
            raise ValueError(f"the stream does not hold {cut_at!r}")
        end = whole.index(cut_at) + len(cut_at)
        frames = _keep(frames, end)
    elif cut_at is not None:
        frames = frames[:cut_at]
    writes = _split(frames, split)
    if gzip:
        writes = list(_gzipped(writes, flush=True))
    last = ending if ending is not None else (Cut() if cut_at is not None else None)
    named = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    if gzip:
        named["content-encoding"] = "gzip"
    return Reply(status, {**named, **(headers or {})}, (*writes, *((last,) if last is not None else ())), framing)


def raw_reply(*steps: Step) -> Reply:
    """The bytes as they are: for what is not HTTP, or HTTP of another's making."""
    return Reply(steps=steps, framing="raw")


def _keep(frames: list[bytes], size: int) -> list[bytes]:
    kept = []
    for frame in frames:
        if size <= 0:
            break
        kept.append(frame[:size])
        size -= len(frame)
    return kept


def _split(frames: list[bytes], split: str | int | None) -> list[bytes]:
    if split is None:
        return [frame for frame in frames if frame]
    whole = b"".join(frames)
    if split == "whole":
        return [whole] if whole else []
    size = 1 if split == "bytes" else int(split)
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def _gzipped(writes: Iterable[bytes], *, flush: bool) -> Iterable[bytes]:
    packer = zlib.compressobj(wbits=31)
    mode = zlib.Z_SYNC_FLUSH if flush else zlib.Z_NO_FLUSH
    for write in writes:
        packed = packer.compress(write) + (packer.flush(mode) if flush else b"")
        if packed:
            yield packed
    yield packer.flush()
