"""The targets: each a figure made of measured ones, with what it must be at the first stage and finally."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measure import Table

OURS = "ccrouter"
UNRECORDED = "unrecorded"


@dataclass(frozen=True, slots=True)
class Target:
    """`value` is None where the run has no figure. `first` and `final` are ceilings unless `is_floor`."""

    title: str
    value: Callable[[Table], float | None]
    first: float | None
    final: float
    unit: str = ""
    is_floor: bool = False

    def is_met(self, value: float, bound: float) -> bool:
        return value >= bound if self.is_floor else value <= bound


def figure(table: Table, workload: str, who: str, key: str) -> float | None:
    return table.get(workload, {}).get(who, {}).get(key)


def _ours(workload: str, key: str) -> Callable[[Table], float | None]:
    return lambda table: figure(table, workload, OURS, key)


def _ratio(workload: str, other: str) -> Callable[[Table], float | None]:
    """CPU time of ccrouter over that of another contender."""

    def value(table: Table) -> float | None:
        ours, theirs = figure(table, workload, OURS, "cpu_ms"), figure(table, workload, other, "cpu_ms")
        return ours / theirs if ours is not None and theirs else None

    return value


def _recorded(workload: str) -> Callable[[Table], float | None]:
    """CPU time of the event loop's thread, with records over that without."""

    def value(table: Table) -> float | None:
        row = f"records-{workload}"
        ours, bare = figure(table, row, OURS, "loop_ms"), figure(table, row, UNRECORDED, "loop_ms")
        return ours / bare if ours and bare else None

    return value


def _over_direct(workload: str, key: str, scale: float = 1) -> Callable[[Table], float | None]:
    """What ccrouter adds to a direct connection."""

    def value(table: Table) -> float | None:
        ours, direct = figure(table, workload, OURS, key), figure(table, workload, "direct", key)
        return (ours - direct) * scale if ours is not None and direct is not None else None

    return value


def stall_free_streams(table: Table, who: str = OURS) -> float | None:
    """The most paced streams at once of which none stalled; None when no step was measured."""
    steps = [(int(name.removeprefix("streams-")), row) for name, row in table.items() if name.startswith("streams-")]
    if not any(who in row for _, row in steps):
        return None
    return float(max((count for count, row in steps if row.get(who, {"stalls": 1})["stalls"] == 0), default=0))


TARGETS = (
    Target("W1 CPU beside the Node router", _ratio("W1", "node"), 1 / 6, 1 / 8, "x"),
    Target("W2 CPU beside nginx", _ratio("W2", "nginx"), 2, 1.5, "x"),
    Target("W3 CPU beside nginx", _ratio("W3", "nginx"), 3, 2, "x"),
    Target("W3 CPU beside the Node router", _ratio("W3", "node"), None, 1 / 25, "x"),
    Target("W4 CPU beside nginx", _ratio("W4", "nginx"), 10, 8, "x"),
    Target("W4 CPU beside the Node router", _ratio("W4", "node"), None, 1 / 45, "x"),
    *(
        Target(f"{name} event loop's CPU, with records beside without", _recorded(name), None, 1.05, "x")
        for name in ("W1", "W2", "W3")
    ),
    Target("first event over direct, L3, p50", _over_direct("L3", "first_event_p50"), 3, 2, "ms"),
    Target("first event over direct, L3, p99", _over_direct("L3", "first_event_p99"), 8, 5, "ms"),
    Target("440 k tokens, next turn, over direct", _over_direct("conversation", "first_event_p50"), 25, 15, "ms"),
    Target("440 k tokens, never seen, over direct", _over_direct("conversation", "cold"), 25, 15, "ms"),
    Target("30-turn session, all overhead", _over_direct("session", "total_sum", 0.001), 0.15, 0.10, "s"),
    Target("W5, 64 streams, age of a delta, p99", _ours("W5", "age_p99"), 5, 3, "ms"),
    Target("paced streams without a stall", stall_free_streams, 256, 512, "", is_floor=True),
    Target("RSS idle", _ours("start", "rss_idle_mb"), 70, 70, "MB"),
    Target("RSS after load", _ours("memory", "rss_after_load_mb"), 90, 90, "MB"),
    Target("start to first /health", _ours("start", "start_s"), 0.7, 0.5, "s"),
    Target("estimating the next turn of 1 MB", _ours("micro", "next_turn_ms"), 1, 1, "ms"),
    Target("read + write + encode a chat chunk", _ours("micro", "chat_chunk_us"), 20, 15, "µs"),
)
