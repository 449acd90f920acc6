"""Starts the router as a process of its own that outlives its starter, and tells why if it does not come up."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ccrouter.errors import RouterError
from ccrouter.service.private import make_folder
from ccrouter.service.probe import probe

OUTPUT = "claude-code-router.log"
_LARGEST_OUTPUT = 1024 * 1024  # bytes after which the file of its output begins anew
PATIENCE = 15.0  # seconds; a start takes one at most


class StartFailed(RouterError):
    """The router did not come up; the text is its own last words."""


def launch(arguments: Sequence[str], *, host: str, port: int, folder: Path, patience: float = PATIENCE) -> None:
    """After the call a router started as `ccr start <arguments>` answers on `host` and `port`, detached.

    Detached: a session of its own, no pipe or terminal of ours; a caller who waits for our output to end is not kept
    waiting. What it prints goes to OUTPUT in `folder`. Raises StartFailed.
    """
    make_folder(folder)
    path = folder / OUTPUT
    fresh = not path.exists() or path.stat().st_size > _LARGEST_OUTPUT
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if fresh else 0), 0o600)
    try:
        begin = os.fstat(descriptor).st_size
        child = _spawn(arguments, descriptor, folder)
    finally:
        os.close(descriptor)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        code = _exit_code(child)
        health = probe(host, port)
        if health and health.is_ours:  # also if it ended because another start was quicker
            child.returncode = code or 0  # it is left to live: not a forgotten child, as Popen would warn
            return
        if code is not None:
            raise StartFailed(_told(path, begin) or f"it ended with exit code {code} and said nothing")
    child.kill()
    child.wait()
    told = _told(path, begin)
    raise StartFailed(f"it did not answer on port {port} within {patience:g} s" + (f"\n{told}" if told else ""))


def _spawn(arguments: Sequence[str], output: int, folder: Path) -> subprocess.Popen[bytes]:
    # -P: without it the working folder would be searched for modules first.
    command = [sys.executable, "-P", "-m", "ccrouter", "start", *arguments]
    detached_process, new_process_group = 0x8, 0x200  # CreateProcess: dwCreationFlags
    return subprocess.Popen(  # noqa: S603 - this program itself
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=folder,
        start_new_session=True,  # POSIX
        creationflags=detached_process | new_process_group if sys.platform == "win32" else 0,
    )


def _exit_code(child: subprocess.Popen[bytes]) -> int | None:
    try:
        return child.wait(timeout=0.05)
    except subprocess.TimeoutExpired:
        return None


def _told(path: Path, begin: int) -> str:
    """What the child printed, without the lines that every start prints."""
    with path.open("rb") as file:
        file.seek(begin)
        text = file.read(_LARGEST_OUTPUT).decode(errors="replace")
    return "\n".join(line for line in text.splitlines() if not line.startswith("Loaded JSON config from:")).strip()
