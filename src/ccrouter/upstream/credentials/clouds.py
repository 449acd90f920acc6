"""The headers that prove who pays, for every provider on a platform: which credential, and whether one is needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import Endpoint, Provider
from ccrouter.upstream.credentials import bedrock, vertex
from ccrouter.upstream.credentials.bedrock import AwsSource, Unproven, signed
from ccrouter.upstream.credentials.keeper import Keeper, Loaded
from ccrouter.upstream.credentials.seam import Fetch, Seam
from ccrouter.upstream.credentials.vertex import GoogleSource

#: A request that has one of these brought its own proof: an API key, or what the user configured.
_PROOFS = frozenset({"authorization", "x-goog-api-key", "x-api-key", "api-key"})


@dataclass(frozen=True, slots=True)
class _Account:
    """A provider's credentials, kept."""

    keeper: Keeper[Any]
    seam: Seam


class Clouds:
    """The credentials of all providers on platforms, for one client. `now` and `pause` as of a Keeper."""

    def __init__(
        self,
        fetch: Fetch,
        policy: Policy,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._fetch = fetch
        self._policy = policy
        self._clock = (now, pause)
        self._accounts: dict[tuple[object, ...], _Account] = {}

    async def prove(
        self, provider: Provider, endpoint: Endpoint, unproven: Unproven, headers: Mapping[str, str]
    ) -> dict[str, str]:
        """`headers` with what the platform asks for.

        They stay as they are off platforms, and where they hold a proof. Raises Denied, UpstreamError, ConfigError.
        """
        if not endpoint.platform or not _PROOFS.isdisjoint(headers):
            return dict(headers)
        held = await self._account(provider, endpoint).keeper.get()
        if endpoint.platform == "vertex":
            return {**headers, **held}
        return {**headers, **signed(held, provider.options["region"], unproven, headers)}

    def drop(self, provider: Provider, endpoint: Endpoint, headers: Mapping[str, str]) -> bool:
        """The proof that `prove` put into `headers` was refused. True if there may be another to try."""
        account = self._accounts.get(_identity(provider, endpoint))
        if endpoint.platform != "vertex" or account is None:
            return False
        return account.keeper.drop_if(lambda held: held.get("authorization") == headers.get("authorization"))

    def close(self) -> None:
        """No credential is fetched or renewed any more."""
        for account in self._accounts.values():
            account.keeper.close()
            account.seam.close()

    def _account(self, provider: Provider, endpoint: Endpoint) -> _Account:
        identity = _identity(provider, endpoint)
        if identity not in self._accounts:
            seam = Seam(provider, self._fetch)
            source = (
                GoogleSource(provider, seam, self._policy)
                if endpoint.platform == "vertex"
                else AwsSource(provider, seam, self._policy)
            )

            async def load() -> Loaded[Any]:
                return await asyncio.to_thread(source.load)

            self._accounts[identity] = _Account(Keeper(load, *self._clock), seam)
        return self._accounts[identity]


def advice_of(provider: Provider) -> str:
    """What to do where the credentials of a provider on a platform are missing or refused."""
    if provider.endpoints[0].platform == "vertex":
        return vertex.ADVICE
    return bedrock.advice(provider.options.get("aws_profile"))


def _identity(provider: Provider, endpoint: Endpoint) -> tuple[object, ...]:
    """What a credential depends on: a provider that is configured anew gets new ones."""
    return provider.name, endpoint.platform, provider.proxy, *sorted(provider.options.items())
