"""Serving with several processes: what `run.serve` is for one. POSIX only."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ccrouter.audit.trail import AuditTrail
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Config, LogFiles
from ccrouter.errors import RouterError
from ccrouter.server.lifetime import Notices
from ccrouter.server.log import ExchangeLog
from ccrouter.server.run import listen, service_facts
from ccrouter.server.unison import EDITION, edition_parcel, in_parcel
from ccrouter.server.voice import Voice
from ccrouter.server.workers.audit import AuditDesk
from ccrouter.server.workers.supervisor import Supervisor, Task, supervise

#: The workers put the log away, by what is in force; this process only adds a line now and then.
_NEVER = LogFiles(megabytes=2**20)


def serve_together(  # noqa: PLR0913 - what a service has one of, all but the first by name
    config: Config,
    *,
    policy: Policy,
    count: int,
    command: Sequence[str],
    brief: Mapping[str, bytes],
    on_ready: Callable[[], None],
    on_ending: Callable[[float], None],
    notices: Notices,
    log: Path | None = None,
    trail: AuditTrail | None = None,
    sockets: list[socket.socket] | None = None,
    make: Callable[[Task], Supervisor] = Supervisor,
) -> int:
    """Serve with `count` processes of `command` until SIGTERM or SIGINT, as `run.serve` with one. `brief` is what each
    is told at its start, beside what is in force.

    Returns the exit code, once no worker lives and the sockets are closed. Raises OSError if the port is taken,
    AuditUnavailable if the start has to be recorded and cannot be, and RouterError if a worker cannot start.
    """
    if sockets is None:
        sockets = listen(config)
    lines = ExchangeLog(log, config.log_level, files=_NEVER) if log is not None else None
    port: int = sockets[0].getsockname()[1]
    kept = {**brief, EDITION: edition_parcel(config, policy)}
    voice = Voice(lines)
    desk = None if trail is None else AuditDesk(trail, config.secrets, voice.audit_complaint)

    def in_force() -> tuple[Config, Policy]:
        return in_parcel(kept[EDITION])[:2]

    task = Task(
        count=count,
        command=command,
        sockets=sockets,
        kept=kept,
        desk=desk,
        voice=voice,
        drain=lambda: in_force()[0].drain_seconds,
        on_ready=on_ready,
        on_ending=on_ending,
        notices=notices,
    )
    try:
        if desk is not None:
            desk.record("start", service_facts(config, policy, port))
        try:
            supervise(task, make)
        finally:
            if desk is not None:
                desk.finish()
                _record_stop(desk, service_facts(*in_force(), port), voice)
    finally:
        for one in sockets:
            one.close()
        if lines is not None:
            lines.close()
    return 0


def _record_stop(desk: AuditDesk, facts: Mapping[str, object], voice: Voice) -> None:
    try:
        desk.record("stop", facts)
    except (RouterError, OSError) as error:  # it has ended, whether that is on record or not
        voice.audit_complaint(f"stop: {error}")
