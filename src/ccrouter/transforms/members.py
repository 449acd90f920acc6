"""The members of a provider's body: where each dialect keeps a parameter, and how one is read, set and merged. Pure.

Values may be `msgspec.Raw`: what is looked into is decoded, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ccrouter.config.schema import DialectName

#: The names that lead to a value, from the top.
Path = tuple[str, ...]

#: Where the length limit of an answer stands.
LIMITS: Mapping[DialectName, tuple[Path, ...]] = {
    "anthropic": (("max_tokens",),),
    "openai_chat": (("max_tokens",), ("max_completion_tokens",)),
    "openai_responses": (("max_output_tokens",),),
    "gemini": (("generationConfig", "maxOutputTokens"),),
}

#: Where the length of the thinking stands, which is part of the limit, and what has to go with it where it cannot stay.
BUDGETS: Mapping[DialectName, tuple[tuple[Path, Path], ...]] = {
    "anthropic": ((("thinking", "budget_tokens"), ("thinking",)),),
    "openai_chat": (
        (("thinking_budget",), ("thinking_budget",)),
        (("reasoning", "max_tokens"), ("reasoning",)),
        (("thinking", "budget_tokens"), ("thinking",)),
    ),
    "openai_responses": (),
    "gemini": ((("generationConfig", "thinkingConfig", "thinkingBudget"), ("generationConfig", "thinkingConfig")),),
}

#: Where sampling parameters stand, by the names that `sampling` has for them; of a dialect's own.
SAMPLING: Mapping[DialectName, Mapping[str, Path]] = {
    "anthropic": {"temperature": ("temperature",), "top_p": ("top_p",), "top_k": ("top_k",)},
    "openai_chat": {
        "temperature": ("temperature",),
        "top_p": ("top_p",),
        "top_k": ("top_k",),
        "repetition_penalty": ("repetition_penalty",),
    },
    "openai_responses": {"temperature": ("temperature",), "top_p": ("top_p",)},
    "gemini": {
        "temperature": ("generationConfig", "temperature"),
        "top_p": ("generationConfig", "topP"),
        "top_k": ("generationConfig", "topK"),
    },
}

#: The least budget of thinking that the APIs with budgets take (Anthropic: 1024).
_LEAST_BUDGET = 1024


def decoded(value: Any) -> Any:
    """The value, decoded if it is raw."""
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def find(members: Mapping[str, Any], path: Path) -> Any:
    """What stands at `path`, None if nothing does."""
    value: Any = members
    for name in path:
        value = decoded(value.get(name)) if isinstance(value, Mapping) else None
    return value


def put(members: dict[str, Any], path: Path, value: Any) -> None:
    """Set what stands at `path`; objects on the way are copied, or made."""
    *outer, last = path
    place = members
    for name in outer:
        inner = decoded(place.get(name))
        place[name] = inner = dict(inner) if isinstance(inner, dict) else {}
        place = inner
    place[last] = value


def drop(members: dict[str, Any], path: Path) -> None:
    """Take out what stands at `path`."""
    *outer, last = path
    owner = find(members, tuple(outer))
    if isinstance(owner, dict) and last in owner:
        rest = {name: value for name, value in owner.items() if name != last}
        if outer:
            put(members, tuple(outer), rest)
        else:
            del members[last]


def cap(members: dict[str, Any], most: int, dialect: DialectName) -> None:
    """No limit above `most`; one that is not there is not made. A budget of thinking that the limit leaves no room for
    is lowered, and goes where nothing of it is left.
    """
    for path in LIMITS[dialect]:
        limit = find(members, path)
        if not _is_number(limit) or limit <= most:
            continue
        put(members, path, most)
        for budget, owner in BUDGETS[dialect]:
            asked = find(members, budget)
            if not _is_number(asked) or asked < most:
                continue
            if most > _LEAST_BUDGET:
                put(members, budget, most - 1)
            else:
                drop(members, owner)


def merge(old: Any, new: Any) -> Any:
    """`new` over `old`: objects are merged, at any depth, and anything else is replaced."""
    old = decoded(old) if isinstance(new, dict) else old
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{name: merge(old.get(name), value) for name, value in new.items()}}


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
