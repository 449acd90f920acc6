"""What the file system says about a file: who can read and change it, and whether git keeps it. Changes nothing.

Modes and owners are POSIX's; where there are none (Windows), nothing is found.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HAS_MODES = os.name == "posix"

_GIT_SECONDS = 10
_NOT_OURS = "GIT_"  # variables that point git at another repository, or another program


@dataclass(frozen=True, slots=True)
class Fault:
    """Something about a file that should not be so: which file or folder, what, and what to do."""

    path: Path
    message: str
    hint: str


def work_tree_of(path: Path) -> Path | None:
    """The top folder of the git work tree that `path` (which need not exist) stands in; None outside of any."""
    start = Path(os.path.abspath(path)).parent  # noqa: PTH100 - `resolve` would follow links out of the tree
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), None)


def tracked_by_git(path: Path) -> bool:
    """True if git is known to keep versions of the file at `path`. False outside of a work tree, and where git cannot
    tell.
    """
    return _ask_git(path) is True


def _ask_git(path: Path) -> bool | str:
    """Whether git keeps versions of the file at `path`; a text if that cannot be found out: why.

    Runs git with the repository's programs (hooks, file system monitors) switched off: it may be anybody's.
    """
    tree = work_tree_of(path)
    if tree is None:
        return False
    git = shutil.which("git")
    if git is None:
        return "there is no git to ask"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    environ |= {"GIT_CEILING_DIRECTORIES": str(tree.parent), "LC_ALL": "C"}  # no other tree answers for this one
    command = [git, "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "--no-optional-locks"]
    inside = os.path.relpath(os.path.abspath(path), tree)  # noqa: PTH100 - as in work_tree_of
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and a path behind "--"
            [
                *command,
                "-C",
                str(tree),
                "ls-files",
                "--error-unmatch",
                "--",
                f":(top,literal){Path(inside).as_posix()}",
            ],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"git did not answer within {_GIT_SECONDS} seconds"
    except OSError as error:
        return f"git cannot be run: {error.strerror or error}"
    if done.returncode not in {0, 1}:  # 1 is its answer for a file that it does not know
        said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        return f"git fails: {said[:200] or done.returncode}"
    return done.returncode == 0


def private_faults(path: Path, *, is_strict: bool = True) -> Iterator[Fault]:
    """Everything that keeps the file at `path`, and its folder, from being its user's alone. Unless it `is_strict`, no
    word of links, which many keep their settings by, and none of a git that cannot answer.
    """
    for place in (path, path.parent) if is_strict else ():
        if place.is_symlink():
            yield Fault(place, "is a symbolic link", "put the real file there")
    yield from _mode_faults(path, "600")
    yield from _mode_faults(path.parent, "700")
    answer = _ask_git(path)
    if answer is True:
        yield Fault(path, "is tracked by git", f"git rm --cached {path}, and add it to .gitignore")
    elif is_strict and answer:
        hint = f"see to it that `git -C {work_tree_of(path)} status` works, or move the file out of that work tree"
        yield Fault(path, f"may be tracked by git: {answer}", hint)


def _mode_faults(path: Path, mode: str) -> Iterator[Fault]:
    status = path.stat()
    if not HAS_MODES:
        return
    if status.st_uid not in _trusted_owners():
        yield Fault(path, "belongs to another user", "make a file of your own")
    found = stat.S_IMODE(status.st_mode)
    if found & 0o077:
        yield Fault(path, f"is open to others (mode {found:04o})", f"chmod {mode} {path}")


def foreign_writers(path: Path) -> Iterator[Fault]:
    """Everything that lets others than root and the user change the file at `path`, its folder's rights included.

    Where `path` is a symbolic link, both it and what it leads to are looked at.
    """
    if not HAS_MODES:
        return
    for place in dict.fromkeys((path, path.parent, path.resolve(), path.resolve().parent)):
        status = place.stat()
        found = stat.S_IMODE(status.st_mode)
        if status.st_uid not in _trusted_owners():
            yield Fault(place, "belongs to another user", "let root or yourself own it")
        elif found & 0o022 and not (stat.S_ISDIR(status.st_mode) and found & stat.S_ISVTX):
            yield Fault(place, f"can be changed by others (mode {found:04o})", f"chmod go-w {place}")


def is_out_of_reach(path: Path) -> bool:
    """True if the user who runs this can change neither the file at `path` nor any folder above it."""
    if not HAS_MODES:
        return not os.access(path, os.W_OK) and not os.access(path.parent, os.W_OK)
    places = {path, *Path(os.path.abspath(path)).parents, path.resolve(), *path.resolve().parents}  # noqa: PTH100 - links count too
    return all(place.stat().st_uid != os.geteuid() and not os.access(place, os.W_OK) for place in places)


def _trusted_owners() -> tuple[int, ...]:
    return (0, os.geteuid())
