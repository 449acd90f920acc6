"""Real Claude Code and who broke the cache: what it changes itself is told, and nothing is that it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ccrouter.store.reports import Reports
from tests.e2e.brain import Say, Scene
from tests.e2e.caching import CachingBrain
from tests.e2e.claude_code import ClaudeCode
from tests.e2e.router import Router
from tests.upstream import ThreadedUpstream

MODEL = "claude-sonnet-4-5"
RULES = "".join(f"- Rule {number}: write what is true, and say what is not known.\n" for number in range(500))


def two_subagents(scene: Scene) -> Say:
    """Two at once, with the same tools and rules, of which the first has more to say."""
    if not scene.calls:
        name = "Agent" if "Agent" in scene.conversation.tools else "Task"
        kind = {"subagent_type": "general-purpose"}
        orders = [{"description": mark, "prompt": f"[[{mark}]]", **kind} for mark in ("LONG", "SHORT")]
        return Say("Asking.", tools=tuple((f"toolu_{one['description']}", name, one) for one in orders))
    return Say("DONE")


def agent(scene: Scene) -> Say:
    """Some turns with a tool, then an answer."""
    if len(scene.calls) < (4 if scene.name == "LONG" else 2):
        ident = f"toolu_{scene.name}_{len(scene.calls)}"
        return Say(tools=((ident, "Bash", {"command": f"echo {scene.name}", "description": "Say it"}),))
    return Say(f"SUB-ANSWER of {scene.name} " * 40)


@dataclass
class Shop:
    """A folder with rules for Claude Code, and a router that records what it asks."""

    claude: ClaudeCode
    router: Router
    home: Path

    def ask(self, prompt: str, *more: str) -> None:
        run = self.claude.run(prompt, url=self.router.url, home=self.home, folder=self.home / "shop", more=more)
        assert run.code == 0, run.told() + self.router.told()

    def rewrite(self) -> None:
        """Other words in the first turn, as Claude Code remembers it."""
        (transcript,) = (self.home / ".claude" / "projects").glob("*-shop/*.jsonl")
        text = transcript.read_text()
        assert "Rules of the shop" in text
        transcript.write_text(text.replace("Rules of the shop", "Rules of that shop"))

    def turns(self) -> list[dict[str, Any]]:
        """All turns of all sessions, as the records have them once the router has ended."""
        reports = Reports(self.home / ".claude-code-router" / "records.db")
        found = [reports.session(one["session"]) for one in reports.sessions()["items"]]
        return [turn for session in found if session is not None for turn in session["turns"]]


@pytest.fixture
def shop(claude: ClaudeCode, tmp_path: Path) -> Iterator[tuple[Shop, Router]]:
    work = tmp_path / "shop"
    work.mkdir()
    (work / "CLAUDE.md").write_text("# Rules of the shop\n" + RULES)
    brain = CachingBrain("anthropic")
    brain.scenarios |= {"TWO": two_subagents, "LONG": agent, "SHORT": agent}
    with ThreadedUpstream() as upstream:
        upstream.always(brain)
        provider = {"name": "p", "api_base_url": f"{upstream.url}/v1/messages", "api_key": "sk-x", "models": [MODEL]}
        settings = {"Providers": [provider], "Router": {"default": f"p,{MODEL}"}}
        router = Router(json.dumps(settings), tmp_path, {})
        yield Shop(claude, router, tmp_path), router
        assert not brain.failures


@pytest.mark.parametrize("claude", ["2.1"], indirect=True)
def test_a_first_turn_that_was_rewritten_is_told(shop: tuple[Shop, Router]) -> None:
    """Three prompts of one session, the first with two subagents: only what stood in the rules of the first turn breaks
    the cache, and only once.
    """
    house, router = shop
    with router:
        house.ask("[[TWO]]")
        house.ask("[[GREET]]", "--continue")
        house.rewrite()
        house.ask("And now?", "--continue")
        house.ask("And then?", "--continue")
    told = [turn["verdict"] for turn in house.turns() if turn["verdict"]]
    assert [one["by"] for one in told] == ["client"], told
    assert told[0]["at"] == "messages[0].content[0]"
    assert told[0]["lostTokens"] > 10_000
    assert "messages before the end" in told[0]["words"]


@pytest.mark.parametrize("claude", ["2.1", "2.0"], indirect=True)
def test_subagents_at_once_are_not_blamed_for_each_other(claude: ClaudeCode, shop: tuple[Shop, Router]) -> None:
    """Two of several turns each, with ids (2.1) or without (2.0): nothing is lost, and no conversation was compacted."""
    house, router = shop
    with router:
        house.ask("[[TWO]]")
    turns = house.turns()
    assert len(turns) >= 10
    assert (len({turn["agent"] for turn in turns}) > 1) == (claude.version == "2.1")
    assert [turn["verdict"] for turn in turns if turn["verdict"]] == []
