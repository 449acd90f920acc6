"""A soak so small that it takes seconds, with everything in it: the real router, its provider, kills."""

from __future__ import annotations

import json
import sys

import pytest
import soak.__main__
from soak.__main__ import Size, main
from soak.mixed import Pace
from soak.streams import Crowd

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

SMALL = Size(
    Crowd(6, 10, 5),
    Crowd(12, 4, 5),
    Pace(40.0, 0.3, 1.0, is_quick=True, look=0.2, change=0.4, quiet=0.05),
    kills=1,
    stall=10_000.0,
)


def test_a_small_soak(monkeypatch, tmp_path, capsys):
    """Every phase runs against a real `ccr start`, and everything holds; the figures are in the JSON, too."""
    monkeypatch.setattr(soak.__main__, "QUICK", SMALL)
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: str(tmp_path))
    code = main(["--quick", "--seed", "11", "--json", str(tmp_path / "out.json"), "--keep"])
    told = capsys.readouterr()
    assert code == 0, told.out + told.err
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["holds"]
    assert figures["seed"] == 11
    rows = {(row["phase"].split(" ")[0], row["what"]): row["figure"] for row in figures["rows"]}
    assert rows["6", "answers"] == "6 (6 right)"
    assert rows["12", "answers"] == "12 (12 right)"
    assert rows["1", "files that are not whole"] == "0"
    assert "Everything holds" in told.out
