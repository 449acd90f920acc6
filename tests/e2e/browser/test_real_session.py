"""A real Claude Code session with a fallback, a subagent and a broken cache, told by the dashboard alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.browser.conftest import KEY, Desk, House, _desk
from tests.e2e.caching import CachingBrain
from tests.e2e.claude_code import ClaudeCode, ClaudeRun
from tests.e2e.installs import npm_package
from tests.e2e.router import Router
from tests.upstream import ThreadedUpstream

FILE = "shopping.txt"
RULES = "".join(f"- Rule {number}: write what is true, and say what is not known.\n" for number in range(500))
SONNET, CHAT = "claude-sonnet-4-5", "deepseek-chat"
RATES = {
    SONNET: {"input": 3, "output": 15, "cacheRead": 0.3, "cacheWrite5m": 3.75, "cacheWrite1h": 6},
    CHAT: {"input": 0.28, "output": 0.42, "cacheRead": 0.028},
}


@dataclass
class Recorded:
    """What was recorded, and what really happened at the providers."""

    house: House
    first: CachingBrain
    second: CachingBrain
    session: str


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Iterator[Recorded]:
    """Four prompts of one session: an edit in three turns; a subagent; an overloaded provider, so that another answers;
    and a history that was rewritten, which breaks the cache.
    """
    claude = ClaudeCode("2.1", (str(npm_package("claude-code-2.1") / "node_modules/.bin/claude"),))
    home = tmp_path_factory.mktemp("home")
    work = home / "shop"
    work.mkdir()
    (work / FILE).write_text("colour = red\n")
    (work / "CLAUDE.md").write_text("# Rules of the shop\n" + RULES)
    first, second = CachingBrain("anthropic"), CachingBrain("chat")
    with ThreadedUpstream() as one, ThreadedUpstream() as two:
        one.always(first)
        two.always(second)
        with Router(settings(one.url, two.url), home, {"ROUTER_KEY": KEY}) as router:
            house = House(router, one)

            def ask(prompt: str, *more: str) -> ClaudeRun:
                run = claude.run(prompt, url=router.url, home=home, folder=work, token=KEY, more=more)
                assert run.code == 0, run.told() + router.told()
                assert not [*first.failures, *second.failures], run.told()
                return run

            began = ask(f"[[EDIT-FILE {work / FILE}]]")
            ask("[[SUBAGENT]]", "--continue")
            first.busy.append("GREET")
            ask("[[GREET]]", "--continue")
            rewrite_history(home)
            ask("And now?", "--continue")
            yield Recorded(house, first, second, str(began.result["session_id"]))


def rewrite_history(home: Path) -> None:
    """Another word at the beginning of what Claude Code remembers of the conversation, as when it clears old results."""
    (transcript,) = (home / ".claude" / "projects").glob("*-shop/*.jsonl")
    text = transcript.read_text()
    assert "Rules of the shop" in text
    transcript.write_text(text.replace("Rules of the shop", "Rules of that shop"))


def settings(first: str, second: str) -> str:
    return json.dumps(
        {
            "APIKEY": "$ROUTER_KEY",
            "prices": RATES,
            "Providers": [
                {
                    "name": "north",
                    "api_base_url": f"{first}/v1/messages",
                    "api_key": "sk-upstream-key-of-the-north",
                    "models": [SONNET],
                },
                {
                    "name": "south",
                    "api_base_url": f"{second}/v1/chat/completions",
                    "api_key": "sk-upstream-key-of-the-south",
                    "models": [CHAT],
                },
            ],
            "Router": {"default": [f"north,{SONNET}", f"south,{CHAT}"]},
        }
    )


@pytest.fixture
def told(browser, recorded) -> Iterator[Desk]:
    for desk in _desk(browser, recorded.house):
        desk.sign_in()
        yield desk


def test_the_session_can_be_found(told, recorded):
    """On the page of sessions there is one with the id that Claude Code gave it, and it leads to its turns."""
    page = told.go("/ui/sessions")
    page.locator(f'a[href="/ui/sessions/{recorded.session}"]').first.click()
    page.wait_for_url(f"**/ui/sessions/{recorded.session}")
    told.shot("real-session")


def turns(page) -> list[str]:
    """The words of each turn in the table, in order."""
    return [row.inner_text() for row in page.locator("table:has(caption), table").last.locator("tbody tr").all()]


def test_which_model_answered_each_turn_and_why(told, recorded):
    """Each turn names the model that answered, the provider and the route with its reason; one was answered by another."""
    page = told.go(f"/ui/sessions/{recorded.session}")
    rows = turns(page)
    assert len(rows) == len(recorded.first.usages) + len(recorded.second.usages)
    assert all("default" in row and "no other rule applies" in row for row in rows)
    assert [number for number, row in enumerate(rows) if CHAT in row] == [len(rows) - 2]
    assert sum(SONNET in row for row in rows) == len(rows) - 1
    assert any("agent" in row for row in rows)


def test_what_it_cost(told, recorded):
    """The sum on the page is that of what the providers reported, at the prices of the configuration."""
    page = told.go(f"/ui/sessions/{recorded.session}")
    at_first, at_second = RATES[SONNET], RATES[CHAT]
    paid = sum(
        7 * at_first["input"]
        + one["read"] * at_first["cacheRead"]
        + one["rest"] * at_first["cacheWrite5m"]
        + one["output"] * at_first["output"]
        for one in recorded.first.usages
    )
    paid += sum(
        one["read"] * at_second["cacheRead"] + one["rest"] * at_second["input"] + one["output"] * at_second["output"]
        for one in recorded.second.usages
    )
    assert f"${paid / 1e6:.2f}" in page.locator("main").inner_text()


def test_where_the_cache_broke(told, recorded):
    """Two breaks: another provider was asked as the first was overloaded, and the client rewrote its history."""
    page = told.go(f"/ui/sessions/{recorded.session}")
    breaks = page.locator("section", has_text="Where the cache broke").locator("li")
    assert breaks.count() == 2
    assert "The request went to south" in breaks.nth(0).inner_text()
    assert "overloaded" in breaks.nth(0).inner_text()
    assert "The client changed messages[0].content[0]" in breaks.nth(1).inner_text()
    assert "more" in breaks.nth(1).inner_text()  # what it cost


def test_which_attempt_failed(told, recorded):
    """The turn with two attempts leads to a request whose page says who failed, how, and who answered instead."""
    page = told.go(f"/ui/sessions/{recorded.session}")
    row = page.locator("tr", has_text="1 failed").first
    row.get_by_role("link").first.click()
    page.wait_for_url("**/ui/requests/req_*")
    words = page.locator("main").inner_text()
    assert "overloaded" in words.lower()
    assert f"north,{SONNET}" in words or SONNET in words
    assert CHAT in words
    told.shot("real-request")
