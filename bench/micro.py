"""What translation costs inside the process: a chat chunk read, written and rendered; a request encoded.

`make bench ARGS='--only micro'` takes its figures from here; `python -m bench.micro` prints them.
"""

from __future__ import annotations

import time

from bench.bodies import single
from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.dialects.openai_chat import DIALECT
from ccrouter.messages.events import render
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.writer import MessageWriter
from ccrouter.sse import SseReader

_TARGET = Target(Provider("mock", (Endpoint("openai_chat", "http://127.0.0.1:1/v1/chat/completions"),)), "m1")
_CHUNK = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"m1",'
    b'"choices":[{"index":0,"delta":{"content":"token %06d of a stream "},"finish_reason":null}]}\n\n'
)


def chunk_cost_us(chunks: int = 2000, rounds: int = 15) -> float:
    """Microseconds for one text chunk, each arriving alone: from SSE bytes to rendered bytes; the best round."""
    wire = [_CHUNK % number for number in range(chunks)]
    asked = MessagesRequest.read(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')
    request = DIALECT.encode(asked, _TARGET, {})
    best = float("inf")
    for _ in range(rounds):
        reader = DIALECT.reader(request, _TARGET, MessageWriter(id="msg_bench", model="m"))
        sse = SseReader()
        size = 0
        began = time.perf_counter()
        for chunk in wire:
            for event in sse.feed(chunk):
                for written in reader.feed(event):
                    size += len(render(written))
        best = min(best, (time.perf_counter() - began) / chunks)
        assert size > chunks * 50
    return best * 1e6


def encode_cost_ms(size: int, rounds: int = 20) -> float:
    """Milliseconds to translate a request of about `size` bytes, from its bytes to the provider's; the best round."""
    raw = single("m1", size, stream=True)
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        DIALECT.encode(MessagesRequest.read(raw), _TARGET, {})
        best = min(best, time.perf_counter() - began)
    return best * 1e3


def main() -> None:
    print(f"one chat chunk, read + write + render: {chunk_cost_us():.1f} µs")
    for size in (2_000, 120_000, 1_000_000):
        print(f"request of {size} bytes: {encode_cost_ms(size):.2f} ms")


if __name__ == "__main__":
    main()
