"""In-process figures, without sockets. They are of the ccrouter that is importable here, whatever --ccr says."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from bench import bodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measure import Figures

REPEATS = 200
CHUNK = (
    'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"m1","choices":'
    '[{"index":0,"delta":{"content":"word %d of the answer "},"logprobs":null,"finish_reason":null}]}\n\n'
)
TURNS = [1_000_000, 1_012_000]  # a conversation of 1 MB and its next turn


def chat_chunk_us() -> float:
    """Microseconds from the bytes of one chat chunk to the bytes of its Messages event, each chunk arriving alone."""
    from ccrouter.config.schema import Endpoint, Provider, Target  # noqa: PLC0415 - may not be there
    from ccrouter.dialects.base import UpstreamRequest  # noqa: PLC0415 - as above
    from ccrouter.dialects.registry import DIALECTS  # noqa: PLC0415 - as above
    from ccrouter.gateway.stream import Translation  # noqa: PLC0415 - as above
    from ccrouter.messages.writer import MessageWriter  # noqa: PLC0415 - as above

    endpoint = Endpoint("openai_chat", "http://127.0.0.1:9/v1/chat/completions")
    target = Target(Provider("bench", (endpoint,)), "m1")
    chunks = [(CHUNK % number).encode() for number in range(200)]
    seen = []
    for _ in range(REPEATS):
        writer = MessageWriter(id="msg_bench", model="m1")
        pipe = Translation(DIALECTS["openai_chat"].reader(UpstreamRequest(b""), target, writer))
        begin = time.perf_counter()
        frames = [pipe.feed(chunk) for chunk in chunks]
        seen.append((time.perf_counter() - begin) / len(chunks))
        if b"".join(frames).count(b"text_delta") != len(chunks):
            raise ValueError("the translation lost deltas")
    return statistics.median(seen) * 1e6


def next_turn_ms() -> float:
    """Milliseconds to estimate the tokens of a conversation of 1 MB whose last turn alone is new."""
    from ccrouter.messages.request import MessagesRequest  # noqa: PLC0415 - may not be there
    from ccrouter.messages.tokens import TokenMemo, estimate_request  # noqa: PLC0415 - as above

    seen = []
    for salt in range(15):
        memo = TokenMemo()
        before, after = (MessagesRequest.read(body).members for body in bodies.growing("m1", TURNS, salt=salt))
        estimate_request(before, memo)
        begin = time.perf_counter()
        estimate_request(after, memo)
        seen.append(time.perf_counter() - begin)
    return statistics.median(seen) * 1e3


FIGURES: dict[str, Callable[[], float]] = {"chat_chunk_us": chat_chunk_us, "next_turn_ms": next_turn_ms}


def measure() -> tuple[Figures, dict[str, str]]:
    """The figures that could be had, and why the others could not."""
    figures: Figures = {}
    missing: dict[str, str] = {}
    for name, figure in FIGURES.items():
        try:
            figures[name] = figure()
        except Exception as error:  # noqa: BLE001 - a change inside ccrouter must not cost the rest of the run
            missing[f"micro {name}"] = f"{type(error).__name__}: {error}"
    return figures, missing
