"""The settings file that one run of `claude` is given. It holds the router's key, so it is private and short-lived."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccrouter.jsontypes import JsonObject
from ccrouter.service.private import make_folder, router_folder
from ccrouter.service.process import identify

_NAME = re.compile(r"claude-(\d+)-")


@contextmanager
def settings_file(settings: JsonObject) -> Iterator[Path]:
    """While open, the path of a file with `settings`, 0600 in a 0700 folder of the user's own; then it is removed.

    Files of runs that were killed before they could do so are removed on the way.
    """
    folder = make_folder(router_folder() / "claude-settings")
    _remove_abandoned(folder)
    descriptor, name = tempfile.mkstemp(prefix=f"claude-{os.getpid()}-", suffix=".json", dir=folder)  # made 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(settings, file, indent=2)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    for path in folder.glob("claude-*.json"):
        made_by = _NAME.match(path.name)
        if made_by and identify(int(made_by[1])) is None:
            path.unlink(missing_ok=True)
