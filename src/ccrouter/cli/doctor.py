"""`ccr doctor`: everything that somebody who is to help would ask. Reads; writes nothing, and shows no secret."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccrouter.cli.options import StartOptions, config_path, load_with_stand_ins
from ccrouter.cli.terminal import say
from ccrouter.errors import ConfigError, Problem
from ccrouter.secret import Secret
from ccrouter.service.diagnosis.finding import Finding, Level

if TYPE_CHECKING:
    from ccrouter.compliance.findings import Finding as Offence
    from ccrouter.compliance.findings import Verdict
    from ccrouter.compliance.policy import Policy
    from ccrouter.config.schema import Config
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


def _examination(*, online: bool) -> Iterator[Finding]:
    """All findings, in the order in which they are shown, without any secret."""
    from ccrouter.config.schema import Config
    from ccrouter.service.diagnosis.router import look_for_router
    from ccrouter.service.private import router_folder

    first = _readable_config(StartOptions()) or Config()
    running, about_router = look_for_router(router_folder(), first)
    recorded = running.state.options if running and running.state else {}
    options = StartOptions().completed_from(recorded)
    policy, about_policy = _policy(options)
    verdict = _verdict(options, policy)
    lenient = verdict.config or _readable_config(options)
    config = lenient or first
    about_surroundings = list(_of_surroundings(config, policy))
    said = {finding.advice for finding in about_surroundings if finding.advice}
    for finding in (
        *_of_programs(config),
        *(
            found
            for found in _of_config(config, verdict, running, is_readable=bool(lenient))
            if found.advice not in said
        ),
        *about_policy,
        *_of_verdict(verdict, config),
        *about_router,
        *_of_running(running, config, verdict, policy),
        *(_of_providers(config, policy, online=online) if lenient else ()),
        *about_surroundings,
    ):
        yield finding.without((*config.secrets, *_secrets_of(config)))


def _readable_config(options: StartOptions) -> Config | None:
    try:
        return load_with_stand_ins(options)
    except ConfigError:  # the examination says what is wrong
        return None


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
        return policy, [Finding(_POLICY, "info", "none: every provider and model is allowed", "ccr install")]
    pinned = "; pinned: you cannot change it" if policy.is_pinned else ""
    return policy, [Finding(_POLICY, "ok", policy_words(policy_facts(policy)) + pinned)]


def _verdict(options: StartOptions, policy: Policy | None) -> Verdict:
    from ccrouter.compliance.examine import examine
    from ccrouter.compliance.policy import NO_POLICY

    return examine(config_path(options), os.environ, policy or NO_POLICY, options.overrides())


def _of_programs(config: Config) -> Iterator[Finding]:
    from ccrouter.service.diagnosis.program import look_at_programs

    return look_at_programs(config.claude_path, os.environ)


def _of_config(config: Config, verdict: Verdict, running: Running | None, *, is_readable: bool) -> Iterator[Finding]:
    """Where the values come from, and what is wrong with the file whatever the policy."""
    from ccrouter.service.diagnosis.origins import TOPIC, look_at_origins

    if is_readable:
        options = dict(running.state.options) if running and running.state else {}
        if running and running.state and running.state.has_key_option:
            options["apikey"] = ""
        yield from look_at_origins(config, os.environ, options)
    for found in verdict.errors:
        if found.rule:
            continue
        # The router in the background has the keys of the shell that started it.
        is_elsewhere = running is not None and is_readable and found.path.lower().startswith("providers")
        level: Level = "warning" if is_elsewhere else "problem"
        yield Finding(TOPIC, level, _place(found.problem, config), found.hint)
    for found in verdict.warnings:
        yield Finding(TOPIC, "warning", _place(found.problem, config), found.hint)


def _of_verdict(verdict: Verdict, config: Config) -> Iterator[Finding]:
    """Whether the policy allows the config."""
    if not verdict.policy.is_in_force:
        return
    broken: list[Offence] = [found for found in verdict.errors if found.rule]
    for found in broken:
        yield Finding(_POLICY, "problem", _place(found.problem, config), found.hint)
    if not verdict.errors:
        yield Finding(_POLICY, "ok", "the config passes it")
    elif not broken:
        yield Finding(_POLICY, "info", "whether the config passes it is known once it can be used")


def _of_running(running: Running | None, config: Config, verdict: Verdict, policy: Policy | None) -> Iterator[Finding]:
    from ccrouter.service.diagnosis.router import OnDisk, compare

    if running is not None and running.is_answering:
        yield from compare(running, config, OnDisk(verdict.config, policy))


def _of_providers(config: Config, policy: Policy | None, *, online: bool) -> Iterator[Finding]:
    from ccrouter.service.diagnosis.providers import ask_providers, look_at_providers

    yield from look_at_providers(config, os.environ)
    if not online:
        return
    if policy is None:
        yield Finding("Providers", "info", "none was asked: the policy cannot be read")
        return
    yield from ask_providers(config, policy, os.environ)


def _of_surroundings(config: Config, policy: Policy | None) -> Iterator[Finding]:
    from ccrouter.cli.banner import codespace_lines
    from ccrouter.service.diagnosis.bypass import look_at_bypasses
    from ccrouter.service.diagnosis.surroundings import NETWORK, look_at_files, look_at_network
    from ccrouter.service.private import router_folder

    yield from look_at_bypasses(config.port, Path.cwd(), os.environ)
    yield from look_at_network(os.environ)
    codespace = codespace_lines(config, os.environ)
    if codespace:
        yield Finding(NETWORK, "info", "this is a GitHub Codespace. " + " ".join(line.strip() for line in codespace))
    yield from look_at_files(config, router_folder(), policy.source if policy else "")


def _place(problem: Problem, config: Config | None = None) -> str:
    """A problem in one line, without its hint (that is the advice) and the name of the file that all know of."""
    text = str(replace(problem, hint=""))
    return text.removeprefix(f"{config.path}: ") if config else text


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
    """Paths and URLs are not broken: they are to be copied."""
    return textwrap.fill(
        text,
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
