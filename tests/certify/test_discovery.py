"""Where lists of models are, how they are read, and what the policy says of asking for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccrouter.certify.battery import PROBES
from ccrouter.certify.discovery import NoList, Offer, list_endpoint, offers, read_offers
from ccrouter.compliance.policy import Policy
from ccrouter.config.certified import MEMBERS
from ccrouter.config.schema import Endpoint, Provider
from ccrouter.errors import Denied, RemoteProtocolError, UpstreamStatus
from tests.certify.conftest import client_under, provider_at
from tests.certify.mind import KEY, ChatServer
from tests.upstream import json_reply, raw_reply

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("dialect", "url", "listed"),
    [
        ("openai_chat", "https://h.example/v1/chat/completions", "https://h.example/v1/models"),
        ("openai_chat", "https://h.example/chat/completions?v=1", "https://h.example/models?v=1"),
        ("openai_responses", "https://h.example/v1/responses", "https://h.example/v1/models"),
        ("anthropic", "https://h.example/api/v1/messages", "https://h.example/api/v1/models"),
        ("gemini", "https://h.example/v1beta/models/", "https://h.example/v1beta/models"),
        ("openai_chat", "https://h.example/openai/deployments/d/chat/completions", None),
        ("openai_chat", "https://h.example/strange", None),
        ("anthropic", "dry-run:", None),
    ],
)
def test_where_the_list_is(dialect, url, listed):
    """Beside the endpoint to POST to, its query kept; nowhere where nobody knows."""
    found = list_endpoint(Endpoint(dialect, url))
    assert (found.url if found else None) == listed


def test_no_list_on_a_platform():
    """Clouds have lists of their own kinds: none is guessed."""
    assert list_endpoint(Endpoint("anthropic", "https://h.example/v1/models", "vertex")) is None


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"data": [{"id": "a", "context_length": 9}, {"id": "b"}, {"no": 1}, 7]}, [Offer("a", 9), Offer("b")]),
        ([{"id": "a", "max_model_len": 5}], [Offer("a", 5)]),
        ({"models": [{"name": "models/g", "supportedGenerationMethods": ["generateContent"]}]}, [Offer("g")]),
        ({"models": [{"name": "models/e", "supportedGenerationMethods": ["embedContent"]}]}, []),
        ({"models": [{"model": "qwen3:8b"}]}, [Offer("qwen3:8b")]),
        ({"data": []}, []),
    ],
)
def test_lists_as_they_are(told, found):
    """OpenAI's, Anthropic's, Gemini's, Ollama's own and bare lists are read; what is no model is left out."""
    assert read_offers(told) == found


@pytest.mark.parametrize("told", [{}, {"data": "x"}, "x", 7, None])
def test_what_is_no_list(told):
    """Anything else is an error of the provider's."""
    with pytest.raises(RemoteProtocolError):
        read_offers(told)


async def test_failures(upstream):
    """A refusal is told in the provider's words, an answer that is no JSON as such, no list as one."""
    async with client_under() as client:
        upstream.reply(json_reply({"error": {"message": "go away"}}, 403), json_reply("<html>"))
        with pytest.raises(UpstreamStatus, match="go away"):
            await offers(client, provider_at(upstream))
        with pytest.raises(RemoteProtocolError, match="not a list"):
            await offers(client, provider_at(upstream))
        upstream.reply(raw_reply(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope"))
        with pytest.raises(RemoteProtocolError, match="not JSON"):
            await offers(client, provider_at(upstream))
        with pytest.raises(NoList):
            await offers(client, Provider("x", (Endpoint("anthropic", "dry-run:"),)))


async def test_a_list_that_never_ends(upstream):
    """A provider whose pages go round in circles is left after twenty of them."""
    upstream.always(lambda _: json_reply({"data": [{"id": "a"}], "has_more": True, "last_id": "a"}))
    async with client_under() as client:
        assert await offers(client, provider_at(upstream, "anthropic")) == [Offer("a")]
    assert len(upstream.requests) == 20


async def test_the_policy_of_a_list(upstream):
    """A GET names no model and needs none; places that are not allowed, and models in its URL, are judged as ever."""
    upstream.always(ChatServer())
    async with client_under(Policy(name="p", source="test", allowed_models=("m1",))) as client:
        assert await offers(client, provider_at(upstream)) == [Offer("m1", 32768)]
        assert upstream.requests[0].headers["authorization"] == f"Bearer {KEY}"
        assert upstream.requests[0].body == b""
        elsewhere = Endpoint("openai_chat", f"{upstream.url}/v1/chat/completions?model=other")
        with pytest.raises(Denied, match=r"models\.allowed"):
            await offers(client, Provider("x", (elsewhere,)))
    async with client_under(Policy(name="p", source="test", https_only=True)) as client:
        with pytest.raises(Denied, match="httpsOnly"):
            await offers(client, provider_at(upstream))
    assert len(upstream.requests) == 1


def test_probes_are_documented():
    """docs/providers.md tells of each probe, in their order, and of every member that can be certified."""
    text = (DOCS / "providers.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `") and line.count("|") == 4]
    assert rows == [probe.name for probe in PROBES]
    assert [name for name in MEMBERS if f"`{name}`" not in text] == []
