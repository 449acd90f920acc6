"""What the served halves of OpenAI's two dialects share: errors, keep-alives, headers. Each adds how it reads."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from ccrouter.dialects.openai_error import error_body, status_of
from ccrouter.messages.fault import Fault

#: Gives an id with the prefix that it is given, which nobody else has.
NewId = Callable[[str], str]


def ids_of(size: int) -> NewId:
    """Random ids with `size` bytes behind their prefix."""
    return lambda prefix: f"{prefix}{secrets.token_hex(size)}"


class ServedOpenAI:
    """As `dialects.served.Served`, without `name` and `read`. `now` gives Unix seconds."""

    def __init__(self, now: Callable[[], float], new_id: NewId) -> None:
        self._now = now
        self._new_id = new_id

    def status(self, fault: Fault) -> int:
        return status_of(fault)

    def error(self, fault: Fault, request_id: str) -> bytes:  # noqa: ARG002 - OpenAI's errors hold none; a header does
        return error_body(fault)

    def keep_alive(self) -> bytes:
        return b": keep-alive\n\n"

    def headers(self, request_id: str) -> Mapping[str, str]:
        return {"x-request-id": request_id}
