"""New content in the place of a file's old one, in one step. May not know what is in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_NEW_MODE = 0o644


def replace_content(path: Path, data: bytes) -> None:
    """After the call `path` holds `data`, whole or not at all. Raises OSError, and then nothing has changed.

    Mode and owner are those of the old file (0644 for a new one), and a symbolic link stays one: its target is written.
    """
    target = path.resolve()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            _take_over(target, temporary)
        else:
            temporary.chmod(_NEW_MODE)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _take_over(old: Path, new: Path) -> None:
    facts = old.stat()
    if hasattr(os, "chown"):
        with suppress(PermissionError):  # only root can give a file away; what we make is ours otherwise
            os.chown(new, facts.st_uid, facts.st_gid)
    shutil.copymode(old, new)
