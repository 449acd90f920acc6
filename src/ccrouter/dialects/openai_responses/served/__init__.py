"""The Responses API as clients speak it: OpenAI's SDKs and agents, Codex. Stateless: nothing is kept for later."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping

from ccrouter.config.schema import DialectName
from ccrouter.dialects.openai_error import error_body, status_of
from ccrouter.dialects.openai_responses.served.reading import ResponsesReading
from ccrouter.messages.fault import Fault


def random_id(prefix: str) -> str:
    """An id that nobody else has."""
    return f"{prefix}{secrets.token_hex(24)}"


class ServedResponses:
    """As `dialects.served.Served`. `now` gives Unix seconds, `new_id` an id with the prefix that it is given."""

    name: DialectName = "openai_responses"

    def __init__(self, now: Callable[[], float] = time.time, new_id: Callable[[str], str] = random_id) -> None:
        self._now = now
        self._new_id = new_id

    def read(self, body: bytes) -> ResponsesReading:
        return ResponsesReading(body, self._now, self._new_id)

    def status(self, fault: Fault) -> int:
        return status_of(fault)

    def error(self, fault: Fault, request_id: str) -> bytes:  # noqa: ARG002 - OpenAI's errors hold none; a header does
        return error_body(fault)

    def keep_alive(self) -> bytes:
        return b": keep-alive\n\n"

    def headers(self, request_id: str) -> Mapping[str, str]:
        return {"x-request-id": request_id}


SERVED = ServedResponses()
