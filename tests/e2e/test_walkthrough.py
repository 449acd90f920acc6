"""The second guide holds word for word, with real Claude Code, npm, names, ports and certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.claude_code import ClaudeCode
from tests.e2e.island import obstacle, visit


def test_the_security_guide_from_top_to_bottom(claude: ClaudeCode, tmp_path: Path):
    """Every command of the guide does and prints what it says, and nothing reaches a host that it does not name."""
    if reason := obstacle():
        pytest.skip(f"THE GUIDE WAS NOT WALKED THROUGH: no network of its own on this machine: {reason}")
    done = visit("tests.e2e.walkthrough", str(tmp_path), claude.command[0])
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-6000:]}"
