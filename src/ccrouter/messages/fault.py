"""Any error as the Messages API would put it: one exhaustive match, and nowhere else a decision on statuses."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ccrouter.errors import (
    ClientError,
    ConfigError,
    Denied,
    ErrorType,
    LocalProtocolError,
    NoTarget,
    NotAuthorized,
    RemoteProtocolError,
    RouterError,
    UpstreamStatus,
    UpstreamUnreachable,
)
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.events import ErrorBody, ErrorEvent

#: HTTP status → `error.type` (platform.claude.com/docs/en/api/errors); other 4xx are invalid requests, 5xx api_error.
TYPE_BY_STATUS: dict[int, ErrorType] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
#: The reverse: the status that a Messages client expects with a type.
STATUS_BY_TYPE: dict[ErrorType, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "api_error": 500,
    "overloaded_error": 529,
}


def type_of_status(status: int) -> ErrorType:
    """The Messages API's word for an HTTP status."""
    return TYPE_BY_STATUS.get(status, "invalid_request_error" if status < 500 else "api_error")


@dataclass(frozen=True, slots=True)
class Fault:
    """An error in Messages terms. `retry_after` in seconds; `should_retry` is sent as a header where it is not None;
    `body` is a provider's own Messages-shaped error, passed on as it is.
    """

    status: int
    type: ErrorType
    message: str
    retry_after: float | None = None
    should_retry: bool | None = None
    details: JsonObject | None = None
    body: bytes | None = None

    @property
    def error(self) -> ErrorBody:
        return ErrorBody(self.type, self.message, self.details)

    def event(self) -> ErrorEvent:
        """For a stream that has begun."""
        return ErrorEvent(self.error)

    def json(self, request_id: str) -> bytes:
        """For an answer that has not."""
        if self.body is not None:
            return self.body
        return msgspec.json.encode({"type": "error", "error": self.error, "request_id": request_id})


def fault_of(error: RouterError) -> Fault:
    """The error as the client is to see it. Never a stack trace, never a file path of ours."""
    text = str(error)
    match error:
        case NotAuthorized(status=status, type=kind):
            # A wrong key stays wrong: without this header Claude Code tries for three minutes.
            return Fault(status, kind, text, should_retry=False)
        case ClientError(status=status, type=kind, details=details):
            return Fault(status, kind, text, details=details)
        case Denied():
            return Fault(403, "permission_error", text, should_retry=False)
        case NoTarget(status=status):
            return Fault(status, type_of_status(status), text)
        case UpstreamStatus(status=status, type=kind, retry_after=seconds, body=body):
            # A key that the provider refuses stays refused, as our own does.
            is_final = False if status == 401 else None
            return Fault(status, kind, text, retry_after=seconds, should_retry=is_final, body=body)
        case UpstreamUnreachable(kind="first_byte" | "idle" | "total"):
            return Fault(504, "timeout_error", text)
        case UpstreamUnreachable(kind="local"):
            return Fault(503, "overloaded_error", text)
        case UpstreamUnreachable() | RemoteProtocolError():
            return Fault(502, "api_error", text)
        case LocalProtocolError() | ConfigError():
            return Fault(500, "api_error", text)
        case _:
            return Fault(500, "api_error", text)
