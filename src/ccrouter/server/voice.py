"""What the router says about itself: lines of the log, or stderr where there is none and somebody has to know."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ccrouter.config.schema import Config, LogLevel
from ccrouter.gateway.record import Exchange
from ccrouter.secret import Secret, redact
from ccrouter.server.log import ExchangeLog


class Voice:
    """Speaks through `log`; None: then nothing about exchanges is formatted or written."""

    def __init__(self, log: ExchangeLog | None) -> None:
        self._log = log
        self._level: LogLevel | None = None
        self._publish: Callable[[str], None] | None = None

    @property
    def file(self) -> Path | None:
        """Where the log is; None if there is none."""
        return None if self._log is None else self._log.path

    def exchange(self, exchange: Exchange) -> None:
        """A line about one exchange that is over."""
        if self._log is not None:
            self._log.write(exchange)

    def event(self, level: LogLevel, message: str, **facts: object) -> None:
        """A line of the log, if there is one."""
        if self._log is not None:
            self._log.event(level, message, **facts)

    def note(self, level: LogLevel, message: str, facts: Mapping[str, object]) -> None:
        """As `event`; of what went wrong also where there is no log."""
        if self._log is not None:
            self._log.event(level, message, **facts)
        elif level == "error":
            _print(f"ccr: {message}: {', '.join(f'{name}: {fact}' for name, fact in facts.items())}")

    def defect(self, error: Exception, request_id: str, secrets: Iterable[Secret]) -> None:
        """A defect of ours, with its trace, where its user can find it."""
        trace = redact("".join(traceback.format_exception(error)), list(secrets))
        if self._log is not None:
            self._log.event("error", "a defect of the router", reqId=request_id, trace=trace)
        else:
            _print(trace)

    def audit_complaint(self, why: str) -> None:
        """The audit log cannot be written."""
        if self._log is not None:
            self._log.event("error", "the audit log cannot be written", error=why)
        else:
            _print(f"ccr: the audit log cannot be written: {why}")

    def refused_reload(self, reason: str) -> None:
        """A reload that nobody waits for was refused; the log has had its line about it."""
        if self._log is None:
            _print(f"ccr: the reload was refused: {reason}")

    def follow(self, config: Config) -> None:
        """After the call the log is written as `config` says, whatever was said of its level before."""
        self._level = None
        if self._log is not None:
            self._log.set_level(config.log_level)
            self._log.set_files(config.log_files)

    # -- the level, until the configuration is read again --------------------------------------------------------------

    @property
    def level(self) -> LogLevel | None:
        """The level that was set since the configuration was read; None if that one says which."""
        return self._level

    def publish_to(self, publish: Callable[[str], None]) -> None:
        """From now on `publish` is told of every level that is set here."""
        self._publish = publish

    def set_level(self, level: LogLevel) -> None:
        """After the call lines of at least `level` are written, in all processes, until the next reload."""
        self.take_level(level)
        if self._publish is not None:
            self._publish(level)

    def take_level(self, level: LogLevel) -> None:
        """As `set_level`, in this process: another one was told."""
        self._level = level
        if self._log is not None:
            self._log.set_level(level)


def _print(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - there is no log
