"""Who may ask for what. Deny by default: what no row of the table opens (routes.py) needs the router's key.

A router on loopback is reachable by every page that a browser on the machine opens (DNS rebinding; the Node router had
GHSA-8hmm-4crw-vm2c), and by everybody if a forwarder runs beside it. So where no key is asked for the Host must be one
that we serve, a foreign Origin is always refused, and management is for callers that are on this machine by
their socket, by the name they call us and by the absence of any trace of a forwarder. No header makes anybody local.

Pages are for the same callers, signed in by the key. A browser sends their cookie along with requests that others make
it send: so a page's form is taken from that page's own origin alone, and nothing is there for others to embed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ccrouter.config.schema import Config
from ccrouter.errors import ClientError, NotAuthorized
from ccrouter.loopback import is_loopback
from ccrouter.server.sessions import Sessions, cookie_name, tokens_of

Scope = MutableMapping[str, Any]


class Access(Enum):
    """Who may use a route.

    OPEN: anybody. CLIENT: who shows the router's key, where one is configured, or a key of a launch that lives.
    MANAGEMENT: who shows the router's key, where one is configured, and sits at this machine. LOCAL: who sits at this
    machine, in a browser that was not sent here by another site; for what tells nothing. PAGE: as LOCAL, and signed in
    where a key is configured.
    """

    OPEN = "open"
    LOCAL = "local"
    CLIENT = "client"
    PAGE = "page"
    MANAGEMENT = "management"


class NotSignedIn(NotAuthorized):
    """The page wants a session, and there is none: the caller is to be shown the form."""


#: Headers of which two make a request ambiguous: one reader would judge the first, another serve the last.
SINGLE_HEADERS = frozenset({
    "host", "origin", "authorization", "x-api-key", "content-type", "content-length", "content-encoding",
    "transfer-encoding",
})  # fmt: skip

#: Whoever adds one of these passes on requests of others. `x-forwarded-…` counts whatever follows.
FORWARDING_HEADERS = frozenset({
    "forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-original-forwarded-for", "true-client-ip",
    "cf-connecting-ip", "fastly-client-ip", "x-envoy-external-address",
})  # fmt: skip

_READING = frozenset({"GET", "HEAD"})
#: What a browser says of a request that a page from elsewhere made it send; another port is elsewhere too.
_FOREIGN_SITES = frozenset({"cross-site", "same-site"})
_FORM = "application/x-www-form-urlencoded"
_HOST = r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?"
_HOST_HEADER = re.compile(_HOST)
_ORIGIN_HEADER = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*://{_HOST}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the peer address of the socket ("" if it has none), and the headers, each once, names in lower case.

    `repeated` are those that were sent more than once; their values are joined by commas (RFC 9110 §5.3).
    """

    peer: str
    headers: Mapping[str, str]
    repeated: frozenset[str] = frozenset()

    @property
    def is_local(self) -> bool:
        """True if the request comes from this machine, was meant for it by name, and was not passed on by anybody."""
        return is_loopback(self.peer) and is_loopback(_host_of(self.headers)) and not self.forwarders

    @property
    def forwarders(self) -> list[str]:
        """The headers that only somebody in between adds."""
        return [name for name in self.headers if name in FORWARDING_HEADERS or name.startswith("x-forwarded-")]


def read_caller(scope: Scope) -> Caller:
    """The caller of an ASGI request."""
    headers: dict[str, str] = {}
    repeated = set()
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name in headers:
            repeated.add(name)
            value = f"{headers[name]},{value}"
        headers[name] = value
    client = scope.get("client")
    return Caller(str(client[0]) if client else "", headers, frozenset(repeated))


