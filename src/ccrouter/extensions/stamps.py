"""Whether a file is another than before: by what the file system says of it, without reading it."""

from __future__ import annotations

from pathlib import Path

#: Modification time in nanoseconds, size, and number; None where there is no file.
Stamp = tuple[int, int, int] | None


def stamp_of(path: Path) -> Stamp:
    """The file's stamp now."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # the latter for a name that no file can have
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
