"""Who holds a port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import pytest

from ccrouter.service.port import (
    Holder,
    address_from_proc,
    addresses_from_lsof,
    addresses_from_netstat,
    find_holder,
    from_lsof,
    from_netstat,
    listening_addresses,
)

NETSTAT = """
Aktive Verbindungen

  Proto  Lokale Adresse         Remoteadresse          Status           PID
  TCP    0.0.0.0:135            0.0.0.0:0              ABHÖREN         1044
  TCP    127.0.0.1:3456         127.0.0.1:50123        HERGESTELLT     7000
  TCP    127.0.0.1:3456         0.0.0.0:0              ABHÖREN         4242
  TCP    127.0.0.1:13456        0.0.0.0:0              ABHÖREN         5151
"""


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_holder(family: int, host: str) -> None:
    """The process that listens is found, by number, command line and user, on either loopback; after closing there is none."""
    with socket.socket(family) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} here")
        listener.listen()
        port = listener.getsockname()[1]
        holder = find_holder(port)
        assert holder is not None
        assert (holder.pid, holder.uid) == (os.getpid(), os.getuid())
        assert "python" in holder.command
        assert holder.is_of_this_user
    assert find_holder(port) is None


def test_bound_but_not_listening() -> None:
    """A connected or merely bound socket is no listener."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert find_holder(bound.getsockname()[1]) is None


@pytest.mark.skipif(shutil.which("lsof") is None, reason="the tool that macOS has")
def test_lsof_reads_the_same() -> None:
    """What macOS goes by: lsof's own output gives the same process."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        command = ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpu"]
        holder = from_lsof(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert holder is not None
    assert (holder.pid, holder.uid) == (os.getpid(), os.getuid())
    assert from_lsof("") is None


def test_netstat() -> None:
    """What Windows goes by, in a language whose word for LISTENING is another."""
    assert from_netstat(NETSTAT, 3456) == 4242
    assert from_netstat(NETSTAT, 456) is None


@pytest.mark.parametrize(
    ("holder", "text"),
    [
        (Holder(7, "node x.js", os.getuid()), "process 7 (node x.js)"),
        (Holder(7), "process 7"),
        (Holder(None), "an unknown process"),
        (Holder(None, "", os.getuid() + 1), f"a process of another user (uid {os.getuid() + 1})"),
    ],
)
def test_words(holder: Holder, text: str) -> None:
    """A holder as the user reads it."""
    assert str(holder) == text


def test_connection_that_outlives_its_listener() -> None:
    """An open connection on the port is no listener either: the port can be bound."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = listener.accept()
    with client, served:
        assert find_holder(port) is None


@pytest.mark.parametrize(
    ("family", "host"),
    [
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET, "127.9.8.7"),
        (socket.AF_INET6, "::1"),
    ],
)
def test_addresses_as_the_kernel_tells(family: int, host: str) -> None:
    """The bound address comes back as it was bound, in either family; after closing there is none."""
    with socket.socket(family) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} here")
        listener.listen()
        port = listener.getsockname()[1]
        assert listening_addresses(port) == [host]
    assert listening_addresses(port) == []


def test_two_addresses_on_one_port() -> None:
    """A second listener on another address of the same port is not overlooked."""
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with socket.create_server(("127.0.0.2", port)):
            assert sorted(listening_addresses(port)) == ["127.0.0.1", "127.0.0.2"]


@pytest.mark.skipif(sys.byteorder != "little", reason="the digits of a little-endian machine")
@pytest.mark.parametrize(
    ("digits", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("6401A8C0", "192.168.1.100"),
        ("00000000000000000000000000000000", "::"),
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "::ffff:127.0.0.1"),
        ("B80D0120000000000000000001000000", "2001:db8::1"),
    ],
)
def test_digits_of_proc(digits: str, address: str) -> None:
    """The kernel's digits as an address: the words are turned round one by one."""
    assert address_from_proc(digits).replace("7f00:1", "127.0.0.1") == address


def test_addresses_of_lsof() -> None:
    """What macOS tells: addresses, brackets, and a star for all of a family."""
    listed = (
        "p7\nf3\ntIPv4\nn127.0.0.1:3456\nf4\ntIPv6\nn[::1]:3456\nf5\ntIPv6\nn*:3456\nf6\ntIPv4\nn*:3456\nn*:13456\n"
    )
    assert addresses_from_lsof(listed, 3456) == ["127.0.0.1", "::1", "::", "0.0.0.0"]
    assert addresses_from_lsof("", 3456) == []


@pytest.mark.skipif(shutil.which("lsof") is None, reason="the tool that macOS has")
def test_lsof_tells_the_same_addresses() -> None:
    """lsof's own output gives the same addresses as the kernel's tables."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Ftn"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert addresses_from_lsof(listed, port) == listening_addresses(port) == ["127.0.0.1"]


def test_addresses_of_netstat() -> None:
    """What Windows tells, connections left out."""
    listed = NETSTAT + "  TCP    [::]:3456              [::]:0                 ABHÖREN         4242\n"
    assert addresses_from_netstat(listed, 3456) == ["127.0.0.1", "::"]
    assert addresses_from_netstat(listed, 135) == ["0.0.0.0"]
