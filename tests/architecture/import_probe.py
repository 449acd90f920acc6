"""A program: imports the modules named on its command line and reports, as JSON, what importing them did besides.

Runs in a process of its own, since an audit hook stays for the life of one. Output: {module: [what, ...]}.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

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
    elif event == "_thread.start_new_thread":
        deeds.append(f"started a thread: {arguments[0]}")
    elif event.startswith(_DEEDS):
        deeds.append(f"{event} {arguments!r}"[:200])


def main(names: list[str]) -> None:
    sys.dont_write_bytecode = True
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
