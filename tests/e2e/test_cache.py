"""Prompt caches and real Claude Code: from turn to turn a conversation only grows, in every dialect that it is told in."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ccrouter.messages.divergence import Difference, first_difference
from ccrouter.messages.prefix import Prefix
from ccrouter.messages.prefix_reader import Reader
from tests.e2e.claude_code import ClaudeCode
from tests.e2e.conftest import FAMILIAR, NEWER, Road
from tests.upstream import anthropic_wire

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
TRIPS = [(version, road) for version in ("2.1", "2.0") for road in (*FAMILIAR, *NEWER)]
#: Claude Code 2.0 loses parallel calls when it takes up a session again, whoever it speaks to: a break of its own making.
NEW_TRIPS = [trip for trip in TRIPS if trip[0] == "2.1"]
#: Bytes of tools that only the main conversation offers.
_MANY = 5000


@pytest.fixture(autouse=True)
def _own_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer has an id of its own, as real ones have: Claude Code puts answers of one id together, as one."""
    numbers, original = itertools.count(), anthropic_wire.message_json

    def message_json(*given: Any, **named: Any) -> dict[str, Any]:
        return original(*given, **{"ident": f"msg_{next(numbers)}", **named})

    monkeypatch.setattr(anthropic_wire, "message_json", message_json)


def main_turns(road: Road, mark: str) -> list[Prefix]:
    """What the requests of the main conversation begin with, in their order, as they reached the provider."""
    reader = Reader(b"s")
    asked = [_members(request.body) for request in road.requests if mark.encode() in request.body]
    main = [members for members in asked if len(members.get("tools", b"")) > _MANY]
    return [reader.read(members, is_first_party=not road.routed, is_sent=True) for members in main]


def breaks(turns: list[Prefix]) -> list[Difference]:
    return [found for one, other in itertools.pairwise(turns) if (found := first_difference(one, other)) is not None]


@pytest.mark.parametrize(("claude", "road"), TRIPS, indirect=True)
def test_a_tool_loop_only_grows(claude: ClaudeCode, road: Road, tmp_path: Path):
    """Read, Edit and an answer, three turns: marks move and texts change their form, and no cache would notice."""
    file = tmp_path / "colours.txt"
    file.write_text("# my colours\ncolour = red\n")
    run = claude.run(f"[[EDIT-FILE {file}]]", url=road.url, home=tmp_path)
    assert run.code == 0, f"{run.told()}\n{road.told()}"
    turns = main_turns(road, "[[EDIT-FILE")
    assert len(turns) >= 3, road.told()
    assert breaks(turns) == []


@pytest.mark.parametrize(("claude", "road"), NEW_TRIPS, indirect=True)
def test_thinking_comes_back_as_it_was(claude: ClaudeCode, road: Road, tmp_path: Path):
    """Two turns with thinking, then another prompt to the same session: what carries it is the same every time."""
    thinking = {"MAX_THINKING_TOKENS": "2000"}
    run = claude.run("[[THINK]]", url=road.url, home=tmp_path, variables=thinking)
    assert run.code == 0, f"{run.told()}\n{road.told()}"
    again = claude.run("[[REMEMBER]]", url=road.url, home=tmp_path, more=("--continue",), variables=thinking)
    assert again.code == 0, f"{again.told()}\n{road.told()}"
    turns = main_turns(road, "[[THINK")
    assert len(turns) >= 3, road.told()
    assert breaks(turns) == []


@pytest.mark.parametrize(("claude", "road"), NEW_TRIPS, indirect=True)
def test_parallel_calls_keep_their_order(claude: ClaudeCode, road: Road, tmp_path: Path):
    """Three calls at once, and their results in the order in which they ended."""
    file = tmp_path / "colours.txt"
    file.write_text("colour = red\n")
    run = claude.run(f"[[PARALLEL {file}]]", url=road.url, home=tmp_path)
    assert run.code == 0, f"{run.told()}\n{road.told()}"
    again = claude.run("[[GREET]]", url=road.url, home=tmp_path, more=("--continue",))
    assert again.code == 0, f"{again.told()}\n{road.told()}"
    turns = main_turns(road, "[[PARALLEL")
    assert len(turns) >= 3, road.told()
    assert breaks(turns) == []
