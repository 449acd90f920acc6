"""The log file of one run of the router: named by its start, private, the oldest removed. Writes no log line."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from ccrouter.config.schema import Config
from ccrouter.logs.files import list_files
from ccrouter.service.private import create_private, make_folder, router_folder
from ccrouter.service.state import read_live


def open_log(config: Config, *, now: datetime | None = None) -> Path | None:
    """The path of a new, empty log file for a run that starts now, None if the config turns logging off.

    After the call the file exists (programs look for it within seconds of a start), 0600 in a folder that was made
    0700, and beside it at most `logFiles.keep` older ones and those of routers that are still running. Where it cannot
    be made it is for whoever writes the log to say so, and to make it when it can be.
    """
    if not config.log:
        return None
    folder = router_folder() / "logs"
    with suppress(OSError):  # as below
        make_folder(folder)
        _remove_oldest(folder, config.log_files.keep)
    stamp = (now or datetime.now().astimezone()).strftime("%Y%m%d%H%M%S")
    for number in count():
        path = folder / (f"ccr-{stamp}_{number}.log" if number else f"ccr-{stamp}.log")
        try:
            if create_private(path, ""):
                return path
        except OSError:  # the disk is full, or read-only
            return path
    raise AssertionError("count() does not end")


def _remove_oldest(folder: Path, kept: int) -> None:
    in_use = {state.log for state in read_live(folder.parent)}
    for file in list_files(folder)[kept:]:
        if str(file.path) not in in_use:
            file.path.unlink(missing_ok=True)
