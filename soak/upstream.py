"""The faulty provider: a process of its own, `python -m soak.upstream`. Speaks Messages and Chat Completions.

It answers as the `Ask` in the request tells it to. `GET /open` says how many requests it is working on: none may be
left when every client has its answer or has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

from soak.script import Ask, read_mark

STAMP = "%016x"
_HEAD = b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n"


def stamp() -> str:
    """Now, on the clock that all processes of this machine share, in ns; 16 characters."""
    return STAMP % time.monotonic_ns()


class _Gone(Exception):
    """The router closed its connection."""


class Provider:
    """What the connections share."""

    def __init__(self) -> None:
        self.open = 0
        self.answered = 0
        self.abandoned = 0
        self._met: Counter[str] = Counter()
        self._crowds: dict[str, tuple[asyncio.Event, list[str]]] = {}

    def meets_fault(self, ask: Ask) -> bool:
        """True while attempts of this request are to fail."""
        self._met[ask.id] += 1
        return bool(ask.fault) and self._met[ask.id] <= ask.fails

    async def gather(self, ask: Ask) -> None:
        """Return once as many of this crowd are here as there have to be."""
        if not ask.together:
            return
        event, here = self._crowds.setdefault(ask.crowd, (asyncio.Event(), []))
        here.append(ask.id)
        if len(here) >= ask.together:
            event.set()
        await event.wait()

    def told(self) -> dict[str, int]:
        return {"open": self.open, "answered": self.answered, "abandoned": self.abandoned}

    def forget(self, ask: Ask) -> None:
        """No more attempts of this request will come: nothing of it is kept."""
        if self._met[ask.id] > ask.fails:
            del self._met[ask.id]


class Link(asyncio.Protocol):
    """One connection."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None
        self.is_gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._task = asyncio.get_running_loop().create_task(self._run())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._arrived.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_gone = True
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError, _Gone):
            while await self._exchange():
                pass
        self.transport.close()

    async def _take(self, enough: Callable[[], int]) -> bytes:
        while (size := enough()) <= 0:
            self._arrived.clear()
            await self._arrived.wait()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def _exchange(self) -> bool:
        head = await self._take(lambda: self._buffer.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in self._buffer else 0)
        line, _, fields = head.partition(b"\r\n")
        method, target, _ = line.split(b" ")
        if method == b"GET":
            await self._put(200, b"application/json", json.dumps(self._provider.told()).encode())
            return True
        length = next(int(one[15:]) for one in fields.lower().split(b"\r\n") if one.startswith(b"content-length:"))
        body = await self._take(lambda: length if len(self._buffer) >= length else 0)
        ask = read_mark(body)
        is_chat = target.startswith(b"/chat")
        streams = bool(json.loads(body).get("stream"))
        self._provider.open += 1
        is_done = False
        try:
            is_done = await self._answer(ask, is_chat=is_chat, streams=streams)
            self._provider.answered += 1
        finally:
            self._provider.open -= 1
            if self.is_gone:
                self._provider.abandoned += 1
            self._provider.forget(ask)
        return is_done

    async def _answer(self, ask: Ask, *, is_chat: bool, streams: bool) -> bool:
        """True if the connection can serve again."""
        fails = self._provider.meets_fault(ask)
        await self._provider.gather(ask)
        if fails and not await self._fail_early(ask, is_chat=is_chat, streams=streams):
            return ask.fault in {"status", "html"}
        wire = _chat(ask) if is_chat else _messages(ask)
        if not streams:
            await self._put(200, b"application/json", _whole(ask, is_chat=is_chat))
            return True
        self._write(_HEAD % (200, b"OK", b"text/event-stream") + b"transfer-encoding: chunked\r\n\r\n")
        for number, frame in wire:
            if fails and number == ask.at and await self._fail_midway(ask, is_chat=is_chat):
                return False
            await self._chunk(frame)
            if ask.every and 0 <= number < ask.deltas:
                await asyncio.sleep(ask.every / 1000)
        self._write(b"0\r\n\r\n")
        await self._drain()
        return True

    async def _fail_early(self, ask: Ask, *, is_chat: bool, streams: bool) -> bool:
        """True if the fault is one of a stream under way, still to come."""
        match ask.fault:
            case "status":
                await self._put(ask.code, b"application/json", _error(f"code {ask.code}", is_chat=is_chat))
            case "refuse headers":
                self._reset()
            case "html":
                await self._put(200, b"text/html", b"<html><body><h1>Please log in</h1></body></html>")
            case "first error" | "error" if not streams:  # an overload inside a 200
                await self._put(200, b"application/json", _error("Overloaded", is_chat=is_chat))
            case "cut" | "reset" if not streams:  # of a body with a length, the half
                whole = _whole(ask, is_chat=is_chat)
                self._write(_HEAD % (200, b"OK", b"application/json") + b"content-length: %d\r\n\r\n" % len(whole))
                await self._chunked(whole[: len(whole) // 2])
                if ask.fault == "reset":
                    self._reset()
            case _:
                return True
        return False

    async def _fail_midway(self, ask: Ask, *, is_chat: bool) -> bool:
        """True if that was the end of the answer."""
        match ask.fault:
            case "stall":
                await asyncio.sleep(ask.silence / 1000)
                return False
            case "reset":
                self._reset()
            case "error" | "first error":
                error = _error("Overloaded", is_chat=is_chat)
                await self._chunk(b"data: %b\n\n" % error if is_chat else b"event: error\ndata: %b\n\n" % error)
                self._write(b"0\r\n\r\n")
        return True

    async def _put(self, status: int, kind: bytes, body: bytes) -> None:
        self._write(_HEAD % (status, b"Said", kind) + b"content-length: %d\r\n\r\n" % len(body))
        await self._chunked(body)

    async def _chunked(self, body: bytes) -> None:
        for at in range(0, len(body), 65_536):
            self._write(body[at : at + 65_536])
            await self._drain()

    async def _chunk(self, data: bytes) -> None:
        self._write(b"%x\r\n%b\r\n" % (len(data), data))
        await self._drain()

    def _write(self, data: bytes) -> None:
        if self.is_gone:
            raise _Gone
        self.transport.write(data)

    async def _drain(self) -> None:
        await self._writable.wait()

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()
        raise _Gone


# -- the wire ----------------------------------------------------------------------------------------------------------


def _text(ask: Ask, number: int) -> str:
    return stamp() + ask.piece(number) if ask.stamped else ask.piece(number)


def _messages(ask: Ask) -> Iterator[tuple[int, bytes]]:
    """The frames of a Messages stream, each with the number of the delta that it is or precedes."""

    def frame(kind: str, **facts: object) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **facts})}\n\n".encode()

    yield -1, frame("message_start", message=_message(ask, []))
    yield -1, frame("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for number in range(ask.deltas):
        yield (
            number,
            frame("content_block_delta", index=0, delta={"type": "text_delta", "text": _text(ask, number)}),
        )
    yield ask.deltas, frame("content_block_stop", index=0)
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    yield ask.deltas, frame("message_delta", delta=ending, usage={"output_tokens": ask.deltas})
    yield ask.deltas, frame("message_stop")


def _message(ask: Ask, content: list[object]) -> dict[str, object]:
    return {
        "id": f"msg_{ask.id}",
        "type": "message",
        "role": "assistant",
        "model": "soak",
        "content": content,
        "stop_reason": "end_turn" if content else None,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": ask.deltas if content else 1},
    }


def _chat(ask: Ask) -> Iterator[tuple[int, bytes]]:
    def frame(choices: list[object], **more: object) -> bytes:
        told = {"id": ask.id, "object": "chat.completion.chunk", "created": 1, "model": "soak", "choices": choices}
        return f"data: {json.dumps({**told, **more})}\n\n".encode()

    yield -1, frame([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    for number in range(ask.deltas):
        yield number, frame([{"index": 0, "delta": {"content": _text(ask, number)}, "finish_reason": None}])
    yield ask.deltas, frame([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    yield ask.deltas, frame([], usage={"prompt_tokens": 9, "completion_tokens": ask.deltas, "total_tokens": 9})
    yield ask.deltas, b"data: [DONE]\n\n"


def _whole(ask: Ask, *, is_chat: bool) -> bytes:
    if not is_chat:
        return json.dumps(_message(ask, [{"type": "text", "text": ask.answer()}])).encode()
    said = {"index": 0, "message": {"role": "assistant", "content": ask.answer()}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": ask.deltas, "total_tokens": 9}
    told = {"id": ask.id, "object": "chat.completion", "created": 1, "model": "soak", "choices": [said]}
    return json.dumps({**told, "usage": usage}).encode()


def _error(message: str, *, is_chat: bool) -> bytes:
    if is_chat:
        return json.dumps({"error": {"message": message, "type": "server_error", "code": None}}).encode()
    return json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": message}}).encode()


async def main() -> None:
    provider = Provider()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Link(provider), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()  # whoever started this process has gone when its end of the pipe closes


if __name__ == "__main__":
    asyncio.run(main())
