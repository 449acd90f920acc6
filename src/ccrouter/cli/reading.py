"""The configuration as commands about providers and models see it: with what is written, and what became of it, also
where something else in the file cannot be used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ccrouter.cli.options import StartOptions, config_path
from ccrouter.errors import ConfigError, RouterError

if TYPE_CHECKING:
    from ccrouter.cli.configfile import ConfigFile
    from ccrouter.config.load import Reading
    from ccrouter.config.providers import Settled
    from ccrouter.config.schema import Provider

_VARIABLE = re.compile(r"\$\{(\w+)\}|\$([A-Z_][A-Z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Key:
    """Where a provider's key comes from, or each of several: the variables that it names, none for a key that stands in
    the file.
    """

    keys: tuple[tuple[str, ...], ...]

    @property
    def is_written(self) -> bool:
        """False for a provider without a key."""
        return bool(self.keys)

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for names in self.keys for name in names))

    @property
    def is_set(self) -> bool:
        """True if there is a key that can be used: all that it needs is set here."""
        return not self.keys or any(map(_are_set, self.keys))

    def __str__(self) -> str:
        if not self.keys:
            return "no key"
        if len(self.keys) > 1:
            told = [_dollars(names) + ("" if _are_set(names) else " (NOT SET)") for names in self.keys]
            return f"{len(told)} keys: {', '.join(told)}"
        (names,) = self.keys
        if not names:
            return "key in the file"
        return f"key {_dollars(names)}, which is {'set' if self.is_set else 'NOT SET'}"


def _are_set(names: Iterable[str]) -> bool:
    return all(os.environ.get(name) for name in names)


def _dollars(names: Iterable[str]) -> str:
    return " ".join(f"${name}" for name in names) or "in the file"


def read_config(path: Path | None = None) -> Reading:
    """What the file says, as far as it can be read. Raises ConfigError without a file, and for one that is no JSON5."""
    from ccrouter.config.load import find_config, read
    from ccrouter.errors import Problem

    found = config_path(StartOptions(config=path))
    if found is None:
        place = find_config(path, os.environ)
        hint = "`ccr providers add` writes one"
        raise ConfigError([Problem(str(place), "", "there is no config yet", hint)])
    return read(found, os.environ)


def serves_default(file: ConfigFile) -> bool:
    """True if the file says which model serves a request that no route takes."""
    from ccrouter.config.schema import DRY_RUN

    default = file.reading.config.router.routes.get("default")
    return default is not None and default.provider != DRY_RUN


def key_of(reading: Reading, name: str) -> Key:
    """Where the key of the provider of that name comes from."""
    record = next(draft.record for draft in reading.draft.providers if draft.name == name)
    texts = [str(getattr(entry.written, "written", entry.written)) for entry in record.get("api_key", ())]
    return Key(tuple(tuple(one or other for one, other in _VARIABLE.findall(text)) for text in texts))


def find_settled(reading: Reading, name: str) -> Settled:
    """The provider of that name, in any case. Raises RouterError if there is none, with the names that there are."""
    folded = name.strip().casefold()
    found = next((one for one in reading.providers if one.name.casefold() == folded), None)
    if found is None:
        names = ", ".join(one.name for one in reading.providers) or "none"
        raise RouterError(f"no provider is called {name!r} (there are: {names})\n  hint: ccr providers add {name}")
    return found


def find_provider(reading: Reading, name: str) -> Provider:
    """The provider of that name, ready for use. Raises RouterError with what is missing."""
    found = find_settled(reading, name)
    if found.provider is None:
        file = f"{reading.config.path}: "
        told = [str(problem) for problem in reading.problems if not found.obstacles]
        reasons = [f"{one.path}: {one.message}" for one in found.obstacles] or [one.removeprefix(file) for one in told]
        raise RouterError(f"provider {found.name!r} cannot be used: {'; '.join(reasons) or 'it is not complete'}")
    return found.provider
