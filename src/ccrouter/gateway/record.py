"""What happened in one exchange: facts only, no content. The log line, and later the store, are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ccrouter.dialects.base import Loss
from ccrouter.messages.events import WireUsage
from ccrouter.messages.fault import type_of_status

#: What the client's own leaving is written down as.
CLIENT_GONE = 499


class Auditor(Protocol):
    """Whoever keeps the account of decisions, denials and outcomes (see `ccrouter.audit`)."""

    def record(self, kind: str, facts: Mapping[str, object]) -> None:
        """Write one line. Raises RouterError if it must be written and cannot be: then nothing may be sent."""


@dataclass(slots=True)
class Attempt:
    """One request to one target. `failure` is "" for the one that answered; `began` in seconds after the exchange."""

    target: str
    began: float
    failure: str = ""


@dataclass(slots=True)
class Exchange:
    """One client request and all its attempts. Times in seconds; `status` is what the client got, 499 if it left.

    `target` is the configured one that was tried or denied last ("provider,model"), `sent` the model that stood in what
    went out for it: another where a policy says so. `is_decided` once the auditor has been told what was decided.
    """

    id: str
    path: str
    began: float
    asked: str = ""
    sent: str = ""
    answered: str = ""
    provider: str = ""
    target: str = ""
    is_decided: bool = False
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


def outcome_facts(exchange: Exchange) -> dict[str, object]:
    """What an auditor is told when an exchange has ended: which target answered, or how it failed, in one word.

    Empty for a request that no decision was made about (one that could not be read): such a one needs no line. No
    words of the client or the provider are in it.
    """
    if not exchange.is_decided:
        return {}
    result = "answered" if exchange.status < 400 else type_of_status(exchange.status)
    return {
        "request": exchange.id,
        "session": exchange.session,
        "path": exchange.path,
        "target": exchange.target,
        "route": exchange.route,
        "status": exchange.status,
        "result": "client_gone" if exchange.status == CLIENT_GONE else result,
    }
