"""`ccr prices`, run as a user runs it."""

from __future__ import annotations

import json
import os
import stat

import pytest

from tests.cli.conftest import Ccr, ccr  # noqa: F401 - the fixture
from tests.prices.test_foreign import LITELLM, OPENROUTER

CONFIG = {
    "Providers": [
        {
            "name": "anthropic", "api_base_url": "https://api.anthropic.com/v1/messages", "api_key": "$UNSET_HERE",
            "models": ["claude-haiku-4-5-20251001"],
        },
        {"name": "corp", "api_base_url": "https://llm.corp.example/v1/chat/completions", "models": ["big", "small"]},
        {"name": "ollama", "api_base_url": "http://localhost:11434/v1/chat/completions", "models": ["qwen3:8b"]},
    ],
    "Router": {"default": "anthropic,claude-sonnet-4-5-20250929"},
    "prices": {"corp,big": {"input": 0.5, "output": 2}},
}  # fmt: skip


@pytest.fixture
def home(ccr):  # noqa: F811 - the fixture
    ccr.folder.mkdir(mode=0o700, exist_ok=True)
    (ccr.folder / "config.json").write_text(json.dumps(CONFIG))
    return ccr


def listed(home: Ccr) -> dict[str, dict]:
    done = home.run("prices", "--json")
    assert done.returncode == 0, done.stderr
    return {f"{one['provider']},{one['model']}": one for one in json.loads(done.stdout)["models"]}


def test_list(home):
    """Every configured model, those of routes among them, with its price and its source; unknown is said so. Keys that
    are not set here do not matter.
    """
    told = listed(home)
    assert {name: one["source"] for name, one in told.items()} == {
        "anthropic,claude-haiku-4-5-20251001": "catalogue 2026-11-22",
        "anthropic,claude-sonnet-4-5-20250929": "catalogue 2026-11-22",
        "corp,big": "config",
        "corp,small": None,
        "ollama,qwen3:8b": "local",
    }
    assert told["corp,small"]["price"] is None
    assert told["anthropic,claude-haiku-4-5-20251001"]["price"]["cacheWrite1h"] == 2
    assert told["anthropic,claude-haiku-4-5-20251001"]["context"] == 200_000
    done = home.run("prices")
    assert "small" in done.stdout
    assert next(line for line in done.stdout.splitlines() if "small" in line).split()[1:] == ["unknown"]
    assert "ccr prices update" in done.stderr


def test_show(home):
    """One model with all figures and where they were read; one of the catalogue that is not configured too."""
    done = home.run("prices", "show", "anthropic,claude-sonnet-4-5-20250929")
    assert done.returncode == 0
    for word in ("$22.5", "200000 tokens", "catalogue 2026-11-22", "https://platform.claude.com/"):
        assert word in done.stdout
    done = home.run("prices", "show", "gpt-4o-mini", "--json")
    (one,) = json.loads(done.stdout)["models"]
    assert (one["provider"], one["price"]["input"]) == ("(openai)", 0.15)
    assert home.run("prices", "show", "small").returncode == 1
    done = home.run("prices", "show", "nobody-knows")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ccr prices" in done.stderr


@pytest.mark.parametrize(("tree", "kind"), [(LITELLM, "LiteLLM"), (OPENROUTER, "OpenRouter")])
def test_update(home, tree, kind, tmp_path):
    """The list is kept beside the config, for its owner alone; what it changes is told, and what was there is backed up."""
    source = tmp_path / "list.json"
    source.write_text(json.dumps(tree))
    os.utime(source, (1_790_000_000, 1_790_000_000))
    done = home.run("prices", "update", "--from", str(source))
    assert done.returncode == 0, done.stderr
    assert f"{kind}'s form, 2026-09-21" in done.stdout
    kept = home.folder / "prices.json"
    assert json.loads(kept.read_text())["format"] == "ccrouter-prices/1"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    first = kept.read_bytes()
    own = {"format": "ccrouter-prices/1", "date": "2026-11-01", "vendors": {"anthropic": {"models": {
        "claude-haiku-4-5": {"input": 0.5, "output": 2.5}}}}}  # fmt: skip
    source.write_text(json.dumps(own))
    done = home.run("prices", "update", "--from", str(source), "--json")
    told = json.loads(done.stdout)
    assert {"vendor": "anthropic", "model": "claude-haiku-4-5"}.items() <= next(
        one for one in told["changes"] if one["after"] and one["after"]["input"] == 0.5
    ).items()
    (backup,) = home.folder.glob("prices.json.*.bak")
    assert (str(backup), backup.read_bytes()) == (told["backup"], first)
    assert listed(home)["anthropic,claude-haiku-4-5-20251001"]["source"] == "file prices.json"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"a": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": "x"}}']
)
def test_nonsense_changes_nothing(home, text, tmp_path):
    """Whatever was there stays, and the mistake is told with the file's name."""
    kept = home.folder / "prices.json"
    kept.write_text("old")
    source = tmp_path / "list.json"
    source.write_text(text)
    done = home.run("prices", "update", "--from", str(source))
    assert done.returncode == 1
    assert str(source) in done.stderr
    assert kept.read_text() == "old"
    assert not list(home.folder.glob("*.bak"))


def test_a_broken_list_is_told(home):
    """And everything else is known as before."""
    (home.folder / "prices.json").write_text("{")
    done = home.run("prices", "--json")
    assert "prices.json" in done.stderr
    assert listed(home)["corp,big"]["price"] == {"input": 0.5, "output": 2.0}
