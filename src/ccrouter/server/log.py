"""The log: JSON lines, one an exchange, facts only. No content, no key; nothing is formatted that is not written."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec

from ccrouter.config.schema import LogLevel
from ccrouter.gateway.record import Exchange

_RANK: dict[str, int] = {"trace": 10, "debug": 20, "info": 30, "warn": 40, "error": 50, "fatal": 60}

#: Clients count before many of their requests: such lines would hide the others.
_COUNTING = "/v1/messages/count_tokens"


class ExchangeLog:
    """Appends to a file. A disk that is full or gone costs log lines, never a request; that is said once, on stderr."""

    def __init__(self, path: Path, level: LogLevel) -> None:
        self._path = path
        self._rank = _RANK[level]
        self._file: IO[bytes] | None = None
        self._has_complained = False
        self._open()

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
            line["attempts"] = [{"target": one.target, "failure": one.failure} for one in exchange.attempts]
        if counts := exchange.count_by_fate():
            line["losses"] = counts
        self._put(line)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        try:
            self._file = self._path.open("ab", buffering=0)
        except OSError as error:
            self._complain(error)

    def _put(self, line: dict[str, object]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(msgspec.json.encode(line) + b"\n")
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            self._has_complained = True
            words = error.strerror or error
            print(f"ccr: the log {self._path} cannot be written: {words}", file=sys.stderr)  # noqa: T201 - no log


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
