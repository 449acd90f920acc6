"""The log: JSON lines, one an exchange, facts only. No content, no key; nothing is formatted that is not written."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ccrouter.config.schema import LogFiles, LogLevel
from ccrouter.gateway.record import Exchange
from ccrouter.logs.files import is_open_as, put_away
from ccrouter.logs.reading import RANKS

#: Seconds between two tries to write what cannot be written, and between two looks at whether the file is in place.
_PAUSE = 1.0
#: For how long after a fault the next one is counted, but not told again.
_QUIET = 60.0
#: Seconds after which it is tried again to put away a log that could not be.
_LATER = 60.0
_MEGABYTE = 1024 * 1024
#: Clients count before many of their requests: such lines would hide the others.
_COUNTING = "/v1/messages/count_tokens"


class ExchangeLog:
    """Appends to a file. A disk that is full or gone costs log lines, never a request.

    That is said once, on stderr, and once more when it is over, there and in the log, with the number of lines lost. A
    file that was put away or removed is made anew, and with it the folder that it was in. One that has grown as `files`
    says is put away within a second, by one of those who write to it. `clock` counts seconds.
    """

    def __init__(
        self,
        path: Path,
        level: LogLevel,
        clock: Callable[[], float] = time.monotonic,
        *,
        files: LogFiles = LogFiles(),  # noqa: B008 - immutable
    ) -> None:
        self.path = path
        self._rank = RANKS[level]
        self._files = files
        self._clock = clock
        self._alone = threading.Lock()
        self._file = -1
        self._looked = 0.0
        self._put_away_from = 0.0
        self._is_closed = False
        self._lost = 0
        self._is_torn = False
        self._next_try = 0.0
        self._quiet_until = 0.0
        self._has_complained = False
        try:
            self._open()
        except OSError as error:
            self._fail(error)

    def set_level(self, level: LogLevel) -> None:
        """After the call lines of at least `level` are written."""
        self._rank = RANKS[level]

    def set_files(self, files: LogFiles) -> None:
        """After the call the file is put away by what `files` says."""
        self._files = files

    def event(self, level: LogLevel, message: str, **facts: object) -> None:
        """A line about the router itself."""
        if RANKS[level] >= self._rank:
            self._put({"level": RANKS[level], "time": _now(), "msg": message, **facts})

    def write(self, exchange: Exchange) -> None:
        """A line about one exchange: at level info, at debug for mere counts of tokens, at warn if it failed."""
        level = RANKS["debug" if exchange.path == _COUNTING else "info"] if exchange.status < 400 else RANKS["warn"]
        if level < self._rank:
            return
        usage = exchange.usage
        line: dict[str, object] = {
            "level": level,
            "time": _now(),
            "msg": "exchange",
            "reqId": exchange.id,
            "path": exchange.path,
            "status": exchange.status,
            "asked": exchange.asked,
            "route": exchange.route,
            "reason": exchange.reason,
            "response": {"provider": exchange.provider, "model": exchange.answered or exchange.sent},
            "session": exchange.session,
            "streamed": exchange.streamed,
            "bytes": exchange.size,
            "tokens": {
                "input": usage.input_tokens,
                "output": usage.output_tokens,
                "cacheRead": usage.cache_read_input_tokens,
                "cacheWrite": usage.cache_creation_input_tokens,
            },
            "ttftMs": None if exchange.ttft is None else round(exchange.ttft * 1000, 1),
            "totalMs": round(exchange.total * 1000, 1),
        }
        if exchange.stop_reason:
            line["stopReason"] = exchange.stop_reason
        if exchange.upstream_id:
            line["upstreamId"] = exchange.upstream_id
        if exchange.client:
            line["client"] = exchange.client
        if exchange.error:
            line["error"] = exchange.error
        if len(exchange.attempts) > 1:
            line["attempts"] = [
                {
                    "target": one.target,
                    "key": one.key,
                    "waitedMs": round(one.waited * 1000, 1),
                    "kind": one.kind,
                    "failure": one.failure,
                }
                for one in exchange.attempts
            ]
        if exchange.resumed:
            line["resumed"] = exchange.resumed
        if counts := exchange.count_by_fate():
            line["losses"] = counts
        self._put(line)

    def close(self) -> None:
        """After the call nothing more is written."""
        with self._alone:
            self._is_closed = True
            self._let_go()

    # -- the file ----------------------------------------------------------------------------------------------------

    def _put(self, line: dict[str, object]) -> None:
        data = msgspec.json.encode(line) + b"\n"
        with self._alone:  # other threads have things to tell too, and the file changes under way
            self._put_alone(data)

    def _put_alone(self, data: bytes) -> None:
        if self._is_closed:
            return
        now = self._clock()
        if self._lost and now < self._next_try:  # a disk that is gone may take its time to say so
            self._lost += 1
            return
        try:
            if self._file < 0:
                self._open()
            elif now - self._looked >= _PAUSE:
                self._look(now)
            if self._lost:
                self._tell_of_the_end()
            self._write(data)
        except OSError as error:
            self._fail(error)

    def _open(self) -> None:
        """Open the file, made if it is not there. Raises OSError."""
        self._let_go()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            self._file = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)  # that folder alone: one above it was meant to go
            self._file = os.open(self.path, flags, 0o600)
        self._looked = self._clock()

    def _look(self, now: float) -> None:
        """After the call what is open is the file of our name, and not too large. Raises OSError."""
        self._looked = now
        if not is_open_as(self.path, self._file):
            self._open()
        elif now >= self._put_away_from and os.fstat(self._file).st_size >= self._files.megabytes * _MEGABYTE:
            self._put_away(now)

    def _put_away(self, now: float) -> None:
        """After the call the file of our name is another one; where it cannot be, it grows on. Raises OSError."""
        if sys.platform == "win32":  # nothing is renamed there that is open
            self._let_go()
        try:
            name = put_away(self.path, self._file, self._files.keep)
        except OSError as error:
            self._put_away_from = now + _LATER
            say(f"ccr: the log {self.path} is large and cannot be put away: {error.strerror or error}")
            name = ""
        self._open()
        if name and self._rank <= RANKS["info"]:
            facts = {"level": RANKS["info"], "time": _now(), "msg": "the log goes on", "putAway": name}
            self._write(msgspec.json.encode(facts) + b"\n")

    def _write(self, data: bytes) -> None:
        """Write a whole line. Raises OSError; the part of one that a full disk took is taken back, or ended."""
        if self._is_torn:
            data = b"\n" + data
        written = os.write(self._file, data)
        self._is_torn = False
        if written == len(data):
            return
        try:
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
        except OSError:
            self._is_torn = True
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _let_go(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            with contextlib.suppress(OSError):  # what a network's disk only now finds that it could not write is lost
                os.close(file)

    # -- what is said of it ------------------------------------------------------------------------------------------

    def _fail(self, error: OSError) -> None:
        now = self._clock()
        self._lost += 1
        self._next_try = now + _PAUSE
        if not self._has_complained and now >= self._quiet_until:
            self._has_complained = True
            say(f"ccr: the log {self.path} cannot be written: {error.strerror or error}")

    def _tell_of_the_end(self) -> None:
        """Say, in the log first, that it can be written again. Raises OSError if it cannot."""
        facts = {"level": RANKS["warn"], "time": _now(), "msg": "the log can be written again", "lost": self._lost}
        self._write(msgspec.json.encode(facts) + b"\n")
        lost, self._lost = self._lost, 0
        if self._has_complained:
            self._has_complained = False
            self._quiet_until = self._clock() + _QUIET  # a disk at its limit comes and goes
            words = "line was" if lost == 1 else "lines were"
            say(f"ccr: the log {self.path} can be written again; {lost} {words} lost")


def say(text: str) -> None:
    """A line on stderr, if anybody can still be told anything there."""
    with contextlib.suppress(OSError, ValueError):  # a full disk behind it too, a closed pipe: no request fails by that
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - there is no log


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
