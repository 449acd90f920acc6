"""A program: imports the modules named on its command line and reports, as JSON, what importing them did besides.

Runs in a process of its own, since an audit hook stays for the life of one. Output: {module: [what, ...]}.
"""

from __future__ import annotations

import _thread
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

_CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib", ".zip")
#: Audit events that importing a module has no business to cause.
_DEEDS = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.mkdir", "os.remove",
    "os.rename", "os.rmdir", "os.chmod", "os.putenv", "os.unsetenv", "sqlite3.connect", "urllib.", "http.client.", "signal.",
    "shutil.", "tempfile.",
)  # fmt: skip

deeds: list[str] = []


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        path, mode, flags = arguments
        name = os.fsdecode(path) if isinstance(path, (str, bytes)) else str(path)
        is_write = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if not name.endswith(_CODE) or (is_write and ".pyc" not in name):
            deeds.append(f"opened {name} ({mode})")
    elif event.startswith(_DEEDS):
        deeds.append(f"{event} {arguments!r}"[:200])


def watch_threads() -> None:
    """Note every start of a thread: before Python 3.12 no audit event tells of them."""
    for module in (_thread, threading):
        for name in ("start_new_thread", "start_new", "start_joinable_thread"):
            for spelled in (name, f"_{name}"):
                if hasattr(module, spelled):
                    setattr(module, spelled, noted(getattr(module, spelled)))


def noted(start: Callable[..., Any]) -> Callable[..., Any]:
    def starting(function: object, *more: Any, **named: Any) -> Any:
        deeds.append(f"started a thread: {function!r}")
        return start(function, *more, **named)

    return starting


def watch_environment(names: frozenset[str]) -> None:
    """Note every reading of a variable while the code of one of the modules runs: no audit event tells of it.

    What other people's modules read while they are imported is their own affair.
    """
    variables = type(os.environ)
    read = variables.__getitem__

    def reading(self: os._Environ[str], name: str) -> str:
        frame = sys._getframe(1)
        is_of_click = False  # it looks for the user's language when an option is declared
        while frame is not None and frame.f_code.co_name != "<module>":
            is_of_click |= frame.f_globals.get("__name__") == "gettext"
            frame = frame.f_back
        if frame is not None and not is_of_click and frame.f_globals.get("__name__") in names:
            deeds.append(f"read the environment: {name}")
        return read(self, name)

    variables.__getitem__ = reading


def main(names: list[str]) -> None:
    sys.dont_write_bytecode = True
    watch_threads()
    watch_environment(frozenset(names))
    report: dict[str, list[str]] = {}
    sys.addaudithook(watch)
    for name in names:
        deeds.clear()
        importlib.import_module(name)
        if deeds:
            report[name] = list(deeds)
    deeds.clear()
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1:])
