"""A conversation as the recorder sees it: a client that goes on talking, a provider with a prompt cache, and a watch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ccrouter.gateway.record import Attempt, Exchange, PromptNote
from ccrouter.messages.events import Billed, WireUsage
from ccrouter.prices.price import Cost, Price
from ccrouter.routing.facts import Thread
from ccrouter.store.cachewatch import CacheWatch
from ccrouter.store.verdict import Verdict

PRICE = Price(3.0, 15.0, 0.3, 3.75, 6.0, source="test")
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class States(dict[str, bytes]):
    """Where the states are kept: in memory."""

    def put(self, key: str, blob: bytes) -> None:
        self[key] = blob


def encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def body(turns: int = 1, **more: Any) -> dict[str, Any]:
    """A request of Claude Code's shape after so many turns, marked where it marks."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": "begin"}]}]
    for number in range(1, turns):
        use = {"type": "tool_use", "id": f"t{number}", "name": "Read", "input": {"path": f"/{number}"}}
        came = {"type": "tool_result", "tool_use_id": f"t{number}", "content": f"line {number} of a file " * 40}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [came]}]
    messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    return {
        "model": "claude",
        "messages": messages,
        "system": [
            {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2.1.{turns};"},
            {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
        ],
        "tools": [{"name": "Read", "input_schema": {"type": "object"}}, {"name": "Bash", "input_schema": {}}],
        "thinking": {"type": "adaptive"},
        "stream": True,
        **more,
    }


@dataclass
class Talk:
    """Goes on at a place: each `turn` is one exchange, judged at once. Times are in seconds."""

    states: States = field(default_factory=States)
    provider: str = "anthropic"
    model: str = "claude"
    key: str = "key"
    thread: Thread = field(default_factory=lambda: Thread("session", "", 7))
    at: float = 1_000_000.0
    route: str = "default"
    transforms: tuple[str, ...] = ()
    is_first_party: bool = True
    price: Price | None = PRICE

    def __post_init__(self) -> None:
        self.watch = CacheWatch(self.states)

    def restart(self) -> None:
        """As after the end of the process: all that is known is in the states."""
        self.__post_init__()

    def exchange(
        self, asked: dict[str, Any], read: int, written: int, new: int = 10, *,
        sent: bytes | None = None, after: float = 20.0, hour: int = 0, is_seen: bool = True, **more: Any,
    ) -> Exchange:  # fmt: skip
        self.at += after
        raw = encode(asked)
        note = PromptNote(_decode(raw), raw if sent is None else sent, self.is_first_party)
        if is_seen:
            self.watch.note_prompt(note)
        facts: dict[str, Any] = {
            "asked": "claude", "sent": self.model, "provider": self.provider, "key": self.key, "thread": self.thread,
            "route": self.route, "transforms": self.transforms, "status": 200, "ended_at": self.at + 2.0, "total": 2.0,
            "ttft": 0.5, "prompt": note, "usage": WireUsage(new, written, read, 50),
            "billed": Billed(cache_write_1h=hour), "attempts": [Attempt(f"{self.provider},{self.model}", 0.0)],
        }  # fmt: skip
        return Exchange("req", "/v1/messages", 0.0, **(facts | more))

    def turn(self, asked: dict[str, Any], read: int, written: int, new: int = 10, **more: Any) -> Verdict | None:
        """What is said of an exchange that read and wrote so many tokens of the cache, and had so many beside it."""
        return self.watch.verdict(self.exchange(asked, read, written, new, **more), Cost(None, "", self.price))

    def go(self, **more: Any) -> None:
        """Two turns as they should be: 20,000 tokens are written, then read, and 1,000 more are written."""
        assert self.turn(body(1), 0, 20_000, **more) is None
        assert self.turn(body(2), 20_000, 1_000, **more) is None
