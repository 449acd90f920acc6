"""`ccr status`: whether the router answers, where, and what it would route to. Changes nothing on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccrouter.cli.health import health_of, worries
from ccrouter.cli.options import StartOptions, config_path, listening_place, load_with_stand_ins
from ccrouter.cli.terminal import fail, say, table, warn
from ccrouter.compliance.policy import NO_POLICY
from ccrouter.errors import ConfigError
from ccrouter.jsontypes import JsonObject

if TYPE_CHECKING:
    from ccrouter.compliance.policy import Policy
    from ccrouter.config.load import Overrides
    from ccrouter.config.schema import Config
    from ccrouter.service.running import Running

_NO_POLICY = {"name": "none", "digest": "", "source": ""}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def command(as_json: bool) -> int:  # noqa: FBT001 - click passes options so
    """Show whether the router runs, where, and with which routes. Exit code 0 in every case."""
    config, running, problems = _read()
    path = _examine(running, problems)
    policy = _policy(config, running, problems)
    reload = _reload(config, running)
    health = health_of(running, config)
    if as_json:
        told = {**_as_json(config, path, running, problems), "policy": policy, "reload": reload, "health": health}
        say(json.dumps(told, indent=2, ensure_ascii=False))
        return 0
    for line in _block(running):
        say(line)
    for line in _more(config, path, running, policy):
        say(line)
    troubles = [f"Health:  {worry}" for worry in worries(health)]
    if reload is not None and reload.get("state") != "ok":
        outcome = f"Reload:  {reload.get('state')} at {reload.get('at')}; what was in force before stays so"
        reason = str(reload.get("reason")).splitlines()
        troubles = [outcome, *(f"         {line}" for line in reason), *troubles]
    for line in ["", *troubles] if troubles else []:
        say(line)
    for problem in problems:
        fail(problem)
    for warning in config.warnings:
        warn(str(warning))
    return 0


def _read() -> tuple[Config, Running | None, list[str]]:
    """The configuration of what runs, or of the next start, as far as it can be read; what runs; and what is wrong."""
    from ccrouter.config.schema import Config
    from ccrouter.service.private import router_folder
    from ccrouter.service.running import ForeignService, find_running

    running = None
    problems: list[str] = []
    try:
        running = find_running(router_folder(), *listening_place(StartOptions()))
    except ForeignService as error:
        problems.append(str(error))
    try:
        return load_with_stand_ins(_options(running)), running, problems
    except ConfigError:  # what is wrong with it, the examination says
        return Config(), running, problems


def _options(running: Running | None) -> StartOptions:
    recorded = running.state.options if running and running.state else {}
    return StartOptions().completed_from(recorded)


def _examine(running: Running | None, problems: list[str]) -> Path | None:
    """The config file, None if there is none. After the call what is wrong with it as it is now is among `problems`.

    What does not run would need the variables that it names; what runs has them from the shell that started it.
    """
    from ccrouter.cli.template import STAND_IN
    from ccrouter.compliance.document import load_policy

    options = _options(running)
    if running is not None and running.state is not None and running.state.has_key_option:
        options = replace(options, apikey=STAND_IN)
    path = config_path(options)
    try:
        policy = load_policy(options.policy, os.environ)
    except ConfigError:  # told with the policy
        policy = NO_POLICY
    if path is not None or policy.strict_syntax:
        problems += _faults(path, policy, options.overrides(), is_running=running is not None)
    return path


def _faults(path: Path | None, policy: Policy, overrides: Overrides, *, is_running: bool) -> list[str]:
    """What is wrong with the config, whatever the variables hold that only the shell of a running router has.

    Such a variable may be a key, an address or a number: a fault that depends on which of them is none that is known.
    """
    from ccrouter.cli.template import STAND_IN, needed_variables
    from ccrouter.compliance.examine import examine
    from ccrouter.config.syntax import read_bounded

    try:
        text = read_bounded(path).decode("utf-8", "replace") if is_running and path is not None else ""
    except OSError:  # told by the examination
        text = ""
    unset = [name for name in needed_variables(text) if not os.environ.get(name)]
    guesses = (STAND_IN, "https://unset.invalid/unset", "23456") if unset else ("",)
    found = [
        [
            str(one.problem)
            for one in examine(path, {**os.environ, **dict.fromkeys(unset, guess)}, policy, overrides).errors
        ]
        for guess in guesses
    ]
    return [fault for fault in found[0] if all(fault in others for others in found[1:])]


def _policy(config: Config, running: Running | None, problems: list[str]) -> dict[str, str] | None:
    """The policy that the running router enforces, else that of the next start; None, and told, if it is not known."""
    from ccrouter.cli.banner import policy_facts
    from ccrouter.cli.start import policy_facts_of
    from ccrouter.compliance.document import load_policy

    if running is None:
        try:
            facts: Mapping[str, object] = policy_facts(load_policy(None, os.environ))
        except ConfigError as error:
            problems += map(str, error.problems)
            return None
    else:
        found = policy_facts_of(running, config)
        if found is None:
            problems.append("the running router does not say which policy it enforces\n  hint: ccr restart")
            return None
        facts = found
    return {name: str(facts.get(name) or default) for name, default in _NO_POLICY.items()}


def _reload(config: Config, running: Running | None) -> JsonObject | None:
    """How the last reload of the running router ended, None if nobody tells."""
    from ccrouter.service.inquiry import Unanswered, ask_policy

    if running is None or not running.is_answering:
        return None
    try:
        return ask_policy(running.host, running.port, config.api_key).reload
    except Unanswered:  # the policy's part of the status says so
        return None


def _block(running: Running | None) -> list[str]:
    """The lines that scripts know; nothing may come between them or before them."""
    from ccrouter.service.address import base_url
    from ccrouter.service.private import router_folder
    from ccrouter.service.state import pid_file

    head = ["", "📊 Claude Code Router Status", "═" * 40]
    if running is None:
        return [*head, "❌ Status: Not Running", "", "💡 To start the service:", "   ccr start", ""]
    where = [
        f"🆔 Process ID: {running.pid or 'unknown'}",
        f"🌐 Port: {running.port}",
        f"📡 API Endpoint: {base_url(running.host, running.port)}",
        f"📄 PID File: {pid_file(router_folder())}",
        "",
    ]
    if not running.is_answering:
        return [*head, "❌ Status: Not Responding", *where, "💡 To start it anew:", "   ccr restart", ""]
    ready = [
        "🚀 Ready to use! Run the following commands:",
        "   ccr code    # Start coding with Claude",
        "   ccr stop    # Stop the service",
        "",
    ]
    return [*head, "✅ Status: Running", *where, *ready]


def _more(config: Config, path: Path | None, running: Running | None, policy: dict[str, str] | None) -> list[str]:
    from ccrouter.cli.banner import chains, codespace_lines, is_dry_run, policy_words

    version = running.version if running else ""
    lines = [f"Config:  {_config_path(path, running)}"]
    lines.append(f"Policy:  {'unknown' if policy is None else policy_words(policy)}")
    if version:
        lines.append(f"Version: {version}")
    if running and running.state and running.state.log:
        lines.append(f"Log:     {running.state.log}")
    shown = chains(config)
    if shown:
        lines += ["", table(("route", "provider,model"), shown)]
    if _is_known(config, path) and is_dry_run(config):
        lines.append("Dry run: no provider is configured, answers are scripted.")
    codespace = codespace_lines(config, os.environ)
    return [*lines, "", *codespace] if codespace else lines


def _is_known(config: Config, path: Path | None) -> bool:
    """False if `config` is a makeshift for a file that cannot be read."""
    return path is None or config.path is not None


def _config_path(path: Path | None, running: Running | None) -> str:
    if running and running.state:
        return running.state.config
    return str(path) if path else "none yet; `ccr start` writes a starter, `ccr install` one for Anthropic's API"


def _as_json(config: Config, path: Path | None, running: Running | None, problems: list[str]) -> dict[str, object]:
    from ccrouter.cli.banner import is_dry_run, routes
    from ccrouter.service.address import base_url

    answers = running is not None and running.is_answering
    host, port = (running.host, running.port) if running else (config.host, config.port)
    return {
        "running": answers,
        "pid": running.pid if running else None,
        "host": host,
        "port": port,
        "endpoint": base_url(host, port),
        "version": running.version if running else None,
        "config": running.state.config if running and running.state else str(path) if path else None,
        "log": running.state.log if running and running.state else None,
        "routes": dict(routes(config)),
        "dryRun": _is_known(config, path) and is_dry_run(config),
        "warnings": [str(problem) for problem in config.warnings],
        "errors": problems,
    }
