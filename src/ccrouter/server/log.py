"""The log: JSON lines, one an exchange, facts only. No content, no key; nothing is formatted that is not written."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ccrouter.config.schema import LogLevel
from ccrouter.gateway.record import Exchange

_RANK: dict[str, int] = {"trace": 10, "debug": 20, "info": 30, "warn": 40, "error": 50, "fatal": 60}

#: Seconds between two tries to write what cannot be written, and between two looks at whether the file is in place.
_PAUSE = 1.0
#: For how long after a fault the next one is counted, but not told again.
_QUIET = 60.0
#: Clients count before many of their requests: such lines would hide the others.
_COUNTING = "/v1/messages/count_tokens"


class ExchangeLog:
    """Appends to a file. A disk that is full or gone costs log lines, never a request.

    That is said once, on stderr, and once more when it is over, there and in the log, with the number of lines lost. A
    file that was put away or removed is made anew, and with it the folder that it was in. `clock` counts seconds.
    """

    def __init__(self, path: Path, level: LogLevel, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._rank = _RANK[level]
        self._clock = clock
        self._file = -1
        self._place = (0, 0)
        self._looked = 0.0
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
        self._rank = _RANK[level]

    def event(self, level: LogLevel, message: str, **facts: object) -> None:
        """A line about the router itself."""
        if _RANK[level] >= self._rank:
            self._put({"level": _RANK[level], "time": _now(), "msg": message, **facts})

    def write(self, exchange: Exchange) -> None:
        """A line about one exchange: at level info, at debug for mere counts of tokens, at warn if it failed."""
        level = _RANK["debug" if exchange.path == _COUNTING else "info"] if exchange.status < 400 else _RANK["warn"]
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
        self._is_closed = True
        self._let_go()

    # -- the file ----------------------------------------------------------------------------------------------------

    def _put(self, line: dict[str, object]) -> None:
        if self._is_closed:
            return
        now = self._clock()
        if self._lost and now < self._next_try:  # a disk that is gone may take its time to say so
            self._lost += 1
            return
        try:
            if self._file < 0 or (now - self._looked >= _PAUSE and not self._is_in_place(now)):
                self._open()
            if self._lost:
                self._tell_of_the_end()
            self._write(msgspec.json.encode(line) + b"\n")
        except OSError as error:
            self._fail(error)

    def _open(self) -> None:
        """Open the file, made if it is not there. Raises OSError."""
        self._let_go()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            self._file = os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)  # that folder alone: one above it was meant to go
            self._file = os.open(self._path, flags, 0o600)
        status = os.fstat(self._file)
        self._place, self._looked = (status.st_dev, status.st_ino), self._clock()

    def _is_in_place(self, now: float) -> bool:
        """False if what is open is not the file of our name any more. Looked at once a second."""
        self._looked = now
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == self._place

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
            say(f"ccr: the log {self._path} cannot be written: {error.strerror or error}")

    def _tell_of_the_end(self) -> None:
        """Say, in the log first, that it can be written again. Raises OSError if it cannot."""
        facts = {"level": _RANK["warn"], "time": _now(), "msg": "the log can be written again", "lost": self._lost}
        self._write(msgspec.json.encode(facts) + b"\n")
        lost, self._lost = self._lost, 0
        if self._has_complained:
            self._has_complained = False
            self._quiet_until = self._clock() + _QUIET  # a disk at its limit comes and goes
            words = "line was" if lost == 1 else "lines were"
            say(f"ccr: the log {self._path} can be written again; {lost} {words} lost")


def say(text: str) -> None:
    """A line on stderr, if anybody can still be told anything there."""
    with contextlib.suppress(OSError, ValueError):  # a full disk behind it too, a closed pipe: no request fails by that
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - there is no log


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
