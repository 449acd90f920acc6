"""Whether a host is this machine, and nothing but this machine. Leaf module."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=256)  # asked of every request's Host and peer
def is_loopback(host: str) -> bool:
    """True for an address or a name that only this machine can reach. `host` may stand in the brackets of a URL.

    A name is judged as a name: "127.0.0.1.example.com" belongs to example.com.
    """
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # Python's own answer for an IPv4 address written as IPv6 differs between its versions.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
