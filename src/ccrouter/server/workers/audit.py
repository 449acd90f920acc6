"""One audit trail for several processes: the supervising one writes it, the workers have it written, and wait for that.

A record is in the file when `record` returns, as in a single process: what must be recorded is so before anything is
sent. What has happened already is told and not waited for.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from ccrouter.audit.trail import AuditTrail, AuditUnavailable
from ccrouter.secret import Secret

#: Seconds that a worker waits for a record to be written.
PATIENCE = 10.0
#: Kinds that are told of the service and not of a worker: who supervises the workers records them.
_OF_SERVICE = frozenset({"start", "stop"})
_HEAD = 4
_LARGEST = 16 * 1024 * 1024


class _Order(msgspec.Struct, frozen=True, array_like=True):
    """What a worker wants done; it does not wait for number 0. `secrets` are those of `protect`, in the clear, between
    two of our own processes.
    """

    number: int
    what: Literal["record", "protect", "require"]
    kind: str = ""
    facts: bytes = b""
    secrets: tuple[str, ...] = ()


class _Done(msgspec.Struct, frozen=True, array_like=True):
    """What became of an order: `wrong` is "" if it was carried out. `is_required`: a worker has made the trail so."""

    number: int
    wrong: Literal["", "unavailable", "value", "type"] = ""
    why: str = ""
    is_required: bool = False


class AuditDesk:
    """Carries out what workers want of `trail`, one after another. The trail is used by nobody else meanwhile, but
    through this: `record`. `complain` is told of what cannot be written, where no worker waits to hear it.
    """

    def __init__(self, trail: AuditTrail, secrets: Iterable[Secret], complain: Callable[[str], None]) -> None:
        self._trail = trail
        self._complain = complain
        self._threads: list[threading.Thread] = []
        self._is_required = False
        self._lock = threading.Lock()
        self._known = {secret.reveal() for secret in secrets}

    def record(self, kind: str, facts: Mapping[str, object]) -> None:
        """As AuditTrail's."""
        with self._lock:
            self._trail.record(kind, facts)

    def attend(self, sock: socket.socket) -> None:
        """From now on a thread serves the worker at the other end of `sock`, until that one closes it."""
        thread = threading.Thread(target=self._serve, args=(sock,), name="ccr-audit", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def finish(self, seconds: float = PATIENCE) -> None:
        """To be called when no worker lives: after the call what they have told is written."""
        for thread in self._threads:
            thread.join(seconds)

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            while True:
                try:
                    packed = _read(sock)
                    if packed is None:
                        return
                    done = self._carry_out(_orders.decode(packed))
                    if done.number:
                        _write(sock, msgspec.msgpack.encode(done))
                    elif done.wrong:
                        self._complain(done.why)
                except OSError:  # killed while it waited: nobody is left to tell
                    return

    def _carry_out(self, order: _Order) -> _Done:
        try:
            with self._lock:
                match order.what:
                    case "record":
                        self._trail.record(order.kind, msgspec.json.decode(order.facts))
                    case "protect":  # what was secret stays so: requests under way know it
                        self._known.update(order.secrets)
                        self._trail.protect([Secret(text) for text in sorted(self._known)])
                    case "require":
                        self._trail.require()
                        self._is_required = True
        except AuditUnavailable as error:
            return _Done(order.number, "unavailable", str(error))
        except ValueError as error:
            return _Done(order.number, "value", str(error))
        except TypeError as error:
            return _Done(order.number, "type", str(error))
        return _Done(order.number, is_required=self._is_required)


class DistantTrail:
    """The trail as a worker has it: `record`, `protect` and `require` as AuditTrail's, by any thread.

    `is_required` as the trail's: where it is not, what cannot be recorded for want of a supervising process is passed
    over, as such a process has ended and this one is about to. `silent` is called if it lives and does not answer:
    nothing is recorded from then on, so another worker is to take this one's place.
    """

    def __init__(
        self, sock: socket.socket, *, is_required: bool, silent: Callable[[], None], patience: float = PATIENCE
    ) -> None:
        self._silent = silent
        sock.settimeout(patience)
        self._sock = sock
        self._is_required = is_required
        self._lock = threading.Lock()
        self._last = 0
        self._is_broken = False

    def record(self, kind: str, facts: Mapping[str, object]) -> None:
        """After the call it is in the file, or AuditUnavailable is raised, or it counts as missed."""
        if kind in _OF_SERVICE:
            return
        self._order("record", kind=kind, facts=msgspec.json.encode(facts))

    def report(self, kind: str, facts: Mapping[str, object]) -> None:
        """After the call it is on its way, behind what was recorded before. Raises AuditUnavailable if it cannot be."""
        if kind not in _OF_SERVICE:
            self._order("record", kind=kind, facts=msgspec.json.encode(facts), is_waited_for=False)

    def protect(self, secrets: Iterable[Secret]) -> None:
        """After the call texts are searched for `secrets` too."""
        self._order("protect", secrets=tuple(secret.reveal() for secret in secrets))

    def require(self) -> None:
        """After the call the trail is required. Raises AuditUnavailable if it is not being written at present."""
        self._order("require", must=True)
        self._is_required = True

    def _order(  # noqa: PLR0913 - the parts of an order, by name
        self,
        what: Literal["record", "protect", "require"],
        *,
        kind: str = "",
        facts: bytes = b"",
        secrets: tuple[str, ...] = (),
        must: bool = False,
        is_waited_for: bool = True,
    ) -> None:
        try:
            with self._lock:
                self._last += 1
                done = self._exchange(_Order(self._last if is_waited_for else 0, what, kind, facts, secrets))
        except OSError as error:
            self._is_broken = True
            if self._is_required or must:
                raise AuditUnavailable(
                    f"the audit log cannot be written ({error}), and the policy requires it"
                ) from error
            return
        self._is_required = self._is_required or done.is_required
        match done.wrong:
            case "unavailable":
                raise AuditUnavailable(done.why)
            case "value":
                raise ValueError(done.why)
            case "type":
                raise TypeError(done.why)

    def _exchange(self, order: _Order) -> _Done:
        """Raises OSError if nobody answers; then and from then on, as what comes later would be for another."""
        if self._is_broken:
            raise OSError("the supervising process did not answer")
        try:
            _write(self._sock, msgspec.msgpack.encode(order))
            if not order.number:
                return _Done(0)
            packed = _read(self._sock)
        except TimeoutError as error:
            self._silent()
            raise OSError("the supervising process does not answer") from error
        if packed is None:
            raise OSError("the supervising process is gone")
        return _dones.decode(packed)


_orders = msgspec.msgpack.Decoder(_Order)
_dones = msgspec.msgpack.Decoder(_Done)


def _write(sock: socket.socket, packed: bytes) -> None:
    sock.sendall(len(packed).to_bytes(_HEAD) + packed)


def _read(sock: socket.socket) -> bytes | None:
    """The next message; None if the other end closed. Raises OSError, TimeoutError too."""
    head = _exactly(sock, _HEAD)
    if head is None:
        return None
    size = int.from_bytes(head)
    if size > _LARGEST:
        raise OSError("a message is too long")
    return _exactly(sock, size)


def _exactly(sock: socket.socket, size: int) -> bytes | None:
    got = b""
    while len(got) < size:
        piece = sock.recv(size - len(got))
        if not piece:
            return None
        got += piece
    return got
