"""What docs/policy.md says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ccrouter.compliance import findings
from ccrouter.compliance.document import PRESETS, read_policy
from ccrouter.compliance.members import MEMBERS

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```json\n(\{.*?\n\})\n```", PAGE, re.DOTALL)


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_every_example_is_a_policy(index, tmp_path):
    """A policy that a reader copies is accepted, and allows the guide's models and more."""
    tmp_path.chmod(0o700)
    path = tmp_path / "policy.json"
    path.write_text(BLOCKS[index], encoding="utf-8")
    path.chmod(0o600)
    policy = read_policy(str(path), {})
    assert set(policy.allowed_models or ()) > set(read_policy("anthropic-only", {}).allowed_models or ())
    assert policy.model_sent("claude-3.7-sonnet") == "claude-sonnet-4-6"


def test_there_are_examples():
    """The examples are found: none would pass for a success."""
    assert len(BLOCKS) == 2


def test_everything_is_told():
    """Every preset, every member but those that explain themselves, and every exit code is on the page."""
    for path in MEMBERS:
        if path not in ("$schema", "name", "description"):
            assert f"`{path}`" in PAGE or f"`{path.partition('.')[0]}`" in PAGE
    for preset in PRESETS:
        assert f"| `{preset}` |" in PAGE
    table = PAGE.rpartition("| code |")[2]
    told = {int(number) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for number in row.split(",")}
    named = {value for name, value in vars(findings).items() if name.isupper() and isinstance(value, int)}
    assert told == named | set(findings._BY_RULE.values()) | {code for _, code in findings._BY_PLACE}
