"""Running the application: sockets, the event loop, the signals that end it."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn

from ccrouter import __version__
from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Config
from ccrouter.errors import ConfigError
from ccrouter.gateway.record import Auditor
from ccrouter.server.app import App
from ccrouter.server.board import Board
from ccrouter.server.descriptors import raise_limit
from ccrouter.server.lifetime import Notices, Server, Silence
from ccrouter.server.log import ExchangeLog


def listen(config: Config) -> list[socket.socket]:
    """Listening sockets for the configured address. Raises OSError if the port is taken.

    Where the user named no address, both loopbacks are served: for some clients "localhost" is ::1.
    """
    hosts = [config.host]
    if config.host == "localhost" or "HOST" not in config.raw:
        hosts = ["127.0.0.1", "::1"] if config.host in {"localhost", "127.0.0.1"} else [config.host]
    sockets: list[socket.socket] = []
    for position, host in enumerate(hosts):
        try:
            sockets.append(_bind(host, config.port))
        except OSError:
            if position == 0:
                raise
            # no IPv6 on this machine, or somebody else's ::1: the first address is the one that we announce
    return sockets


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def serve(  # noqa: PLR0913 - what a process has one of, all but the first by name
    config: Config,
    *,
    policy: Policy = NO_POLICY,
    on_ready: Callable[[], None],
    log: Path | None = None,
    auditor: Auditor | None = None,
    is_launch_key: Callable[[str], bool] | None = None,
    reload: Callable[[Policy], tuple[Config, Policy]] | None = None,
    sockets: list[socket.socket] | None = None,
    on_ending: Callable[[float], None] | None = None,
    notices: Notices | None = None,
    board: Board | None = None,
    records: Path | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; what is under way then may go on for `drainSeconds`, a second signal ends it.

    SIGHUP reloads, unless it tells that our terminal was closed: that ends us too. Changed files reload by themselves
    unless the config says otherwise. `on_ready` is called once requests are being answered, `on_ending` once the end
    has begun, with the seconds that what is under way still has; `notices` is told of both, and of reloads. Exchanges
    are logged to the file `log`. `auditor` is told of start, stop and what App tells it. `sockets` listen already, and
    are closed in the end; None: those of `listen(config)`. `board` is shared with the other processes of the service;
    so is `records`, the file in which exchanges are recorded.

    Returns the exit code, with the sockets closed; signals that ask for the end are ignored from then on. Raises
    OSError if the port is taken, what `auditor` raises, and ConfigError if the user's own code cannot be loaded.
    """
    sockets = listen(config) if sockets is None else sockets
    port: int = sockets[0].getsockname()[1]
    _record_start(auditor, service_facts(config, policy, port), sockets)
    exchanges = ExchangeLog(log, config.log_level, files=config.log_files) if log is not None else None
    _ask_the_system()
    app = App(
        config,
        policy=policy,
        projects=ProjectRouters(config),
        log=exchanges,
        auditor=auditor,
        is_launch_key=is_launch_key,
        reload=reload,
        board=board,
        records=records,
    )
    server = Server(
        settings_of(app),
        app=app,
        place=f"{config.host}:{port}",
        on_ready=on_ready,
        on_ending=on_ending or (lambda _seconds: None),
        notices=notices or Silence(),
    )
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            _prepare(runner, app, sockets)
            runner.run(server.serve(sockets=sockets))
    finally:
        app.account.report("stop", service_facts(*app.in_force, port))
        if exchanges is not None:
            exchanges.close()
    return 0 if server.started else 1


def settings_of(app: App) -> uvicorn.Config:
    """How `app` is served, wherever it is."""
    return uvicorn.Config(
        app,
        http=app.lines.protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # locality is taken from the socket, never from a header
        timeout_keep_alive=75,  # Claude Code keeps its connection between turns
    )


def _record_start(auditor: Auditor | None, facts: dict[str, object], sockets: list[socket.socket]) -> None:
    """Raises what `auditor` raises, with the sockets closed: nothing is served then."""
    try:
        if auditor is not None:
            auditor.record("start", facts)
    except BaseException:
        _close(sockets)
        raise


def _prepare(runner: asyncio.Runner, app: App, sockets: list[socket.socket]) -> None:
    """Raises ConfigError, with the sockets closed, if the user's own code cannot be loaded."""
    try:
        runner.run(app.prepare())
    except ConfigError:
        _close(sockets)
        raise


def _close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


def service_facts(config: Config, policy: Policy, port: int) -> dict[str, object]:
    """What the audit is told of a start and of a stop."""
    return {
        "config": config.digest,
        "policy": policy.digest,
        "reason": f"policy {policy.name}",
        "version": __version__,
        "port": port,
    }


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the event loop: uvloop's where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - optional: there is none for Windows
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _ask_the_system() -> None:
    """After the call the process has what the system gives it for being asked: descriptors, and a fit allocator."""
    raise_limit()
    _tune_allocator()


def _tune_allocator() -> None:
    """Keep megabyte buffers: glibc gives each back to the system and fetches it anew, at a higher cost than ours."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # a C library without it (musl)
        return
    m_trim_threshold, m_mmap_threshold = -1, -3
    mallopt(m_mmap_threshold, 32 * 1024 * 1024)
    mallopt(m_trim_threshold, 32 * 1024 * 1024)
