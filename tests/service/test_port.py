"""Who holds a port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess

import pytest

from ccrouter.service.port import Holder, find_holder, from_lsof, from_netstat

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
