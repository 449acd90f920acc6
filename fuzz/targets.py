"""What is fuzzed: one function a target, from bytes to nothing, that raises for a breach of its law."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ccrouter.dialects.registry import DIALECTS, SERVED
from fuzz import inside, wire

Fuzzed = Callable[[bytes], None]

TARGETS: dict[str, Fuzzed] = {
    **{f"request-{name}": partial(wire.request, name) for name in DIALECTS},
    **{f"stream-{name}": partial(wire.stream, name) for name in DIALECTS},
    **{f"served-{name}": partial(wire.served, name) for name in SERVED},
    "errors": wire.errors,
    "chain": inside.chain,
    "filters": inside.filters,
    "json": inside.careless,
    "frames": inside.frames,
    "config": inside.config,
    "preset": inside.preset,
}
