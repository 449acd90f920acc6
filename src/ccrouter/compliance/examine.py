"""The whole examination of a configuration under a policy: as written, as it comes out, and what stands around it.

Reads files and asks `judge`; decides nothing itself and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ccrouter.compliance.files import private_faults
from ccrouter.compliance.findings import (
    DESTINATION,
    FILES,
    MALFORMED,
    MISSING,
    NO_OBJECT,
    OTHER,
    Finding,
    Findings,
    Verdict,
)
from ccrouter.compliance.judge import Extension
from ccrouter.compliance.policy import Policy
from ccrouter.compliance.telemetry import judge_telemetry
from ccrouter.compliance.walk import directory_of, walk_providers, walk_router, walk_routers
from ccrouter.compliance.written import judge_extensions, judge_keys, judge_listener, judge_shape, judge_syntax
from ccrouter.config.load import Overrides, Reading, read, router_folder
from ccrouter.config.presets import installed, read_configuration, read_preset
from ccrouter.config.projects import read_written, router_files, settle_written
from ccrouter.config.report import Place, Report
from ccrouter.config.syntax import EMPTY, NO_SUCH_FILE, UNREADABLE
from ccrouter.config.syntax import NO_OBJECT as NO_OBJECT_MESSAGE
from ccrouter.errors import ConfigError, Problem

__all__ = ["Finding", "Verdict", "examine"]

_NO_OVERRIDES = Overrides()
_PRESETS = "presets"

#: Variables that switch the checking of certificates off, in the programs that share this one's environment.
_UNCHECKED = {"NODE_TLS_REJECT_UNAUTHORIZED": "0", "PYTHONHTTPSVERIFY": "0"}


def examine(
    path: Path | None,
    environ: Mapping[str, str],
    policy: Policy,
    overrides: Overrides = _NO_OVERRIDES,
    *,
    text: str | None = None,
) -> Verdict:
    """Everything that is wrong with the configuration at `path` (None: the defaults alone) under `policy`, and the
    configuration itself where it can be read.

    `text`, if given, is judged as if it stood at `path`. Raises nothing for what it examines.
    """
    found = Findings(policy)
    if path is None and policy.strict_syntax:
        missing = router_folder(environ) / "config.json"
        found.errors.append(_unread(Problem(str(missing), "", NO_SUCH_FILE), missing, environ))
        return found.verdict(None)
    try:
        reading = read(path, environ, overrides, text=text)
    except ConfigError as error:
        found.errors += [_unread(_advised(problem, policy), path, environ) for problem in error.problems]
        _judge_files(path, found)
        return found.verdict(None)
    found.secrets += reading.secrets
    for problem in reading.problems:
        found.add_problem(problem)
    for problem in reading.config.warnings:
        found.add_problem(problem, is_error=False)
    judge_telemetry(reading, environ, found)
    if policy.is_in_force:
        _judge_config(reading, environ, overrides, found)
    _judge_projects(reading, environ, found)
    _judge_files(path, found)
    return found.verdict(None if reading.problems else reading.config)


def _judge_config(reading: Reading, environ: Mapping[str, str], overrides: Overrides, found: Findings) -> None:
    if found.policy.strict_syntax:
        judge_syntax(reading, found)
    judge_listener(reading, overrides, found)
    judge_keys(reading, overrides, found)
    judge_extensions(reading, found)
    _judge_presets(environ, found)
    walk_providers(reading, environ, found)
    walk_routers(reading, found)
    if found.policy.https_only:
        _judge_certificates(reading, environ, found)
    if found.policy.strict_syntax:
        judge_shape(reading, found)


def _judge_certificates(reading: Reading, environ: Mapping[str, str], found: Findings) -> None:
    for name, value in _UNCHECKED.items():
        message = f"{name}={value} switches the checking of certificates off"
        if environ.get(name) == value:
            place = Place(Report("environment"), name)
            found.refuse(place, message, "httpsOnly", DESTINATION, f"unset {name}")
        if str(reading.source.tree.get(name)) == value:
            found.refuse(reading.top.place.key(name), message, "httpsOnly", DESTINATION, "leave it out")


def _judge_presets(environ: Mapping[str, str], found: Findings) -> None:
    """Whatever lies in the folder of presets: each is a configuration of somebody else's."""
    folder = router_folder(environ) / _PRESETS
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        found.refuse(Place(Report(str(folder))), f"presets {_unseen(error)}", "extensions.allowed", FILES)
        return
    for name in names:
        found.ask(Extension("presets", f"preset {name}"), Place(Report(str(folder / name))))
    if found.policy.allowed_extensions is None or "presets" in found.policy.allowed_extensions:
        _judge_preset_contents(environ, found)


