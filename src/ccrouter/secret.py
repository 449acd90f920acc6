"""A text that cannot be printed by accident, and the removal of secrets from texts that others wrote."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from typing import final

MASK = "***"

# Keys as providers print them back in their own errors ("Incorrect API key provided: sk-abc..."). What could be a word
# of the error itself ("keyword-only-arguments", "skip_special_tokens") must not match: clients go by those words.
_KEY_SHAPED = re.compile(
    r"\b(?:sk|gsk|xai|hf|nvapi)[-_][A-Za-z0-9*._-]{14,}"
    r"|\b(?:pk|rk|key)[-_](?=[A-Za-z*._-]*[0-9])[A-Za-z0-9*._-]{14,}"
    r"|\bAIza[A-Za-z0-9*_-]{14,}"
)


@final
class Secret:
    """A secret text. Its repr, str and format are `***`; only `reveal` gives it.

    It cannot be pickled, copied or encoded as JSON: each raises TypeError. Secrets are compared by `matches`, in
    constant time, and not by `==`.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: to be called where it goes on the wire, and nowhere else."""
        return self._text

    def matches(self, candidate: str) -> bool:
        """True if `candidate` is this text; the time taken does not tell how much of it agrees."""
        # surrogatepass: neither a damaged environment variable nor a strange header may make this raise
        return hmac.compare_digest(
            self._text.encode("utf-8", "surrogatepass"), candidate.encode("utf-8", "surrogatepass")
        )

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
    # Longest first: one key may begin like another, and the rest of the longer one must not stay behind.
    for revealed in sorted((secret.reveal() for secret in secrets), key=len, reverse=True):
        if len(revealed) >= 6:  # shorter ones ("test", "ollama") are words, not secrets
            text = text.replace(revealed, MASK)
    return _KEY_SHAPED.sub(MASK, text)
