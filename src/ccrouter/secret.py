"""A text that cannot be printed by accident, and the removal of secrets from texts that others wrote."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from typing import final

MASK = "***"

# Keys as providers print them back in their own errors ("Incorrect API key provided: sk-abc...").
_KEY_SHAPED = re.compile(r"\b(?:sk|pk|rk|gsk|xai|key|hf|nvapi|AIza)[-_]?[A-Za-z0-9*._-]{14,}\b")


@final
class Secret:
    """A secret text. Its repr, str, format and JSON are `***`; only `reveal` gives it.

    Two secrets are never equal by `==`; `matches` compares in constant time.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: to be called where it goes on the wire, and nowhere else."""
        return self._text

    def matches(self, candidate: str) -> bool:
        """True if `candidate` is this text; the time taken does not tell how much of it agrees."""
        return hmac.compare_digest(self._text.encode(), candidate.encode("utf-8", "surrogateescape"))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")


def redact(text: str, secrets: Iterable[Secret] = ()) -> str:
    """`text` without the given secrets and without anything that has the shape of an API key."""
    for secret in secrets:
        revealed = secret.reveal()
        if len(revealed) >= 6:  # shorter ones ("test", "ollama") are words, not secrets
            text = text.replace(revealed, MASK)
    return _KEY_SHAPED.sub(MASK, text)
