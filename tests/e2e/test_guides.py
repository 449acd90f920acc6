"""Both guides' config files, copied verbatim (the upstream's address apart), serve their clients."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.brain import GREETING, THOUGHT, Brain
from tests.e2e.claude_code import ClaudeCode
from tests.e2e.conftest import Road, Roads, config
from tests.e2e.installs import HERE, python_package
from tests.e2e.router import Router
from tests.e2e.test_claude_code import ended_well
from tests.upstream import ThreadedUpstream

OPENROUTER_KEY = "sk-or-v1-of-the-router"
ANTHROPIC_KEY = "sk-ant-of-the-router"
LOCAL_KEY = "a-local-secret-of-sixteen"


@contextmanager
def serving(guide: str, dialect: str, home: Path, more: tuple[str, ...] = ()) -> Iterator[Road]:
    """The router on that guide's config, in front of an upstream that speaks only this dialect."""
    home.mkdir()
    brain = Brain(dialect, max_tokens_required=guide != "guide-claudable")
    variables = {
        "OPENROUTER_API_KEY": OPENROUTER_KEY,
        "ANTHROPIC_API_KEY": ANTHROPIC_KEY,
        "CCR_APIKEY": LOCAL_KEY,
    }
    with ThreadedUpstream() as upstream:
        upstream.always(brain)
        with Router(config(guide, upstream.url), home, variables, more) as router:
            assert router.first_line.startswith("Loaded JSON config from:"), router.told()
            yield Road(dialect, router.url, brain, upstream, router)


@pytest.fixture(params=["anthropic", "chat"])
def claudable_guide(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Road]:
    """The Claudable guide's config; the provider answers on /v1/messages, or only on /v1/chat/completions."""
    with serving("guide-claudable", request.param, tmp_path / "router", ("--router", "default")) as road:
        yield road


@pytest.fixture
def security_guide(tmp_path: Path) -> Iterator[Road]:
    with serving("guide-security", "anthropic", tmp_path / "router") as road:
        yield road


