"""`ccr stop`: end the routers that this user started, and nothing else."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccrouter.cli.terminal import note, say, warn

if TYPE_CHECKING:
    from ccrouter.service.state import ServiceState


#: Seconds beyond its drain that a router has to end, and the least that it has in all.
_MARGIN, _LEAST = 6.0, 10.0
#: Seconds after which we say what we wait for.
_SILENT = 2.0


@click.command()
@click.option("--port", "-p", type=click.IntRange(1, 65535), metavar="N", help="Stop only the router on this port.")
@click.option("--now", is_flag=True, help="Do not wait for answers under way: clients are told to ask again.")
def command(port: int | None, now: bool) -> int:  # noqa: FBT001 - click passes options so
    """Stop the router and wait until it is gone. Exit code 0 also if none was running.

    Answers under way may go on for `drainSeconds` of the config.
    """
    from ccrouter.service.private import router_folder

    if stop_all(router_folder(), port, at_once=now):
        say("claude code router service has been successfully stopped.")
    else:
        say("Failed to stop the service. It may have already been stopped.")
    return 0


def stop_all(folder: Path, port: int | None = None, *, at_once: bool = False) -> list[ServiceState]:
    """The routers that ran, all of this folder or the one on `port`, and are gone after the call.

    None is killed that still lets answers under way go on; `at_once` tells it not to.
    """
    from ccrouter.service.process import end
    from ccrouter.service.state import forget, read_live, read_pid, remove_stale

    stopped = []
    for state in read_live(folder):
        if port is not None and state.port != port:
            continue
        try:
            is_gone = end(state.process, _Patience(folder, state), at_once=at_once)
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


class _Patience:
    """The seconds that a router has to end, as it says itself; asked again while we wait, which is said once."""

    def __init__(self, folder: Path, state: ServiceState) -> None:
        self._folder = folder
        self._state = state
        self._begun = time.monotonic()
        self._is_said = False

    def __call__(self) -> float:
        from ccrouter.service.state import drain_of

        drain = drain_of(self._folder, self._state)
        if not self._is_said and time.monotonic() - self._begun > _SILENT:
            self._is_said = True
            place = f"port {self._state.port}"
            note(f"Waiting for answers under way on {place}, {drain:g} s at most; `ccr stop --now` does not.")
        return max(_LEAST, drain + _MARGIN)


def _explain_pid_file(pid: int) -> None:
    """A number alone proves nothing: the process that has it now may be anybody's."""
    from ccrouter.service.process import describe, identify

    if identify(pid) is not None:
        warn(f"the PID file named process {pid} ({describe(pid)}), not recorded as a router: it was left alone")
