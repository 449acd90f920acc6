"""`ccr verify`: is the configuration what the policy demands, and does the running router work by both?

The examination is the server's own; what is told here is its outcome.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccrouter.cli.terminal import fail, say

if TYPE_CHECKING:
    from ccrouter.cli.stale import Answer
    from ccrouter.compliance.examine import Finding, Verdict
    from ccrouter.compliance.policy import Policy
    from ccrouter.errors import ConfigError

_OPEN = "open"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a verification came to: `policy` is the one in force, `examined` the one that the config was held against.

    `errors` are in the order in which they are told. `digest` is that of the config file as it was examined.
    """

    path: Path
    digest: str
    policy: Policy
    examined: Policy
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    running: Answer | None = None

    @property
    def line(self) -> str:
        """The one line that says it all."""
        from ccrouter.cli.findings import headline

        return f"Error: {headline(self.errors[0], str(self.path))}" if self.errors else ok_line(self.policy)

    @property
    def code(self) -> int:
        """The exit code: that of the first error."""
        return self.errors[0].code if self.errors else 0


@click.command()
@click.option("--config", "-c", type=click.Path(path_type=Path), metavar="PATH", help="Config file, if not the usual.")
@click.option("--policy", metavar="NAME|PATH", help="anthropic-only, open or a file, if not the policy in force.")
@click.option("--running", "asks_running", is_flag=True, help="Ask the running router too what it works by.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def command(config: Path | None, policy: str | None, asks_running: bool, as_json: bool) -> int:  # noqa: FBT001 - click passes options so
    """Verify the config against the policy in force. Exit code 0 if nothing is wrong.

    Every error goes to stderr; the exit code is that of the first (docs/commands.md lists them).
    """
    from ccrouter.cli.findings import tell_error, tell_problem, tell_warning
    from ccrouter.compliance.findings import POLICY
    from ccrouter.errors import ConfigError

    try:
        outcome = _verify(config, policy, asks_running=asks_running)
    except RuntimeError:  # neither a variable nor the system knows a home folder
        fail("there is no home folder: set HOME to yours")
        return 1
    except ConfigError as error:  # the policy itself cannot be used
        if as_json:
            say(json.dumps(_refusal(error), indent=2, ensure_ascii=False))
            return POLICY
        for problem in error.problems:
            tell_problem(problem)
        return POLICY
    if as_json:
        say(json.dumps(_as_json(outcome), indent=2, ensure_ascii=False))
        return outcome.code
    for finding in outcome.errors:
        tell_error(finding, str(outcome.path))
    for finding in outcome.warnings:
        tell_warning(finding, str(outcome.path))
    if not outcome.errors:
        say(outcome.line)
    return outcome.code


def ok_line(policy: Policy) -> str:
    """What is told of a config that keeps to `policy`: a sentence for each of the guide's rules that it makes."""
    if not policy.is_in_force:
        return f'Router config OK. No policy is in force: checked against "{_OPEN}".'
    parts = ["Router config OK."]
    if policy.loopback_only:
        parts.append("Local routing only.")
    if policy.allowed_providers:
        parts.append(f"{', '.join(name[:1].upper() + name[1:] for name in policy.allowed_providers)} only.")
    if policy.allowed_models is not None:
        parts.append("Allowed models only.")
    return " ".join(parts)


def _verify(config: Path | None, named: str | None, *, asks_running: bool) -> Outcome:
    from ccrouter.cli.findings import in_order
    from ccrouter.cli.stale import ask
    from ccrouter.compliance.document import load_policy, read_policy
    from ccrouter.compliance.examine import examine
    from ccrouter.config.load import find_config

    policy = load_policy(named, os.environ)
    path = find_config(config, os.environ)
    examined = policy if policy.is_in_force else read_policy(_OPEN, os.environ)
    verdict = examine(path, os.environ, examined)
    errors, warnings = in_order(verdict.errors, str(path)), list(verdict.warnings)
    digest = _digest(path, verdict)
    answer = None
    if asks_running:
        answer = ask(path, digest, policy)
        errors += answer.errors
        warnings += answer.warnings
    return Outcome(path, digest, policy, examined, tuple(errors), tuple(warnings), answer)


def _digest(path: Path, verdict: Verdict) -> str:
    from hashlib import sha256

    from ccrouter.config.syntax import read_bounded

    if verdict.config is not None:
        return verdict.config.digest
    try:
        return sha256(read_bounded(path)).hexdigest()
    except OSError:  # said by the examination already
        return ""


def _as_json(outcome: Outcome) -> dict[str, Any]:
    policy = outcome.examined
    return {
        "ok": not outcome.errors,
        "policy": {
            "name": policy.name,
            "digest": policy.digest,
            "source": policy.source,
            "isPinned": policy.is_pinned,
            "isInForce": outcome.policy.is_in_force,
        },
        "config": {"path": str(outcome.path), "digest": outcome.digest},
        "findings": [
            *(_finding("error", finding) for finding in outcome.errors),
            *(_finding("warning", finding) for finding in outcome.warnings),
        ],
        "running": outcome.running.as_json() if outcome.running and outcome.running.running else None,
        "line": outcome.line,
    }


def _finding(severity: str, finding: Finding) -> dict[str, Any]:
    return {
        "severity": severity,
        "file": finding.file,
        "path": finding.path,
        "message": finding.message,
        "rule": finding.rule,
        "code": finding.code,
        "hint": finding.hint,
    }


def _refusal(error: ConfigError) -> dict[str, Any]:
    """What is told where no policy could be read: nothing was examined."""
    from ccrouter.compliance.findings import POLICY, Finding

    findings = [
        _finding("error", Finding(problem.file, problem.path, problem.message, "", POLICY, problem.hint))
        for problem in error.problems
    ]
    line = "Error: " + str(error.problems[0]).partition("\n")[0]
    return {"ok": False, "policy": None, "config": None, "findings": findings, "running": None, "line": line}
