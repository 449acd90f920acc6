"""Real OpenAI Codex, headless, through the router's Responses endpoint to providers of every dialect."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.brain import THOUGHT, Say, Scene, check_thoughts, expect
from tests.e2e.conftest import CLIENT_KEY, UPSTREAM_KEY, Road, Roads
from tests.e2e.installs import npm_package

LIMIT = 60
CONFIG = """
model = "any"
model_provider = "ccr"
approval_policy = "never"
sandbox_mode = "danger-full-access"

[model_providers.ccr]
name = "ccr"
base_url = "URL/v1"
env_key = "CCR_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""


def run(road: Road, prompt: str, home: Path) -> list[dict[str, Any]]:
    """The events of one `codex exec`, in an environment built from nothing."""
    (home / "config.toml").write_text(CONFIG.replace("URL", road.url))
    work = home / "work"
    work.mkdir()
    program = npm_package("codex") / "node_modules/.bin/codex"
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(home), "CCR_KEY": CLIENT_KEY}
    done = subprocess.run(
        [str(program), "exec", "--skip-git-repo-check", "--json", prompt],
        env=variables,
        cwd=work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert not road.brain.failures, road.told()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{road.told()}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def write_file(scene: Scene) -> Say:
    """Think and write, then look in two ways at once, then a word."""
    match scene.calls:
        case []:
            command = {"cmd": f"printf 'colour = blau 蓝' > {scene.argument}"}
            return Say("Writing.", THOUGHT, (("toolu_write", "exec_command", command),))
        case [write]:
            expect("exited with code 0" in scene.result(write.ident).text, f"{scene.result(write.ident)}")
            check_thoughts(scene.since, scene.conversation)
            ways = (
                ("toolu_cat", "exec_command", {"cmd": f"cat {scene.argument}"}),
                ("toolu_size", "exec_command", {"cmd": f"wc -c {scene.argument}"}),
            )
            return Say(tools=ways)
        case [_, shown, counted]:
            expect("colour = blau 蓝" in scene.result(shown.ident).text, f"{scene.result(shown.ident)}")
            expect("17 " in scene.result(counted.ident).text, f"{scene.result(counted.ident)}")
            return Say("CODEX-DONE 线")
    raise LookupError(f"too many calls: {scene.calls}")


@pytest.mark.parametrize("route", ["anthropic", "chat", "gemini", "responses"])
def test_tool_loop(roads: Roads, route: str, tmp_path: Path):
    """Codex runs what the model calls, each result returns to its call, and what sealed the thinking to its maker."""
    road = roads.take(route)
    road.brain.scenarios["CODEX"] = write_file
    road.brain.is_strict = route != "responses"  # there Codex's own words arrive
    file = tmp_path / "colours.txt"
    events = run(road, f"[[CODEX {file}]]", tmp_path)
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    said = [item["text"] for item in items if item["type"] == "agent_message"]
    assert said == ["Writing.", "CODEX-DONE 线"], f"{events}\n{road.told()}"
    assert file.read_text() == "colour = blau 蓝"
    (turn,) = [event for event in events if event["type"] == "turn.completed"]
    assert (turn["usage"]["input_tokens"], turn["usage"]["output_tokens"]) == (75, 36)
    assert {conversation.model for conversation in road.brain.seen} == {road.models[0]}
    for request in road.requests:
        carried = [value for _, value in request.headers.raw]
        assert any(UPSTREAM_KEY in value for value in carried)
        assert not any(CLIENT_KEY in value for value in carried)
