"""Fake clouds on loopback, and an environment in which nobody's own credentials are."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cloud.amazon import Amazon
from tests.cloud.google import Google
from tests.upstream import Upstream


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing of this machine's accounts, proxies or metadata servers; gives the home folder."""
    for name in os.environ:
        if (
            name.startswith(("AWS_", "GOOGLE_", "GCE_", "CLOUDSDK_", "ANTHROPIC_", "CLOUD_ML"))
            or "proxy" in name.lower()
        ):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return home


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


@pytest.fixture
async def google(tmp_path: Path) -> AsyncIterator[Google]:
    async with Upstream() as up:
        yield Google(up, tmp_path)


@pytest.fixture
async def amazon() -> AsyncIterator[Amazon]:
    async with Upstream() as up:
        yield Amazon(up)
