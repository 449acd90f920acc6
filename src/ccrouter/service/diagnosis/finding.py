"""What a look at something came to. Data only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ccrouter.secret import Secret, redact

#: `problem`: something does not work, or is not enforced. `warning`: it may not be what is wanted. `info`: a fact.
Level = Literal["ok", "info", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found about a `topic`, and what to do about it ("" for nothing)."""

    topic: str
    level: Level
    message: str
    advice: str = ""

    def without(self, secrets: Iterable[Secret]) -> Finding:
        """The same without these secrets, and without anything that has the shape of a key."""
        known = tuple(secrets)
        return replace(self, message=redact(self.message, known), advice=redact(self.advice, known))
