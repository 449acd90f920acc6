"""The configuration file as a command changes it: read whole, changed as little as possible, examined like a start
would, and replaced in one step with a backup beside it. What was wrong with it before does not stand in the way.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import JsonObject

if TYPE_CHECKING:
    from ccrouter.compliance.findings import Finding
    from ccrouter.compliance.policy import Policy
    from ccrouter.config.load import Reading

#: What an unset variable may hold: a fault that depends on which of them is none that is known.
_ADDRESS, _NUMBER = "https://unset.invalid/unset", "23456"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file, or the one that will be there. `tree` is what is written in it, variables as they stand.
    `main` is the config that the router of a project is about, None for that config itself.
    """

    path: Path
    text: str
    tree: JsonObject
    policy: Policy
    is_new: bool = False
    main: ConfigFile | None = None

    @property
    def reading(self) -> Reading:
        """What the file says now, as far as it can be read, whatever variables hold that are not set here."""
        from ccrouter.cli.template import stand_ins
        from ccrouter.config.load import read

        return read(self.path, stand_ins(self.text, os.environ), text=self.text)

    @property
    def router(self) -> str:
        """The name of the router that runs unless another is asked for."""
        return self.reading.router_name if self.main is None else "default"

    def copy(self) -> JsonObject:
        """The tree, to be changed."""
        return copy.deepcopy(self.tree)


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that was saved. `backup` holds what it was, None if nothing changed or nothing was there; `faults` is what
    was wrong with it before, and still is.
    """

    backup: Path | None
    faults: tuple[Finding, ...] = ()


def open_config(path: Path | None, policy: str | None = None) -> ConfigFile:
    """The file at `path`, or the usual one; without one, the starter as it would be written there.

    Raises ConfigError if it cannot be read, if the policy cannot, or if a starter is not allowed under it.
    """
    from ccrouter.compliance.document import load_policy
    from ccrouter.config.load import find_config
    from ccrouter.config.starter import TEMPLATE
    from ccrouter.config.syntax import decode, parse, read_bounded

    found = find_config(path, os.environ)
    in_force = load_policy(policy, os.environ)
    try:
        text = decode(read_bounded(found), str(found))
    except FileNotFoundError:
        if path is not None or in_force.is_in_force:
            raise ConfigError([_missing(found, is_policed=in_force.is_in_force)]) from None
        text = TEMPLATE.read_text(encoding="utf-8")
        return ConfigFile(found, text, parse(text, str(found)).tree, in_force, is_new=True)
    except OSError as error:
        raise ConfigError([_problem(found, f"cannot be read: {error.strerror or error}")]) from error
    return ConfigFile(found, text, parse(text, str(found)).tree if text.strip() else {}, in_force)


def save_config(file: ConfigFile, tree: JsonObject) -> Saved:
    """After the call the file says `tree`, its comments kept.

    Raises ConfigError, with everything that is wrong now and was not before, and then the file is what it was.
    """
    from ccrouter.config import backup
    from ccrouter.config.rewrite import rewrite
    from ccrouter.config.starter import SCHEMA, SCHEMA_NAME, write_new

    changed = rewrite(file.text, tree)
    before = {(one.message, one.rule) for one in faults(file, file.text)}
    after = faults(file, changed)
    new = [one for one in after if (one.message, one.rule) not in before]
    if new:
        raise ConfigError([one.problem for one in new])
    if file.is_new and file.main is None:
        try:
            file.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_new(file.path.with_name(SCHEMA_NAME), SCHEMA.read_bytes())
        except OSError as error:
            raise ConfigError([_problem(file.path, f"cannot be created: {error.strerror or error}")]) from error
    return Saved(backup.save(file.path, changed, now=datetime.now(UTC)), tuple(after))


def faults(file: ConfigFile, text: str, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """What is wrong with `text` in the file's place, whatever variables hold that are not set here."""
    from ccrouter.cli.template import STAND_IN, needed_variables
    from ccrouter.compliance.examine import examine

    if file.main is not None:
        from ccrouter.cli.projectrouter import project_faults

        return project_faults(file, file.main, text)
    unset = [name for name in needed_variables(text) if not environ.get(name)]
    guesses = (STAND_IN, _ADDRESS, _NUMBER) if unset else ("",)
    found = [
        list(examine(file.path, {**environ, **dict.fromkeys(unset, guess)}, file.policy, text=text).errors)
        for guess in guesses
    ]
    known = [{(one.path, one.message) for one in others} for others in found[1:]]
    return [one for one in found[0] if all((one.path, one.message) in others for others in known)]


def _missing(path: Path, *, is_policed: bool) -> Problem:
    hint = "`ccr install` writes one that the policy allows" if is_policed else ""
    return _problem(path, "there is no such file", hint)


def _problem(path: Path, message: str, hint: str = "") -> Problem:
    return Problem(str(path), "", message, hint)
