"""`retry` and `limits` of the file → how hard a request is tried, and what the router takes on at a time."""

from __future__ import annotations

from ccrouter.config.record import Record
from ccrouter.config.schema import DEFAULT_MAX_BODY, Limits, Retries


def read_retries(top: Record) -> Retries:
    """What `retry` says; where it says nothing, the defaults."""
    said: Record | None = top.get("retry")
    default = Retries()
    if said is None:
        return default
    return Retries(
        again=said.get("again", default.again),
        wait=float(said.get("waitSeconds", default.wait)),
        attempts=said.get("attempts", default.attempts),
        open_after=said.get("openAfter", default.open_after),
        open_seconds=float(said.get("openSeconds", default.open_seconds)),
    )


def read_limits(top: Record) -> Limits:
    """What `limits` says; where it says nothing, the defaults, with room for at least one request of the largest size.

    A memory in which the largest request has no place is refused: it could never be served.
    """
    default = Limits()
    largest: int = top.get("maxBodyBytes", DEFAULT_MAX_BODY)
    room = max(default.buffered_bytes, largest)
    said: Record | None = top.get("limits")
    if said is None:
        return Limits(buffered_bytes=room)
    buffered: int = said.get("bufferedBytes", room)
    if buffered < largest:
        said.at("bufferedBytes").refuse(
            f"must not be less than maxBodyBytes ({largest}): a request of that size could never be taken",
            'write a smaller "maxBodyBytes" too',
        )
    return Limits(
        concurrent=said.get("concurrent", default.concurrent),
        per_client=said.get("perClient", default.per_client),
        header_bytes=said.get("headerBytes", default.header_bytes),
        read_seconds=float(said.get("readSeconds", default.read_seconds)),
        buffered_bytes=buffered,
    )
