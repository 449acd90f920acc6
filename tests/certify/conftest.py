"""The battery against servers of several temperaments, each a real one on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ccrouter.certify.asking import Asker, Spending
from ccrouter.certify.battery import Battery, Outcome, chosen
from ccrouter.certify.bench import Finding, Probe
from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.schema import Endpoint, Provider, Target
from ccrouter.secret import Secret
from ccrouter.transforms.chain import Chain
from ccrouter.upstream.client import UpstreamClient
from tests.certify.gemini_mind import GeminiServer
from tests.certify.mind import KEY, MODEL, MessagesServer
from tests.upstream import Upstream

PATHS = {"openai_chat": "/v1/chat/completions", "anthropic": "/v1/messages", "gemini": "/v1beta/models"}


@dataclass
class Run:
    """What a run came to."""

    outcome: Outcome
    asker: Asker
    spent: dict[str, int]
    pauses: list[float]

    def verdict(self, name: str) -> str:
        return self.outcome.findings[name].verdict

    def evidence(self, name: str) -> str:
        return self.outcome.findings[name].evidence

    @property
    def changes(self) -> dict[str, Any]:
        return dict(self.outcome.changes)


@contextlib.asynccontextmanager
async def client_under(policy: Policy = NO_POLICY) -> AsyncIterator[UpstreamClient]:
    client = UpstreamClient(policy)
    try:
        yield client
    finally:
        await client.close()


def provider_at(upstream: Upstream, dialect: str = "openai_chat", **more: Any) -> Provider:
    endpoint = Endpoint(dialect, upstream.url + PATHS[dialect])  # type: ignore[arg-type] # one of them
    return Provider(**{"name": "mine", "endpoints": (endpoint,), "key": Secret(KEY), "models": (MODEL,), **more})


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


@pytest.fixture
def certify(upstream: Upstream) -> Callable[..., Any]:
    """Runs the battery against a server: `await certify(server, only=[...])`."""

    async def run(
        server: Callable[..., Any],
        *,
        only: tuple[str, ...] = (),
        skip: tuple[str, ...] = (),
        provider: Provider | None = None,
        policy: Policy = NO_POLICY,
        requests: int = 200,
        tokens: int = 10**6,
    ) -> Run:
        upstream.always(server)
        dialect = {MessagesServer: "anthropic", GeminiServer: "gemini"}.get(type(server), "openai_chat")
        spent: dict[str, int] = {}
        pauses: list[float] = []

        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        async with client_under(policy) as client:
            target = Target(provider or provider_at(upstream, dialect), MODEL)
            spending = Spending(requests, tokens)

            def tell(probe: Probe, finding: Finding | None) -> None:
                begun = spent.get(probe.name, 0)
                spent[probe.name] = spending.requests - (begun if finding else 0)

            asker = Asker(client, target, lambda _: Chain(), spending, pause)
            battery = Battery(asker, chosen(only, skip), tell, [key for key in (target.provider.key,) if key])
            return Run(await battery.run(), asker, spent, pauses)

    return run