def _judge_preset_contents(environ: Mapping[str, str], found: Findings) -> None:
    """Presets that may be: each is judged as the configuration that it is."""
    for folder in installed(environ):
        try:
            reading = read_configuration(read_preset(folder), environ)
        except ConfigError as error:
            for problem in error.problems:
                found.add_problem(problem, is_error=False)  # it is not served either
            continue
        found.secrets += reading.secrets
        judge_keys(reading, _NO_OVERRIDES, found)
        judge_extensions(reading, found)
        walk_providers(reading, environ, found)
        walk_routers(reading, found)


def _judge_projects(reading: Reading, environ: Mapping[str, str], found: Findings) -> None:
    """The routers of projects and sessions: each takes the place of the global one."""
    is_error = found.policy.strict_syntax
    directory = directory_of(reading)
    try:
        files = [file for file in router_files(environ) if file.parent.name != _PRESETS]
    except OSError as error:
        problem = Problem(str(router_folder(environ)), "", f"project routers {_unseen(error)}")
        found.add_problem(problem, is_error=is_error)
        return
    for file in files:
        try:
            written = read_written(file, environ)
            if written is None:
                continue
            if is_error:
                for place in written.source.duplicates(Report(str(file))):
                    found.refuse(place, f"{place.path} is written twice", "strictSyntax", OTHER, "keep one of them")
            walk_router(written.draft, directory, found)
            if not reading.problems:
                settle_written(written, reading.config)
        except ConfigError as error:
            for problem in error.problems:
                found.add_problem(problem, is_error=is_error)


def _judge_files(path: Path | None, found: Findings) -> None:
    """Who can read and change the file; a warning only, unless the policy makes a rule of it."""
    if path is None:
        return
    is_rule = found.policy.private_files
    try:
        faults = list(private_faults(path, is_strict=is_rule))
    except OSError:  # there is no such file, or the reading of it has told why not
        return
    for fault in faults:
        rule = "privateFiles" if is_rule else ""
        finding = Finding(str(fault.path), "", f"{fault.path} {fault.message}", rule, FILES, fault.hint)
        (found.errors if is_rule else found.warnings).append(finding)


def _unread(problem: Problem, path: Path | None, environ: Mapping[str, str]) -> Finding:
    """What keeps a file from being read at all, in the words and with the exit code of the classic verification."""
    if problem.message == NO_SUCH_FILE:
        default = router_folder(environ) / "config.json"
        place = "~/.claude-code-router/config.json" if path == default else str(path)
        hint = "ccr install (or: npm run router:install)"
        return Finding(problem.file, "", f"Router config missing at {place}", "", MISSING, hint)
    if problem.message == NO_OBJECT_MESSAGE:
        return Finding(problem.file, "", f"Config {problem.message}", "", NO_OBJECT, problem.hint)
    if problem.message.startswith(UNREADABLE):
        return Finding(problem.file, "", f"Config {problem.message}", "", OTHER, problem.hint)
    where = f"{problem.path}: " if problem.path else ""
    return Finding(
        problem.file, problem.path, f"Config JSON malformed: {where}{problem.message}", "", MALFORMED, problem.hint
    )


def _advised(problem: Problem, policy: Policy) -> Problem:
    """The problem without advice that leads to what the policy refuses next."""
    if problem.message == EMPTY and policy.strict_syntax:
        return replace(problem, hint="delete the file, and `ccr install` writes one that the policy knows")
    return problem


def _unseen(error: OSError) -> str:
    return f"cannot be looked at: {error.strerror or error}"
