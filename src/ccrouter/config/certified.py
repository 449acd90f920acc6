"""What was found out about a provider's models by asking them, read from `<router folder>/profiles/<provider>.json`.

`ccr providers test` writes these files (`ccrouter.certify`). A file that cannot be used is a warning that names it and
never a reason not to start: without it the router knows what it knew before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from ccrouter.config.providers import Settled
from ccrouter.config.report import Report, quoted
from ccrouter.config.schema import Provider
from ccrouter.errors import Problem
from ccrouter.jsontypes import Json, JsonObject

#: The version of the files' form. Files of another are not read.
FORMAT = 1
FOLDER = "profiles"
#: Bytes; a file of ours has far fewer.
_LARGEST = 1024 * 1024
_LONGEST_NAME = 150
_MOST_TOKENS = 10**8

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_STYLES = ("none", "effort", "openrouter", "thinking", "qwen", "template", "budget", "level")
_CHOICES = ("auto", "none", "required", "named")


class _Unfit(ValueError):
    """A value that the member cannot have."""


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise _Unfit
    return value


def _number(least: int, most: int) -> Callable[[Json], int]:
    def read(value: Json) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _Unfit
        return value

    return read


def _word(*words: str) -> Callable[[Json], str]:
    def read(value: Json) -> str:
        if value not in words or not isinstance(value, str):
            raise _Unfit
        return value

    return read


def _words(words: tuple[str, ...], make: Callable[[list[str]], Any]) -> Callable[[Json], Any]:
    def read(value: Json) -> Any:
        if not isinstance(value, list) or not all(isinstance(one, str) and one in words for one in value):
            raise _Unfit
        return make(value)

    return read


def _limit_or_none(value: Json) -> int | None:
    return None if value is None else _number(1, _MOST_TOKENS)(value)


#: The members of a profile that can be measured, and how each is read. Their values can be hashed.
MEMBERS: Mapping[str, Callable[[Json], Any]] = {
    "max_tokens_field": _word("max_tokens", "max_completion_tokens"),
    "max_tokens_cap": _limit_or_none,
    "min_max_tokens": _number(1, 4096),
    "accepts_sampling": _flag,
    "accepts_top_k": _flag,
    "max_stops": _number(0, 64),
    "accepts_stream_usage": _flag,
    "reasoning_style": _word(*_STYLES),
    "efforts": _words(_EFFORTS, tuple),
    "effort_off": _word("", *_EFFORTS),
    "accepts_budget": _flag,
    "can_disable_thinking": _flag,
    "accepts_mid_system": _flag,
    "keeps_cache_control": _flag,
    "accepts_images": _flag,
    "accepts_tool_images": _flag,
    "accepts_files": _word("", "data", "url"),
    "accepts_user_after_tool": _flag,
    "names_tool_results": _flag,
    "tool_name_limit": _number(16, 512),
    "tool_id_limit": _number(16, 512),
    "has_short_tool_ids": _flag,
    "accepts_parallel_flag": _flag,
    "tool_choice_forms": _words(_CHOICES, frozenset),
    "textual_tool_calls": _flag,
    "accepts_response_format": _word("", "json_object", "json_schema"),
}


@dataclass(frozen=True, slots=True)
class Certified:
    """What a file says: changes by model (in small letters; "" for every model), and on which day each was tested.

    `complaints` are what could not be used, each with its place in the file.
    """

    changes: Mapping[str, JsonObject] = field(default_factory=dict)
    dates: Mapping[str, str] = field(default_factory=dict)
    complaints: tuple[tuple[str, str], ...] = ()


def profile_path(folder: Path, provider: str) -> Path:
    """Where the profile of the provider of that name (in any case) is, or would be, in the router's `folder`."""
    name = quote(provider.strip().casefold(), safe="", errors="surrogatepass")
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return folder / FOLDER / f"{name}.json"


def with_certified(found: Settled, folder: Path, report: Report) -> Settled:
    """The provider with what its profile in the router's `folder` says of it. What cannot be used is a warning."""
    provider = found.provider
    if provider is None:
        return found
    path = profile_path(folder, provider.name)
    certified = read_certified(path, provider)
    hint = f"`ccr providers test {provider.name}` makes a new one; or delete it"
    report.warnings += [Problem(str(path), place, message, hint) for place, message in certified.complaints]
    if not certified.changes:
        return found
    return replace(found, provider=replace(provider, certified=MappingProxyType(dict(certified.changes))))


def read_certified(path: Path, provider: Provider) -> Certified:
    """What the file at `path` says of `provider`; nothing if there is none, or if it is about another URL."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Certified()
    except OSError as error:
        return _unusable(f"cannot be read: {error.strerror or error}")
    try:
        tree: Json = json.loads(data) if len(data) <= _LARGEST else None
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict) or not isinstance(tree.get("models"), dict):
        return _unusable("is not a profile; it is not applied")
    if tree.get("format") != FORMAT:
        return _unusable(
            f"has a form that this version does not know ({quoted(tree.get('format'))}); it is not applied"
        )
    place = tree.get("endpoint")
    url = place.get("url") if isinstance(place, dict) else None
    if url not in {endpoint.public_url for endpoint in provider.endpoints}:
        return _unusable("is about another URL of the provider; it is not applied", "endpoint.url")
    return _read_models(tree["models"])


def as_json(changes: Mapping[str, Any]) -> JsonObject:
    """The changes as a file says them."""
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in changes.items()}


def _unusable(message: str, place: str = "") -> Certified:
    return Certified(complaints=((place, message),))


def _read_models(models: JsonObject) -> Certified:
    changes: dict[str, JsonObject] = {}
    dates: dict[str, str] = {}
    complaints: list[tuple[str, str]] = []
    for model, told in models.items():
        place = f"models.{model}" if model else "models"
        written = told.get("changes") if isinstance(told, dict) else None
        if not isinstance(written, dict):
            complaints.append((place, "is not what was found out about a model; it is ignored"))
            continue
        read: JsonObject = {}
        for name, value in written.items():
            if name not in MEMBERS:
                complaints.append((f"{place}.changes.{name}", "is not known to this version; it is ignored"))
                continue
            try:
                read[name] = MEMBERS[name](value)
            except _Unfit:
                complaints.append((f"{place}.changes.{name}", f"cannot be {quoted(value)}; it is ignored"))
        dates[model.lower()] = str(told.get("tested", ""))
        if read:
            changes[model.lower()] = read
    return Certified(changes, dates, tuple(complaints))
