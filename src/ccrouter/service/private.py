"""The router's folder and files that only their owner may read. May not know what is in them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

FOLDER_MODE = 0o700


def router_folder() -> Path:
    """The folder that holds everything of one user's router; it need not exist."""
    return Path.home() / ".claude-code-router"


def make_folder(path: Path) -> Path:
    """After the call `path` is a folder; if it was made here, its owner alone may enter it."""
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """After the call `path` holds `text` (UTF-8), whole or not at all, readable by its owner alone.

    A reader sees the old content or the new one, never a part: scripts poll these files.
    """
    make_folder(path.parent)
    descriptor, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def create_private(path: Path, text: str) -> bool:
    """After the call `path` exists. True if it was made here, with `text`; an existing file is left as it is."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return True
