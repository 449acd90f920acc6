"""Conversations in which everything may happen, with a provider that caches as Anthropic says it does: whatever is lost
is told, with who it was, and nothing else is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.messages.request import MessagesRequest
from ccrouter.routing.facts import SESSION_HEADER, read_facts
from tests.store.conversation import Talk, encode

_LIFETIME = 300.0
_LEAST = 1024


def _bare(value: Any) -> Any:
    """What a cache sees of a part of a request."""
    if isinstance(value, dict):
        return {name: _bare(one) for name, one in value.items() if name != "cache_control"}
    return [_bare(one) for one in value] if isinstance(value, list) else value


@dataclass
class Provider:
    """Keeps what it read of prompts, up to the end of the system prompt and up to their own, for five minutes each."""

    kept: dict[str, float] = field(default_factory=dict)

    def read(self, asked: dict[str, Any], now: float) -> tuple[int, int]:
        """How many tokens come from the cache, and how many go into it; one for each character."""
        parts = [json.dumps(_bare(one)) for one in (*asked["tools"], *asked["system"])]
        base = len(parts)
        # What is cached of the conversation holds for one setting of thinking.
        said = [f"{json.dumps(asked['thinking'])}{turn['role']}" for turn in asked["messages"][:1]]
        parts += [json.dumps([turn["role"], _bare(one)]) for turn in asked["messages"] for one in turn["content"]]
        ends = {
            count: "".join(parts[:count]) + ("".join(said) if count > base else "")
            for count in range(base, len(parts) + 1)
        }
        hit = max((count for count, prefix in ends.items() if self.kept.get(prefix, 0.0) >= now), default=0)
        for count in {hit, base, len(parts)} - {0}:
            self.kept[ends[count]] = now + _LIFETIME
        sizes = [len(part) for part in parts]
        return sum(sizes[:hit]), sum(sizes[hit:])


@dataclass
class Story:
    """A conversation that goes on, and what may happen to it before a turn. Each of these gives who is to be blamed for
    what it costs, and where.
    """

    talk: Talk = field(default_factory=Talk)
    provider: Provider = field(default_factory=Provider)
    turns: list[dict[str, Any]] = field(default_factory=lambda: _first(0))
    system: str = "be kind " * 900
    tools: list[dict[str, Any]] = field(default_factory=lambda: [_tool("Read"), _tool("Task")])
    thinking: dict[str, Any] = field(default_factory=lambda: {"type": "adaptive"})
    number: int = 0
    pause: float = 20.0
    left: int = 0
    is_subagent: bool = False

    def grow(self, _place: int) -> tuple[str, str]:
        return "", ""

    def wait(self, _place: int) -> tuple[str, str]:
        self.pause = 400.0
        return "ttl", ""

    def edit(self, place: int) -> tuple[str, str]:
        """Not the prompt while it is all there is: what has another prompt and no answer is another conversation."""
        if len(self.turns) == 1:
            return "", ""
        place %= len(self.turns)
        content = self.turns[place]["content"]
        content[-1] = _user(self.number, f"changed {self.number} ")["content"][0]
        return "client", f"messages[{place}].content[{len(content) - 1}]"

    def rewrite_the_beginning(self, _place: int) -> tuple[str, str]:
        self.turns[0]["content"][0] = _reminder(f"rules of day {self.number}, ")
        return "client", "messages[0].content[0]"

    def say_otherwise(self, _place: int) -> tuple[str, str]:
        self.system = f"be brief {self.number} " * 900
        return "client", "system[0]"

    def take_a_tool(self, _place: int) -> tuple[str, str]:
        self.tools = [*self.tools, _tool(f"Tool{self.number}")]
        return "client", f"tools[{len(self.tools) - 1}]"

    def think(self, _place: int) -> tuple[str, str]:
        self.thinking = {"type": "enabled", "budget_tokens": 1000 + self.number}
        return "settings", "thinking"

    def restart(self, _place: int) -> tuple[str, str]:
        self.talk.restart()
        return "", ""

    def clear(self, _place: int) -> tuple[str, str]:
        """The client begins anew, in the same session and with the same rules."""
        self.turns, self.left = _first(self.number), 0
        return "", ""

    def delegate(self, _place: int) -> tuple[str, str]:
        """Two subagents that are not told apart, each with some turns, while this conversation waits."""
        pair = [
            Story(self.talk, self.provider, _first(self.number + one), tools=self.tools[:1]) for one in (1000, 2000)
        ]
        for one in pair:
            one.system, one.thinking, one.is_subagent = "be a subagent " * 300, self.thinking, True
        for _ in range(3):
            for one in pair:
                one.say("", "", after=1.0)
                one.answer()
        return "", ""

    def go_on(self, what: str, place: int) -> None:
        self.number += 1
        by, at = getattr(self, what)(place) if self.number > 1 else ("", "")
        if self.number > 1 and what != "clear":
            self.answer()
        self.say(by, at, after=self.pause)
        self.pause = 20.0

    def answer(self) -> None:
        self.number += 1
        self.turns += [_user(self.number, "an answer ") | {"role": "assistant"}, _user(self.number)]

    def say(self, by: str, at: str, after: float) -> None:
        """One request; what it lost was the doing of `by`."""
        asked = {
            "model": "m", "max_tokens": 9, "tools": self.tools, "thinking": self.thinking,
            "system": [{"type": "text", "text": self.system, "cache_control": {"type": "ephemeral"}}],
            "messages": json.loads(json.dumps(self.turns)),
        }  # fmt: skip
        asked["messages"][-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
        self.talk.thread = read_facts(MessagesRequest.read(encode(asked)), {SESSION_HEADER: "session"}).thread
        before = self.left
        read, written = self.provider.read(asked, self.talk.at + after)
        self.left = read + written
        verdict = self.talk.turn(asked, read, written, 5, after=after)
        lost = min(before, read + written + 5) - read
        if lost < max(_LEAST, min(before, read + written + 5) / 16):
            is_new = not before and not self.is_subagent
            assert verdict is None or (verdict.cause.by == "compaction" and is_new and not verdict.is_break)
            return
        assert by, "nobody did anything, and yet something was lost"
        assert verdict is not None
        assert (verdict.cause.by, verdict.cause.at or "") == (by, at)
        assert verdict.lost_tokens == lost


def _user(number: int, words: str = "a question ") -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": f"{number} {words * 60}"}]}


def _first(number: int) -> list[dict[str, Any]]:
    """A first turn as Claude Code's: what it was told of the project, then the prompt."""
    return [{"role": "user", "content": [_reminder("rules of the house, "), *_user(number)["content"]]}]


def _reminder(words: str) -> dict[str, Any]:
    return {"type": "text", "text": f"<system-reminder>{words * 150}</system-reminder>"}


def _tool(name: str) -> dict[str, Any]:
    return {"name": name, "description": "does " * 300}


_ACTS = (
    "grow", "wait", "edit", "rewrite_the_beginning", "say_otherwise", "take_a_tool", "think", "restart", "clear",
    "delegate",
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(_ACTS), st.integers(0, 99)), min_size=2, max_size=16))
def test_what_is_lost_is_told_and_nothing_else(acts: list[tuple[str, int]]) -> None:
    """Any sequence of turns, pauses, edits, other settings, restarts, new beginnings and subagents."""
    story = Story()
    for what, place in acts:
        story.go_on(what, place)


@pytest.mark.parametrize("act", _ACTS)
def test_each_of_these_alone_is_told_or_is_nothing(act: str) -> None:
    """After two turns, and again after some more: who did it is known each time, by the first turn or without it."""
    story = Story()
    for what in ("grow", "grow", act, "grow", "grow", "grow", act, act, "grow"):
        story.go_on(what, 0)
