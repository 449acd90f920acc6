"""The spellings of a model's name. Pure.

A price is found by a whole name only, never by the beginning of one: `gpt-4o` says nothing about `gpt-4o-mini`. What
may be left out of a name is what is known to say nothing about the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

#: Claude Code's own mark of the long context; no provider knows it.
LONG = "[1m]"

# arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-…; Vertex and Gemini: models/…
_PATHS = re.compile(r"^(?:arn:aws[\w-]*:bedrock:.*/|(?:projects/.+/)?publishers/[\w-]+/models/|models/)")
# Bedrock: where it runs, whose model it is, and Amazon's own count of its versions: us.anthropic.claude-…-v1:0
_BEDROCK = re.compile(r"^(?:[a-z]{2,6}(?:-[a-z]+)?\.)?[a-z]+\.(?P<model>[^/]+?)(?:-v\d+)?(?::\d+)?$")
# A day: -20250929, @20250929, -2024-08-06; and the words for "the newest of them".
_DAY = re.compile(r"(?:[-@]20\d{6}|-20\d{2}-[01]\d-[0-3]\d|[-@](?:latest|default))$")


@lru_cache(maxsize=4096)
def spellings(model: str) -> tuple[str, ...]:
    """The names to look up for `model`, in lower case, the most exact first: as it is, without what a cloud puts around
    it, without a date.
    """
    found: dict[str, None] = {}
    for name in _unwrapped(model.strip().lower().removesuffix(LONG)):
        found[name] = None
    for name in tuple(found):
        undated = _DAY.sub("", name)
        if undated:
            found.setdefault(undated)
    return tuple(found)


def _unwrapped(name: str) -> Iterator[str]:
    """`name`, and what is left of it without path, region, maker and revision, one after the other."""
    if not name:
        return
    yield name
    bare = _PATHS.sub("", name)
    yield bare
    made = _BEDROCK.match(bare)
    if made:
        yield made["model"]
