"""What a reload can change, and what it cannot: a process listens where it began to. Pure."""

from __future__ import annotations

from dataclasses import replace

from ccrouter.compliance.judge import Listener, judge
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Config
from ccrouter.errors import ConfigError, Problem
from ccrouter.loopback import is_loopback


def keep_listening(config: Config, policy: Policy, before: Config) -> tuple[Config, tuple[str, ...]]:
    """`config` as it can take effect in a process that listens where `before` says, and notes on what cannot.

    Raises ConfigError for what would be allowed at the address of `config` but not at the one that is listened on.
    """
    file = str(config.path or "the defaults")
    if not is_loopback(before.host) and config.api_key is None:
        message = f"is missing, and this process listens on {before.host}, which others can reach"
        raise ConfigError([Problem(file, "APIKEY", message, "add a key, or stop the router and start it anew")])
    violation = judge(policy, Listener(before.host, config.api_key))
    if violation is not None:
        text = f"{violation.explanation} (rule {violation.rule}); this process listens on {before.host}"
        raise ConfigError([Problem(file, "HOST", text, "stop the router and start it anew")])
    changes = (
        ("HOST", config.host, before.host),
        ("PORT", config.port, before.port),
        ("LOG", config.log, before.log),
    )
    notes = tuple(
        f"{name} {_shown(new)} takes effect at the next start; until then it is {_shown(old)}"
        for name, new, old in changes
        if new != old
    )
    return replace(config, host=before.host, port=before.port, log=before.log), notes


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
