"""The configuration and the policy of a start or a reload: accepted together, or refused whole. Opens no socket."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ccrouter.cli.options import StartOptions, config_path, create_starter_config
from ccrouter.cli.terminal import warn
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import DRY_RUN, Config
from ccrouter.errors import ConfigError, Problem, RouterError

_RESTART = "`ccr restart` starts anew under what is there now"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A configuration that the policy allows, and what the user should know about it."""

    config: Config
    policy: Policy
    warnings: tuple[Problem, ...] = ()


def accept(options: StartOptions, *, create: bool = False) -> Accepted:
    """What `options` lead to. `create`: without a config file the starter is written first.

    Raises ConfigError, with everything that is wrong, for a policy that cannot be read, a configuration that cannot be
    used, and one that the policy does not allow.
    """
    from ccrouter.compliance.document import load_policy

    policy = load_policy(options.policy, os.environ)  # first: nothing is made under a policy that cannot be read
    if create and options.config is None:
        create_starter_config(options, policy)
    return _judged(config_path(options), options, policy)


def _judged(path: Path | None, options: StartOptions, policy: Policy) -> Accepted:
    from ccrouter.compliance.examine import examine

    verdict = examine(path, os.environ, policy, options.overrides())
    try:
        config = verdict.accepted()
    except ConfigError as error:
        raise _with_advice(error, verdict.config) from None
    return Accepted(config, policy, tuple(finding.problem for finding in verdict.warnings))


def _with_advice(error: ConfigError, config: Config | None) -> ConfigError:
    """The error; of a starter file that nobody has filled in, with the way to one that the policy allows."""
    if config is None or any(provider.name != DRY_RUN for provider in config.providers):
        return error
    way = Problem(
        str(config.path or "no config"),
        "",
        "no provider is configured, and the policy does not allow scripted answers",
        "put a provider and its key into this file, or move it away and run `ccr install`",
    )
    return ConfigError([*error.problems, way])


def reloader(
    options: StartOptions, started: Accepted, *, require_audit: Callable[[], None] | None
) -> Callable[[Policy], tuple[Config, Policy]]:
    """What a running router reads its configuration and policy with, by the options that it was started with, given the
    policy that is in force.

    The result raises ConfigError for what could not be started either; for a policy that is gone, that is no longer out
    of the user's reach and was, or that is not as strict: a reload can only tighten; and for a policy that demands an
    audit log which `require_audit` (None: the process keeps no log) cannot make one to depend on.
    """

    def read(in_force: Policy) -> tuple[Config, Policy]:
        from ccrouter.compliance.document import load_policy

        policy = load_policy(options.policy, os.environ)
        _refuse_less(in_force, policy)
        if policy.audit_required and require_audit is None:
            raise _refusal(policy, "the policy demands an audit log, and this process was started without one")
        accepted = _judged(started.config.path, options, policy)
        for problem in accepted.warnings:
            warn(str(problem))
        if policy.audit_required and require_audit is not None:
            try:
                require_audit()
            except RouterError as error:
                raise _refusal(policy, str(error)) from error
        return accepted.config, policy

    return read


def _refuse_less(before: Policy, now: Policy) -> None:
    if before.is_in_force and not now.is_in_force:
        raise _refusal(before, f"the policy {before.name} is in force, and its file is gone")
    if before.is_pinned and not now.is_pinned:
        raise _refusal(before, f"the policy {before.name} is pinned; what is there now, {now.source}, is not")
    if not now.is_as_strict_as(before):
        rules = ", ".join(now.looser_rules(before))
        raise _refusal(
            now,
            f"the policy {now.name} is not as strict as {before.name}, which is in force ({rules}): a reload can only "
            f"tighten",
        )


def _refusal(policy: Policy, message: str) -> ConfigError:
    return ConfigError([Problem(policy.source, "", message, _RESTART)])
