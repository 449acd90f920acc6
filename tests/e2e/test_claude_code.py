"""Real Claude Code in print mode: straight to the scripted model (the control), and through the router."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.e2e.brain import GREETING, Say, Scene
from tests.e2e.claude_code import ClaudeCode, ClaudeRun
from tests.e2e.conftest import CLIENT_KEY, FAMILIAR, NEWER, OTHER_KEY, UPSTREAM_KEY, Road

#: The newest Claude Code everywhere, the older one on the roads that it came with.
TRIPS = [("2.1", road) for road in (*FAMILIAR, *NEWER)] + [("2.0", road) for road in FAMILIAR]
EVERY_TRIP = [(version, road) for version in ("2.1", "2.0") for road in (*FAMILIAR, *NEWER)]
everywhere = pytest.mark.parametrize(("claude", "road"), TRIPS, indirect=True)
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFTEMLQkAKP8/wVi5YLUAAAAASUVORK5CYII="
)


def ended_well(run: ClaudeRun, road: Road) -> str:
    """The final text of a run that went as it should."""
    assert not road.brain.failures, road.told()
    assert run.code == 0, f"{run.told()}\n{road.told()}"
    assert run.result.get("subtype") == "success", f"{run.told()}\n{road.told()}"
    assert not run.result["is_error"], f"{run.told()}\n{road.told()}"
    return str(run.result["result"])


@everywhere
def test_text(claude: ClaudeCode, road: Road, tmp_path: Path):
    """The answer arrives character for character, under the model name the client asked for, with our key only."""
    run = claude.run("[[GREET]]", url=road.url, home=tmp_path, token=CLIENT_KEY)
    assert ended_well(run, road) == GREETING
    (seen,) = road.brain.seen_of("GREET")
    asked = {event["model"] for event in run.events if event["type"] == "system" and "model" in event}
    assert run.models == asked
    if not road.routed:
        return
    assert seen.model == road.models[0]
    for request in road.requests:
        carried = [value for _, value in request.headers.raw]
        assert any(UPSTREAM_KEY in value for value in carried) or road.is_cloud, request.headers
        assert not any(CLIENT_KEY in value for value in carried), request.headers


@pytest.mark.parametrize(("claude", "road"), EVERY_TRIP, indirect=True)
def test_tool_loop_edits_a_file(claude: ClaudeCode, road: Road, tmp_path: Path):
    """Read, then Edit, then an answer; afterwards the file on the disk has changed."""
    file = tmp_path / "colours.txt"
    file.write_text("# my colours\ncolour = red\n")
    run = claude.run(f"[[EDIT-FILE {file}]]", url=road.url, home=tmp_path)
    assert ended_well(run, road) == "EDITED"
    assert file.read_text() == "# my colours\ncolour = blau 蓝\n"


@everywhere
def test_parallel_tools(claude: ClaudeCode, road: Road, tmp_path: Path):
    """Three calls in one answer run, and each result returns to its own call."""
    file = tmp_path / "colours.txt"
    file.write_text("colour = red\n")
    run = claude.run(f"[[PARALLEL {file}]]", url=road.url, home=tmp_path)
    assert ended_well(run, road) == "PARALLEL-DONE"


@everywhere
def test_thinking_over_two_prompts(claude: ClaudeCode, road: Road, tmp_path: Path):
    """Thinking is thinking to the client, and is never told back to the model as something said aloud."""
    thinking = {"MAX_THINKING_TOKENS": "2000"}
    run = claude.run("[[THINK]]", url=road.url, home=tmp_path, variables=thinking)
    assert ended_well(run, road) == "THOUGHT-THROUGH"
    thoughts = [
        block["thinking"]
        for event in run.events
        if event["type"] == "assistant"
        for block in event["message"]["content"]
        if block["type"] == "thinking" and block["thinking"]  # one without words carries what Gemini wants back
    ]
    assert thoughts == ["The user wants me to think ⚡ about it.", "And a second thought."]
    again = claude.run("[[REMEMBER]]", url=road.url, home=tmp_path, more=("--continue",), variables=thinking)
    assert ended_well(again, road) == "REMEMBERED"


@everywhere
def test_subagent(claude: ClaudeCode, road: Road, tmp_path: Path):
    """A sub-agent asks on its own conversation, and the main one gets its answer."""
    run = claude.run("[[SUBAGENT]]", url=road.url, home=tmp_path)
    assert ended_well(run, road) == "SUBAGENT-DONE"
    assert road.brain.seen_of("SUB-QUESTION")


@everywhere
def test_image(claude: ClaudeCode, road: Road, tmp_path: Path):
    """An image a tool read reaches the model as that very image."""
    file = tmp_path / "dot.png"
    file.write_bytes(PICTURE)
    run = claude.run(f"[[LOOK {file}]]", url=road.url, home=tmp_path)
    assert ended_well(run, road) == "SEEN"


@pytest.mark.parametrize(
    ("claude", "road"), [trip for trip in TRIPS if not trip[1].startswith("vertex")], indirect=True
)
def test_model_by_provider_and_name(claude: ClaudeCode, road: Road, tmp_path: Path):
    """`--model provider,model` goes to that provider, with its key, under that model's name."""
    model = "other,vendor/model-b:free"
    run = claude.run("[[GREET]]", url=road.url, home=tmp_path, more=("--model", model))
    assert ended_well(run, road) == GREETING
    (seen,) = road.brain.seen_of("GREET")
    assert run.models == {model}
    assert seen.model == ("vendor/model-b:free" if road.routed else model)
    if road.routed:
        mine = [each for each in road.requests if each.method == "POST" and b"[[GREET]]" in each.body]
        assert all(each.path.startswith("/other/") for each in mine)
        assert all(OTHER_KEY in repr(each.headers) for each in mine) or road.is_cloud


@pytest.mark.parametrize(  # 2.0.77 does not compact on this error, whoever sends it
    ("claude", "road"), [trip for trip in TRIPS if trip[0] == "2.1"], indirect=True
)
def test_overflow_makes_the_client_compact(claude: ClaudeCode, road: Road, tmp_path: Path):
    """The provider's words for a full context reach Claude Code in a form that makes it compact and go on."""

    def fill(scene: Scene) -> Say:
        """Two calls, then the context is full; whatever Claude Code kept of it is summed up and gone on from."""
        said = [turn.text for turn in scene.conversation.turns if turn.kind == "user"]
        if "TEXT ONLY" in said[-1]:
            return Say("<analysis>short</analysis>\n<summary>SUMMARY-OF-ALL</summary>")
        if any("SUMMARY-OF-ALL" in text for text in said):
            return Say("CONTINUED")
        if not scene.name:
            return Say("ok")  # a warm-up
        if len(scene.calls) == 2:
            return Say(refuse=lambda wire: wire.full)
        listing = (f"toolu_ls{len(scene.calls)}", "Bash", {"command": "ls", "description": "List"})
        return Say("Listing.", tools=(listing,))

    road.brain.scenarios["FILL"] = road.brain.unmarked = fill
    run = claude.run("[[FILL]]", url=road.url, home=tmp_path)
    assert ended_well(run, road) == "CONTINUED", f"{run.told()}\n{road.told()}"
