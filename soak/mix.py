"""The mix of requests that a soak is made of, drawn by a seeded chance, and the configuration they run by. Pure."""

from __future__ import annotations

import random
from typing import Any

from soak.client import Request
from soak.processes import ROUTER_KEY
from soak.script import Ask, Outcome

_RIGHT: frozenset[Outcome] = frozenset({"right"})
_SAFE: frozenset[Outcome] = frozenset({"safe error"})
_EITHER: frozenset[Outcome] = frozenset({"right", "safe error"})
_LEFT: frozenset[Outcome] = frozenset({"left"})
#: More attempts than any request gets.
_ALWAYS = 99
_MEGABYTE = 1 << 20

#: How often each kind comes, of 100.
WEIGHTS = {
    "plain": 22,
    "unstreamed": 12,
    "paced": 8,
    "big request": 5,
    "big answer": 5,
    "slow reader": 4,
    "stall": 5,
    "fails once": 10,
    "fails always": 7,
    "limited": 4,
    "cut": 5,
    "reset": 4,
    "cut unstreamed": 2,
    "error event": 2,
    "client leaves": 5,
}


def settings(provider: str, variant: int = 0, *, again: int = 1) -> dict[str, Any]:
    """The configuration, with providers of both dialects at `provider`. Variants differ in what may change any time."""
    models = ["plain", "spare", "fails", "limited", "cut", "stall"]
    shared = {"api_key": "soak-provider-key-0123456789", "models": models}
    return {
        "APIKEY": ROUTER_KEY,
        "LOG_LEVEL": "info",
        "API_TIMEOUT_MS": 30_000 + variant,
        "Providers": [
            {"name": "m", "api_base_url": f"{provider}/v1/messages", **shared},
            {"name": "c", "api_base_url": f"{provider}/chat/completions", **shared},
            *([{"name": "extra", "api_base_url": f"{provider}/v1/messages", **shared}] if variant % 2 else []),
        ],
        "Router": {"default": "m,plain", "longContext": "c,plain", "longContextThreshold": 3_000_000},
        "fallback": {"default": ["c,spare"]},
        "retry": {"again": again},
    }


def draw(chance: random.Random, number: int, *, is_quick: bool = False) -> Request:
    """The request with this number."""
    kind = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    dialect = chance.choice("mc")
    ident = f"r{number}"
    deltas, streams = chance.randint(1, 60), chance.random() < 0.7
    waiting, beat = (300, 10) if is_quick else (1500, 40)

    def request(ask: Ask, model: str = "plain", expects: frozenset[Outcome] = _RIGHT, **more: Any) -> Request:
        return Request(ask, f"{dialect},{model}", kind=kind, expects=expects, **{"streams": streams, **more})

    match kind:
        case "plain":
            return request(Ask(ident, deltas), streams=True)
        case "unstreamed":
            return request(Ask(ident, deltas), streams=False)
        case "paced":
            return request(Ask(ident, 20, every=beat), streams=True)
        case "big request":
            return request(Ask(ident, deltas), padding=_MEGABYTE)
        case "big answer":
            return request(Ask(ident, 40, width=_MEGABYTE // 40))
        case "slow reader":
            return request(Ask(ident, 60, width=20_000), streams=True, pause=waiting // 300)
        case "stall":
            ask = Ask(ident, 30, fault="stall", at=chance.choice([0, 15]), silence=waiting, fails=_ALWAYS)
            return request(ask, "stall", streams=True)
        case "fails once":
            return request(_failing(chance, ident, deltas, 1), "fails", _EITHER)
        case "fails always":
            return request(_failing(chance, ident, deltas, _ALWAYS), "fails", _SAFE)
        case "limited":
            return request(Ask(ident, deltas, fault="status", code=429, fails=1), "limited", _EITHER)
        case "cut" | "reset":
            ask = Ask(ident, 40, every=1, fault="cut" if kind == "cut" else "reset", at=chance.randint(2, 39), fails=1)
            return request(ask, "cut", _EITHER, streams=True)  # right, if all of it came in one read
        case "cut unstreamed":
            return request(Ask(ident, 40, width=5000, fault="cut", fails=1), "cut", _EITHER, streams=False)
        case "error event":
            return request(Ask(ident, 40, every=1, fault="error", at=20, fails=1), "cut", _EITHER, streams=True)
        case _:
            ask = Ask(ident, 200, every=5)
            return request(ask, "plain", _LEFT, streams=True, leaves=chance.choice([1, 1000, 5000]))


def _failing(chance: random.Random, ident: str, deltas: int, times: int) -> Ask:
    """A request whose first attempts fail before any content."""
    match chance.choice(["status", "refuse headers", "first error", "html", "cut"]):
        case "status":
            return Ask(ident, deltas, fault="status", code=chance.choice([500, 502, 503, 529]), fails=times)
        case "first error":
            return Ask(ident, deltas, fault="first error", at=-1, fails=times)
        case "cut":
            return Ask(ident, deltas, fault="cut", at=0, fails=times)
        case "html":
            return Ask(ident, deltas, fault="html", fails=times)
        case _:
            return Ask(ident, deltas, fault="refuse headers", fails=times)
