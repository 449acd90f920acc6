"""A file of records as some days with Claude Code leave it, written through the real recorder: for tests of what reads it.

What is in it is fixed, but for the times, which are counted back from `now`: sessions of a project with subagents, a
fallback after an overloaded provider, a cache lost by a changed system prompt, a model whose price nobody knows, a
request that a policy refused, one that no provider served, one whose client hung up, losses of a translation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from ccrouter.config.rates import Rates
from ccrouter.config.schema import Config, Endpoint, ModelRef, Provider, RecordKeeping, Router
from ccrouter.dialects.base import Loss
from ccrouter.gateway.record import Attempt, Content, Exchange
from ccrouter.messages.events import Billed, WireUsage
from ccrouter.prices.book import PriceBook
from ccrouter.routing.facts import RequestFacts
from ccrouter.store.cachewatch import CacheWatch
from ccrouter.store.entry import Sink
from ccrouter.store.recorder import Recorder

OPUS, SONNET, HAIKU = "claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"
CHAT, MYSTERY = "deepseek-chat", "mystery-7b"
PROJECTS = ("-home-ada-work-shop", "-home-ada-work-site", "-home-ada-notes")
CLIENTS = ("claude-cli/2.1.330", "claude-cli/2.1.330", "claudable")

#: US dollars per million tokens, of everything but MYSTERY.
PRICES = {
    OPUS: Rates(5, 25, 0.5, 6.25, 10),
    SONNET: Rates(3, 15, 0.3, 3.75, 6),
    HAIKU: Rates(1, 5, 0.1, 1.25, 2),
    CHAT: Rates(0.28, 0.42, 0.028, 0.28),
}


def _provider(name: str, dialect: str, url: str, *models: str) -> Provider:
    return Provider(name, (Endpoint(dialect, url),), models=models)  # type: ignore[arg-type] # as in a configuration


CONFIG = Config(
    providers=(
        _provider("anthropic", "anthropic", "https://api.anthropic.com/v1/messages", OPUS, SONNET, HAIKU),
        _provider("relay", "anthropic", "https://relay.example/v1/messages", SONNET),
        _provider("deepseek", "openai_chat", "https://api.deepseek.com/chat/completions", CHAT),
        _provider("lab", "openai_chat", "https://lab.example/v1/chat/completions", MYSTERY),
    ),
    router=Router({"default": ModelRef("anthropic", SONNET), "background": ModelRef("anthropic", HAIKU)}),
    prices=PRICES,
)

_LOSSES = (
    Loss("system[0].cache_control", "a wish about caching, which is automatic there", "hint"),
    Loss("messages[2].content[0].citations", "the provider cites no places in documents", "dropped"),
    Loss("messages[4].content[0].citations", "the provider cites no places in documents", "dropped"),
    Loss("thinking.budget_tokens", "told as an effort: high", "approximated"),
)
_KEPT = frozenset({"temperature", "messages[].content[].text", "stream"})
_MAPPED = frozenset({"system", "messages[].content[].tool_use", "tools[].input_schema", "max_tokens"})


@dataclass
class Seeded:
    """What was written: the ids of sessions, the latest first, and of requests by what is special about them."""

    path: Path
    sessions: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    special: dict[str, str] = field(default_factory=dict)


def seed(
    path: Path,
    *,
    now: float,
    sessions: int = 3,
    turns: int = 12,
    config: Config = CONFIG,
    content: bool = False,
    sinks: tuple[Sink, ...] = (),
) -> Seeded:
    """Write `sessions` of `turns` each to the file at `path`. The latest ended two minutes before `now`, each other one
    seven hours before the one after it. With `content` what was said is kept too.
    """
    told: list[str] = []
    if content:
        config = replace(config, record=RecordKeeping(content="full"))
    recorder = Recorder(
        path,
        config=config,
        prices=PriceBook(config.prices),
        sinks=sinks,
        watch=CacheWatch,
        find_project=_project_of,
        tell=told.append,
        now=lambda: now,
    )
    seeded = Seeded(path)
    for number in range(sessions):
        _Session(recorder, seeded, number, now - 120 - number * 7 * 3600, turns, content=content).play()
    written = recorder.flush()
    recorder.close()
    assert written, told
    assert not told, told
    return seeded


def session_id(number: int) -> str:
    return f"5e55{number:04d}-0000-4000-8000-00000000000{number % 10}"


def _project_of(session: str) -> str | None:
    return PROJECTS[int(session[4:8]) % len(PROJECTS)]


class _Session:
    """One session: its main conversation, with what befalls it at fixed turns, and two subagents."""

    def __init__(
        self, recorder: Recorder, seeded: Seeded, number: int, ends: float, turns: int, *, content: bool
    ) -> None:
        self.recorder, self.seeded, self.number, self.content = recorder, seeded, number, content
        self.session = session_id(number)
        self.client = CLIENTS[number % len(CLIENTS)]
        self.turns = turns
        self.at = ends - turns * 45.0
        self.history: list[dict[str, object]] = []
        self.context = 18_000
        self.system = "You are Claude Code. Today is Monday."
        seeded.sessions.append(self.session)

    def play(self) -> None:
        for turn in range(self.turns):
            if turn == 3:
                self.agent("a1b2c3d4", "Explore", HAIKU)
            if turn == 4 and self.number == 0:
                self.agent("e5f6a7b8", "general-purpose", CHAT)
            if turn == 8:
                self.oddity()
            self.turn(turn)
            self.at += 45.0

    # -- what happens ------------------------------------------------------------------------------------------------

    def turn(self, turn: int) -> None:
        """One turn of the main conversation; the sixth loses its cache, the seventh its first provider."""
        is_break, falls_back = turn == 5, turn == 6
        if is_break:
            self.system = "You are Claude Code. Today is Tuesday."
        self.history += [
            {"role": "user", "content": f"Please look at file number {turn} of the shop."},
            {"role": "assistant", "content": f"I have read file number {turn}."},
        ]
        grown = 1_500 + 90 * turn
        read = 0 if turn == 0 or is_break else self.context
        self.context += grown
        usage = WireUsage(12, self.context - read, read, 180 + 35 * turn)
        model, provider = (OPUS if turn % 5 == 4 else SONNET), "anthropic"
        if turn % 5 == 4:  # another model has a cache of its own: asked beside the conversation, for a plan
            usage = WireUsage(self.context, 0, 0, 900)
        exchange = self.exchange(turn, model=model, provider=provider, usage=usage, route="default")
        exchange.reason = "default: nothing else applies"
        exchange.thread = None if turn % 5 == 4 else exchange.thread
        if falls_back:
            self.fall_back(exchange)
        self.put(exchange)
        if is_break and self.number == 0:
            self.seeded.special["break"] = exchange.id
        if falls_back and self.number == 0:
            self.seeded.special["fallback"] = exchange.id

    def fall_back(self, exchange: Exchange) -> None:
        """The relay is overloaded, twice; then Anthropic answers."""
        failed = Attempt(f"relay,{SONNET}", 0.004, "529 overloaded: try again later", "overloaded", 529, "relay key")
        failed.sent, failed.headers, failed.ended, failed.connected = 0.006, 0.310, 0.312, 0.004
        again = Attempt(f"relay,{SONNET}", 0.812, "no answer within 2 s", "first_byte", 0, "relay key", 0.5)
        again.sent, again.ended = 0.814, 2.815
        for one in exchange.attempts:
            one.began += 2.816
            one.sent += 2.816
            one.headers += 2.816
            one.first += 2.816
            one.ended += 2.816
        exchange.attempts[:0] = [failed, again]
        exchange.total += 2.816
        exchange.ttft = (exchange.ttft or 0.0) + 2.816

    def agent(self, agent: str, kind: str, model: str) -> None:
        """Four turns of a subagent."""
        for turn in range(4):
            context = 4_000 + 900 * turn
            read = 0 if turn == 0 else context - 900
            is_chat = model == CHAT
            usage = WireUsage(context - read, 0, read, 120) if is_chat else WireUsage(8, context - read, read, 120)
            provider = "deepseek" if is_chat else "anthropic"
            exchange = self.exchange(turn, model=model, provider=provider, usage=usage, route="subagent", agent=agent)
            exchange.agent_type, exchange.request_class = kind, "subagent"
            exchange.reason = f"subagent: {kind}"
            if is_chat:
                exchange.losses, exchange.kept, exchange.mapped = _LOSSES, _KEPT, _MAPPED
                exchange.transforms = ("deepseek", "tooluse")
                self.seeded.special.setdefault("losses", exchange.id)
            self.put(exchange)

    def oddity(self) -> None:
        """One of what goes wrong, another one in each session: all of them in the first."""
        odd = (self.unpriced, self.denied, self.hung_up, self.unserved, self.title)
        for one in odd if self.number == 0 else odd[self.number % len(odd) :][:1]:
            one()

    def unpriced(self) -> None:
        exchange = self.exchange(0, model=MYSTERY, provider="lab", usage=WireUsage(5_200, 0, 0, 260), route="explicit")
        exchange.asked, exchange.reason = f"lab,{MYSTERY}", f"explicit: lab,{MYSTERY} was asked for"
        exchange.thread = None
        self.put(exchange, "unpriced")

    def denied(self) -> None:
        exchange = self.exchange(0, model=CHAT, provider="deepseek", usage=WireUsage(), route="explicit")
        exchange.attempts, exchange.ttft, exchange.total, exchange.streamed = [], None, 0.002, False
        exchange.status, exchange.policy = 403, "denied: providers"
        exchange.error = 'the policy allows no provider "deepseek" for this'
        exchange.sent = exchange.answered = exchange.stop_reason = exchange.key = ""
        exchange.thread = None
        self.put(exchange, "denied")

    def hung_up(self) -> None:
        exchange = self.exchange(0, model=SONNET, provider="anthropic", usage=WireUsage(9, 0, 21_000, 40))
        exchange.status, exchange.error, exchange.stop_reason = 499, "the client hung up", ""
        exchange.thread = None
        self.put(exchange, "hung_up")

    def unserved(self) -> None:
        exchange = self.exchange(0, model=SONNET, provider="anthropic", usage=WireUsage())
        exchange.status, exchange.error = 529, "every target failed: relay is overloaded; anthropic is overloaded"
        exchange.ttft, exchange.answered, exchange.stop_reason, exchange.key = None, "", "", ""
        exchange.attempts = [
            Attempt(
                f"{name},{SONNET}", began, "529 overloaded", "overloaded", 529, "key 1", 0.0, began + 0.2, began + 0.01
            )
            for name, began in (("relay", 0.01), ("anthropic", 0.25))
        ]
        exchange.thread = None
        self.put(exchange, "unserved")

    def title(self) -> None:
        exchange = self.exchange(
            0, model=HAIKU, provider="anthropic", usage=WireUsage(310, 0, 0, 14), route="background"
        )
        exchange.asked, exchange.reason, exchange.request_class = (
            HAIKU,
            "background: a haiku was asked for",
            "auxiliary",
        )
        exchange.thread, exchange.streamed = None, False
        self.put(exchange, "title")

    # -- how it is told ----------------------------------------------------------------------------------------------

    def exchange(
        self, turn: int, model: str, provider: str, usage: WireUsage, route: str = "default", agent: str = ""
    ) -> Exchange:
        number = len(self.seeded.requests)
        exchange = Exchange(f"req_{self.number:04x}{number:020x}", "/v1/messages", 0.0, asked=SONNET)
        exchange.sent, exchange.answered, exchange.provider = model, f"{model}-20251001", provider
        exchange.target, exchange.route, exchange.is_decided = f"{provider},{model}", route, True
        exchange.client, exchange.streamed, exchange.status = self.client, True, 200
        exchange.size, exchange.answer_size = usage.context * 4, usage.output_tokens * 30
        exchange.stop_reason, exchange.usage, exchange.key = "tool_use" if turn % 3 else "end_turn", usage, "key 1"
        exchange.authorized, exchange.received, exchange.decided = 0.0003, 0.0011, 0.0034
        exchange.ttft = 0.6 + 0.07 * turn
        exchange.total = exchange.ttft + usage.output_tokens / 70
        exchange.billed = Billed(thinking_tokens=usage.output_tokens // 3 if model == OPUS else 0)
        exchange.policy, exchange.estimate = "allowed", usage.context
        exchange.upstream_id = f"msg_{number:08x}"
        exchange.note_facts(
            RequestFacts(
                asked=SONNET,
                session_id=self.session,
                agent_id=agent,
                request_class="subagent" if agent else "main",
                thinking="enabled" if model == OPUS else "",
                thinking_budget=8000 if model == OPUS else None,
                size=exchange.size,
                opening=number if agent and turn == 0 else hash_of(agent or self.session),
            )
        )
        attempt = Attempt(exchange.target, 0.0035, key="key 1")
        attempt.sent, attempt.headers, attempt.first, attempt.ended = 0.005, 0.4, exchange.ttft, exchange.total
        attempt.connected = 0.045 if turn == 0 else 0.0
        attempt.usage = usage if usage.output_tokens else None
        exchange.attempts = [attempt]
        if self.content:
            exchange.content = Content(100_000)
            exchange.content.note_request(json.dumps({"model": SONNET, "messages": self.history}).encode())
            exchange.content.note_answer(b'data: {"type":"message_stop"}\n\n')
        return exchange

    def put(self, exchange: Exchange, special: str = "") -> None:
        exchange.ended_at = self.at + exchange.total
        if exchange.thread is not None and not exchange.agent:
            exchange.prompts = self.recorder
            exchange.note_prompt(*self.prompt(), is_first_party=True)
        self.seeded.requests.append(exchange.id)
        if special and self.number == 0:
            self.seeded.special[special] = exchange.id
        self.recorder.put(exchange)
        self.at += 2.0

    def prompt(self) -> tuple[dict[str, msgspec.Raw], bytes]:
        """What the client asks now, and what is sent of it: the same."""
        cache = {"type": "ephemeral"}
        last = self.history[-2]
        turns = [
            *self.history[:-2],
            {"role": "user", "content": [{"type": "text", "text": last["content"], "cache_control": cache}]},
        ]
        whole = {
            "model": SONNET,
            "max_tokens": 32_000,
            "system": [{"type": "text", "text": self.system, "cache_control": cache}],
            "tools": [{"name": "Read", "description": "Reads a file", "input_schema": {"type": "object"}}],
            "messages": turns,
        }
        return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in whole.items()}, json.dumps(
            whole
        ).encode()


def hash_of(text: str) -> int:
    """A number for a text, the same in every process."""
    return int.from_bytes(text.encode()[:6], "big")
