"""Exchanges that are over, as sinks of the recorder are told of them."""

from __future__ import annotations

import json
from typing import Any

from ccrouter.config.load import load
from ccrouter.config.schema import Config
from ccrouter.dialects.base import Loss
from ccrouter.gateway.record import Attempt, Exchange
from ccrouter.messages.events import Billed, WireUsage
from ccrouter.prices.price import Cost
from ccrouter.store.entry import Entry

ENDED_AT = 1_700_000_100.0
PROVIDERS = [
    {
        "name": "p",
        "api_base_url": "https://api.anthropic.com/v1/messages",
        "api_key": "k-0123456789",
        "models": ["m1", "m2"],
    },
    {
        "name": "q",
        "api_base_url": "http://127.0.0.1:8080/v1/chat/completions",
        "api_key": "k-9876543210",
        "models": ["n"],
    },
]


def configured(tmp_path: Any, **more: Any) -> Config:
    """A configuration with two providers."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"Providers": PROVIDERS, "Router": {"default": "p,m1"}, **more}))
    return load(path, {})


def entry(cost: float | None = 0.25, verdict: object = None, **more: Any) -> Entry:
    """An answer of p,m1 after q,n failed: 2 s in all, the first content after 1.5 s."""
    facts: dict[str, Any] = {
        "asked": "claude-x",
        "sent": "m1",
        "answered": "m1-2026",
        "provider": "p",
        "target": "p,m1",
        "is_decided": True,
        "route": "default",
        "session": "s-1",
        "streamed": True,
        "status": 200,
        "stop_reason": "end_turn",
        "usage": WireUsage(
            input_tokens=10, cache_read_input_tokens=80, cache_creation_input_tokens=10, output_tokens=40
        ),
        "billed": Billed(thinking_tokens=5),
        "ttft": 1.5,
        "total": 2.0,
        "ended_at": ENDED_AT,
        "upstream_id": "up-1",
        "losses": (Loss("thinking", "not sent", "dropped"), Loss("metadata", "nobody's business", "hint")),
        "attempts": [
            Attempt("q,n", 0.1, "q: secret words of a failure", "rate_limit", 429, "key", ended=0.4),
            Attempt("p,m1", 0.5, key="key", waited=0.1, ended=2.0, sent=0.6, first=1.5),
        ],
        **more,
    }
    return Entry(
        Exchange(facts.pop("id", "req_1"), facts.pop("path", "/v1/messages"), 0.0, **facts),
        Cost(cost, "config"),
        "",
        verdict,
    )
