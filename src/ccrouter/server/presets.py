"""Presets as they are served: each a gateway of its own at `/preset/NAME/…`, for clients, behind the same guard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ccrouter.compliance.judge import Extension, judge
from ccrouter.compliance.policy import Policy
from ccrouter.config.presets import installed, is_name, read_preset, usable_configuration
from ccrouter.config.schema import Config
from ccrouter.errors import ClientError, ConfigError, Problem, RouterError
from ccrouter.gateway.pipeline import Gateway

PREFIX = "/preset/"


@dataclass(frozen=True, slots=True)
class ServedPreset:
    """One preset in force. `gateway` is None for one that cannot be used: `problems` tell why."""

    config: Config
    gateway: Gateway | None
    problems: tuple[Problem, ...] = ()


def serve_presets(
    environ: Mapping[str, str], policy: Policy, make_gateway: Callable[[Config], Gateway]
) -> dict[str, ServedPreset]:
    """The installed presets by the names that they are asked for: their folders' and, where that is free, their own.

    None under a policy that does not allow presets. One that is broken is there with its problems and hides no other.
    """
    if judge(policy, Extension("presets", "presets")) is not None:
        return {}
    served: dict[str, ServedPreset] = {}
    titles: dict[str, ServedPreset] = {}
    for folder in installed(environ):
        try:
            preset = read_preset(folder)
            config = usable_configuration(preset, environ)
            found = ServedPreset(config, make_gateway(config))
            titles.setdefault(preset.title, found)
        except ConfigError as error:
            found = ServedPreset(Config(), None, tuple(error.problems))
        served[folder.name] = found
    return {**titles, **served}


def split_preset(path: str) -> tuple[str, str]:
    """The preset's name and the path below it; ("", `path`) for a path that is no preset's."""
    if not path.startswith(PREFIX):
        return "", path
    name, slash, rest = path.removeprefix(PREFIX).partition("/")
    return (name, slash + rest) if is_name(name) and rest else ("", path)


def usable(name: str, presets: Mapping[str, ServedPreset]) -> ServedPreset:
    """The preset called `name`. Raises RouterError if there is none or it cannot be used, with what to do."""
    found = presets.get(name)
    if found is None:
        known = ", ".join(sorted(presets)) or "none is installed"
        raise ClientError(f"there is no preset {name} (known: {known})", status=404, type="not_found_error")
    if found.gateway is None:
        raise _unusable(name, found.problems)
    return found


def _unusable(name: str, problems: tuple[Problem, ...]) -> RouterError:
    first = problems[0]
    what = f"{first.path}: {first.message}" if first.path else first.message
    return ClientError(f"the preset {name} cannot be used: {what}", status=500, type="api_error")
