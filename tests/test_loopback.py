"""What is this machine, and what only looks like it."""

from __future__ import annotations

import pytest

from ccrouter.loopback import is_loopback


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "[::1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "::ffff:127.0.0.1",
    ],
)
def test_this_machine(host):
    """Loopback addresses in every form, and the names reserved for them."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "127.0.0.1.example.com",
        "127.example.com",
        "localhost.example.com",
        "",
        "[",
        "127.1",
    ],
)
def test_not_this_machine(host):
    """Everything else, names that begin like an address included."""
    assert not is_loopback(host)
