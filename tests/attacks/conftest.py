"""The fixtures of every attack: the approved one, and the stranger who must not have been connected to at its end."""

from __future__ import annotations

import socket
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import AsyncIterator

import pytest

from tests.attacks.world import APPROVED_ADDRESS, APPROVED_HOST, World, accepted_by, answer, stranger_answer
from tests.compliance.configs import Desk
from tests.upstream import Upstream


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("CCR_POLICY", raising=False)


@pytest.fixture
async def approved() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.always(answer)
        yield up


@pytest.fixture(autouse=True)
async def stranger() -> AsyncIterator[Upstream]:
    """Nobody's choice. No stranger is ever reached: that is the end of every test here."""
    async with Upstream() as up:
        up.always(stranger_answer)
        yield up
        assert await accepted_by(up) == 0, "A STRANGER WAS REACHED"


@pytest.fixture
def world(stranger: Upstream, monkeypatch: pytest.MonkeyPatch) -> World:
    """All names and doors lead to the stranger but the approved one's, at which nobody is at home."""
    here = World(stranger, {APPROVED_HOST: [APPROVED_ADDRESS], "localhost": ["127.0.0.1"]}, [])

    async def dial(loop, sock, address):
        await here.dial(loop, sock, address)

    monkeypatch.setattr(socket, "getaddrinfo", here.look_up)
    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", dial)
    return here


@pytest.fixture
def desk(tmp_path) -> Desk:
    """A home folder of its own, nobody else's to write in."""
    tmp_path.chmod(0o700)
    return Desk(tmp_path)
