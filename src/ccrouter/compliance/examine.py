"""The whole examination of a configuration under a policy: as written, as it comes out, and what stands around it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ccrouter.compliance.findings import OTHER, Finding, Verdict
from ccrouter.compliance.policy import Policy
from ccrouter.config.load import Overrides, load
from ccrouter.errors import ConfigError, Problem

__all__ = ["Finding", "Verdict", "examine"]

_NO_OVERRIDES = Overrides()


def examine(
    path: Path | None,
    environ: Mapping[str, str],
    policy: Policy,
    overrides: Overrides = _NO_OVERRIDES,
    *,
    text: str | None = None,
) -> Verdict:
    """Everything that is wrong with the configuration at `path`, and the configuration itself."""
    try:
        config = load(path, environ, overrides)
    except ConfigError as error:
        return Verdict(None, policy, tuple(map(_finding, error.problems)))
    return Verdict(config, policy, (), tuple(map(_finding, config.warnings)))


def _finding(problem: Problem) -> Finding:
    return Finding(problem.file, problem.path, problem.message, "", OTHER, problem.hint)
