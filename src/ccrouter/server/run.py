"""Running the application: sockets, the event loop, the signals that end it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import uvicorn

from ccrouter import __version__
from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.projects import ProjectRouters
from ccrouter.config.schema import Config
from ccrouter.errors import ConfigError
from ccrouter.gateway.record import Auditor
from ccrouter.server.app import App
from ccrouter.server.log import ExchangeLog

#: How long streams under way may go on after the first signal, in seconds.
DRAIN_SECONDS = 4


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
) -> int:
    """Serve until SIGTERM or SIGINT; streams under way get DRAIN_SECONDS, a second signal ends them at once.

    SIGHUP reloads, unless it tells that our terminal was closed: that ends us too. `on_ready` is called once requests
    are being answered; exchanges are logged to the file `log`. `auditor` is told of start, stop and what App tells it.
    `sockets` listen already, and are closed in the end; None: those of `listen(config)`. Returns the exit code, after the sockets are closed. Raises OSError if the port is taken, what `auditor` raises if
    the start cannot be recorded, and ConfigError if the user's own code cannot be loaded.
    """
    if sockets is None:
        sockets = listen(config)
    port: int = sockets[0].getsockname()[1]
    if auditor is not None:
        _record_start(auditor, _facts(config, policy, port), sockets)
    exchanges = ExchangeLog(log, config.log_level) if log is not None else None
    app = App(
        config,
        policy=policy,
        projects=ProjectRouters(config),
        log=exchanges,
        auditor=auditor,
        is_launch_key=is_launch_key,
        reload=reload,
    )
    _tune_allocator()
    server = _Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # locality is taken from the socket, never from a header
            timeout_keep_alive=75,  # Claude Code keeps its connection between turns
            timeout_graceful_shutdown=DRAIN_SECONDS,
        ),
        on_ready,
        app.editions.reload_soon,
    )
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            _prepare(runner, app, sockets)
            runner.run(server.serve(sockets=sockets))
    finally:
        app.account.report("stop", _facts(*app.in_force, port))
        if exchanges is not None:
            exchanges.close()
    return 0 if server.started else 1


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], on_hangup: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_hangup = on_hangup

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            gc.collect()
            gc.freeze()  # what is here now stays: the collector need not look at it again
            gc.set_threshold(10_000, 20, 50)  # an exchange makes thousands of objects, and hardly a cycle
            self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but the signal is not raised again afterwards: an asked-for end is an exit code of 0."""
        ours = [signal.SIGINT, signal.SIGTERM]
        if sys.platform == "win32":
            ours.append(signal.SIGBREAK)
        before = {number: signal.signal(number, self.handle_exit) for number in ours}
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:  # nohup asks for that
            before[hangup] = signal.signal(hangup, self._hangup_action())
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hangup_action(self) -> Callable[[int, FrameType | None], None]:
        """What SIGHUP means: the end, if it came because our terminal is gone; else that we are to reload."""
        loop, had_terminal = asyncio.get_running_loop(), _has_terminal()

        def hang_up(number: int, frame: FrameType | None) -> None:
            if had_terminal and not _has_terminal():
                self.handle_exit(number, frame)
            else:
                loop.call_soon_threadsafe(self._on_hangup)

        return hang_up


def _record_start(auditor: Auditor, facts: dict[str, object], sockets: list[socket.socket]) -> None:
    """Raises what `auditor` raises, with the sockets closed: nothing is served then."""
    try:
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


def _facts(config: Config, policy: Policy, port: int) -> dict[str, object]:
    """What the audit is told of a start and of a stop."""
    return {
        "config": config.digest,
        "policy": policy.digest,
        "reason": f"policy {policy.name}",
        "version": __version__,
        "port": port,
    }


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - optional: there is none for Windows
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


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
