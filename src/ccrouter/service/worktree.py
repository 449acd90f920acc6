"""Whether a path stands where git would commit it, and how to keep it out. Writes nothing but a .gitignore."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ccrouter.compliance.files import tracked_by_git, work_tree_of
from ccrouter.service.replacement import replace_content

__all__ = ["add_to_gitignore", "is_ignored", "tracked_by_git", "work_tree_of"]

_SECONDS = 10


def is_ignored(path: Path, top: Path) -> bool:
    """True if git ignores `path` in the work tree at `top`, by whichever of its files.

    Whether git tracks the path already plays no part. Without a git that answers, the lines of the top .gitignore
    decide, taken literally.
    """
    # A hook's variables name another repository than the one that is meant, and a repository's own settings may
    # name a program to run.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ("git", "-c", "core.fsmonitor=false", "-C", str(top), "check-ignore", "-q", "--no-index", "--", str(path))
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, env=environ, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return _is_written(top, path.parent.name)
    return done.returncode == 0 if done.returncode in (0, 1) else _is_written(top, path.parent.name)


def add_to_gitignore(top: Path, folder: str) -> Path:
    """After the call the .gitignore of the work tree at `top` names every folder called `folder`; it is returned.

    Its line ends are kept. Raises OSError if it cannot be written, and if it is a symbolic link: git does not read one.
    """
    file = top / ".gitignore"
    if file.is_symlink():
        raise OSError(0, "it is a symbolic link, which git does not read", str(file))
    old = file.read_bytes() if file.exists() else b""
    end = b"\r\n" if b"\r\n" in old else b"\n"
    between = end if old and not old.endswith(b"\n") else b""
    replace_content(file, old + between + folder.encode() + b"/" + end)
    return file


def _is_written(top: Path, folder: str) -> bool:
    try:
        lines = (top / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.strip().strip("/") == folder for line in lines)
