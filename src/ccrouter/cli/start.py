"""`ccr start`: serve in this terminal, or with --daemon behind it."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ccrouter.cli.acceptance import Accepted, accept, reloader
from ccrouter.cli.banner import policy_facts, policy_words
from ccrouter.cli.options import StartOptions, start_options
from ccrouter.cli.terminal import fail, say, warn
from ccrouter.cli.workers import serve_with_workers, workers_option
from ccrouter.errors import ConfigError

if TYPE_CHECKING:
    from ccrouter.audit.trail import AuditTrail
    from ccrouter.compliance.policy import Policy
    from ccrouter.config.schema import Config
    from ccrouter.service.running import Running
    from ccrouter.service.state import ServiceState


@click.command()
@start_options
@workers_option
@click.option("--daemon", "-d", is_flag=True, help="Start in the background and return once it answers.")
def command(daemon: bool, **given: Any) -> int:  # noqa: FBT001 - click passes options so
    """Start the router in this terminal; Ctrl-C stops it.

    Without a config file a starter config is written first. A config that the policy does not allow starts nothing.
    Exit code 0 also if a router already runs on the port.
    """
    options = StartOptions(**given)
    accepted = accept(options, create=True)
    config = accepted.config
    say(f"Loaded JSON config from: {config.path}")
    for problem in accepted.warnings:
        warn(str(problem))
    sockets = _given_sockets()
    if sockets:
        if daemon:
            fail("the sockets that were given are for this process alone", "leave out --daemon")
            return 1
        accepted = _at(sockets, accepted)
    elif is_already_running(accepted, options):  # that would wait for ourselves, at a socket that was given
        return 0
    if daemon:
        return _start_behind(accepted, options)
    from ccrouter.audit.trail import AuditUnavailable

    try:
        return _serve(accepted, options, sockets)
    except AuditUnavailable:
        # Two starts at once: the quicker one holds the audit log.
        if not sockets and is_already_running(accepted, options, 3.0):
            return 0
        raise


def _given_sockets() -> list[socket.socket]:
    """Those that a service manager opened for us. Raises ConfigError if they are none that we could serve at."""
    if "LISTEN_PID" not in os.environ:
        return []
    from ccrouter.server.activation import take_sockets

    return take_sockets(os.environ)


def _at(sockets: list[socket.socket], accepted: Accepted) -> Accepted:
    """What is `accepted`, as it is at these sockets. Raises ConfigError, with them closed, if they are not allowed."""
    from ccrouter.server.activation import listening_at, places_of

    try:
        return replace(accepted, config=listening_at(places_of(sockets), accepted.config, accepted.policy))
    except ConfigError:
        for one in sockets:
            one.close()
        raise


def is_already_running(accepted: Accepted, options: StartOptions, patience: float = 0.0) -> bool:
    """True, and said so, if a router of this user answers on the configured port within `patience` seconds.

    Raises ForeignService if it is another user's, and ConfigError if it does not work under the policy of `accepted`.
    """
    from ccrouter.service.private import router_folder
    from ccrouter.service.running import find_running, find_unrecorded

    config = accepted.config
    running = find_unrecorded(config.host, config.port, patience)
    if running is None:
        return False
    recorded = find_running(router_folder(), config.host, config.port)
    if recorded is not None and recorded.port == running.port and recorded.is_answering:
        running = recorded
    require_policy(running, config, accepted.policy, options.policy)
    say("✅ Service is already running in the background.")
    say(f"claude-code-router server is already running (pid {running.pid or 'unknown'}, port {config.port})")
    say(f"Policy: {policy_of(running, config) or 'unknown: it does not say'}")
    return True


def policy_of(running: Running, config: Config) -> str:
    """The policy that a running router enforces, in one line: as it says itself, else as its start recorded.

    "" if neither tells.
    """
    facts = policy_facts_of(running, config)
    return "" if facts is None else policy_words(facts)


def policy_facts_of(running: Running, config: Config) -> Mapping[str, object] | None:
    """As `policy_of`, as data: empty if no policy is in force, None if nobody tells."""
    from ccrouter.service.inquiry import Unanswered, ask_policy

    try:
        told = ask_policy(running.host, running.port, config.api_key)
    except Unanswered:
        return running.state.policy if running.state else None
    if told.policy_digest is None:
        return {}
    return {"name": told.policy_name, "digest": told.policy_digest, "source": told.policy_source}


def require_policy(running: Running, config: Config, policy: Policy, named: str | None = None) -> None:
    """Raises ConfigError if `policy` is in force and the running router works under another one, or none.

    `named` is what the command line calls it, if it names one. Where no policy is in force any may be enforced.
    """
    from ccrouter.errors import Problem

    if not policy.is_in_force:
        return
    facts = policy_facts_of(running, config)
    if facts is not None and facts.get("digest") == policy.digest:
        return
    told = "an unknown policy: it does not say which" if facts is None else f"the policy {policy_words(facts)}"
    wanted = f"{policy.name} (sha256 {policy.digest[:12]})"
    message = f"the router that runs on port {running.port} works under {told}; in force is {wanted}"
    own = running.state.options.get("policy") if running.state else None
    if named is None and own is not None:  # a restart would keep it
        named = policy.source.removeprefix("preset ")
    hint = f"ccr restart --policy {shlex.quote(named)}" if named else "ccr restart"
    raise ConfigError([Problem(policy.source, "", message, hint)])


def _start_behind(accepted: Accepted, options: StartOptions) -> int:
    from ccrouter.service.address import base_url
    from ccrouter.service.launch import StartFailed, launch
    from ccrouter.service.private import router_folder

    folder, config = router_folder(), accepted.config
    try:
        launch(options.arguments(), host=config.host, port=config.port, folder=folder)
    except StartFailed as error:
        fail(f"the service did not start:\n{error}")
        return 1
    say(f"✅ Service started successfully in the background: {base_url(config.host, config.port)}")
    say(f"Policy: {policy_words(policy_facts(accepted.policy))}")
    say("`ccr status` shows it, `ccr stop` ends it.")
    return 0


def _serve(accepted: Accepted, options: StartOptions, sockets: list[socket.socket]) -> int:
    """Serve until told to stop, at `sockets` if there are any. The files that tell where we run exist exactly while we
    listen.
    """
    from ccrouter.server.run import serve
    from ccrouter.service.launches import LaunchKeys
    from ccrouter.service.logfile import open_log
    from ccrouter.service.notify import Notifier
    from ccrouter.service.onboarding import ensure_onboarded
    from ccrouter.service.private import router_folder
    from ccrouter.service.state import forget, remove_stale
    from ccrouter.store.database import FILE as RECORDS

    _end_in_order()
    notices = Notifier.taken_from(os.environ)
    config, policy = accepted.config, accepted.policy
    folder = router_folder()
    remove_stale(folder)
    ensure_onboarded(os.environ)
    with _audit_trail(accepted, folder) as trail:
        reload = reloader(options, accepted, require_audit=trail.require if trail is not None else None)
        if sockets:
            reload = staying(sockets, reload)
        log = open_log(config)
        state = _own_state(accepted, options, log)
        try:
            if options.workers is not None and options.workers > 1:
                return serve_with_workers(
                    accepted,
                    options,
                    count=options.workers,
                    sockets=sockets or None,
                    trail=trail,
                    log=log,
                    on_ready=lambda: _announce(accepted, state, log),
                    on_ending=lambda seconds: _record_drain(state, seconds),
                    notices=notices,
                )
            return serve(
                config,
                policy=policy,
                on_ready=lambda: _announce(accepted, state, log),
                log=log,
                records=folder / RECORDS,
                auditor=trail,
                is_launch_key=LaunchKeys(folder).admits,
                reload=_protecting(trail, config, reload),
                sockets=sockets or None,
                on_ending=lambda seconds: _record_drain(state, seconds),
                notices=notices,
            )
        except OSError as error:
            if log is not None:
                log.unlink(missing_ok=True)  # nothing was served: an empty log would push out one that tells something
            return _explain_no_socket(accepted, options, error)
        finally:
            forget(folder, state)


@contextmanager
def _audit_trail(accepted: Accepted, folder: Path) -> Iterator[AuditTrail | None]:
    """The audit log of this router, None if the config turns logging off and the policy does not demand one.

    Raises AuditUnavailable if the policy demands one and it cannot be written.
    """
    from ccrouter.audit.trail import AuditTrail

    config, policy = accepted.config, accepted.policy
    if not (config.log or policy.audit_required):
        yield None
        return
    trail = AuditTrail(folder / "audit", config.port, is_required=policy.audit_required, secrets=config.secrets)
    try:
        if trail.last_policy_digest not in {None, policy.digest}:  # changed while no router ran
            trail.record("policy", {"policy": policy.digest, "reason": policy.source or "no policy"})
        yield trail
    finally:
        trail.close()


def _protecting(
    trail: AuditTrail | None, started: Config, reload: Callable[[Policy], tuple[Config, Policy]]
) -> Callable[[Policy], tuple[Config, Policy]]:
    """`reload`, with the audit log told of the new secrets. The old ones stay secret: requests under way know them."""
    known = list(started.secrets)

    def read(in_force: Policy) -> tuple[Config, Policy]:
        config, policy = reload(in_force)
        known.extend(config.secrets)
        if trail is not None:
            trail.protect(known)
        return config, policy

    return read


def staying(
    sockets: list[socket.socket], reload: Callable[[Policy], tuple[Config, Policy]]
) -> Callable[[Policy], tuple[Config, Policy]]:
    """`reload`, for a process whose sockets were given: HOST and PORT of the config are not its own."""
    from ccrouter.server.activation import listening_at, places_of

    places = places_of(sockets)

    def read(in_force: Policy) -> tuple[Config, Policy]:
        config, policy = reload(in_force)
        return listening_at(places, config, policy), policy

    return read


def _record_drain(state: ServiceState, seconds: float) -> None:
    """It ends: who waits for that, and would kill us, reads how long it may take."""
    from ccrouter.service.private import router_folder
    from ccrouter.service.state import update

    try:
        update(router_folder(), replace(state, drain=seconds))
    except OSError as error:
        warn(f"cannot write {error.filename}: {error.strerror}")


def _announce(accepted: Accepted, state: ServiceState, log: Path | None) -> None:
    """It listens: leave the record, tell the user. Neither failing is a reason to stop serving."""
    from ccrouter.cli.banner import start_banner
    from ccrouter.service.private import router_folder
    from ccrouter.service.state import record

    try:
        record(router_folder(), state)
    except OSError as error:
        warn(f"cannot write {error.filename}: {error.strerror}", "`ccr stop` will not find this router; use Ctrl-C")
    try:
        say(start_banner(accepted.config, accepted.policy, log))
    except BrokenPipeError:  # whoever read our output has left (`ccr start | head -1`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _own_state(accepted: Accepted, options: StartOptions, log: Path | None) -> ServiceState:
    from ccrouter import __version__
    from ccrouter.service.process import own_identity
    from ccrouter.service.state import ServiceState

    config = accepted.config
    return ServiceState(
        process=own_identity(),
        host=config.host,
        port=config.port,
        config=str(config.path),
        version=__version__,
        options=options.as_recorded(),
        has_key_option=options.apikey is not None,
        log=str(log) if log else None,
        policy=policy_facts(accepted.policy),
        takes_launch_keys=True,
        drain=config.drain_seconds,
    )


def _explain_no_socket(accepted: Accepted, options: StartOptions, error: OSError) -> int:
    """Two starts at once: the slower one finds the port taken by the quicker, which needs a moment to answer."""
    from ccrouter.service.port import find_holder

    config = accepted.config
    if error.errno != errno.EADDRINUSE:
        fail(f"cannot listen on {config.host}:{config.port}: {error.strerror or error}")
        return 1
    if is_already_running(accepted, options, 3.0):
        return 0
    holder = find_holder(config.port)
    fail(
        f"port {config.port} is taken by {holder or 'another program'}",
        f"stop it, or choose another port: `ccr start --port {config.port % 65535 + 1}`",
    )
    return 1


def _end_in_order() -> None:
    """After the call an early SIGTERM, before the server has its own handler, and a closed terminal end us in order.

    In order: by way of `finally`. nohup's wish to survive the terminal is kept.
    """

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    def terminate(_number: int, _frame: FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
        signal.signal(hangup, terminate)
