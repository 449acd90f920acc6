"""What the line shows of the folder and the transcript: read from files, without starting `git` or anything else."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False  # see themes.py
if TYPE_CHECKING:
    from ccrouter.jsontypes import JsonObject

_LARGEST_HEAD = 4096  # bytes read of .git and HEAD
_TAIL = 512 * 1024  # bytes of a transcript's end in which its last answer is looked for
_SHORT = 7  # digits of a commit
_BRANCHES = "ref: refs/heads/"


def git_branch(folder: str) -> str:
    """The branch that is checked out in `folder`, or the commit's first digits where none is; "" outside of git.

    Knows worktrees and submodules, whose `.git` is a file that names the folder.
    """
    while folder:
        place = os.path.join(folder, ".git")  # noqa: PTH118 - pathlib costs more to import than all of this
        if os.path.isdir(place):  # noqa: PTH112 - as above
            return _branch_of(place)
        if pointer := _first_line(place):
            named = pointer.removeprefix("gitdir:").strip()
            return _branch_of(os.path.join(folder, named)) if named != pointer else ""  # noqa: PTH118 - as above
        parent = os.path.dirname(folder)  # noqa: PTH120 - as above
        folder = "" if parent == folder else parent
    return ""


def _branch_of(place: str) -> str:
    head = _first_line(os.path.join(place, "HEAD"))  # noqa: PTH118 - as above
    if head.startswith(_BRANCHES):
        branch = head.removeprefix(_BRANCHES)
        return "" if branch == ".invalid" else branch  # where branches are kept in tables, HEAD does not name it
    is_commit = len(head) >= 40 and all(digit in "0123456789abcdef" for digit in head)
    return head[:_SHORT] if is_commit else ""


def _first_line(path: str) -> str:
    """The first line of a file; "" for one that is not there, that is none, or that cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would keep us waiting
    except (OSError, ValueError):
        return ""
    try:
        said = os.read(descriptor, _LARGEST_HEAD)
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    return said.decode("utf-8", "replace").partition("\n")[0].strip()


def last_answer(transcript: str) -> JsonObject:
    """The `model` and `usage` of the last answer in a transcript of Claude Code; {} if none is found near its end."""
    if not transcript:
        return {}
    try:
        with open(transcript, "rb") as file:  # noqa: PTH123 - as above
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            lines = file.read(_TAIL).split(b"\n")
    except (OSError, ValueError):
        return {}
    for line in reversed(lines):
        if b'"assistant"' in line and (answer := _answer(line)):
            return answer
    return {}


def _answer(line: bytes) -> JsonObject:
    try:
        entry = json.loads(line)
        message = entry["message"] if entry["type"] == "assistant" and not entry.get("isSidechain") else {}
        model = message["model"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # cut off, or another kind of line
        return {}
    if not isinstance(model, str) or not model or model.startswith("<"):  # "<synthetic>": Claude Code's own words
        return {}
    return {"model": model, "usage": message.get("usage")}
