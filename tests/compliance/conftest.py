"""A desk to examine configurations at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compliance.configs import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A home folder of its own, nobody else's to write in."""
    tmp_path.chmod(0o700)
    return Desk(tmp_path)
