"""How an attempt failed, in one word, told from the error that it raised. Pure; what to do about it is recovery's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ccrouter.errors import (
    Redirected,
    RemoteProtocolError,
    UnsupportedContent,
    UpstreamError,
    UpstreamStatus,
    UpstreamUnreachable,
)

FailureKind = Literal[
    "connect", "dns", "tls", "first_byte", "idle", "total", "reset", "local",
    "rate_limit", "quota", "key", "overloaded", "server", "redirected",
    "empty", "cut", "protocol",
    "too_long", "unsupported", "refused", "missing", "request",
]  # fmt: skip

#: How providers say that a request does not fit the model's window; another model's may be larger.
_OVERFLOW = re.compile(
    r"prompt is too long|maximum context length|context_length_exceeded|context[ _](?:window|length|size)[^.]*exceed"
    r"|exceed\w*[^.]*context (?:window|length|size|limit)|exceeds the maximum number of tokens"
    r"|reduce the length of the (?:messages|prompt)|range of input length should be|prompt exceeds max length"
    r"|input is too long|too many (?:input )?tokens|model_context_window_exceeded",
    re.IGNORECASE,
)
#: How they say with a 429 that the account is used up, where waiting does not help.
_USED_UP = re.compile(r"insufficient_quota|exceeded your current quota|credit balance is too low", re.IGNORECASE)
#: Of a status, what it means where its words do not say more. Other 4xx are the request's own.
_BY_STATUS: dict[int, FailureKind] = {
    401: "key",
    402: "quota",
    403: "refused",
    404: "missing",
    408: "server",
    409: "server",
    425: "server",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong with one attempt. `retry_after` in seconds, where the provider named a time."""

    kind: FailureKind
    status: int = 0
    retry_after: float | None = None


def failure_of(error: UpstreamError | UnsupportedContent) -> Failure:
    """The kind of a failed attempt. An error inside a 200 counts as if it had been the status."""
    match error:
        case UpstreamUnreachable(kind=kind) | RemoteProtocolError(kind=kind):
            return Failure(kind)
        case Redirected(status=status):
            return Failure("redirected", status)
        case UpstreamStatus(status=status, retry_after=seconds):
            return Failure(_kind_of(error), status, seconds)
        case _:
            return Failure("unsupported" if isinstance(error, UnsupportedContent) else "protocol")


def is_context_overflow(error: UpstreamStatus) -> bool:
    """True if the provider refused the request for its length in tokens."""
    return error.status in (400, 413, 422) and _OVERFLOW.search(str(error)) is not None


def _is_used_up(error: UpstreamStatus) -> bool:
    """Gemini says so of a limit per minute, too, and when to come back: then it is a limit."""
    return error.retry_after is None and _USED_UP.search(str(error)) is not None


def _kind_of(error: UpstreamStatus) -> FailureKind:
    if is_context_overflow(error):
        return "too_long"
    if error.status == 429 and (error.type == "billing_error" or _is_used_up(error)):
        return "quota"
    kind = _BY_STATUS.get(error.status)
    if kind is not None:
        return kind
    if error.type == "overloaded_error":
        return "overloaded"
    return "server" if error.status >= 500 else "request"
