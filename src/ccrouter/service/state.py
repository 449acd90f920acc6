"""The files that tell where the router runs: the PID file that scripts know, and one state file per port beside it.

Written by the router itself once it listens, removed by it when it ends. A file is a claim, believed only while the
process it names, by number and start time, is alive.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ccrouter.service.private import write_private
from ccrouter.service.process import Identity

PID_FILE = ".claude-code-router.pid"
_STATE_FILES = ".claude-code-router.*.json"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One running router.

    `options` are those it was started with, by name and without a key; `has_key_option` tells that there was one. `log`
    is its log file, None if it keeps none. `policy` is the one it was started under: its `name`, `digest` and `source`,
    empty if none was in force, None if the router is of a version that knew none. `takes_launch_keys` is False for
    versions that know no launch keys either. `drain` is how long answers under way may go on once it is told to end, in
    seconds.
    """

    process: Identity
    host: str
    port: int
    config: str
    version: str
    options: Mapping[str, str] = field(default_factory=dict)
    has_key_option: bool = False
    log: str | None = None
    policy: Mapping[str, str] | None = None
    takes_launch_keys: bool = False
    drain: float = 0.0


def pid_file(folder: Path) -> Path:
    """Where the process number is, for scripts."""
    return folder / PID_FILE


def state_file(folder: Path, port: int) -> Path:
    """Where the state of the router on `port` is."""
    return folder / f".claude-code-router.{port}.json"


def record(folder: Path, state: ServiceState) -> None:
    """After the call both files name `state`."""
    _write(folder, state)
    write_private(pid_file(folder), str(state.process.pid))


def update(folder: Path, state: ServiceState) -> None:
    """After the call the state file says what `state` says, if it is this process's; the PID file is left as it is."""
    recorded = _read(state_file(folder, state.port))
    if recorded is not None and recorded.process == state.process:
        _write(folder, state)


def _write(folder: Path, state: ServiceState) -> None:
    told = {
        "pid": state.process.pid,
        "started": state.process.started,
        "host": state.host,
        "port": state.port,
        "config": state.config,
        "version": state.version,
        "options": dict(state.options),
        "hasKeyOption": state.has_key_option,
        "log": state.log,
        "policy": None if state.policy is None else dict(state.policy),
        "takesLaunchKeys": state.takes_launch_keys,
        "drainSeconds": state.drain,
    }
    write_private(state_file(folder, state.port), json.dumps(told, indent=2) + "\n")


def forget(folder: Path, state: ServiceState) -> None:
    """After the call no file names `state`; the PID file names another router of this folder if one is left."""
    recorded = _read(state_file(folder, state.port))
    if recorded is not None and recorded.process == state.process:
        state_file(folder, state.port).unlink(missing_ok=True)
    if read_pid(folder) == state.process.pid:
        left = read_live(folder)
        if left:
            write_private(pid_file(folder), str(left[0].process.pid))
        else:
            pid_file(folder).unlink(missing_ok=True)


def read_live(folder: Path) -> list[ServiceState]:
    """The routers of this folder whose processes are alive, the one started last first."""
    dated: list[tuple[float, ServiceState]] = []
    for path in folder.glob(_STATE_FILES):
        state = _read(path)
        if state is None or not state.process.is_running:
            continue
        with suppress(FileNotFoundError):  # it has just ended
            dated.append((path.stat().st_mtime, state))
    return [state for _, state in sorted(dated, key=lambda pair: pair[0], reverse=True)]


def drain_of(folder: Path, state: ServiceState) -> float:
    """The seconds of `state` as its router has them on record by now: a reload may have changed them."""
    recorded = _read(state_file(folder, state.port))
    return recorded.drain if recorded is not None and recorded.process == state.process else state.drain


def remove_stale(folder: Path) -> None:
    """After the call there is no state file, and no PID file, of a process that is gone."""
    for path in folder.glob(_STATE_FILES):
        state = _read(path)
        if state is None or not state.process.is_running:
            path.unlink(missing_ok=True)
    if not read_live(folder):
        pid_file(folder).unlink(missing_ok=True)


def read_pid(folder: Path) -> int | None:
    """The number in the PID file, None without a file or a number."""
    try:
        return int(pid_file(folder).read_text().strip())
    except (OSError, ValueError):
        return None


def _read(path: Path) -> ServiceState | None:
    """The state in a file, None if it cannot be understood: written by another version, or by hand."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return ServiceState(
            process=Identity(int(told["pid"]), str(told["started"])),
            host=str(told["host"]),
            port=int(told["port"]),
            config=str(told["config"]),
            version=str(told["version"]),
            options=_texts(told.get("options")) or {},
            has_key_option=bool(told.get("hasKeyOption", False)),
            log=told.get("log"),
            policy=_texts(told.get("policy")),
            takes_launch_keys=told.get("takesLaunchKeys") is True,
            drain=float(told.get("drainSeconds", 0)),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _texts(told: Mapping[str, object] | None) -> dict[str, str] | None:
    return None if told is None else {str(name): str(value) for name, value in told.items()}
