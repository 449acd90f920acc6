"""The profile of a target: which provider it is and which family its model belongs to, looked up in the facts.

The facts are data in `profile_data` and `profile_families`. Code asks a `Profile` what is so; it never compares
provider names itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from ccrouter.config.schema import Target
from ccrouter.dialects.profile import KnownProvider, Profile
from ccrouter.dialects.profile_data import GENERIC, PROVIDERS
from ccrouter.dialects.profile_families import FAMILIES
from ccrouter.dialects.profile_gemini import GEMINI_FAMILIES
from ccrouter.dialects.profile_responses import RESPONSES, RESPONSES_AT
from ccrouter.jsontypes import JsonObject

#: Members of a profile and their values, which can be hashed (`config.certified` makes them so).
Changes: TypeAlias = tuple[tuple[str, Any], ...]


def profile_of(target: Target) -> Profile:
    """The facts about `target`: its provider's, with those of the model's family over them.

    The provider is recognised by the host of its first endpoint, else by the profile the user named, else by its own
    name, else by the port. Facts of a family that hold at every provider come first, those of the family at this
    provider last, over them what is different in the API that is spoken there, and over everything what was found out
    by asking this very provider (`ccr providers test`).
    """
    provider = target.provider
    url, dialect = (target.endpoint.url, target.endpoint.dialect) if provider.endpoints else ("", "")
    model = target.model.lower()
    found = _found_out(provider.certified, model) if provider.certified else ()
    return _profile(url, (provider.profile or "").lower(), provider.name.lower(), model, dialect, found)


def _found_out(certified: Mapping[str, JsonObject], model: str) -> Changes:
    """What holds for `model`: what was found of all of the provider's models, and over that what was of this one."""
    return tuple(item for name in ("", model) for item in certified.get(name, {}).items())


@lru_cache(maxsize=1024)
def _profile(  # noqa: PLR0913, PLR0917 - the key of the cache: everything that a profile depends on
    url: str, named: str, provider: str, model: str, dialect: str, found: Changes
) -> Profile:
    host, port = _place(url)
    known = _recognise(host, port, named, provider)
    profile = known.profile
    if profile.is_first_party and named != profile.name and not any(host.endswith(end) for end in known.hosts):
        profile = replace(profile, is_first_party=False)  # a relay that is merely called so
    own = GEMINI_FAMILIES if dialect == "gemini" else ()
    for member in (*FAMILIES, *known.families, *own):
        if member.pattern.search(model):
            profile = replace(profile, **member.changes)
    if dialect == "openai_responses":
        profile = replace(profile, **RESPONSES, **RESPONSES_AT.get(profile.name, {}))
    return replace(profile, **dict(found)) if found else profile


def _place(url: str) -> tuple[str, int]:
    """Host (lower case) and port of a URL; ("", 0) where there is none, as in "dry-run:"."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").lower(), parts.port or 0
    except ValueError:
        return "", 0


def _recognise(host: str, port: int, named: str, provider: str) -> KnownProvider:
    for known in PROVIDERS:
        if any(host == end or host.endswith("." + end) for end in known.hosts):
            return known
    for name in (named, provider):
        for known in PROVIDERS:
            if name and (name == known.profile.name or name in known.names):
                return known
    return next((known for known in PROVIDERS if port and port == known.port), GENERIC)
