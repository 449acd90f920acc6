"""Presets as they are served: each a gateway of its own at `/preset/NAME/…`, for clients, behind the same guard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ccrouter.compliance.judge import Extension, judge
from ccrouter.compliance.policy import Policy
from ccrouter.config.presets import Preset, installed, is_name, read_preset, usable_configuration
from ccrouter.config.schema import Config
from ccrouter.errors import ClientError, ConfigError, Problem
from ccrouter.gateway.pipeline import Gateway
from ccrouter.server.edition import Edition, ServedPreset
from ccrouter.server.guard import Access
from ccrouter.server.routes import Found

PREFIX = "/preset/"

_NO_CODE = "is code of the preset's own, which is not run"
_INSTEAD = "put it into config.json, if you know what it does"


@dataclass(frozen=True, slots=True)
class ReadPreset:
    """A preset as it was read. `problems` say why it cannot be used; `config` is an empty one then."""

    config: Config
    problems: tuple[Problem, ...] = ()


def read_presets(environ: Mapping[str, str], policy: Policy) -> dict[str, ReadPreset]:
    """The installed presets by the names that they are asked for: their folders' and, where that is free, their own.

    None under a policy that does not allow presets. One that cannot be used is there with its problems, and hides no
    other; code of a preset's own is not run. Reads files: not for the event loop.
    """
    if judge(policy, Extension("presets", "presets")) is not None:
        return {}
    read: dict[str, ReadPreset] = {}
    titles: dict[str, ReadPreset] = {}
    for folder in installed(environ):
        try:
            preset = read_preset(folder)
            found = ReadPreset(_usable(preset, environ))
            titles.setdefault(preset.title, found)
        except ConfigError as error:
            found = ReadPreset(Config(), tuple(error.problems))
        read[folder.name] = found
    return {**titles, **read}


def serve_presets(read: Mapping[str, ReadPreset], make_gateway: Callable[[Config], Gateway]) -> dict[str, ServedPreset]:
    """Each of the presets that were read with its gateway; without one where it cannot be used."""
    served: dict[int, ServedPreset] = {}  # one by two names is one
    for one in read.values():
        if id(one) not in served:
            gateway = None if one.problems else make_gateway(one.config)
            served[id(one)] = ServedPreset(one.config, gateway, one.problems)
    return {name: served[id(one)] for name, one in read.items()}


def _usable(preset: Preset, environ: Mapping[str, str]) -> Config:
    config = usable_configuration(preset, environ)
    code = ("CUSTOM_ROUTER_PATH", config.custom_router), ("transformers", config.custom_transformers)
    brought = [name for name, value in (*code, ("REWRITE_SYSTEM_PROMPT", config.rewrite_system_prompt)) if value]
    if brought:
        raise ConfigError([Problem(str(preset.file), name, _NO_CODE, _INSTEAD) for name in brought])
    return config


def split_preset(path: str) -> tuple[str, str]:
    """The preset's name and the path below it; ("", `path`) for a path that is no preset's."""
    if not path.startswith(PREFIX):
        return "", path
    name, slash, rest = path.removeprefix(PREFIX).partition("/")
    return (name, slash + rest) if is_name(name) and rest else ("", path)


def below(edition: Edition, name: str, found: Found) -> Edition:
    """The edition that serves requests below `/preset/NAME`: the same guard, the preset's configuration and gateway.

    Raises ClientError for what is not served there, for an unknown preset and for one that cannot be used.
    """
    if found.row is None or found.row.access is not Access.CLIENT:
        raise ClientError("a preset serves models only", status=404, type="not_found_error")
    preset = edition.presets.get(name)
    if preset is None:
        known = ", ".join(sorted(edition.presets)) or "none is installed"
        raise ClientError(f"there is no preset {name} (known: {known})", status=404, type="not_found_error")
    if preset.gateway is None:
        first = preset.problems[0]
        what = f"{first.path}: {first.message}" if first.path else first.message
        raise ClientError(f"the preset {name} cannot be used: {what}", status=500, type="api_error")
    return replace(edition, config=preset.config, gateway=preset.gateway)
