"""`ccr doctor`: everything that somebody who is to help would ask. Reads; writes nothing, and shows no secret."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccrouter.cli.options import StartOptions, config_path
from ccrouter.cli.terminal import say
from ccrouter.errors import ConfigError, Problem
from ccrouter.secret import Secret
from ccrouter.service.diagnosis.finding import Finding, Level

if TYPE_CHECKING:
    from ccrouter.compliance.findings import Finding as Fault
    from ccrouter.compliance.findings import Verdict
    from ccrouter.compliance.policy import Policy
    from ccrouter.config.schema import Config
    from ccrouter.service.diagnosis.legible import Legible
    from ccrouter.service.running import Running

_MARKS: dict[Level, str] = {"ok": "ok", "info": "info", "warning": "WARNING", "problem": "PROBLEM"}
_COLOURS: dict[Level, str] = {"ok": "\033[32m", "info": "", "warning": "\033[33m", "problem": "\033[31m"}
_MARGIN = 12  # columns before the text
_WIDEST = 110
_POLICY = "Policy"


@click.command()
@click.option("--online", is_flag=True, help="Ask each provider for one token, to prove URL, key and model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def command(online: bool, as_json: bool) -> int:  # noqa: FBT001 - click passes options so
    """Look at everything that a running router and Claude Code depend on, and say what to do about it.

    Exit code 0 if nothing is wrong (warnings are not), else 1.
    """
    findings = list(_examination(online=online))
    is_well = not any(finding.level == "problem" for finding in findings)
    if as_json:
        told = [
            {"topic": found.topic, "level": found.level, "message": found.message, "advice": found.advice}
            for found in findings
        ]
        say(json.dumps({"ok": is_well, "findings": told}, indent=2, ensure_ascii=False))
    else:
        _show(findings)
    return 0 if is_well else 1


@dataclass(frozen=True, slots=True)
class _Case:
    """What is looked at.

    `legible` is what could be understood of the file at `path`; `policy` that of the next start, None if it cannot be
    read; `verdict` what the one says of the other.
    """

    path: Path | None
    legible: Legible
    policy: Policy | None
    verdict: Verdict
    running: Running | None

    @property
    def config(self) -> Config:
        return self.legible.config


def _examination(*, online: bool) -> Iterator[Finding]:
    """All findings, in the order in which they are shown, without any secret."""
    from ccrouter.service.diagnosis.router import look_for_router
    from ccrouter.service.private import router_folder

    running, about_router = look_for_router(router_folder(), _legible(StartOptions()).config)
    options = StartOptions().completed_from(running.state.options if running and running.state else {})
    policy, about_policy = _policy(options)
    legible = _legible(options)
    case = _Case(config_path(options), legible, policy, _verdict(options, policy), running)
    for finding in (
        *_of_programs(case),
        *_of_config(case),
        *about_policy,
        *_of_verdict(case),
        *about_router,
        *_of_running(case),
        *_of_providers(case, online=online),
        *_of_surroundings(case),
    ):
        yield finding.without((*legible.config.secrets, *legible.secrets, *_secrets_of(legible.config)))


def _legible(options: StartOptions) -> Legible:
    from ccrouter.service.diagnosis.legible import read_legible

    return read_legible(config_path(options), os.environ, options.overrides())


def _secrets_of(config: Config) -> Iterator[Secret]:
    """The values of the variables that the file names: one that was left out of the config is a secret all the same."""
    from ccrouter.service.diagnosis.origins import variables_in

    for name in variables_in(config.raw):
        if any(word in name.upper() for word in ("KEY", "TOKEN", "SECRET", "PASS")):
            yield Secret(os.environ.get(name, ""))


def _policy(options: StartOptions) -> tuple[Policy | None, list[Finding]]:
    """The policy of the next start, None if it cannot be read."""
    from ccrouter.cli.banner import policy_facts, policy_words
    from ccrouter.compliance.document import load_policy

    try:
        policy = load_policy(options.policy, os.environ)
    except ConfigError as error:
        return None, [Finding(_POLICY, "problem", _place(found), found.hint) for found in error.problems]
    if not policy.is_in_force:
        has_config = config_path(options) is not None
        advice = "`ccr verify --policy anthropic-only` tells whether your config would keep to that one; docs/policy.md"
        message = "none: every provider and model is allowed"
        return policy, [Finding(_POLICY, "info", message, advice if has_config else "ccr install")]
    pinned = "; pinned: you cannot change it" if policy.is_pinned else ""
    return policy, [Finding(_POLICY, "ok", policy_words(policy_facts(policy)) + pinned)]


def _verdict(options: StartOptions, policy: Policy | None) -> Verdict:
    from ccrouter.compliance.examine import examine
    from ccrouter.compliance.policy import NO_POLICY

    return examine(config_path(options), os.environ, policy or NO_POLICY, options.overrides())


def _of_programs(case: _Case) -> Iterator[Finding]:
    from ccrouter.service.diagnosis.program import look_at_programs

    return look_at_programs(case.config.claude_path, os.environ)


def _of_config(case: _Case) -> Iterator[Finding]:
    """Where the values come from, and what is wrong with the file whatever the policy."""
    from ccrouter.service.diagnosis.origins import TOPIC, look_at_file, look_at_origins

    state = case.running.state if case.running else None
    options = dict(state.options) if state else {}
    if state and state.has_key_option:
        options["apikey"] = ""
    if case.legible.is_readable:
        yield from look_at_origins(case.config, os.environ, options)
    else:
        yield look_at_file(case.config, os.environ, options)
    for found in case.verdict.errors:
        if found.rule:
            continue
        # The router in the background has the keys of the shell that started it.
        is_elsewhere = case.running and found.path.lower().startswith("providers")
        level: Level = "warning" if is_elsewhere and case.legible.is_due_to_unset(found.problem) else "problem"
        yield Finding(TOPIC, level, _place(found.problem, case.path), found.hint)
    for found in case.verdict.warnings:
        if not _is_told_elsewhere(found, case):
            yield Finding(TOPIC, "warning", _place(found.problem, case.path), found.hint)
    if case.config.status_line is not None:
        from ccrouter.service.statusline.oddities import oddities

        for oddity in oddities(case.config.status_line):
            yield Finding(TOPIC, "warning", oddity, "docs/statusline.md")


def _is_told_elsewhere(found: Fault, case: _Case) -> bool:
    """Modes are under Files, with those of all files; providers that are left out under Providers."""
    left_out = (f'provider "{name}" is left out' for name in case.config.unavailable)
    return found.hint.startswith("chmod ") or found.message.startswith(tuple(left_out))


def _of_verdict(case: _Case) -> Iterator[Finding]:
    """Whether the policy allows the config."""
    errors = case.verdict.errors
    if not case.verdict.policy.is_in_force:
        return
    for found in errors:
        if found.rule:
            yield Finding(_POLICY, "problem", _place(found.problem, case.path), found.hint)
    if not errors:
        yield Finding(_POLICY, "ok", "the config passes it")
    elif not any(found.rule for found in errors):
        yield Finding(_POLICY, "info", "whether the config passes it is known once it can be used")


def _of_running(case: _Case) -> Iterator[Finding]:
    from ccrouter.cli.health import health_of, worries
    from ccrouter.service.diagnosis.router import TOPIC, OnDisk, compare

    if case.running is not None and case.running.is_answering:
        yield from compare(case.running, case.config, OnDisk(case.verdict.config, case.policy))
        for worry in worries(health_of(case.running, case.config)):
            yield Finding(TOPIC, "warning", worry, "ccr health; ccr health reset")


def _of_providers(case: _Case, *, online: bool) -> Iterator[Finding]:
    from ccrouter.service.diagnosis.providers import TOPIC, ask_providers, look_at_providers

    if not case.legible.is_readable:
        yield Finding(TOPIC, "info", "none is known: the config cannot be read")
        return
    yield from look_at_providers(case.config, os.environ)
    if online and case.policy is None:
        yield Finding(TOPIC, "info", "none was asked: the policy cannot be read")
    elif online and case.policy is not None:
        yield from ask_providers(case.config, case.policy, os.environ, incomplete=case.legible.incomplete)


def _of_surroundings(case: _Case) -> Iterator[Finding]:
    from ccrouter.cli.banner import codespace_lines
    from ccrouter.service.diagnosis.bypass import look_at_bypasses
    from ccrouter.service.diagnosis.origins import is_written
    from ccrouter.service.diagnosis.surroundings import NETWORK, look_at_files, look_at_network
    from ccrouter.service.private import router_folder

    port = case.running.port if case.running else case.config.port
    yield from look_at_bypasses(port, Path.cwd(), os.environ)
    yield from look_at_network(os.environ)
    # A key whose variable is unset in this shell is a key all the same: the router's shell may have it.
    has_key = is_written(case.config, "APIKEY")
    codespace = codespace_lines(replace(case.config, api_key=Secret("")) if has_key else case.config, os.environ)
    if codespace:
        yield Finding(NETWORK, "info", "\n".join(["this is a GitHub Codespace", *codespace]))
    yield from look_at_files(case.config, router_folder(), case.policy)


def _place(problem: Problem, known: Path | None = None) -> str:
    """A problem in one line, without its hint (that is the advice) and the name of a file that is `known` already."""
    return str(replace(problem, hint="")).removeprefix(f"{known}: ")


def _show(findings: list[Finding]) -> None:
    width = min(max(shutil.get_terminal_size().columns, 40), _WIDEST)
    paint = _painter()
    for topic, group in groupby(findings, key=lambda finding: finding.topic):
        say(topic)
        for finding in group:
            mark = f"  {_MARKS[finding.level]}".ljust(_MARGIN)
            text = _wrapped(finding.message, width, mark)
            say(paint(finding.level, mark) + text[_MARGIN:])
            if finding.advice and finding.level != "ok":
                say(_wrapped(f"→ {finding.advice}", width, " " * _MARGIN))
        say()
    count = {level: sum(finding.level == level for finding in findings) for level in _MARKS}
    say(f"Problems: {count['problem']}. Warnings: {count['warning']}.")


def _wrapped(text: str, width: int, first: str) -> str:
    """Paths, URLs and lines that are set in are not broken: they are to be copied."""
    line, *more = text.splitlines() or [""]
    margin = " " * _MARGIN
    kept = [margin + other if other.startswith(" ") else _filled(other, width, margin) for other in more]
    return "\n".join([_filled(line, width, first), *kept])


def _filled(line: str, width: int, first: str) -> str:
    return textwrap.fill(
        line,
        width,
        initial_indent=first,
        subsequent_indent=" " * _MARGIN,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _painter() -> Callable[[Level, str], str]:
    import sys

    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.name == "nt":
        return lambda _level, mark: mark
    return lambda level, mark: f"{_COLOURS[level]}{mark}\033[0m" if _COLOURS[level] else mark
