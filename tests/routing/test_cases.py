"""Every golden routing case decides as it says. `ACCEPT=1 pytest tests/routing` rewrites the lower halves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.routing.casefile import LINE, Case, split

CASES = sorted((Path(__file__).parents[1] / "cases" / "routing").glob("*.txt"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path):
    """The facts above the line lead to the decision below it."""
    upper, lower = split(path)
    outcome = Case.read(upper).outcome()
    if "ACCEPT" in os.environ:
        path.write_text(f"{upper}{LINE}\n{outcome}", encoding="utf-8")
        return
    assert outcome == lower


def test_there_are_cases():
    """The folder of cases was found: an empty one would pass everything."""
    assert len(CASES) > 60