def instruct(road: Road, project: Path, *more: str) -> dict[str, Any]:
    """The Claudable-like client's outcome."""
    interpreter = python_package("anthropic-0")  # its environment has httpx
    done = subprocess.run(
        [str(interpreter), str(HERE / "scripts/claudable.py"), *more],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{road.told()}"
    return json.loads(done.stdout)


def test_claude_code_on_the_claudable_guide(claude: ClaudeCode, claudable_guide: Road, tmp_path: Path):
    """Claude Code edits a file through the first guide's config, whichever wire format the provider has."""
    file = tmp_path / "colours.txt"
    file.write_text("colour = red\n")
    run = claude.run(f"[[EDIT-FILE {file}]]", url=claudable_guide.url, home=tmp_path)
    assert ended_well(run, claudable_guide) == "EDITED"
    assert "blau" in file.read_text()
    seen = claudable_guide.brain.seen_of("EDIT-FILE")
    assert {conversation.model for conversation in seen} == {"qwen/qwen3-coder"}
    for request in claudable_guide.requests:
        assert request.headers["http-referer"] == "https://claudable.local"
        assert request.headers["authorization"] == f"Bearer {OPENROUTER_KEY}"
        if claudable_guide.route == "anthropic":
            assert request.headers["x-api-key"] == OPENROUTER_KEY


def test_reasoning_details_return_to_openrouter(claude: ClaudeCode, tmp_path: Path):
    """OpenRouter's reasoning_details, seen by the client as thinking, go back to OpenRouter as they came."""
    with serving("guide-claudable", "chat", tmp_path / "router") as road:
        road.brain.reasoning_field = "reasoning_details"
        run = claude.run("[[THINK]]", url=road.url, home=tmp_path, variables={"MAX_THINKING_TOKENS": "2000"})
        assert ended_well(run, road) == "THOUGHT-THROUGH"
        second = road.brain.seen_of("THINK")[-1]
        replayed = [
            detail
            for message in second.body["messages"]
            if message["role"] == "assistant"
            for detail in message.get("reasoning_details") or []
        ]
        assert "".join(detail["text"] for detail in replayed) == THOUGHT, road.told()
        assert {detail["type"] for detail in replayed} == {"reasoning.text"}


def test_claude_code_on_the_security_guide(claude: ClaudeCode, security_guide: Road, tmp_path: Path):
    """Claude Code edits a file through the second guide's config; the provider gets x-api-key and nothing else."""
    file = tmp_path / "colours.txt"
    file.write_text("colour = red\n")
    run = claude.run(f"[[EDIT-FILE {file}]]", url=security_guide.url, home=tmp_path, token=LOCAL_KEY)
    assert ended_well(run, security_guide) == "EDITED"
    assert "blau" in file.read_text()
    assert {each.model for each in security_guide.brain.seen_of("EDIT-FILE")} == {"claude-3.7-sonnet"}
    for request in security_guide.requests:
        assert request.headers["x-api-key"] == ANTHROPIC_KEY
        assert "authorization" not in request.headers
        assert request.headers["anthropic-version"]


def test_wrong_key_is_told_at_once(claude: ClaudeCode, security_guide: Road, tmp_path: Path):
    """A wrong local key ends Claude Code in seconds (not after ten retries), and nothing reaches the provider."""
    retries = {"CLAUDE_CODE_MAX_RETRIES": "10"}
    run = claude.run("[[GREET]]", url=security_guide.url, home=tmp_path, token="wrong", variables=retries)
    assert run.result["is_error"], run.told()
    assert not security_guide.requests


def test_unmodified_claudable_works(claudable_guide: Road, tmp_path: Path):
    """The client as it is: two instructions with tools it was never told of, text under `output_text`."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "readme.md").write_text("# Demo\n")
    asked = (
        claudable_guide.url,
        str(project),
        "Build a page [[CLAUDABLE-BUILD]]",
        "And again [[CLAUDABLE-CHECK]]",
    )
    outcome = instruct(claudable_guide, project, "--key", OPENROUTER_KEY, *asked)
    told = f"{json.dumps(outcome, indent=1)}\n{claudable_guide.told()}"
    assert outcome["error"] is None, told
    assert not claudable_guide.brain.failures, told
    assert outcome["texts"][-1] == "CLAUDABLE-CHECKED", told
    assert "PAGE-DONE \u2028 线" in outcome["texts"], told
    assert [each["name"] for each in outcome["ran"]] == ["Write", "LS", "Edit", "Read"], told
    assert not [each for each in outcome["ran"] if each["error"]], told
    assert (project / "page.html").read_text() == "<h1>Good bye</h1>\n"
    assert all(usage["output_tokens"] > 0 for usage in outcome["usages"]), told


def test_claudable_with_an_unknown_model_name(claudable_guide: Road, tmp_path: Path):
    """A model name left over from another tool goes to the default route."""
    asked = ("--model", "claude-sonnet-4", claudable_guide.url, str(tmp_path / "router"), "Hi [[GREET]]")
    outcome = instruct(claudable_guide, tmp_path, *asked)
    assert outcome["error"] is None, claudable_guide.told()
    assert outcome["texts"] == [GREETING]
    assert claudable_guide.brain.seen[-1].model == "qwen/qwen3-coder"


def test_claudable_on_another_provider(routed: Road, tmp_path: Path):
    """Its requests name no max_tokens; a provider that insists gets one."""
    outcome = instruct(routed, tmp_path, "--model", "claude-sonnet-4", routed.url, str(tmp_path), "Hi [[GREET]]")
    assert outcome["error"] is None, routed.told()
    assert outcome["texts"] == [GREETING]


def test_corrected_claudable_works(claudable_guide: Road, tmp_path: Path):
    """A client that names `x-ccr-client: standard` gets the protocol's own words, and keeps its own tools."""
    project = tmp_path / "project"
    project.mkdir()
    asked = (claudable_guide.url, str(project), "Build [[CLAUDABLE-BUILD]]", "Again [[CLAUDABLE-CHECK]]")
    outcome = instruct(claudable_guide, project, "--corrected", *asked)
    told = f"{json.dumps(outcome, indent=1)}\n{claudable_guide.told()}"
    assert outcome["error"] is None, told
    assert outcome["texts"][-1] == "CLAUDABLE-CHECKED", told
    seen = claudable_guide.brain.seen_of("CLAUDABLE-BUILD")
    assert {tuple(each.tools) for each in seen} == {("Read", "Write", "Edit", "LS", "Bash")}, told


def test_corrected_claudable_without_a_router(roads: Roads, tmp_path: Path):
    """The control: the corrected client straight to the scripted model."""
    road = roads.take("direct")
    asked = (road.url, str(tmp_path), "Build [[CLAUDABLE-BUILD]]", "Again [[CLAUDABLE-CHECK]]")
    outcome = instruct(road, tmp_path, "--corrected", *asked)
    assert outcome["error"] is None, road.told()
    assert outcome["texts"][-1] == "CLAUDABLE-CHECKED", road.told()
    assert [each["name"] for each in outcome["ran"]] == ["Write", "LS", "Edit", "Read"]


def test_claudable_is_told_why(claudable_guide: Road, tmp_path: Path):
    """A provider without credit: the first 500 characters the client shows say so."""
    asked = (claudable_guide.url, str(tmp_path / "router"), "Hi [[REFUSE-CREDIT]]")
    outcome = instruct(claudable_guide, tmp_path, *asked)
    assert outcome["error"].startswith("Router request failed: Router error 402"), outcome
    assert "credits" in outcome["error"]