class Guard:
    """Decides on requests. Build one per configuration.

    `is_launch_key` says whether a key was minted for a launch of Claude Code that lives; None: there are none.
    `sessions` are those of the pages; None: nobody is signed in.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        is_launch_key: Callable[[str], bool] | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self._key = config.api_key
        self._is_launch_key = is_launch_key
        self._sessions = sessions
        self._cookie = cookie_name(config.port)
        self._hosts = {host.lower() for host in config.allowed_hosts}
        if not is_loopback(config.host) and config.host not in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            self._hosts.add(config.host.lower())
        self._hosts |= set(_codespace_hosts(config.port, environ))

    def check(self, access: Access, method: str, caller: Caller) -> None:
        """Raises NotAuthorized (401 without a valid key where one is configured, 403 for a foreign Host or Origin and
        for management and pages from elsewhere), NotSignedIn for a page without session, or ClientError (400 for an
        ambiguous request, 415 for a write that is not JSON, or a page's that is no form).
        """
        _check_single(caller)
        headers = caller.headers
        if (origin := headers.get("origin")) is not None:
            self._check_name("Origin", origin, _ORIGIN_HEADER)
        if access is Access.OPEN:  # health checks come under any name, and learn nothing
            return
        if access in {Access.LOCAL, Access.PAGE}:
            _check_page(method, caller)
            if (
                access is Access.PAGE
                and self.asks_sign_in
                and not (self.has_session(caller) or self._shows_key(caller))
            ):
                raise NotSignedIn("sign in first: /ui/sign-in")
            return
        if self._key is None:
            self._check_name("Host", headers.get("host", ""), _HOST_HEADER)
        elif not self._is_known(access, caller):
            if any(_offered(headers)):
                raise NotAuthorized("Invalid API key: it is not the APIKEY of this router's configuration")
            raise NotAuthorized("APIKEY is missing: send the router's key as `x-api-key` or `Authorization: Bearer`")
        if access is Access.MANAGEMENT:
            _check_here(caller)
            if headers.get("sec-fetch-site") in _FOREIGN_SITES:  # it could not read the answer, but make us work for it
                raise NotAuthorized("this is not for pages of another site", status=403)
            if not _is_bare(headers):
                _check_written(method, headers, "application/json")  # what a form of a foreign page cannot send

    def key_of(self, caller: Caller) -> str:
        """The key that lets `caller` in; the first that it shows where that is none; "" if it shows none at all."""
        offered = tuple(_offered(caller.headers))
        for one in offered:
            if self.is_key(one) or (self._is_launch_key is not None and self._is_launch_key(one)):
                return one
        return offered[0] if offered else ""

    def is_trusted(self, caller: Caller) -> bool:
        """True for who may be told how the router is set up: with the router's key, or without one from here."""
        return caller.is_local if self._key is None else self._shows_key(caller)

    @property
    def asks_sign_in(self) -> bool:
        """True if there is a key, and so something to sign in by."""
        return self._key is not None

    def is_key(self, offered: str) -> bool:
        """True if that is the router's key, of those who have one; the time taken does not tell how near it is."""
        return self._key is not None and self._key.matches(offered)

    def has_session(self, caller: Caller) -> bool:
        """True if the caller's browser is signed in to the pages."""
        sessions = self._sessions
        return sessions is not None and any(
            sessions.is_open(token) for token in tokens_of(caller.headers, self._cookie)
        )

    def _is_known(self, access: Access, caller: Caller) -> bool:
        if self._shows_key(caller):
            return True
        if self._is_launch_key is None or access is not Access.CLIENT or not caller.is_local:
            return False
        return any([self._is_launch_key(offered) for offered in _offered(caller.headers)])  # noqa: C419 - as below

    def _shows_key(self, caller: Caller) -> bool:
        # A list: every offered key is compared, whichever of them is the right one.
        return any([self.is_key(offered) for offered in _offered(caller.headers)])  # noqa: C419 - the time must not tell which matched

    def _check_name(self, what: str, value: str, form: re.Pattern[str]) -> None:
        found = form.fullmatch(value)
        host = found[1].rstrip(".").lower() if found else ""
        if host and (is_loopback(host) or host in self._hosts):
            return
        raise NotAuthorized(
            f"{what} {value[:200]!r} is not served here; if it is yours, add the name to `allowedHosts` in the config",
            status=403,
        )


def _check_single(caller: Caller) -> None:
    twice = sorted(caller.repeated & SINGLE_HEADERS)
    if twice:
        raise ClientError(f"the header {twice[0]} was sent more than once")
    if "content-length" in caller.headers and "transfer-encoding" in caller.headers:  # RFC 9112 §6.1: smuggling
        raise ClientError("content-length and transfer-encoding exclude each other")


def _check_here(caller: Caller) -> None:
    """Raises NotAuthorized for who is not `Caller.is_local`, and says why."""
    if not is_loopback(caller.peer):
        raise NotAuthorized("this is for callers on the router's own machine", status=403)
    if forwarders := caller.forwarders:
        raise NotAuthorized(f"this is not for requests that somebody passes on ({forwarders[0]})", status=403)
    host = caller.headers.get("host", "")
    if not is_loopback(_host_of(caller.headers)):
        raise NotAuthorized(f"this is served under a loopback name only, not under {host[:200]!r}", status=403)


def _check_written(method: str, headers: Mapping[str, str], kind: str) -> None:
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method not in _READING and given != kind:
        raise ClientError(f"a write needs `content-type: {kind}`", status=415)


def _is_bare(headers: Mapping[str, str]) -> bool:
    """True without a body, from what is no browser: those name the origin of whoever makes them write."""
    has_body = headers.get("content-length", "0").strip() != "0" or "transfer-encoding" in headers
    return not (has_body or {"content-type", "origin"} & headers.keys() or any(map(_is_of_browsers, headers)))


def _is_of_browsers(name: str) -> bool:
    return name.startswith("sec-fetch-") or name == "referer"


def _check_page(method: str, caller: Caller) -> None:
    """Another port of this machine is another origin, though its cookies are ours ("same-site"). A link from elsewhere
    may lead here (it shows the page to its user alone), and that is all that a foreign site may do.
    """
    _check_here(caller)
    headers = caller.headers
    is_own = headers.get("sec-fetch-site", "none") in {"same-origin", "none"}
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        is_own = False  # what browsers without Sec-Fetch-Site send with a form
    is_link = (
        method in _READING
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    if not (is_own or (is_link and origin is None)):
        raise NotAuthorized("this is for the router's own pages, not for those of another site", status=403)
    _check_written(method, headers, _FORM)


def _host_of(headers: Mapping[str, str]) -> str:
    found = _HOST_HEADER.fullmatch(headers.get("host", ""))
    return found[1] if found else ""


def _offered(headers: Mapping[str, str]) -> Iterable[str]:
    """Every key in the request: SDKs send x-api-key, a Bearer, or both with different contents (an OAuth token)."""
    if key := headers.get("x-api-key"):
        yield key.strip()
    if authorization := headers.get("authorization"):
        scheme, _, rest = authorization.strip().partition(" ")
        yield rest.strip() if scheme.lower() == "bearer" and rest else authorization.strip()


def _codespace_hosts(port: int, environ: Mapping[str, str]) -> Iterable[str]:
    """The public name under which a Codespace forwards our port: {name}-{port}.{domain}."""
    name, domain = environ.get("CODESPACE_NAME"), environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN")
    if name and domain:
        yield f"{name}-{port}.{domain}".lower()
