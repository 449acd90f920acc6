"""In which header a provider's key goes, by dialect, platform and what the user says; and that it goes in no other."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from ccrouter.config.schema import Endpoint, Provider
from ccrouter.secret import Secret
from ccrouter.upstream.auth import auth_headers
from ccrouter.upstream.client import UpstreamClient
from tests.upstream import Upstream, json_reply

BEARER, X, GOOGLE, AZURE = (
    {"authorization": "Bearer k"},
    {"x-api-key": "k"},
    {"x-goog-api-key": "k"},
    {"api-key": "k"},
)


@pytest.mark.parametrize(
    ("endpoint", "more", "expected"),
    [
        (Endpoint("gemini", "https://generativelanguage.googleapis.com/v1beta/models"), {}, GOOGLE),
        (Endpoint("gemini", "https://aiplatform.googleapis.com/v1/publishers/google/models", "vertex"), {}, GOOGLE),
        (Endpoint("anthropic", "https://aiplatform.googleapis.com/v1/x/models", "vertex"), {}, BEARER),
        (Endpoint("anthropic", "https://bedrock-runtime.eu-west-1.amazonaws.com", "bedrock"), {}, BEARER),
        (Endpoint("openai_chat", "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1", "bedrock"), {}, BEARER),
        (Endpoint("openai_responses", "https://api.openai.com/v1/responses"), {}, BEARER),
        (Endpoint("openai_responses", "https://x.openai.azure.com/openai/v1/responses"), {}, AZURE),
        (Endpoint("openai_chat", "https://x.openai.azure.com/openai/v1/chat/completions"), {}, AZURE),
        (Endpoint("openai_chat", "https://api.deepseek.com/chat/completions"), {}, BEARER),
        (Endpoint("anthropic", "https://api.anthropic.com/v1/messages"), {}, X),
        (Endpoint("anthropic", "https://openrouter.ai/api/v1/messages"), {}, X | BEARER),
        (Endpoint("anthropic", "https://relay.example/v1/messages"), {}, X | BEARER),
        (Endpoint("anthropic", "https://relay.example/v1/messages"), {"auth": "bearer"}, BEARER),
        (Endpoint("anthropic", "https://relay.example/v1/messages"), {"auth": "x-api-key"}, X),
        (Endpoint("anthropic", "https://api.anthropic.com/v1/messages"), {"auth": "bearer"}, BEARER),
    ],
)
def test_the_header(endpoint: Endpoint, more: dict[str, str], expected: dict[str, str]) -> None:
    """A key goes where its dialect, its platform or its user says, and nowhere else; without one nothing goes."""
    options = MappingProxyType(more)
    assert auth_headers(Provider("p", (endpoint,), Secret("k"), options=options), endpoint) == expected
    assert auth_headers(Provider("p", (endpoint,), options=options), endpoint) == {}


@pytest.mark.parametrize("dialect", ["anthropic", "openai_chat", "openai_responses", "gemini"])
@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "X-Goog-Api-Key", "API-Key"])
async def test_what_the_user_configured_wins(upstream: Upstream, dialect, name) -> None:
    """A header of the user's own replaces the router's of that name, in any case of letters, and is sent once."""
    upstream.always(json_reply({}))
    endpoint = Endpoint(dialect, f"{upstream.url}/v1/x")
    provider = Provider("p", (endpoint,), Secret("k"), headers=MappingProxyType({name: "mine", "X-Team": "t"}))
    client = UpstreamClient()
    try:
        (await client.send(provider, endpoint, {"x-team": "dialect"}, b'{"model":"m"}')).close()
    finally:
        await client.close()
    sent = upstream.requests[0].headers
    assert sent.get_all(name) == ["mine"]
    assert sent.get_all("x-team") == ["t"]
