"""The audit as the rest of the server sees it: what must be written down first, and what may be written afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from ccrouter.errors import ClientError, RouterError
from ccrouter.gateway.record import Auditor


@runtime_checkable
class Reporter(Protocol):
    """An Auditor that can be told of what has happened without being waited for."""

    def report(self, kind: str, facts: Mapping[str, object]) -> None:
        """After the call the line is on its way, behind those before it."""


class Account:
    """An Auditor in front of another, or of none. `complain` is told, in one line, what could not be written."""

    def __init__(self, auditor: Auditor | None, complain: Callable[[str], None]) -> None:
        self._auditor = auditor
        self._tell = auditor.report if isinstance(auditor, Reporter) else None if auditor is None else auditor.record
        self._complain = complain

    @property
    def is_kept(self) -> bool:
        """False if there is no auditor: what would be told need not be put together then."""
        return self._auditor is not None

    def record(self, kind: str, facts: Mapping[str, object]) -> None:
        """Write it down. Raises ClientError (503) if that cannot be done: what it is about must not happen then."""
        if self._auditor is None:
            return
        try:
            self._auditor.record(kind, facts)
        except (RouterError, OSError) as error:
            self._complain(f"{kind}: {error}")
            raise ClientError(
                "the audit log cannot be written, and the policy requires it: nothing is served until it can be",
                status=503,
                type="api_error",
            ) from error

    def report(self, kind: str, facts: Mapping[str, object]) -> None:
        """Write down what has happened already: a failure is complained of, and changes nothing."""
        if self._tell is None:
            return
        try:
            self._tell(kind, facts)
        except Exception as error:  # noqa: BLE001 - the answer has been given; nothing may break it any more
            self._complain(f"{kind}: {error}")
