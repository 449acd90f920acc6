"""Where to reach a router that listens at an address. Pure."""

from __future__ import annotations

_EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def reachable_host(host: str) -> str:
    """A host to connect to for a router bound to `host`: the loopback address where it listens on all of them."""
    host = host.strip("[]")
    return "127.0.0.1" if host == "localhost" else _EVERY_ADDRESS.get(host, host)


def base_url(host: str, port: int) -> str:
    """The URL to give to a client on this machine, without a slash at its end."""
    reached = reachable_host(host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
