"""The whole router in this process, with providers of every dialect, and the official OpenAI client in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import openai
import pytest

from tests.gateway.conftest import Router, running
from tests.served.wires import WIRES, config
from tests.upstream import Upstream


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


@pytest.fixture
async def router(upstream: Upstream, tmp_path) -> AsyncIterator[Router]:
    async with running(config(upstream), tmp_path) as router:
        yield router


@pytest.fixture
async def client(router: Router) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(params=list(WIRES))
def dialect(request) -> str:
    return request.param


async def post(router: Router, path: str, body, headers=None) -> tuple[int, Mapping[str, str], bytes]:
    """POST; gives (status, headers, body bytes)."""
    sending = {"data": body} if isinstance(body, bytes) else {"json": body}
    async with router.client.post(f"{router.url}{path}", headers=headers, **sending) as response:
        return response.status, response.headers, await response.read()
