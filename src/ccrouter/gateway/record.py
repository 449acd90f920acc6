"""What happened in one exchange: facts only, no content. The log line, and later the store, are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ccrouter.dialects.base import Loss
from ccrouter.messages.events import WireUsage


@dataclass(slots=True)
class Attempt:
    """One request to one target. `failure` is "" for the one that answered; `began` in seconds after the exchange."""

    target: str
    began: float
    failure: str = ""


@dataclass(slots=True)
class Exchange:
    """One client request and all its attempts. Times in seconds; `status` is what the client got, 499 if it left."""

    id: str
    path: str
    began: float
    asked: str = ""
    sent: str = ""
    answered: str = ""
    provider: str = ""
    route: str = ""
    reason: str = ""
    session: str = ""
    client: str = ""
    streamed: bool = False
    size: int = 0
    status: int = 0
    error: str = ""
    stop_reason: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    losses: tuple[Loss, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)  # the headers that tell the client of the decision
    upstream_id: str = ""
    usage: WireUsage = field(default_factory=WireUsage)
    ttft: float | None = None
    total: float = 0.0
