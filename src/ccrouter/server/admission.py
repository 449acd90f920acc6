"""How much a router takes on at a time: requests in work, of all clients and of each, and bytes of bodies held. Of one
that is several processes each counts its own, and is told what the others have.

What is counted is given back when the request that it was counted for ends, however it ends: a `Stay` is a context
manager, and nothing else counts. Knows nothing of HTTP and of what requests ask for.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from ccrouter.config.schema import Limits
from ccrouter.errors import ClientError, ErrorType
from ccrouter.jsontypes import JsonObject

#: When somebody who was turned away may come again, in seconds.
_SOON = 1.0
#: A client whose own requests are too many waits for one of them to end, which takes a while.
_LATER = 2.0


class Busy(ClientError):
    """There is no room for this request now; `retry_after` in seconds."""

    def __init__(self, message: str, *, status: int, type: ErrorType, retry_after: float) -> None:  # noqa: A002 - the protocol's own word
        super().__init__(message, status=status, type=type)
        self.retry_after = retry_after


class Load(msgspec.Struct, frozen=True, array_like=True):
    """What one process has in work: requests, bytes of bodies, and requests by client, told as a hash."""

    requests: int = 0
    bytes: int = 0
    clients: dict[str, int] = {}


class Admission:
    """Counts what is in work. `limits` gives those in force; a reload that lowers them ends nothing that has begun."""

    def __init__(self, limits: Callable[[], Limits]) -> None:
        self._limits = limits
        self._salt = secrets.token_bytes(16)
        self._requests = 0
        self._most = 0
        self._bytes = 0
        self._clients: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._others: dict[int, Load] = {}
        self._elsewhere = Load()
        self._changed: Callable[[], None] | None = None

    def share(self, salt: bytes, changed: Callable[[], None]) -> None:
        """From now on `changed` is called when the load is another one. `salt` is the same in all processes that tell
        each other their loads: a client is known by the same hash then.
        """
        self._salt = salt
        self._changed = changed

    @property
    def load(self) -> Load:
        """What is in work in this process."""
        return Load(self._requests, self._bytes, dict(self._clients))

    def note_other(self, process: int, load: Load | None) -> None:
        """After the call `load` is what another process has in work; None if that one has ended."""
        self._others.pop(process, None)
        if load is not None:
            self._others[process] = load
        loads = self._others.values()
        clients: Counter[str] = Counter()
        for one in loads:
            clients.update(one.clients)
        self._elsewhere = Load(sum(one.requests for one in loads), sum(one.bytes for one in loads), clients)

    def _note(self) -> None:
        if self._changed is not None:
            self._changed()

    def stay(self, *, is_bounded: bool) -> Stay:
        """For one request. Where it is not bounded (an operator has to get in always), nothing is counted for it."""
        return Stay(self if is_bounded else None)

    def snapshot(self) -> JsonObject:
        """The counts: what is in work and held now, the most that was in work at once, who was refused and by what."""
        return {
            "requests": self._requests,
            "mostRequests": self._most,
            "clients": len(self._clients),
            "bufferedBytes": self._bytes,
            "refused": {name: self._refused[name] for name in ("concurrent", "perClient", "bufferedBytes")},
        }

    def _enter(self, client: Callable[[], str]) -> str:
        """Count one request more; what it was counted under, "" for no client. Raises Busy."""
        limits = self._limits()
        if self._requests + self._elsewhere.requests >= limits.concurrent:
            raise self._busy(
                "concurrent",
                f"this router has {limits.concurrent} requests in work, as many as `limits.concurrent` in its config "
                "lets it have",
                _SOON,
            )
        name = ""
        if limits.per_client:
            name = hashlib.blake2b(client().encode("utf-8", "surrogatepass"), key=self._salt, digest_size=8).hexdigest()
            if self._clients[name] + self._elsewhere.clients.get(name, 0) >= limits.per_client:
                raise self._busy(
                    "perClient",
                    f"this client has {limits.per_client} requests in work, as many as `limits.perClient` in the "
                    "router's config lets one have",
                    _LATER,
                )
            self._clients[name] += 1
        self._requests += 1
        self._most = max(self._most, self._requests)
        self._note()
        return name

    def _leave(self, name: str) -> None:
        self._requests -= 1
        if name:
            self._clients[name] -= 1
            if not self._clients[name]:
                del self._clients[name]
        self._note()

    def _hold(self, more: int, held: int) -> None:
        """Count `more` bytes for a request that holds `held`. Raises Busy, or ClientError (413) if it never could."""
        most = self._limits().buffered_bytes
        if held + more > most:
            raise ClientError(
                f"the request body is larger than {most} bytes, all that this router holds of all bodies together "
                "(`limits.bufferedBytes` in the config raises the limit)",
                status=413,
                type="request_too_large",
            )
        if self._bytes + self._elsewhere.bytes + more > most:
            raise self._busy(
                "bufferedBytes",
                f"the bodies of the requests in work fill the {most} bytes that `limits.bufferedBytes` in the router's "
                "config gives them",
                _SOON,
                status=503,
                type="overloaded_error",
            )
        self._bytes += more
        self._note()

    def _give_back(self, size: int) -> None:
        self._bytes -= size
        self._note()

    def _busy(
        self,
        limit: str,
        words: str,
        retry_after: float,
        *,
        status: int = 429,
        type: ErrorType = "rate_limit_error",  # noqa: A002 - the protocol's own word
    ) -> Busy:
        self._refused[limit] += 1
        return Busy(words, status=status, type=type, retry_after=retry_after)


class Stay:
    """What one request takes up. After the `with` that it is used in, nothing."""

    __slots__ = ("_admission", "_client", "_held")

    def __init__(self, admission: Admission | None) -> None:
        self._admission = admission
        self._client: str | None = None
        self._held = 0

    def enter(self, client: Callable[[], str]) -> None:
        """After the call this request is one of those in work, and of those of `client()`. Raises Busy."""
        if self._admission is not None and self._client is None:
            self._client = self._admission._enter(client)  # noqa: SLF001 - two halves of one count

    def hold(self, size: int) -> None:
        """After the call `size` bytes are counted for this request, if it was fewer. Raises Busy, ClientError (413)."""
        if self._admission is not None and size > self._held:
            self._admission._hold(size - self._held, self._held)  # noqa: SLF001 - as above
            self._held = size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        admission, self._admission = self._admission, None
        if admission is None:
            return
        if self._client is not None:
            admission._leave(self._client)  # noqa: SLF001 - as above
        admission._give_back(self._held)  # noqa: SLF001 - as above
