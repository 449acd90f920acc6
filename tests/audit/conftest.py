"""A chain in a scratch folder, written by the real trail, and ways to damage it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ccrouter.audit.files import ChainFiles
from ccrouter.audit.proof import Proof, prove
from ccrouter.audit.trail import AuditTrail

PORT = 3456
NOON = 1_793_275_200.123


class Clock:
    """Every look is a second later, unless it stands."""

    def __init__(self) -> None:
        self.now = NOON
        self.stands = False

    def __call__(self) -> float:
        if not self.stands:
            self.now += 1
        return self.now


@dataclass
class Chain:
    folder: Path
    told: list[str] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    @property
    def files(self) -> ChainFiles:
        return ChainFiles(self.folder, PORT)

    @property
    def live(self) -> Path:
        return self.files.live

    def trail(self, *, is_required: bool = True, **more: Any) -> AuditTrail:
        return AuditTrail(self.folder, PORT, is_required=is_required, clock=self.clock, tell=self.told.append, **more)

    def write(self, count: int, **more: Any) -> None:
        """`count` lines by a trail of their own."""
        trail = self.trail(**more)
        try:
            for number in range(count):
                trail.record("decision", {"request": f"req_{number}", "asked": "sonnet", "policy": "abc"})
        finally:
            trail.close()

    def lines(self) -> list[bytes]:
        return self.live.read_bytes().splitlines(keepends=True)

    def prove(self, **more: Any) -> Proof:
        return prove(self.files, **more)

    def broken_at(self) -> tuple[str, int]:
        """The file's name and the line where the proof fails."""
        breach = self.prove().breach
        assert breach is not None
        assert breach.place is not None
        return Path(breach.place.file).name, breach.place.line


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path / "audit")


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits for a line to be finished; how often it would have been is noted."""
    paused: list[float] = []
    monkeypatch.setattr("ccrouter.audit.proof.time.sleep", paused.append)
    return paused
