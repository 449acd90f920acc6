"""The main module of one worker of `ccr start --workers N`. Not for people: the supervising process starts it."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ccrouter.cli.acceptance import Accepted, reloader
from ccrouter.cli.start import staying
from ccrouter.cli.workers import BRIEF, Brief
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Config
from ccrouter.errors import ConfigError, RouterError
from ccrouter.secret import redact
from ccrouter.server.run import serve
from ccrouter.server.unison import EDITION, in_parcel
from ccrouter.server.workers.member import Cut, MemberBoard, Place, be_welcomed, say_failed
from ccrouter.server.workers.parcel import pack, unpack
from ccrouter.service.launches import LaunchKeys
from ccrouter.service.private import router_folder
from ccrouter.store.database import FILE as RECORDS

if TYPE_CHECKING:
    from ccrouter.server.workers.audit import DistantTrail

_Load = Callable[[Policy], tuple[Config, Policy]]


def main(words: list[str]) -> int:
    """Serve until told to end, or until the supervising process is gone. The exit code."""
    given = dict(word.removeprefix("--").split("=", 1) for word in words)
    sockets = [_adopt(number) for number in given["sockets"].split(",")]
    to_hub = _adopt(given["board"])
    to_desk = _adopt(given["audit"]) if "audit" in given else None
    try:
        kept = be_welcomed(to_hub)
    except Cut:
        return 0
    secrets = in_parcel(kept[EDITION])[0].secrets
    try:
        board = MemberBoard(to_hub, Place.read(given["place"]), kept)
        return _serve(board, sockets, to_desk)
    except RouterError as error:
        problems = error.problems if isinstance(error, ConfigError) else redact(str(error), secrets)
        say_failed(to_hub, pack(problems))
        return 1


def _serve(board: MemberBoard, sockets: list[socket.socket], to_desk: socket.socket | None) -> int:
    config, policy, _ = in_parcel(board.kept[EDITION])
    brief: Brief = unpack(board.kept[BRIEF])
    trail = None
    if to_desk is not None:
        from ccrouter.server.workers.audit import DistantTrail

        trail = DistantTrail(to_desk, is_required=policy.audit_required, silent=_end_in_order)
    require = trail.require if trail is not None else None
    reload = reloader(brief.options, Accepted(config, policy), require_audit=require)
    if brief.are_given:
        reload = staying(sockets, reload)
    return serve(
        config,
        policy=policy,
        on_ready=lambda: None,  # the board is told, as one of the notices
        log=brief.log,
        records=router_folder() / RECORDS,
        auditor=trail,
        is_launch_key=LaunchKeys(router_folder()).admits,
        reload=_protecting(trail, reload),
        sockets=sockets,
        notices=board,
        board=board,
    )


def _protecting(trail: DistantTrail | None, reload: _Load) -> _Load:
    """`reload`, with the audit log told of the new secrets; those before stay secret."""

    def read(in_force: Policy) -> tuple[Config, Policy]:
        config, policy = reload(in_force)
        if trail is not None:
            trail.protect(config.secrets)
        return config, policy

    return read


def _end_in_order() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _adopt(number: str) -> socket.socket:
    """The socket that was handed down; what this process starts does not get it."""
    descriptor = int(number)
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - it has no name
    return socket.socket(fileno=descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
