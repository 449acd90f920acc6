"""Finds the router that serves this user: a recorded one, else one that answers on the configured port. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ccrouter.errors import RouterError
from ccrouter.service.port import find_holder
from ccrouter.service.probe import probe, probe_until
from ccrouter.service.state import ServiceState, read_live


@dataclass(frozen=True, slots=True)
class Running:
    """A router that runs.

    `pid` is None if the system hides it, `state` if it left no record; `is_answering` is False if its process lives and
    does not answer.
    """

    host: str
    port: int
    pid: int | None
    version: str
    state: ServiceState | None = None
    is_answering: bool = True


class ForeignService(RouterError):
    """A router answers on our port, but it is another user's: nothing of ours may be sent to it."""


def find_running(folder: Path, host: str, port: int) -> Running | None:
    """The router for this folder, None if there is none.

    The one on `port` is preferred, then the one started last (`ccr start --port 4000` is found though the config says
    3456). One without a record counts if it answers as ours: scripts delete the PID file. Raises ForeignService if that
    one belongs to another user, who could read what is sent to it.
    """
    states = sorted(read_live(folder), key=lambda state: state.port != port)
    silent = None
    for state in states:
        health = probe(state.host, state.port)
        if health and health.is_ours:
            return Running(state.host, state.port, state.process.pid, health.version, state)
        silent = silent or Running(state.host, state.port, state.process.pid, state.version, state, is_answering=False)
    return find_unrecorded(host, port) or silent


def find_unrecorded(host: str, port: int, patience: float = 0.0) -> Running | None:
    """The router that answers at an address within `patience` seconds, whoever recorded it. Raises ForeignService."""
    health = probe_until(host, port, patience)
    if health is None or not health.is_ours:
        return None
    holder = find_holder(port)
    if holder and not holder.is_of_this_user:
        raise ForeignService(f"a router answers on port {port}, but it is another user's (uid {holder.uid})")
    return Running(host, port, holder.pid if holder else None, health.version)
