"""`ccr start`: serve in this terminal, or with --daemon behind it."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ccrouter.cli.options import StartOptions, load_config, start_options
from ccrouter.cli.terminal import fail, say, warn

if TYPE_CHECKING:
    from ccrouter.config.schema import Config
    from ccrouter.server.app import App
    from ccrouter.service.state import ServiceState


@click.command()
@start_options
@click.option("--daemon", "-d", is_flag=True, help="Start in the background and return once it answers.")
def command(daemon: bool, **given: Any) -> int:  # noqa: FBT001 - click passes options so
    """Start the router in this terminal; Ctrl-C stops it.

    Without a config file a starter config is written first. Exit code 0 also if a router already runs on the port.
    """
    options = StartOptions(**given)
    config = load_config(options, create=True)
    say(f"Loaded JSON config from: {config.path}")
    for problem in config.warnings:
        warn(str(problem))
    if is_already_running(config):
        return 0
    return _start_behind(config, options) if daemon else _serve(config, options)


def is_already_running(config: Config, patience: float = 0.0) -> bool:
    """True, and said so, if a router of this program answers on the configured port within `patience` seconds."""
    from ccrouter.service.port import find_holder
    from ccrouter.service.private import router_folder
    from ccrouter.service.probe import probe_until
    from ccrouter.service.state import read_live

    health = probe_until(config.host, config.port, patience)
    if health is None or not health.is_ours:
        return False
    recorded = [state.process.pid for state in read_live(router_folder()) if state.port == config.port]
    holder = find_holder(config.port) if not recorded else None
    pid = recorded[0] if recorded else holder.pid if holder else None
    say("✅ Service is already running in the background.")
    say(f"claude-code-router server is already running (pid {pid or 'unknown'}, port {config.port})")
    return True


def _start_behind(config: Config, options: StartOptions) -> int:
    from ccrouter.service.address import base_url
    from ccrouter.service.launch import StartFailed, launch
    from ccrouter.service.private import router_folder

    folder = router_folder()
    try:
        launch(options.arguments(), host=config.host, port=config.port, folder=folder)
    except StartFailed as error:
        fail(f"the service did not start:\n{error}")
        return 1
    say(f"✅ Service started successfully in the background: {base_url(config.host, config.port)}")
    say("`ccr status` shows it, `ccr stop` ends it.")
    return 0


def _serve(config: Config, options: StartOptions) -> int:
    """Serve until told to stop. The files that tell where we run exist exactly while we listen."""
    from ccrouter.cli.banner import start_banner
    from ccrouter.server.run import listen, serve
    from ccrouter.service.logfile import open_log
    from ccrouter.service.onboarding import ensure_onboarded
    from ccrouter.service.private import router_folder
    from ccrouter.service.state import forget, record, remove_stale

    _end_in_order()
    try:
        sockets = listen(config)
    except OSError as error:
        return _explain_no_socket(config, error)
    folder = router_folder()
    remove_stale(folder)
    ensure_onboarded(os.environ)
    log = open_log(config)
    state = _own_state(config, options, log)

    def announce() -> None:
        record(folder, state)
        try:
            say(start_banner(config, log))
        except BrokenPipeError:
            # Whoever read our output has left (`ccr start | head -1`): no reason to stop serving.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    try:
        serve(_application(config, log), sockets, announce)
    finally:
        forget(folder, state)
    return 0


def _application(config: Config, log: Path | None) -> App:
    from ccrouter.config.projects import ProjectRouters
    from ccrouter.server.app import App
    from ccrouter.server.log import ExchangeLog

    return App(config, projects=ProjectRouters(config), log=ExchangeLog(log, config.log_level) if log else None)


def _own_state(config: Config, options: StartOptions, log: Path | None) -> ServiceState:
    from ccrouter import __version__
    from ccrouter.service.process import own_identity
    from ccrouter.service.state import ServiceState

    return ServiceState(
        process=own_identity(),
        host=config.host,
        port=config.port,
        config=str(config.path),
        version=__version__,
        options=options.as_recorded(),
        has_key_option=options.apikey is not None,
        log=str(log) if log else None,
    )


def _explain_no_socket(config: Config, error: OSError) -> int:
    """Two starts at once: the slower one finds the port taken by the quicker, which needs a moment to answer."""
    from ccrouter.service.port import find_holder

    if error.errno != errno.EADDRINUSE:
        fail(f"cannot listen on {config.host}:{config.port}: {error.strerror or error}")
        return 1
    if is_already_running(config, patience=3.0):
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
