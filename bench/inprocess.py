"""In-process figures of the ccrouter that is importable here, whatever --ccr says.

What fails is reported, never raised: a change inside ccrouter must not cost the rest of a run.
"""

from __future__ import annotations

import importlib
import statistics
import time
from typing import TYPE_CHECKING, Any

from bench import bodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measure import Figures

TURNS = [1_000_000, 1_012_000]  # a conversation of 1 MB and its next turn


def _micro() -> Any:
    return importlib.import_module("bench.micro")


def next_turn_ms() -> float:
    """Milliseconds to estimate the tokens of a conversation of 1 MB whose last turn alone is new."""
    read = importlib.import_module("ccrouter.messages.request").MessagesRequest.read
    tokens = importlib.import_module("ccrouter.messages.tokens")
    seen = []
    for salt in range(15):
        memo = tokens.TokenMemo()
        before, after = (read(body).members for body in bodies.growing("m1", TURNS, salt=salt))
        tokens.estimate_request(before, memo)
        begin = time.perf_counter()
        tokens.estimate_request(after, memo)
        seen.append(time.perf_counter() - begin)
    return statistics.median(seen) * 1e3


FIGURES: dict[str, Callable[[], float]] = {
    "chat_chunk_us": lambda: _micro().chunk_cost_us(),
    "encode_120kb_ms": lambda: _micro().encode_cost_ms(120_000),
    "encode_1mb_ms": lambda: _micro().encode_cost_ms(1_000_000),
    "next_turn_ms": next_turn_ms,
}


def measure() -> tuple[Figures, dict[str, str]]:
    """The figures that could be had, and why the others could not."""
    figures: Figures = {}
    missing: dict[str, str] = {}
    for name, figure in FIGURES.items():
        try:
            figures[name] = figure()
        except Exception as error:  # noqa: BLE001 - see the docstring of the module
            missing[f"micro {name}"] = f"{type(error).__name__}: {error}"
    return figures, missing
