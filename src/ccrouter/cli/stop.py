"""`ccr stop`: end the routers that this user started, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccrouter.cli.terminal import say, warn

if TYPE_CHECKING:
    from ccrouter.service.state import ServiceState


@click.command()
@click.option("--port", "-p", type=click.IntRange(1, 65535), metavar="N", help="Stop only the router on this port.")
def command(port: int | None) -> int:
    """Stop the router and wait until it is gone. Exit code 0 also if none was running."""
    from ccrouter.service.private import router_folder

    if stop_all(router_folder(), port):
        say("claude code router service has been successfully stopped.")
    else:
        say("Failed to stop the service. It may have already been stopped.")
    return 0


def stop_all(folder: Path, port: int | None = None) -> list[ServiceState]:
    """The routers that ran, all of this folder or the one on `port`, and are gone after the call."""
    from ccrouter.service.process import end
    from ccrouter.service.state import forget, read_live, read_pid, remove_stale

    stopped = []
    for state in read_live(folder):
        if port is not None and state.port != port:
            continue
        try:
            is_gone = end(state.process)
        except PermissionError:
            is_gone = False
        if is_gone:
            forget(folder, state)
            stopped.append(state)
        else:
            warn(f"process {state.process.pid} on port {state.port} does not end")
    pid = read_pid(folder)
    remove_stale(folder)
    if not stopped and pid is not None and pid != read_pid(folder):
        _explain_pid_file(pid)
    return stopped


def _explain_pid_file(pid: int) -> None:
    """A number alone proves nothing: the process that has it now may be anybody's."""
    from ccrouter.service.process import describe, identify

    if identify(pid) is not None:
        warn(f"the PID file named process {pid} ({describe(pid)}), not recorded as a router: it was left alone")
