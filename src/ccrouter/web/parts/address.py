"""Where a router can be reached from the machine that it runs on."""

from __future__ import annotations

from ccrouter.config.schema import Config

_EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104 - compared, not bound


def address_of(config: Config) -> str:
    """The beginning of its addresses, which a browser or a client here can open."""
    host = "127.0.0.1" if config.host in _EVERY_ADDRESS else config.host.strip("[]")
    bracketed = f"[{host}]" if ":" in host else host
    return f"http://{bracketed}:{config.port}"
