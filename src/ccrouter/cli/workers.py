"""`ccr start --workers N`: several processes that serve one port as one service."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ccrouter.cli.acceptance import Accepted
from ccrouter.cli.options import StartOptions

if TYPE_CHECKING:
    from ccrouter.audit.trail import AuditTrail
    from ccrouter.server.lifetime import Notices

#: More than that many processes are a mistake in typing: each takes the memory of a whole router.
MOST = 64
#: The name of what a worker is told beside what is in force.
BRIEF = "brief"

_Callback = TypeVar("_Callback", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Brief:
    """What a worker is told at its start. `are_given`: the sockets were opened by a service manager."""

    options: StartOptions
    log: Path | None
    are_given: bool
    is_audited: bool


def workers_option(callback: _Callback) -> _Callback:
    """Adds `--workers`; its value arrives as `workers`, None if it is not given."""
    return click.option(
        "--workers",
        type=click.IntRange(1, MOST),
        metavar="N",
        callback=_checked,
        help="Processes that serve the port together, for machines with many cores (not on Windows).",
    )(callback)


def _checked(_context: click.Context, _option: click.Parameter, value: int | None) -> int | None:
    if value is not None and value > 1 and sys.platform == "win32":
        raise click.BadParameter("several workers need a POSIX system; on Windows one process serves")
    return value


def serve_with_workers(  # noqa: PLR0913 - what a service has one of, all but the first two by name
    accepted: Accepted,
    options: StartOptions,
    *,
    count: int,
    sockets: list[socket.socket] | None,
    trail: AuditTrail | None,
    log: Path | None,
    on_ready: Callable[[], None],
    on_ending: Callable[[float], None],
    notices: Notices,
) -> int:
    """As `server.run.serve`, with `count` processes. Raises what that raises."""
    from ccrouter.server.workers.parcel import pack
    from ccrouter.server.workers.supervisor import worker_command
    from ccrouter.server.workers.together import serve_together

    return serve_together(
        accepted.config,
        policy=accepted.policy,
        count=count,
        command=worker_command("ccrouter.cli.worker"),
        brief={BRIEF: pack(Brief(options, log, sockets is not None, trail is not None))},
        on_ready=on_ready,
        on_ending=on_ending,
        notices=notices,
        log=log,
        trail=trail,
        sockets=sockets,
    )
