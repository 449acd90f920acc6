"""Whether the running router works by the files as they are now. Asks it and the system's kernel; changes nothing."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccrouter.cli.options import StartOptions, config_path
from ccrouter.compliance.findings import Finding

if TYPE_CHECKING:
    from ccrouter.compliance.policy import Policy
    from ccrouter.config.schema import Config
    from ccrouter.service.inquiry import Facts, Unanswered
    from ccrouter.service.running import Running

#: The exit code of `ccr verify --running` where the files are right and the process is not.
MISMATCH = 42

_RESTART = "ccr restart"
_MEANS = {"linux": "/proc/net/tcp", "win32": "netstat"}.get(sys.platform, "lsof")


@dataclass(slots=True)
class Answer:
    """What runs, what it says of itself, and where it listens as the kernel reports it; and what is wrong with that.

    `running` is None if nothing runs, `facts` is None if it did not say.
    """

    running: Running | None = None
    addresses: list[str] = field(default_factory=list)
    facts: Facts | None = None
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def refuse(self, message: str, hint: str, rule: str = "") -> None:
        """Adds an error with the code `MISMATCH`."""
        self.errors.append(Finding("", "", message, rule, MISMATCH, hint))

    def as_json(self) -> dict[str, Any]:
        """The member `running` of `ccr verify --json`: null where it is not known."""
        running, facts = self.running, self.facts
        return {
            "pid": running.pid if running else None,
            "host": running.host if running else None,
            "port": running.port if running else None,
            "version": running.version if running else None,
            "addresses": self.addresses,
            "policy": _policy_as_json(facts),
            "config": {"path": facts.config_path, "digest": facts.config_digest} if facts else None,
        }


def _policy_as_json(facts: Facts | None) -> dict[str, Any] | None:
    if facts is None or facts.policy_digest is None:
        return None
    return {"name": facts.policy_name, "digest": facts.policy_digest, "source": facts.policy_source}


def ask(path: Path, digest: str, policy: Policy) -> Answer:
    """What the running router answers, held against the config at `path` of this `digest` and the `policy` that was
    examined: the one in force, or the one that the user named. A router that was started under another policy of its
    own (`ccr start --policy`) is not what was examined.
    """
    answer = Answer()
    if not _find(answer, _legible(StartOptions(config=path if path.exists() else None))):
        return answer
    running = answer.running
    assert running is not None
    config = _legible(_options_of(running, path))
    _judge_addresses(answer, running, config, policy)
    if running.state and running.state.has_key_option:
        message = "the running router wants the key of its --apikey, which is kept on no disk: it cannot be asked"
        answer.refuse(message, "set APIKEY in the config")
        return answer
    _compare(answer, config, path, digest, policy)
    return answer


def _options_of(running: Running, path: Path) -> StartOptions:
    """Those that `running` was started with, as far as they are known; its config is else the one at `path`."""
    options = StartOptions().completed_from(running.state.options if running.state else {})
    if options.config is not None or not path.exists():
        return options
    return replace(options, config=path)


def _legible(options: StartOptions) -> Config:
    from ccrouter.service.diagnosis.legible import read_legible

    return read_legible(config_path(options), os.environ, options.overrides()).config


def _find(answer: Answer, config: Config) -> bool:
    from ccrouter.service.private import router_folder
    from ccrouter.service.running import ForeignService, find_running

    try:
        answer.running = find_running(router_folder(), config.host, config.port)
    except ForeignService as error:
        answer.refuse(str(error), "choose another port: `ccr start --port N`")
        return False
    if answer.running is None:
        answer.refuse("the router is not running", "ccr start")
        return False
    if not answer.running.is_answering:
        answer.refuse(f"the router (process {answer.running.pid}) does not answer", _RESTART)
        return False
    return True


def _judge_addresses(answer: Answer, running: Running, config: Config, policy: Policy) -> None:
    from ccrouter.compliance.judge import Listener, judge
    from ccrouter.service.port import listening_addresses

    answer.addresses = listening_addresses(running.port)
    if not answer.addresses:
        message = f"the system does not tell on which addresses port {running.port} is open"
        if policy.loopback_only:  # what the policy demands and nobody can see is not so
            answer.refuse(message, f"run it where {_MEANS} can be used", "loopbackOnly")
        else:
            answer.warnings.append(Finding("", "", message, "", 0))
    for address in answer.addresses:
        violation = judge(policy, Listener(address, config.api_key))
        if violation is not None and violation.rule == "loopbackOnly":  # the key is the config's, and judged with it
            message = f"the running router listens on {address}, port {running.port}: {violation.message}"
            answer.refuse(message, _RESTART, violation.rule)


def _compare(answer: Answer, config: Config, path: Path, digest: str, policy: Policy) -> None:
    from ccrouter.service.inquiry import Unanswered, ask_policy

    assert answer.running is not None
    try:
        answer.facts = facts = ask_policy(answer.running.host, answer.running.port, config.api_key)
    except Unanswered as error:
        _explain(answer, error, has_key=config.api_key is not None)
        return
    if not _is_same(facts.config_path, path):
        answer.refuse(f"the running router works by another config: {facts.config_path or 'none'}", _RESTART)
    elif facts.config_digest != digest:
        answer.refuse(f"the running router is stale: {path} has changed since it read it", _RESTART)
    if facts.policy_digest == (policy.digest if policy.is_in_force else None):
        return
    _refuse_policy(answer, facts, policy)


def _refuse_policy(answer: Answer, facts: Facts, policy: Policy) -> None:
    """The running router works under another policy than the one examined."""
    assert answer.running is not None
    own = answer.running.state.options.get("policy") if answer.running.state else None
    if own and _is_same(own, Path(policy.source)):  # the file that was examined, and it has changed
        own = None
    # A restart keeps the options of the start: it would bring the same policy back.
    hint = f"`ccr verify --policy {own} --running` examines under that; to end it: ccr stop, then ccr start"
    advice = hint if own else _RESTART
    if not policy.is_in_force:
        message = f"the running router works under the policy {facts.policy_name}, and none is in force now"
        answer.refuse(message, advice)
    elif facts.policy_digest is None:
        answer.refuse(f"no policy is in force in the running router; {policy.name} is, by {policy.source}", advice)
    elif own:
        message = f"the running router works under {facts.policy_name}, by its --policy; examined was {policy.name}"
        answer.refuse(f"{message}, by {policy.source}", advice)
    else:
        answer.refuse(
            f"the running router is stale: it works under {facts.policy_name} ({facts.policy_digest[:12]}), "
            f"and {policy.name} ({policy.digest[:12]}) is in force",
            _RESTART,
        )


def _explain(answer: Answer, error: Unanswered, *, has_key: bool) -> None:
    """Why the running router was not compared."""
    if error.status == 401 and not has_key:
        answer.refuse(
            "the running router wants a key, and the config has none that can be read: it cannot be compared",
            "set APIKEY in the config, and the variable that it names in this shell",
        )
    elif error.status in (401, 403):
        answer.refuse(
            f"the running router refuses the key of the config ({error.status})",
            f"its APIKEY is another one than the config's, or its variable has changed: {_RESTART}",
        )
    elif error.status == 404:
        answer.refuse("the running router is of a version that knows no policies", _RESTART)
    else:
        answer.refuse(f"the running router cannot be asked: {error}", _RESTART)


def _is_same(told: str, path: Path) -> bool:
    return bool(told) and os.path.realpath(told) == os.path.realpath(path)
