"""Sending one request to a provider, and mapping every way in which that can fail to our own errors.

With mapping.py the only module that knows the HTTP client library (aiohttp). Redirects are never followed: a provider
that redirects would take the key and the conversation to a place that nobody approved. Certificates are always
verified: there is no setting for it. Under a policy nothing leaves unjudged: `egress` sees the URL, the proxy and the
bytes that go out.
"""

from __future__ import annotations

import asyncio
import io
import math
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, Self

import aiohttp
from yarl import URL

from ccrouter import __version__
from ccrouter.compliance.destination import DRY_RUN_SCHEME
from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.proxies import environment_proxy
from ccrouter.config.schema import Endpoint, Provider, Timeouts
from ccrouter.errors import UpstreamUnreachable
from ccrouter.upstream.auth import auth_headers
from ccrouter.upstream.connecting import TimedConnector, new_socket, noting, watch_connection
from ccrouter.upstream.credentials.bedrock import Unproven
from ccrouter.upstream.credentials.clouds import Clouds
from ccrouter.upstream.credentials.seam import Errand, Fetched
from ccrouter.upstream.dryrun import DryRunResponse
from ccrouter.upstream.egress import JudgedSockets, check_egress, check_way, refusals, url_of
from ccrouter.upstream.eventstream import CONTENT_TYPE as EVENT_STREAM
from ccrouter.upstream.eventstream import EventStreamResponse
from ccrouter.upstream.mapping import Waiting, failure_for

#: Never sent upstream, whoever set them: hop-by-hop (RFC 9110 §7.6.1), forwarding traces, and what the client library
#: sets.
NEVER_SENT = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "host", "content-length", "forwarded", "via", "cookie", "x-real-ip",
})  # fmt: skip

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

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


@dataclass(frozen=True, slots=True)
class _Due:
    """By when, on the event loop's clock, an answer must have begun, and by when it must have ended (None: never)."""

    first_by: float
    end_by: float | None

    @classmethod
    def of(cls, limits: Timeouts) -> Self:
        """The limits of an attempt that begins now."""
        now = asyncio.get_running_loop().time()
        return cls(now + limits.first_byte, None if limits.total is None else now + limits.total)

    @property
    def first(self) -> tuple[float, Waiting]:
        """The earlier one of the two, for an answer that has not begun."""
        if self.end_by is not None and self.end_by < self.first_by:
            return self.end_by, "total"
        return self.first_by, "first_byte"


