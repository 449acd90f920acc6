"""Every error of the router: one tree, split by whose fault it is. Leaf module: imports nothing of ours.

RouterError
├─ ConfigError            ours: what the user wrote cannot be used; the server never starts with one
├─ ClientError            the client's: 4xx
│   ├─ UnsupportedContent no target can carry this block
│   │   └─ LossyTarget    the target could carry less than this, where no loss is allowed
│   └─ NotAuthorized      wrong or missing router key, foreign Host or Origin
├─ Denied                 a policy says no: 403
├─ NoTarget               nothing can serve this request
├─ UpstreamError          the provider's
│   ├─ UpstreamStatus     it answered with an error status, or an error inside a 200
│   │   └─ Redirected     it sent us to another place
│   ├─ UpstreamUnreachable no answer: DNS, connect, TLS, reset, time-out
│   └─ RemoteProtocolError 200, and then nonsense, or an end without a finish
├─ ExtensionError         the user's own code failed: a transform or a router of theirs
└─ LocalProtocolError     we nearly sent nonsense: a bug of ours
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ccrouter.jsontypes import JsonObject

#: The `error.type` values of the Messages API (platform.claude.com/docs/en/api/errors).
ErrorType = Literal[
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
]

#: How a provider was not reached, or no more; `local`: this machine has no descriptor or memory left for a connection.
Unreachable = Literal["connect", "tls", "dns", "first_byte", "idle", "total", "reset", "local"]
#: How an answer was none.
Broken = Literal["protocol", "cut", "empty"]


class RouterError(Exception):
    """Anything the router reports by itself. `str()` of one is fit for a user's eyes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what the user wrote: where, what, and what to write instead."""

    file: str
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}: {self.path}: " if self.path else f"{self.file}: "
        return place + self.message + (f"\n  hint: {self.hint}" if self.hint else "")


class ConfigError(RouterError):
    """The configuration cannot be used; `problems` holds everything that is wrong with it, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class ClientError(RouterError):
    """The client's request cannot be served as it is."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: ErrorType = "invalid_request_error",  # noqa: A002 - the protocol's own word
        details: JsonObject | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type: ErrorType = type
        self.details = details


class UnsupportedContent(ClientError):
    """Content that the target cannot carry and that must not be dropped; `path` names it in the request."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class LossyTarget(UnsupportedContent):
    """The target could be asked for less only, and nothing may be lost; `paths` are what it would not get as asked."""

    def __init__(self, paths: Sequence[str], message: str) -> None:
        ClientError.__init__(self, message, details={"lost": list(paths)})
        self.path = paths[0]
        self.paths = tuple(paths)


class NotAuthorized(ClientError):
    """The caller may not use this router: no key, a wrong one (401), or a foreign Host or Origin (403)."""

    def __init__(self, message: str, *, status: int = 401) -> None:
        super().__init__(message, status=status, type="authentication_error" if status == 401 else "permission_error")


class Denied(RouterError):
    """A policy forbids it; `rule` names the rule and `allowed` what it would allow."""

    def __init__(self, message: str, *, rule: str, allowed: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.rule = rule
        self.allowed = tuple(allowed)


class NoTarget(RouterError):
    """No provider can serve this: nothing is configured for it, or the model is unknown."""

    def __init__(self, message: str, *, status: int = 404) -> None:
        super().__init__(message)
        self.status = status


class UpstreamError(RouterError):
    """Something went wrong between us and a provider. `provider` is its name, "" while not yet known."""

    provider: str = ""


class UpstreamStatus(UpstreamError):
    """The provider answered with an error, by status or inside a 200.

    `status` is the provider's (or what its error body means where the status says nothing); `type` the Messages
    API's word for it; `retry_after` in seconds if the provider named one; `body` the provider's own Messages-shaped
    error body, to be passed on as it is, or None.
    """

    def __init__(  # noqa: PLR0913 - six facts, all but the message by name
        self,
        message: str,
        *,
        status: int,
        type: ErrorType,  # noqa: A002 - the protocol's own word
        retry_after: float | None = None,
        body: bytes | None = None,
        provider: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type: ErrorType = type
        self.retry_after = retry_after
        self.body = body
        self.provider = provider


class Redirected(UpstreamStatus):
    """The provider sent us elsewhere, where nobody follows: to ask it again would be answered so again."""


class UpstreamUnreachable(UpstreamError):
    """No answer came, or no more of it: `kind` says how it failed (`first_byte`, `idle` and `total` are time-outs)."""

    def __init__(self, message: str, *, kind: Unreachable, provider: str = "") -> None:
        super().__init__(message)
        self.kind: Unreachable = kind
        self.provider = provider


class RemoteProtocolError(UpstreamError):
    """The provider's answer breaks its protocol (`protocol`), ended without saying that it was finished (`cut`), or
    holds nothing at all (`empty`).
    """

    def __init__(self, message: str, *, provider: str = "", kind: Broken = "protocol") -> None:
        super().__init__(message)
        self.kind: Broken = kind
        self.provider = provider


class ExtensionError(RouterError):
    """Code that the user brought raised, hung or gave nonsense. The text names it, its file and line, not its trace."""


class LocalProtocolError(RouterError):
    """We were about to send an ill-formed message: a defect of this program."""
