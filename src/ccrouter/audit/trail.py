"""The writer of the audit trail: facts in, sealed lines out, one chain a port. What cannot be recorded is said."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ccrouter.audit.chain import KINDS, OWN_KINDS, RESERVED, Link, encode, removal
from ccrouter.audit.facts import Cleaner
from ccrouter.audit.files import ChainFiles
from ccrouter.audit.ledger import Ledger
from ccrouter.audit.retention import Surplus, find_surplus
from ccrouter.audit.tail import newest_policy
from ccrouter.errors import RouterError
from ccrouter.secret import Secret

#: Bytes after which a file is put away and the next one begun.
ROTATION_SIZE = 64 * 1024 * 1024
_PAUSE = 1.0  # seconds between two tries to open what could not be opened or written


class AuditUnavailable(RouterError):
    """A record that the policy requires cannot be written."""


class AuditTrail:
    """The chain of the router on `port`, in `folder`; locked until `close`. Not for use by several threads.

    Where the trail `is_required`, what cannot be recorded raises AuditUnavailable, here and in `record`; where not, it
    is said once by `tell` (stderr), counted, and the number is in the next line that can be written; and old files
    are removed then (`find_surplus`), which is on record. `clock` gives
    seconds since the epoch. Texts are searched for `secrets`, and for what has the shape of a key.

    `last_policy_digest` is the `policy` of the newest line that has one as text, None if no line of the last two files
    has.
    """

    def __init__(  # noqa: PLR0913 - the place by position, how it is done by name
        self,
        folder: Path,
        port: int,
        *,
        is_required: bool,
        clock: Callable[[], float] = time.time,
        secrets: Iterable[Secret] = (),
        limit: int = ROTATION_SIZE,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.last_policy_digest: str | None = None
        self._files = ChainFiles(folder, port)
        self._is_required = is_required
        self._clock = clock
        self._limit = limit
        self._tell = tell or _tell_on_stderr
        self._told: set[str] = set()
        self._known: Link | None = None
        self._missed = 0
        self._next_try = 0.0
        self._why = ""
        self._is_closed = False
        self._ledger: Ledger | None = None
        self.protect(secrets)
        try:
            self._ledger = self._open()
            self.last_policy_digest = newest_policy([self._files.live, *self._files.rotated()[-1:]])
        except OSError as error:
            self._note(error)
            self._refuse()

    @property
    def head(self) -> Link | None:
        """The newest line, None before there was one: to be noted where the owner of the files cannot write."""
        newest = self._ledger.newest if self._ledger else self._known
        return newest if newest and newest.seq else None

    def protect(self, secrets: Iterable[Secret]) -> None:
        """After the call `secrets`, and no others, are what texts are searched for."""
        self._cleaner = Cleaner(secrets)

    def require(self) -> None:
        """After the call the trail is required, until it is closed. May be called from any thread.

        Raises AuditUnavailable, and leaves the trail as it was, if it is not being written at present.
        """
        if self._ledger is None:
            raise AuditUnavailable(f"the audit log cannot be written ({self._why}), and the policy requires it")
        self._is_required = True

    def record(self, kind: str, facts: Mapping[str, object]) -> None:
        """After the call a line of `kind` with `facts` is in the file, or AuditUnavailable is raised, or, where the
        trail is not required, the line counts as missed.

        A wrong `kind`, a fact with the name of a member, and what is not plain JSON are errors of the caller:
        ValueError and TypeError.
        """
        if kind not in KINDS - OWN_KINDS:
            raise ValueError(f"there is no audit record of kind {kind!r}")
        if not RESERVED.isdisjoint(facts):
            raise ValueError(f"facts cannot be named {', '.join(sorted(RESERVED & set(facts)))}")
        cleaned = self._cleaner.clean(facts)
        try:
            ledger = self._usable()
            if ledger is not None:
                line, link = encode(ledger.newest, self._now(), kind, cleaned, self._missed)
                rotated = ledger.rotated
                ledger.append(line, link)
                self._missed = 0
                policy = cleaned.get("policy")
                if isinstance(policy, str):
                    self.last_policy_digest = policy
                if ledger.rotated != rotated and not self._is_required:
                    self._remove_old(ledger)
                return
        except OSError as error:
            self._note(error)
        self._refuse()
        self._missed += 1

    def close(self) -> None:
        """After the call nothing more is recorded and another process may go on with the chain."""
        self._is_closed = True
        self._why = "it is closed"
        try:
            self._release()
        except OSError as error:
            self._complain(error.strerror or str(error))

    def _remove_old(self, ledger: Ledger) -> None:
        """The files that nobody asks for go, each after that is on record. Raises OSError if it cannot be written."""
        while (surplus := self._surplus()) is not None:
            line, link = removal(ledger.newest, self._now(), surplus.last)
            ledger.append(line, link)
            try:
                surplus.path.unlink(missing_ok=True)
            except OSError as error:  # no line is lost by it
                self._say(f"ccr: the old audit file {surplus.path} cannot be removed: {error.strerror or error}")
                return

    def _surplus(self) -> Surplus | None:
        try:
            return find_surplus(self._files)
        except OSError as error:  # somebody has just put one away, or it cannot be read: the next rotation looks again
            self._say(f"ccr: old audit files in {self._files.folder} cannot be read: {error.strerror or error}")
            return None

    # -- keeping the files open ----------------------------------------------------------------------------------------

    def _usable(self) -> Ledger | None:
        """The ledger, opened anew if its files are not in place any more; None if it is not the time to try."""
        if self._ledger is not None:
            if self._ledger.is_in_place():
                return self._ledger
            self._release()
        elif self._is_closed or 0 < self._next_try - self._clock() <= _PAUSE:
            return None
        self._ledger = self._open()
        return self._ledger

    def _open(self) -> Ledger:
        ledger = Ledger(self._files, self._now, self._limit, self._known)
        if ledger.found:
            self._say(
                f"ccr: the audit chain {self._files.live} is broken: {ledger.found}; `ccr audit verify` tells where"
            )
        return ledger

    def _release(self) -> None:
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            self._known = ledger.newest if ledger.newest.seq else self._known
            ledger.close()

    # -- what cannot be recorded ---------------------------------------------------------------------------------------

    def _note(self, error: OSError) -> None:
        self._why = error.strerror or str(error)
        self._next_try = self._clock() + _PAUSE
        try:
            self._release()
        except OSError as second:
            self._why += f"; {second.strerror or second}"

    def _refuse(self) -> None:
        if self._is_required:
            raise AuditUnavailable(f"the audit log cannot be written ({self._why}), and the policy requires it")
        self._complain(self._why)

    def _complain(self, why: str) -> None:
        self._say(f"ccr: the audit log {self._files.live} cannot be written: {why}")

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)

    def _now(self) -> str:
        moment = datetime.fromtimestamp(self._clock(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _tell_on_stderr(text: str) -> None:
    if sys.stderr is not None:  # a process without a terminal may have none
        print(text, file=sys.stderr)  # noqa: T201 - what cannot be recorded can only be said here