class HttpResponse:
    """An UpstreamResponse over HTTP. Silence is the provider's alone: while its bytes are not asked for, because the
    client is slow, the library stops reading, and its clock with it. `connected` is when a connection was made for it,
    of the monotonic clock, 0.0 if there was one.
    """

    def __init__(self, response: aiohttp.ClientResponse, provider: Provider, due: _Due, connected: float = 0.0) -> None:
        self._response = response
        self.connected = connected
        self._provider = provider
        self._due = due
        self._loop = asyncio.get_running_loop()
        limits = provider.timeouts
        # The library's own time-out is the longer one of the two; a shorter one has to be watched here.
        self._idle = limits.idle if limits.idle < limits.first_byte else None
        self._has_begun = False
        self._is_watched = True
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        if self._is_watched:
            return await self._read_watched()
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise failure_for(error, self._provider, "idle") from error

    async def _read_watched(self) -> bytes:
        """As `read`, with a timer of ours."""
        when, waiting = self._next_limit()
        if waiting == "total" and self._loop.time() >= when:  # what has come since then has come too late
            raise failure_for(TimeoutError(), self._provider, "total")
        try:
            async with asyncio.timeout_at(when) as scope:
                chunk = await self._response.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if not scope.expired():
                waiting = "idle" if self._has_begun else "first_byte"
            raise failure_for(error, self._provider, waiting) from error
        if not self._has_begun:
            self._has_begun = True
            self._is_watched = self._idle is not None or self._due.end_by is not None
        return chunk

    def _next_limit(self) -> tuple[float, Waiting]:
        """When to stop waiting for the next piece, and which limit that is."""
        if not self._has_begun:
            return self._due.first
        end_by = math.inf if self._due.end_by is None else self._due.end_by
        silent_by = math.inf if self._idle is None else self._loop.time() + self._idle
        return (end_by, "total") if end_by < silent_by else (silent_by, "idle")

    def close(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


@dataclass(frozen=True, slots=True)
class _Call:
    """One request as it is sent: judged, and not changed any more."""

    method: str
    url: URL
    proxy: URL | None
    body: bytes | None

    @property
    def request(self) -> Unproven:
        return Unproven(self.method, str(self.url), self.body or b"")


class UpstreamClient:
    """One connection pool for the life of the process, under one policy. Build it inside the running event loop;
    `close` it at the end. `now` and `pause` are the clock of credentials that run out (credentials/keeper.py).
    """

    def __init__(
        self,
        policy: Policy = NO_POLICY,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.policy = policy
        judges_addresses = policy.is_in_force and bool(policy.banned_addresses)
        self._direct = _session(JudgedSockets(policy) if judges_addresses else None)
        # A proxy resolves names itself, and that it may be used is the proxies' rule: its own address is not judged.
        self._by_proxy = _session(None) if judges_addresses else self._direct
        self._proxies: dict[tuple[str, str], URL | None] = {}
        self._clouds = Clouds(self.fetch, policy, now, pause)

    async def close(self) -> None:
        self._clouds.close()
        await self._direct.close()
        await self._by_proxy.close()

    async def send(
        self,
        provider: Provider,
        endpoint: Endpoint,
        headers: Mapping[str, str],
        body: bytes | None,
        final: Mapping[str, str] = NO_HEADERS,
    ) -> UpstreamResponse:
        """POST `body` to `endpoint` with the provider's key, and return once the answer's headers are here. With None,
        GET it: then nothing is said to any model.

        The headers `final` win over all others, authentication included; an empty one leaves the header out.
        Raises Denied, before anything is connected to, if the policy does not let this leave; LocalProtocolError if it
        cannot be told from the bytes; UpstreamUnreachable. Any status is an answer, redirects included.
        """
        try:
            url = url_of(endpoint)
            proxy = self._proxy(provider, url)
        except ValueError as error:
            raise failure_for(aiohttp.InvalidURL(provider.name), provider) from error
        if self.policy.is_in_force:
            check_egress(self.policy, provider, endpoint, proxy, body)
        if url.scheme == DRY_RUN_SCHEME:
            return DryRunResponse(body or b"")
        call = _Call("GET" if body is None else "POST", url, proxy, body)
        merged = self._headers(provider, endpoint, headers, final)
        due = _Due.of(provider.timeouts)
        proven = await self._proven(provider, endpoint, call, merged, due)
        connecting = watch_connection()
        response = await self._exchange(provider, call, proven, due)
        if response.status == 401 and self._clouds.drop(provider, endpoint, proven):  # a token that was revoked
            response.close()
            proven = await self._proven(provider, endpoint, call, merged, due)
            response = await self._exchange(provider, call, proven, due)
        answer = HttpResponse(response, provider, due, connecting.made)
        if endpoint.platform == "bedrock" and answer.headers.get("content-type", "").startswith(EVENT_STREAM):
            return EventStreamResponse(answer, provider.name)
        return answer

    async def fetch(self, provider: Provider, errand: Errand) -> Fetched:
        """What a request beside those to models brings, in full: a provider's token. Raises Denied, UpstreamError.

        It goes the same way out: under the same policy, by the same proxy, without redirects.
        """
        try:
            url = URL(errand.url)
            proxy = self._proxy(provider, url)
        except ValueError as error:
            raise failure_for(aiohttp.InvalidURL(provider.name), provider) from error
        check_way(self.policy, provider, url, proxy)
        headers = {name.lower(): value for name, value in errand.headers.items() if name.lower() not in NEVER_SENT}
        headers.setdefault("user-agent", f"ccrouter/{__version__}")
        try:
            async with asyncio.timeout(errand.patience):
                call = _Call(errand.method, url, proxy, errand.body or None)
                due = _Due.of(provider.timeouts)
                response = HttpResponse(await self._exchange(provider, call, headers, due), provider, due)
                try:
                    data = b""
                    while len(data) < _LARGE and (chunk := await response.read()):
                        data += chunk
                finally:
                    response.close()
        except TimeoutError as error:
            words = f"{provider.name}: no credentials within {errand.patience:g} s"
            raise UpstreamUnreachable(words, kind="first_byte", provider=provider.name) from error
        return Fetched(response.status, response.headers, data)

    async def _proven(
        self, provider: Provider, endpoint: Endpoint, call: _Call, headers: dict[str, str], due: _Due
    ) -> dict[str, str]:
        """`headers` with the proof that a cloud platform asks for."""
        if not endpoint.platform:
            return headers
        when, waiting = due.first
        try:
            async with asyncio.timeout_at(when):
                return await self._clouds.prove(provider, endpoint, call.request, headers)
        except TimeoutError as error:
            raise failure_for(error, provider, waiting) from error

    async def _exchange(
        self,
        provider: Provider,
        call: _Call,
        headers: Mapping[str, str],
        due: _Due,
    ) -> aiohttp.ClientResponse:
        """An answer that has begun. Raises Denied for addresses, UpstreamUnreachable, RemoteProtocolError."""
        limits, body = provider.timeouts, call.body
        when, waiting = due.first
        session = self._direct if call.proxy is None else self._by_proxy
        with refusals() as refused:
            try:
                async with asyncio.timeout_at(when):
                    return await session.request(
                        call.method,
                        call.url,
                        data=body if body is None or len(body) < _LARGE else io.BytesIO(body),
                        headers=headers,
                        proxy=call.proxy,
                        allow_redirects=False,
                        timeout=aiohttp.ClientTimeout(
                            total=None, sock_connect=limits.connect, sock_read=max(limits.idle, limits.first_byte)
                        ),
                    )
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                if refused and isinstance(error, _NOT_CONNECTED):
                    raise refused[0] from error
                raise failure_for(error, provider, waiting) from error

    def _headers(
        self, provider: Provider, endpoint: Endpoint, headers: Mapping[str, str], final: Mapping[str, str]
    ) -> dict[str, str]:
        """Least to most particular: ours, the dialect's, the key, what the user configured, what transforms set."""
        merged = {"content-type": "application/json", "user-agent": f"ccrouter/{__version__}"}
        merged.update(headers)
        merged.update(auth_headers(provider, endpoint))
        merged.update((name.lower(), value) for name, value in provider.headers.items())
        merged.update(final)
        unsent = NEVER_SENT.union(name for name, value in final.items() if not value) if final else NEVER_SENT
        return {name: value for name, value in merged.items() if name not in unsent}

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
        connector=TimedConnector(
            limit=0,
            keepalive_timeout=60,
            ttl_dns_cache=60,
            ssl=True,
            socket_factory=noting(socket_factory or new_socket),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"accept-encoding": "identity"},
        skip_auto_headers=("user-agent", "accept"),
        requote_redirect_url=False,
        read_bufsize=256 * 1024,
    )
