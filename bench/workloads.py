"""The workloads: what is sent, how often at once, and what must come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dialect = Literal["anthropic", "chat"]

SESSION_SIZES = [60_000 + round(turn * 240_000 / 29) for turn in range(30)]
CONVERSATION_BYTES = 1_700_000  # about 440 000 tokens
LADDER = (256, 512)


@dataclass(frozen=True, slots=True)
class Pace:
    """How the mock upstream streams: `deltas` pieces, one every `us` microseconds; 0: all at once."""

    name: str
    us: int
    deltas: int


BURST = Pace("burst", 0, 200)
FAST = Pace("fast", 10_000, 200)
STEADY = Pace("steady", 20_000, 300)  # 50 deltas a second, a fast model's speed
PACES = (BURST, FAST, STEADY)


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    size: int
    dialect: Dialect  # of the upstream: a router translates for "chat", passes through for "anthropic"
    clients: int
    stream: bool = True
    pace: Pace = BURST

    @property
    def title(self) -> str:
        how = "stream" if self.stream else "unstreamed"
        kind = "translated" if self.dialect == "chat" else "passthrough"
        size = f"{self.size // 1000} KB" if self.size < 1_000_000 else f"{self.size / 1e6:g} MB"
        paced = f", a delta every {self.pace.us // 1000} ms" if self.pace.us else ""
        return f"{size}, {kind} {how}, {self.clients} client{'s' * (self.clients > 1)}{paced}"


BURSTS = (
    Workload("W1", 2_000, "chat", 16, stream=False),
    Workload("W2", 120_000, "anthropic", 8),
    Workload("W3", 120_000, "chat", 8),
    Workload("W4", 1_000_000, "chat", 4),
    Workload("L1", 2_000, "chat", 1, stream=False),
    Workload("L2", 120_000, "anthropic", 1),
    Workload("L3", 120_000, "chat", 1),
    Workload("L4", 1_000_000, "chat", 1),
)
PACED = Workload("W5", 120_000, "chat", 64, pace=FAST)
# Measured once more, with records and without.
RECORDED = tuple(workload for workload in BURSTS if workload.name in {"W1", "W2", "W3"})
# Beside the table of workloads: names for --only.
FURTHER = ("records", "session", "conversation", "streams", "start", "micro")
NAMES = (*(w.name for w in BURSTS), PACED.name, *FURTHER)
