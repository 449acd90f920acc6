"""Where to POST and in which format, for every kind of URL that users write."""

from __future__ import annotations

import pytest

from ccrouter.config.endpoint import complaint, endpoints_of
from ccrouter.config.schema import Endpoint

A, C, R, G = "anthropic", "openai_chat", "openai_responses", "gemini"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models"
GEMINI_CHAT = "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"

# url, other arguments → (dialect, url), …
TABLE = [
    # a full URL decides by itself
    ("https://x.example/v1/chat/completions", {}, [(C, "https://x.example/v1/chat/completions")]),
    ("https://x.example/v1/chat/completions/", {}, [(C, "https://x.example/v1/chat/completions")]),
    ("https://x.example/a/b/messages", {}, [(A, "https://x.example/a/b/messages")]),
    ("https://x.example/v1/messages?beta=true", {}, [(A, "https://x.example/v1/messages?beta=true")]),
    ("https://x.example/v1/responses", {}, [(R, "https://x.example/v1/responses")]),
    (
        "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
        {},
        [(C, "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21")],
    ),
    # the URL is above the transformer's name, which one gateway's users rely on
    ("https://x.example/v1/chat/completions", {"wire": ("anthropic",)}, [(C, "https://x.example/v1/chat/completions")]),
    ("https://x.example/v1/messages", {"wire": ("openai",)}, [(A, "https://x.example/v1/messages")]),
    # OpenRouter
    ("https://openrouter.ai/api", {"name": "openrouter"}, [(A, "https://openrouter.ai/api/v1/messages")]),
    ("https://openrouter.ai/api/", {"name": "any"}, [(A, "https://openrouter.ai/api/v1/messages")]),
    ("https://openrouter.ai/api/v1", {"name": "openrouter"}, [(A, "https://openrouter.ai/api/v1/messages")]),
    ("https://openrouter.ai/api/v1", {"protocol": "openai"}, [(C, "https://openrouter.ai/api/v1/chat/completions")]),
    ("https://openrouter.ai/api", {"protocol": "openai"}, [(C, "https://openrouter.ai/api/v1/chat/completions")]),
    # Anthropic
    ("https://api.anthropic.com", {}, [(A, "https://api.anthropic.com/v1/messages")]),
    ("https://api.anthropic.com/v1", {}, [(A, "https://api.anthropic.com/v1/messages")]),
    ("https://api.anthropic.com/v1/messages", {}, [(A, "https://api.anthropic.com/v1/messages")]),
    # relays and mocks under the two well-known names: Messages first, then chat
    ("http://127.0.0.1:9/api", {"name": "OpenRouter"}, [(A, "http://127.0.0.1:9/api/v1/messages"), (C, "http://127.0.0.1:9/api/v1/chat/completions")]),
    ("http://127.0.0.1:9", {"name": "anthropic"}, [(A, "http://127.0.0.1:9/v1/messages"), (C, "http://127.0.0.1:9/v1/chat/completions")]),
    ("http://127.0.0.1:9/v1/", {"name": "anthropic"}, [(A, "http://127.0.0.1:9/v1/messages"), (C, "http://127.0.0.1:9/v1/chat/completions")]),
    ("http://127.0.0.1:9/llm", {"name": "anthropic", "is_full": False}, [(C, "http://127.0.0.1:9/llm/v1/chat/completions"), (C, "http://127.0.0.1:9/llm/chat/completions")]),
    # anything else that ends in a version is chat
    ("https://api.groq.com/openai/v1", {}, [(C, "https://api.groq.com/openai/v1/chat/completions")]),
    ("https://open.bigmodel.cn/api/paas/v4/", {}, [(C, "https://open.bigmodel.cn/api/paas/v4/chat/completions")]),
    ("http://localhost:11434/v1", {"name": "ollama"}, [(C, "http://localhost:11434/v1/chat/completions")]),
    ("http://localhost:8000/v1", {"wire": ("anthropic",)}, [(A, "http://localhost:8000/v1/messages")]),
    ("http://localhost:8000/v1", {"protocol": "anthropic", "name": "x"}, [(A, "http://localhost:8000/v1/messages")]),
    # bases without a version
    ("https://api.deepseek.com", {"is_full": False}, [(C, "https://api.deepseek.com/v1/chat/completions"), (C, "https://api.deepseek.com/chat/completions")]),
    ("https://api.deepseek.com/anthropic", {}, [(A, "https://api.deepseek.com/anthropic/v1/messages"), (A, "https://api.deepseek.com/anthropic")]),
    ("https://api.z.ai/api/anthropic", {"is_full": False}, [(A, "https://api.z.ai/api/anthropic/v1/messages")]),
    # a full URL of an unusual kind is taken at its word first
    ("https://gw.example/llm", {}, [(C, "https://gw.example/llm"), (C, "https://gw.example/llm/v1/chat/completions")]),
    # Gemini's own API, as every recipe of the classic router has it; with /openai in the path it is chat
    ("https://generativelanguage.googleapis.com/v1beta/models/", {}, [(G, GEMINI)]),
    ("https://generativelanguage.googleapis.com/v1beta/models/", {"wire": ("gemini",)}, [(G, GEMINI)]),
    ("https://generativelanguage.googleapis.com/v1/models", {}, [(G, "https://generativelanguage.googleapis.com/v1/models")]),
    ("https://generativelanguage.googleapis.com", {"protocol": "gemini"}, [(G, GEMINI)]),
    ("https://generativelanguage.googleapis.com/v1beta/", {}, [(G, GEMINI)]),
    ("https://generativelanguage.googleapis.com/v1beta/models/g:streamGenerateContent?key=k&alt=sse", {}, [(G, GEMINI)]),
    ("https://generativelanguage.googleapis.com/v1beta/models/?quotaUser=me&key=k", {}, [(G, f"{GEMINI}?quotaUser=me")]),
    ("https://generativelanguage.googleapis.com/v1beta/openai/", {}, [(C, GEMINI_CHAT)]),
    ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", {"wire": ("gemini",)}, [(C, GEMINI_CHAT)]),
    ("https://generativelanguage.googleapis.com", {"protocol": "openai"}, [(C, GEMINI_CHAT)]),
    ("https://relay.example/v1beta/models/", {}, [(G, "https://relay.example/v1beta/models")]),
    ("https://relay.example/v1beta", {"wire": ("gemini",)}, [(G, "https://relay.example/v1beta/models")]),
    ("https://relay.example/models/g:generateContent", {"wire": ("gemini",)}, [(G, "https://relay.example/models")]),
    ("https://relay.example", {"wire": ("gemini",)}, [(G, "https://relay.example/v1beta/models")]),
    ("https://relay.example/gemini", {"wire": ("gemini",)}, [(G, "https://relay.example/gemini"), (G, "https://relay.example/gemini/v1beta/models")]),
    ("https://relay.example/gemini", {"wire": ("gemini",), "is_full": False}, [(G, "https://relay.example/gemini/v1beta/models")]),
    # Responses
    ("https://api.openai.com/v1/responses", {}, [(R, "https://api.openai.com/v1/responses")]),
    ("https://api.openai.com/v1/responses?x=1", {"wire": ("openai-responses",)}, [(R, "https://api.openai.com/v1/responses?x=1")]),
    ("https://api.openai.com/v1", {"wire": ("openai-responses",)}, [(R, "https://api.openai.com/v1/responses")]),
    ("https://api.openai.com", {"protocol": "responses"}, [(R, "https://api.openai.com/v1/responses")]),
    ("https://openrouter.ai/api/v1", {"protocol": "responses"}, [(R, "https://openrouter.ai/api/v1/responses")]),
    ("https://relay.example/x", {"protocol": "responses"}, [(R, "https://relay.example/x"), (R, "https://relay.example/x/v1/responses")]),
    ("https://relay.example/x", {"protocol": "responses", "is_full": False}, [(R, "https://relay.example/x/v1/responses")]),
    ("https://api.openai.com/v1/chat/completions", {"wire": ("openai-responses",)}, [(C, "https://api.openai.com/v1/chat/completions")]),
]  # fmt: skip


@pytest.mark.parametrize(("url", "more", "expected"), TABLE)
def test_table(url, more, expected):
    """A URL, with what else is known of its provider, gives these endpoints in this order."""
    assert endpoints_of(url, **more) == tuple(Endpoint(*pair) for pair in expected)


@pytest.mark.parametrize("url", ["", "x", "ftp://x/y", "https://", "http://a b/", "https://x:port/", "https://[::1/"])
def test_what_is_no_url_is_said(url):
    """A text that cannot be POSTed to is complained of, not split into something."""
    assert complaint(url)


def test_a_complaint_does_not_repeat_the_url():
    """A URL may hold a password: what is said of it does not."""
    assert "hunter2" not in complaint("ftp://me:hunter2@x/")
    assert "hunter2" not in repr(endpoints_of("https://me:hunter2@x.example/v1?key=hunter2"))
