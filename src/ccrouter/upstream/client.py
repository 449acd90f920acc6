"""Sending one request to a provider, and mapping every way in which that can fail to our own errors.

The only module that knows the HTTP client library (aiohttp). Redirects are never followed: a provider that redirects
would take the key and the conversation to a place that nobody approved. Certificates are always verified: there is no
setting for it. Under a policy nothing leaves unjudged: `egress` sees the URL, the proxy and the bytes that go out.
"""

from __future__ import annotations

import asyncio
import io
import os
import ssl
from collections.abc import Mapping
from typing import Protocol

import aiohttp
from yarl import URL

from ccrouter import __version__
from ccrouter.compliance.destination import DRY_RUN_SCHEME
from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.proxies import environment_proxy
from ccrouter.config.schema import Endpoint, Provider
from ccrouter.errors import RemoteProtocolError, UpstreamUnreachable
from ccrouter.upstream.auth import auth_headers
from ccrouter.upstream.dryrun import DryRunResponse
from ccrouter.upstream.egress import JudgedSockets, check_egress, refusals, url_of

#: Never sent upstream, whoever set them: hop-by-hop (RFC 9110 §7.6.1), forwarding traces, and what the client library
#: sets.
NEVER_SENT = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "host", "content-length", "forwarded", "via", "cookie", "x-real-ip",
})  # fmt: skip

#: The client library warns of larger bodies that are bytes, and sends files in pieces.
_LARGE = 1 << 20

#: No connection was made. If an address was excluded on the way, that is the reason to tell.
_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class UpstreamResponse(Protocol):
    """An answer that has begun. `headers` are lower-case."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """The next piece, everything that has arrived; b"" at the end. Raises UpstreamError."""

    def close(self) -> None:
        """Give the connection back, or cut it if the answer was not read to its end. May be called twice."""


class HttpResponse:
    """An UpstreamResponse over HTTP."""

    def __init__(self, response: aiohttp.ClientResponse, provider: Provider) -> None:
        self._response = response
        self._provider = provider.name
        limits = provider.timeouts
        # The library's own time-out is the longer one of the two; a shorter one has to be watched here.
        self._limit = limits.first_byte if limits.first_byte < limits.idle else None
        self._later = limits.idle if limits.idle < limits.first_byte else None
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        try:
            if self._limit is None:
                chunk = await self._response.content.readany()
            else:
                async with asyncio.timeout(self._limit):
                    chunk = await self._response.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _failure(error, self._provider) from error
        self._limit = self._later
        return chunk

    def close(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class UpstreamClient:
    """One connection pool for the life of the process, under one policy. Build it inside the running event loop;
    `close` it at the end.
    """

    def __init__(self, policy: Policy = NO_POLICY) -> None:
        self.policy = policy
        judges_addresses = policy.is_in_force and bool(policy.banned_addresses)
        self._direct = _session(JudgedSockets(policy) if judges_addresses else None)
        # A proxy resolves names itself, and that it may be used is the proxies' rule: its own address is not judged.
        self._by_proxy = _session(None) if judges_addresses else self._direct
        self._proxies: dict[tuple[str, str], URL | None] = {}

    async def close(self) -> None:
        await self._direct.close()
        await self._by_proxy.close()

    async def send(
        self, provider: Provider, endpoint: Endpoint, headers: Mapping[str, str], body: bytes
    ) -> UpstreamResponse:
        """POST `body` to `endpoint` with the provider's key, and return once the answer's headers are here.

        Raises Denied, before anything is connected to, if the policy does not let this leave; LocalProtocolError if it
        cannot be told from the bytes; UpstreamUnreachable. Any status is an answer, redirects included.
        """
        try:
            url = url_of(endpoint)
            proxy = self._proxy(provider, url)
        except ValueError as error:
            raise _failure(aiohttp.InvalidURL(provider.name), provider.name) from error
        if self.policy.is_in_force:
            check_egress(self.policy, provider, endpoint, proxy, body)
        if url.scheme == DRY_RUN_SCHEME:
            return DryRunResponse(body)
        limits = provider.timeouts
        longest = max(limits.idle, limits.first_byte)
        session = self._direct if proxy is None else self._by_proxy
        with refusals() as refused:
            try:
                async with asyncio.timeout(limits.first_byte):
                    response = await session.post(
                        url,
                        data=body if len(body) < _LARGE else io.BytesIO(body),
                        headers=self._headers(provider, endpoint, headers),
                        proxy=proxy,
                        allow_redirects=False,
                        timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect, sock_read=longest),
                    )
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                if refused and isinstance(error, _NOT_CONNECTED):
                    raise refused[0] from error
                raise _failure(error, provider.name) from error
        return HttpResponse(response, provider)

    def _headers(self, provider: Provider, endpoint: Endpoint, headers: Mapping[str, str]) -> dict[str, str]:
        """Least to most particular: ours, the dialect's, the key, what the user configured."""
        merged = {"content-type": "application/json", "user-agent": f"ccrouter/{__version__}"}
        merged.update(headers)
        merged.update(auth_headers(provider, endpoint))
        merged.update((name.lower(), value) for name, value in provider.headers.items())
        return {name: value for name, value in merged.items() if name not in NEVER_SENT}

    def _proxy(self, provider: Provider, url: URL) -> URL | None:
        """The provider's own proxy, else the environment's unless NO_PROXY names the host; never for loopback.

        Raises ValueError for a proxy whose URL is none.
        """
        if provider.proxy is not None:
            return URL(provider.proxy) if provider.proxy else None
        key = (url.scheme, url.raw_authority)
        if key not in self._proxies:
            proxy = environment_proxy(str(url), os.environ)
            self._proxies[key] = URL(proxy) if proxy else None
        return self._proxies[key]


def _session(socket_factory: JudgedSockets | None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, keepalive_timeout=60, ttl_dns_cache=60, ssl=True, socket_factory=socket_factory
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"accept-encoding": "identity"},
        skip_auto_headers=("user-agent", "accept"),
        requote_redirect_url=False,
        read_bufsize=256 * 1024,
    )


def _failure(error: Exception, provider: str) -> UpstreamUnreachable | RemoteProtocolError:
    """The library's exception as ours. The text names the provider and what to look at, never a header or a key."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            detail = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
            return UpstreamUnreachable(f"{provider}: no secure connection: {detail}", kind="tls", provider=provider)
        case aiohttp.ClientConnectorDNSError():
            return UpstreamUnreachable(
                f"{provider}: the host name {error.host} cannot be resolved", kind="dns", provider=provider
            )
        case aiohttp.ConnectionTimeoutError():
            return UpstreamUnreachable(f"{provider}: no connection in time", kind="connect", provider=provider)
        case TimeoutError():
            return UpstreamUnreachable(
                f"{provider}: silent for longer than the time-out allows", kind="timeout", provider=provider
            )
        case aiohttp.ClientConnectorError():
            return UpstreamUnreachable(
                f"{provider}: cannot connect to {error.host}:{error.port}: {error.os_error.strerror or error.os_error}",
                kind="connect",
                provider=provider,
            )
        case aiohttp.InvalidURL():
            return UpstreamUnreachable(f"{provider}: the URL is not valid", kind="connect", provider=provider)
        case aiohttp.ClientPayloadError():
            return RemoteProtocolError(f"{provider}: the answer was cut off", provider=provider)
        case aiohttp.ClientResponseError():
            return RemoteProtocolError(
                f"{provider}: the answer is not valid HTTP: {error.message[:200]}", provider=provider
            )
        case _:
            return UpstreamUnreachable(f"{provider}: the connection broke: {error}", kind="reset", provider=provider)
