"""Each provider: where it is and how it is spoken to; and, only if asked, whether it answers and takes its key.

The request that proves a key goes the way of every other: dialect, `UpstreamClient`, policy.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import time
from collections.abc import Collection, Iterator, Mapping

from ccrouter.compliance.judge import Passage, judge
from ccrouter.compliance.policy import Policy
from ccrouter.config.schema import DRY_RUN, Config, Endpoint, PoolKey, Provider, Target
from ccrouter.dialects.registry import DIALECTS
from ccrouter.errors import Denied, RemoteProtocolError, RouterError, UpstreamStatus
from ccrouter.messages.request import MessagesRequest
from ccrouter.service.diagnosis.finding import Finding
from ccrouter.upstream.client import UpstreamClient, UpstreamResponse
from ccrouter.upstream.credentials.clouds import advice_of

TOPIC = "Providers"

#: Seconds for one provider's answer: somebody is waiting in front of a terminal.
PATIENCE = 20.0
_LARGEST = 64 * 1024  # bytes read of an error
_VARIABLE = re.compile(r"\$\{([^}:]+)")


def look_at_providers(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What the configuration says of each provider, one finding for each."""
    configured = [provider for provider in config.providers if provider.name != DRY_RUN]
    for provider in configured:
        endpoint = provider.endpoints[0]
        message = f"{provider.name}: {endpoint.public_url}, {endpoint.dialect}, {_key(provider, environ)}"
        told = f"{message}, {len(provider.models)} models"
        if provider.name in config.unavailable:
            yield _left_out(told, config.unavailable[provider.name])
        else:
            yield Finding(TOPIC, "info", told)
    shown = {provider.name for provider in configured}
    for name in (name for name in config.unavailable if name not in shown):
        yield _left_out(name, config.unavailable[name])
    if not configured and not config.unavailable:
        yield Finding(
            TOPIC, "warning", "none is configured: answers are scripted", "put one and its key into the config"
        )


def _left_out(told: str, reason: str) -> Finding:
    advice = "no route needs it; to use it, set what is missing"
    return Finding(TOPIC, "warning", f"{told}; it is left out: {reason}", advice)


def _key(provider: Provider, environ: Mapping[str, str]) -> str:
    if not provider.key:
        cloud = {"vertex": "Google's credentials", "bedrock": "AWS's credentials"}
        return cloud.get(provider.endpoints[0].platform, "no key")
    told = [f"{key.source} ({'unset in this shell' if _unset(key, environ) else 'set'})" for key in provider.pool]
    return f"key from {told[0]}" if len(told) == 1 else f"{len(told)} keys, from {', '.join(told)}"


def _unset(key: PoolKey, environ: Mapping[str, str]) -> list[str]:
    return [name for name in _VARIABLE.findall(key.source) if not environ.get(name)]


def ask_providers(
    config: Config,
    policy: Policy,
    environ: Mapping[str, str],
    patience: float = PATIENCE,
    *,
    incomplete: Collection[str] = (),
) -> list[Finding]:
    """One request of a token to each provider, and what came back. For a process without an event loop.

    A provider whose key is unset in `environ` is not asked, nor one that is `incomplete` for another such variable.
    """

    async def ask_all() -> list[Finding]:
        client = UpstreamClient(policy)
        try:
            there = [provider for provider in config.providers if provider.name != DRY_RUN]
            unasked = {provider.name: _unasked(provider, environ, incomplete) for provider in there}
            listed = [(one, _usable_model(one, config, policy)) for one in there if unasked[one.name] is None]
            answers = await asyncio.gather(*(_ask(client, *pair, patience) for pair in listed))
            return [*filter(None, unasked.values()), *answers]
        finally:
            await client.close()

    return asyncio.run(ask_all())


def _unasked(provider: Provider, environ: Mapping[str, str], incomplete: Collection[str]) -> Finding | None:
    """Why a provider is not asked, None if it can be: without its key, or elsewhere than it is, nothing is proven."""
    unset = " and ".join(_unset(provider.pool[0], environ))
    if unset:
        return Finding(TOPIC, "warning", f"{provider.name}: not asked, {unset} is unset", f'export {unset}="..."')
    if provider.name in incomplete:
        message = f"{provider.name}: not asked, a variable that it names is unset"
        return Finding(TOPIC, "warning", message, "see Configuration")
    return None


