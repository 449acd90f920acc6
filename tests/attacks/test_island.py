"""The attacks under the real name, port and certificate, with `ccr` as a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.island import obstacle, visit


def test_the_voyage(tmp_path: Path) -> None:
    """V01-V25: on a network of its own, under the shipped preset, strangers count not one connection, and whoever
    poses as the approved host gets not one byte."""
    if reason := obstacle():
        pytest.skip(f"NOT ATTACKED UNDER THE REAL NAME: no network of its own on this machine: {reason}")
    done = visit("tests.attacks.voyage", str(tmp_path))
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-6000:]}"
