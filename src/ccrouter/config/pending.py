"""Changes of the configuration that somebody is about to make, kept beside the file until they are saved or dropped.

For their owner alone, as the file and its backups: what was typed may be a secret. In a file and not in memory: the
service may have several processes, and each of them may be asked next.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ccrouter.errors import ConfigError, Problem

#: How many stay, and for how many seconds.
KEPT = 8
LIFETIME = 24 * 3600.0

_ID = re.compile(r"[0-9a-f]{16}")


class Pending(msgspec.Struct, frozen=True):
    """A change. `base` is the file's text that it was begun with (None: there was no file), `text` what is to be in the
    file, `typed` what was typed and cannot be used ("" for nothing): `problems` tell why, as (place, message, hint).
    `words` say what it is about. It `is_stale` if the file was another when what was edited was shown.
    """

    base: str | None
    text: str
    typed: str = ""
    problems: tuple[tuple[str, str, str], ...] = ()
    words: tuple[str, ...] = ()
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the pending changes of the file at `path` are kept."""

    path: Path

    def keep(self, pending: Pending) -> str:
        """The id by which it is found again. Raises ConfigError if it cannot be written."""
        name = secrets.token_hex(8)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._remove_old()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(self._place(name), flags, 0o600), "wb") as file:
                file.write(msgspec.json.encode(pending))
        except UnicodeEncodeError:
            raise ConfigError([Problem(str(self.path), "", "a text in it is not Unicode")]) from None
        except OSError as error:
            words = f"the change cannot be kept beside the file: {error.strerror or error}"
            raise ConfigError([Problem(str(self.path), "", words)]) from error
        return name

    def find(self, name: str) -> Pending | None:
        """The change of that id; None if there is none, or none any more."""
        if not _ID.fullmatch(name):
            return None
        try:
            return msgspec.json.decode(self._place(name).read_bytes(), type=Pending)
        except (OSError, msgspec.DecodeError):
            return None

    def drop(self, name: str) -> None:
        """After the call there is no change of that id."""
        if _ID.fullmatch(name):
            with contextlib.suppress(OSError):  # it is private, and goes by itself later
                self._place(name).unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.name}.change-{name}")

    def _remove_old(self) -> None:
        form = re.compile(re.escape(self.path.name) + rf"\.change-{_ID.pattern}")
        with os.scandir(self.path.parent) as entries:
            found = [entry for entry in entries if form.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)]
        by_age = sorted(found, key=lambda entry: entry.stat().st_mtime, reverse=True)
        oldest = time.time() - LIFETIME
        for number, entry in enumerate(by_age):
            if number >= KEPT - 1 or entry.stat().st_mtime < oldest:
                Path(entry.path).unlink(missing_ok=True)
