"""What is told to a service manager, and that nothing comes of one that does not listen."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from ccrouter.service.notify import Notifier

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sockets of Unix")


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        yield listener


def said(manager: socket.socket) -> list[str]:
    return manager.recv(65_536).decode().split("\n")


def test_what_is_said(manager):
    """Each message is one datagram of assignments, as sd_notify(3) has them; a status is one line."""
    notifier = Notifier(manager.getsockname(), clock=lambda: 12_345_678_901)
    notifier.ready("serving at 127.0.0.1:1")
    assert said(manager) == ["READY=1", "STATUS=serving at 127.0.0.1:1"]
    notifier.reloading()
    assert said(manager) == ["RELOADING=1", "MONOTONIC_USEC=12345678"]
    notifier.stopping("two\nlines\rREADY=0" + "x" * 5000)
    first, status = said(manager)
    assert first == "STOPPING=1"
    assert status.startswith("STATUS=two lines READY=0xxx")
    assert len(status) < 1100
    notifier.alive()
    assert said(manager) == ["WATCHDOG=1"]


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_an_abstract_socket():
    """A name with an @ in front is one that no file has."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"ccr-test-{os.getpid()}"
        listener.bind(f"\0{name}")
        listener.settimeout(10)
        Notifier.taken_from({"NOTIFY_SOCKET": f"@{name}"}).ready("here")
        assert said(listener) == ["READY=1", "STATUS=here"]


def test_what_the_environment_says(manager):
    """Address and patience are taken out of the environment: what we start is not the service."""
    path = manager.getsockname()
    environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    notifier = Notifier.taken_from(environ)
    assert notifier.patience == 30
    assert environ == {"HOME": "/"}
    notifier.alive()
    assert said(manager) == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    "members",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "9000000", "WATCHDOG_PID": "1"}],
)
def test_no_watchdog(manager, members):
    """Without a time, or with another process's, no heartbeat is asked for."""
    assert Notifier.taken_from({"NOTIFY_SOCKET": manager.getsockname(), **members}).patience is None


@pytest.mark.parametrize("address", ["", "relative/path", "vsock:2:1234", "@", "/nowhere/at/all", "/" + "x" * 500])
def test_nobody_listens(address):
    """An address that leads nowhere, or that is none of ours, costs nothing and raises nothing."""
    notifier = Notifier.taken_from({"NOTIFY_SOCKET": address} if address else {"WATCHDOG_USEC": "1000000"})
    notifier.ready("x")
    notifier.reloading()
    notifier.alive()
    notifier.stopping("y")


def test_a_manager_that_does_not_read(manager):
    """A full queue holds nobody up."""
    notifier = Notifier(manager.getsockname())
    for _ in range(5000):
        notifier.alive()