async def _ask(client: UpstreamClient, provider: Provider, model: str | None, patience: float) -> Finding:
    policy = client.policy
    if model is None:
        message = f"{provider.name}: not asked, no model of it is named that may be asked for"
        return Finding(TOPIC, "warning", message, "add one to its `models`")
    began = time.monotonic()
    try:
        async with asyncio.timeout(patience):
            for endpoint in provider.endpoints:  # the second, if there is one, is for hosts that have not the first
                error = await _send(client, Target(provider, model), policy.model_sent(model), endpoint)
                if error is None or error.status not in (404, 405):
                    break
    except TimeoutError:
        return Finding(TOPIC, "problem", f"{provider.name}: no answer within {patience:g} s", "check network and proxy")
    except Denied as denied:
        return Finding(TOPIC, "problem", f"{provider.name}: {denied}", "nothing was sent; `ccr verify` explains")
    except RouterError as failure:
        return Finding(TOPIC, "problem", str(failure), "check the URL, the network and the proxy")
    took = f"{(time.monotonic() - began) * 1000:.0f} ms"
    if error is None:
        return Finding(TOPIC, "ok", f"{provider.name}: it answers {model} and takes the key ({took})")
    return _explained(provider, model, error, took)


def _usable_model(provider: Provider, config: Config, policy: Policy) -> str | None:
    """The first model of the provider that the configuration names and the policy allows."""
    named = [*provider.models, *(ref.model for ref in config.router.listed if ref.provider == provider.name)]
    passages = (Passage(provider=provider.name, model=name) for name in named)
    return next((passage.model for passage in passages if judge(policy, passage) is None), None)


async def _send(client: UpstreamClient, target: Target, model: str, endpoint: Endpoint) -> UpstreamStatus | None:
    """The provider's error, None if it answered. Raises RouterError."""
    body = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
    dialect = DIALECTS[endpoint.dialect]
    request = MessagesRequest.read(json.dumps(body).encode())
    sent = dialect.encode(request, Target(target.provider, model).at(endpoint), {})
    where = dataclasses.replace(endpoint, url=sent.url) if sent.url else endpoint
    response = await client.send(target.provider, where, sent.headers, sent.body)
    try:
        if response.status < 300:
            return None
        if response.status < 400:
            message = f"{target.provider.name}: it answers with a redirect ({response.status}), which is never followed"
            raise RemoteProtocolError(message, provider=target.provider.name)
        answer = await _read(response)
    finally:
        response.close()
    return dialect.explain(response.status, response.headers, answer, target.provider.name)


async def _read(response: UpstreamResponse) -> bytes:
    body = b""
    while len(body) < _LARGEST and (chunk := await response.read()):
        body += chunk
    return body


def _explained(provider: Provider, model: str, error: UpstreamStatus, took: str) -> Finding:
    """An error status as a finding: what it says about the key, and what about the rest."""
    status = f"HTTP {error.status}, {took}"
    if error.status in (401, 403) and provider.endpoints[0].platform and not provider.key:
        return Finding(TOPIC, "problem", f"{provider.name}: {error} ({status})", advice_of(provider))
    if error.status in (401, 403):
        message = f"Invalid API key for provider '{provider.name}' ({status})"
        return Finding(TOPIC, "problem", message, f"check {_place_of_key(provider)}")
    if error.status == 402 or error.type == "billing_error":
        return Finding(TOPIC, "problem", f"{provider.name}: it takes the key, and has no credit ({status})", "top up")
    if error.status in (404, 405):
        advice = "check the provider's URL and the name of the model"
        return Finding(TOPIC, "problem", f"{provider.name}: {model} is not there ({status}): {error}", advice)
    if error.status == 429:
        return Finding(
            TOPIC, "warning", f"{provider.name}: it takes the key, and is busy ({status})", "try again later"
        )
    if error.status == 400:
        message = f"{provider.name}: it takes the key, and refuses this small request ({status}): {error}"
        return Finding(TOPIC, "warning", message, "check the model and the transformers")
    return Finding(TOPIC, "problem", f"{provider.name}: {status}: {error}", "check the URL; the fault may be theirs")


def _place_of_key(provider: Provider) -> str:
    names = _VARIABLE.findall(provider.key_source)
    return " and ".join(names) if names else f"`api_key` of {provider.name} in the config"
