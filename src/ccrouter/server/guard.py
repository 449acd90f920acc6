"""Who may ask for what. One table of routes, deny by default; locality and names are judged here and nowhere else.

A router on loopback is reachable by every page that a browser on the machine opens (DNS rebinding; the Node router had
GHSA-8hmm-4crw-vm2c). So where no key is asked for the Host must be one that we serve, and a foreign Origin is
always refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from ccrouter.config.schema import Config
from ccrouter.errors import NotAuthorized
from ccrouter.loopback import is_loopback

#: Paths that anybody may ask for, key or not: what health checks and clients' first probes need.
OPEN_PATHS = frozenset({"/", "/health", "/api/hello"})


class Guard:
    """Decides on a request by its headers. Build one per configuration."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._key = config.api_key
        self._hosts = {host.lower() for host in config.allowed_hosts}
        if not is_loopback(config.host) and config.host not in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            self._hosts.add(config.host.lower())
        self._hosts |= set(_codespace_hosts(config.port, environ))

    def check(self, path: str, headers: Mapping[str, str]) -> None:
        """Raises NotAuthorized: 401 without a valid key where one is configured, 403 for a foreign Host or Origin."""
        if origin := headers.get("origin"):
            self._check_name("Origin", origin, origin)
        if path in OPEN_PATHS:  # health checks come under any name, and learn nothing
            return
        if self._key is None:
            self._check_name("Host", headers.get("host", ""), f"//{headers.get('host', '')}")
            return
        if any(self._key.matches(offered) for offered in _offered(headers)):
            return
        if any(_offered(headers)):
            raise NotAuthorized("Invalid API key: it is not the APIKEY of this router's configuration")
        raise NotAuthorized("APIKEY is missing: send the router's key as `x-api-key` or `Authorization: Bearer`")

    def _check_name(self, what: str, value: str, url: str) -> None:
        try:
            host = (urlsplit(url).hostname or "").rstrip(".")
        except ValueError:  # "[": not a name at all
            host = ""
        if is_loopback(host) or host in self._hosts:
            return
        raise NotAuthorized(
            f"{what} {value!r} is not served here; if it is yours, add the name to `allowedHosts` in the config",
            status=403,
        )


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
