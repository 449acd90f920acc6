"""The HTTP client library's exceptions as our own errors. Beside client.py the only place that knows that library."""

from __future__ import annotations

import errno
import ssl
from typing import Literal

import aiohttp

from ccrouter.config.schema import Provider, Timeouts
from ccrouter.errors import RemoteProtocolError, UpstreamUnreachable

#: What a time-out may have been waiting for.
Waiting = Literal["first_byte", "idle", "total"]

#: What the system says when this machine has nothing left to connect with: then no provider is to blame.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def failure_for(
    error: Exception, provider: Provider, waiting: Waiting = "first_byte"
) -> UpstreamUnreachable | RemoteProtocolError:
    """The library's exception as ours; `waiting` says what a time-out was waiting for. The text names the provider and
    what to look at, never a header or a key.
    """
    name = provider.name
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            detail = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
            return UpstreamUnreachable(f"{name}: no secure connection: {detail}", kind="tls", provider=name)
        case aiohttp.ClientConnectorDNSError():
            return UpstreamUnreachable(
                f"{name}: the host name {error.host} cannot be resolved", kind="dns", provider=name
            )
        case aiohttp.ConnectionTimeoutError():
            words = f"no connection within {provider.timeouts.connect:g} s (timeouts.connect of the provider)"
            return UpstreamUnreachable(f"{name}: {words}", kind="connect", provider=name)
        case TimeoutError():
            words = _patience(provider.timeouts, waiting)
            return UpstreamUnreachable(f"{name}: {words}", kind=waiting, provider=name)
        case aiohttp.ClientConnectorError() if error.os_error.errno in _EXHAUSTED:
            words = f"this machine has no connection to give: {error.os_error.strerror}"
            return UpstreamUnreachable(f"{name}: {words}", kind="local", provider=name)
        case aiohttp.ClientConnectorError():
            return UpstreamUnreachable(
                f"{name}: cannot connect to {error.host}:{error.port}: {error.os_error.strerror or error.os_error}",
                kind="connect",
                provider=name,
            )
        case aiohttp.InvalidURL():
            return UpstreamUnreachable(f"{name}: the URL is not valid", kind="connect", provider=name)
        case aiohttp.ClientPayloadError():
            return RemoteProtocolError(f"{name}: the answer was cut off", provider=name, kind="cut")
        case aiohttp.ClientResponseError():
            return RemoteProtocolError(f"{name}: the answer is not valid HTTP: {error.message[:200]}", provider=name)
        case _:
            return UpstreamUnreachable(f"{name}: the connection broke: {error}", kind="reset", provider=name)


def _patience(limits: Timeouts, waiting: Waiting) -> str:
    """Which limit was passed, and what raises it."""
    match waiting:
        case "first_byte":
            limit, what = limits.first_byte, "no answer began within"
        case "idle":
            limit, what = limits.idle, "silent in the middle of its answer for"
        case "total":
            assert limits.total is not None, "only what is set can be passed"
            return f"the answer was not complete after {limits.total:g} s (timeouts.total of the provider)"
    key = "firstByte" if waiting == "first_byte" else "idle"
    return f"{what} {limit:g} s (timeouts.{key} of the provider, else API_TIMEOUT_MS)"
