"""Keys that live as long as one `ccr code`: minted for it, good on this machine, worth nothing once it has ended.

Of a key only its SHA-256 is on disk, as the name of a file that holds the identity of the process it was minted for. A
file is a claim: it counts while that very process lives, and only if nobody but the user could have put it there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ccrouter.service.private import make_folder, write_private
from ccrouter.service.process import Identity, own_identity

#: How a launch key begins: whoever finds one in a log can tell what it was.
PREFIX = "ccr-launch-"
FOLDER = "launches"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_RANDOM_BYTES = 32
_LARGEST = 4096  # characters read of a file: one of ours has far fewer
#: For how many seconds a good answer holds: asking the system who lives costs more than all else a request does here.
_TRUSTED_FOR = 1.0
_MOST_REMEMBERED = 256


@contextmanager
def minted(folder: Path) -> Iterator[str]:
    """While open, and while this process lives, a key that the routers of `folder` take from this machine.

    Raises OSError if the folder cannot be written. What launches that were killed left behind is removed on the way.
    """
    launches = make_folder(folder / FOLDER)
    _remove_ended(launches)
    key = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    process = own_identity()
    path = launches / _digest(key)
    write_private(path, json.dumps({"pid": process.pid, "started": process.started}) + "\n")
    try:
        yield key
    finally:
        path.unlink(missing_ok=True)


class LaunchKeys:
    """Says which keys are those of launches that live. That a key is good is remembered for a second of `clock`."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder / FOLDER
        self._clock = clock
        self._good_until: OrderedDict[str, float] = OrderedDict()

    def admits(self, key: str) -> bool:
        """True if `key` was minted for a launch of this folder whose process lives, or did within the last second.

        The file of a launch that has ended is removed. Neither the key nor a part of it is compared: it is looked up by
        its hash, so the time taken tells nothing about it.
        """
        if not key.startswith(PREFIX):
            return False
        digest = _digest(key)
        if self._good_until.get(digest, 0.0) > self._clock():
            return True
        self._good_until.pop(digest, None)
        if not self._is_alive(self._folder / digest):
            return False
        self._good_until[digest] = self._clock() + _TRUSTED_FOR
        if len(self._good_until) > _MOST_REMEMBERED:
            self._good_until.popitem(last=False)
        return True

    def _is_alive(self, path: Path) -> bool:
        if not (_is_private(self._folder) and _is_private(path)):
            return False
        process = _read(path)
        if process is not None and process.is_running:
            return True
        _remove(path)
        return False


def _digest(key: str) -> str:
    # surrogatepass: a header may hold anything, and must not make this raise
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _remove_ended(folder: Path) -> None:
    for path in folder.iterdir():
        if not _DIGEST.fullmatch(path.name):
            continue
        process = _read(path)
        if process is None or not process.is_running:
            _remove(path)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError, IsADirectoryError, PermissionError):  # no file of ours is a folder: it is left
        path.unlink()


def _is_private(path: Path) -> bool:
    """True if `path` exists, is no link, and neither belongs to nor can be written by anybody else."""
    try:
        found = path.lstat()
    except OSError:  # there is none: the usual case for a key that is not good
        return False
    if os.name == "nt":  # the profile folder's own protection; modes mean nothing there
        return not stat.S_ISLNK(found.st_mode)
    is_others = found.st_uid != os.getuid() or bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return not is_others and not stat.S_ISLNK(found.st_mode)


def _read(path: Path) -> Identity | None:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):  # a pipe would keep us waiting
            return None
        with path.open(encoding="utf-8") as file:
            told = json.loads(file.read(_LARGEST))
        return Identity(int(told["pid"]), str(told["started"]))
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
        RecursionError,
    ):  # gone meanwhile, or not of our making
        return None
