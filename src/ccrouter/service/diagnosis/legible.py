"""What of a configuration can be understood, however broken it is: to show, and to find the router. Not to run by."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ccrouter.config.listen import DEFAULT_HOST, Overrides
from ccrouter.config.load import Reading, read
from ccrouter.config.schema import Config
from ccrouter.errors import ConfigError, Problem
from ccrouter.secret import Secret
from ccrouter.service.diagnosis.origins import unset_without_default

#: Takes the place of variables that are unset: a URL, since some of them are. The name is reserved (RFC 2606).
_STAND_IN = "http://unset.invalid/unset"


@dataclass(frozen=True, slots=True)
class Legible:
    """`config` is what was understood, the defaults where nothing was (`is_readable`: the file could be parsed).

    Its providers are there too if nothing is wrong with them but variables that are unset (`incomplete`, by name);
    `due_to_unset` are the problems that this accounts for. `secrets` are those of the whole file.
    """

    config: Config
    is_readable: bool = True
    incomplete: frozenset[str] = frozenset()
    due_to_unset: frozenset[tuple[str, str]] = frozenset()
    secrets: tuple[Secret, ...] = ()

    def is_due_to_unset(self, problem: Problem) -> bool:
        """Whether the problem would be none if every variable that the file names were set."""
        return (problem.path, problem.message) in self.due_to_unset


def read_legible(path: Path | None, environ: Mapping[str, str], overrides: Overrides) -> Legible:
    """What can be understood of the file at `path` (None: the defaults alone). Raises nothing for what is in it."""
    try:
        plain = read(path, environ, overrides)
        stand_ins = dict.fromkeys(unset_without_default(plain.source.tree, environ), _STAND_IN)
        filled = read(path, {**environ, **stand_ins}, overrides) if stand_ins else plain
    except ConfigError:
        return Legible(replace(_usable(read(None, environ, overrides)), path=path), is_readable=False)
    there = {provider.name for provider in plain.config.providers}
    remaining = {(problem.path, problem.message) for problem in filled.problems}
    return Legible(
        replace(_usable(plain), providers=filled.config.providers, router=filled.config.router),
        incomplete=frozenset(provider.name for provider in filled.config.providers if provider.name not in there),
        due_to_unset=frozenset((problem.path, problem.message) for problem in plain.problems) - remaining,
        secrets=plain.secrets,
    )


def _usable(reading: Reading) -> Config:
    """The configuration with a host that can be asked: one that is no address at all is a problem told elsewhere."""
    config = reading.config
    if not any(problem.path in {"HOST", "--host"} or problem.path.endswith(".HOST") for problem in reading.problems):
        return config
    try:
        ipaddress.ip_address(config.host)
    except ValueError:
        return replace(config, host=DEFAULT_HOST)
    return config
