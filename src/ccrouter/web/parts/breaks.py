"""Where a conversation lost its cache, and by whom, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ccrouter.jsontypes import Json, JsonObject

#: Who it was (store/verdict.py: By), as a heading.
CULPRITS: Mapping[str, str] = {
    "client": "the client changed what it had sent before",
    "transform": "the router changed it: a transform, or the translation",
    "provider": "another provider was asked",
    "model": "another model was asked",
    "key": "another key was used",
    "ttl": "the pause was longer than the cache lasts",
    "settings": "a setting was changed",
    "compaction": "the conversation was compacted",
    "provider_side": "the provider let go of it",
    "unknown": "not known",
}


def culprit(by: Json) -> str:
    """Who broke the cache; the bare word for one that is not known."""
    return CULPRITS.get(str(by), str(by))


def is_break(verdict: JsonObject | None) -> bool:
    """True if something was lost: a verdict may also say why nothing could have been kept."""
    return bool(verdict and verdict.get("lostTokens"))


def breaks(turns: Iterable[JsonObject]) -> list[JsonObject]:
    """Every break among `turns`, numbered, with the turn that it came at. `turns` have their number in `turn`."""
    found: list[JsonObject] = []
    for turn in turns:
        verdict = turn["verdict"]
        if is_break(verdict):
            found.append(
                {
                    "number": len(found) + 1,
                    "turn": turn["turn"],
                    "id": turn["id"],
                    "began": turn["began"],
                    "culprit": culprit(verdict["by"]),
                    **verdict,
                }
            )
    return found
