"""What the gateway needs of whoever holds the connection to the client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from ccrouter.messages.events import render
from ccrouter.messages.fault import Fault


class Reply(Protocol):
    """The client's side of one exchange.

    `is_committed` is true once content has gone out; `has_begun` once anything has, be it only headers and a
    keep-alive: then an error can no longer be a status. `fault_frames` gives what ends the stream if it fails from now
    on; whoever writes frames in another dialect than Messages sets it.
    """

    is_committed: bool
    has_begun: bool
    fault_frames: Callable[[Fault], bytes]

    def expect_stream(self, headers: Mapping[str, str]) -> None:
        """From now on the client may be kept waiting: headers and keep-alives go out when the silence gets long."""

    async def write(self, frames: bytes) -> None:
        """Send whole frames of a stream, after the headers if they have not gone yet."""

    async def end(self) -> None:
        """The stream is complete."""

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send an unstreamed answer, JSON."""


def error_frame(fault: Fault) -> bytes:
    """The error as the last event of a Messages stream that has begun."""
    return render(fault.event())
