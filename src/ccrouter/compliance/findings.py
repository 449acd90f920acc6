"""What an examination finds, and what it comes to. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Config
from ccrouter.errors import ConfigError, Problem

#: Exit codes of `ccr verify` that are not one rule's: see docs/policy.md for all.
MISSING, MALFORMED, NO_OBJECT, OTHER = 2, 3, 10, 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: in which file, where in it, what, by which rule, and what to do.

    `rule` is a rule's path in the policy document; "" if the configuration cannot be used whatever the policy. `code`
    is the exit code of `ccr verify` for it. `message` can stand alone.
    """

    file: str
    path: str
    message: str
    rule: str
    code: int
    hint: str = ""

    @property
    def problem(self) -> Problem:
        """The same as a problem of the configuration, the rule named behind the message."""
        path = "" if self.message.startswith(self.path) else self.path
        message = f"{self.message} (rule {self.rule})" if self.rule else self.message
        return Problem(self.file, path, message, self.hint)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the examination of a configuration under `policy` came to. `config` is None if it cannot be read."""

    config: Config | None
    policy: Policy
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()

    def accepted(self) -> Config:
        """The configuration. Raises ConfigError with every error if there is one."""
        if self.errors or self.config is None:
            raise ConfigError([finding.problem for finding in self.errors])
        return self.config
