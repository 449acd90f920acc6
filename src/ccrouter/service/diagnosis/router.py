"""The router itself: whether it runs, who holds its port, and whether it works by what is on disk now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ccrouter import __version__
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Config
from ccrouter.loopback import is_loopback
from ccrouter.service.address import base_url
from ccrouter.service.diagnosis.finding import Finding
from ccrouter.service.inquiry import Facts, Unanswered, ask_policy
from ccrouter.service.port import find_holder, listening_addresses
from ccrouter.service.running import ForeignService, Running, find_running

TOPIC = "Router"

_RESTART = "ccr restart"


@dataclass(frozen=True, slots=True)
class OnDisk:
    """What the next start would run by; None where it could not start."""

    config: Config | None
    policy: Policy | None


def look_for_router(folder: Path, config: Config) -> tuple[Running | None, list[Finding]]:
    """The router of `folder`, and what there is to say about it and its port."""
    try:
        running = find_running(folder, config.host, config.port)
    except ForeignService as error:
        return None, [Finding(TOPIC, "problem", str(error), f"ccr start --port {config.port % 65535 + 1}")]
    if running is None:
        return None, [_nobody(config)]
    place = f"on {base_url(running.host, running.port)} (process {running.pid or 'unknown'})"
    if not running.is_answering:
        return running, [Finding(TOPIC, "problem", f"it lives {place}, and does not answer", _RESTART)]
    return running, [Finding(TOPIC, "ok", f"it answers {place}, version {running.version}"), *_about(running)]


def _nobody(config: Config) -> Finding:
    holder = find_holder(config.port)
    if holder is None:
        return Finding(TOPIC, "info", f"none runs; port {config.port} is free", "ccr start, or ccr code")
    advice = f"stop it, or choose another port: ccr start --port {config.port % 65535 + 1}"
    return Finding(TOPIC, "problem", f"none runs, and port {config.port} is taken by {holder}", advice)


def _about(running: Running) -> Iterator[Finding]:
    if running.version != __version__:
        yield Finding(TOPIC, "warning", f"it is of version {running.version}, and this is {__version__}", _RESTART)
    open_to = [address for address in listening_addresses(running.port) if not is_loopback(address)]
    if open_to:
        message = f"it listens on {', '.join(open_to)}: other machines can reach it"
        is_given = running.state is not None and "host" in running.state.options
        advice = "ccr restart --host 127.0.0.1" if is_given else 'write "HOST": "127.0.0.1"'
        yield Finding(TOPIC, "warning", message, f"{advice}, unless that is meant")
    if running.state is None:
        message = "it left no record in this folder: `ccr stop` and `ccr restart` do not know it"
        yield Finding(TOPIC, "info", message)


def compare(running: Running, config: Config, disk: OnDisk) -> Iterator[Finding]:
    """Whether the router works by what is on `disk`. `config` has the key that it asks for."""
    try:
        facts = ask_policy(running.host, running.port, config.api_key)
    except Unanswered as error:
        message = f"what it works by is not known: {error}"
        yield Finding(TOPIC, "info", message, "set the variable that APIKEY names in this shell, or: ccr restart")
        return
    if disk.config is not None and facts.config_digest and facts.config_digest != disk.config.digest:
        yield Finding(TOPIC, "warning", "its config has changed since it read it", _RESTART)
    yield _compared(facts, disk.policy)


def _compared(facts: Facts, policy: Policy | None) -> Finding:
    running = f"{facts.policy_name} (sha256 {facts.policy_digest[:12]})" if facts.policy_digest else "none"
    if policy is None or facts.policy_digest == (policy.digest or None):
        return Finding(TOPIC, "ok", f"policy in force: {running}")
    wanted = f"{policy.name} (sha256 {policy.digest[:12]})" if policy.is_in_force else "none"
    return Finding(TOPIC, "problem", f"policy in force: {running}; of the next start: {wanted}", _RESTART)
