"""The catalogue: entries are whole, and each is a provider that loads without a word of complaint."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import pytest

from ccrouter.config.catalogue import find, nearest, search
from ccrouter.config.catalogue_entries import ENTRIES
from ccrouter.config.catalogue_page import PAGE, page
from ccrouter.config.load import read
from ccrouter.config.schema import ROUTE_NAMES

NAMES = [entry.name for entry in ENTRIES]
REQUIRED = {
    "openrouter", "anthropic", "openai", "openai-responses", "gemini", "deepseek", "ollama", "lmstudio", "vllm",
    "llamacpp", "groq", "mistral", "xai", "moonshot", "moonshot-anthropic", "zai", "zai-anthropic", "minimax",
    "minimax-anthropic", "dashscope", "dashscope-cn", "volcengine", "siliconflow", "modelscope", "aihubmix", "together",
    "fireworks", "cerebras", "sambanova", "nvidia", "novita", "hyperbolic", "deepinfra", "perplexity", "cohere", "github",
    "azure", "vertex-claude", "vertex-gemini", "bedrock", "vercel", "huggingface", "chutes", "nebius", "baseten",
}  # fmt: skip


def test_it_is_as_large_as_it_should_be():
    """The providers that users of the classic router have, and more than thirty of them."""
    assert set(NAMES) >= REQUIRED
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_entries_are_whole(entry):
    """Names are words, variables are variables, documents are pages, roles are routes, and what is asked has a question."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry.name)
    assert entry.title
    assert entry.key == "" or re.fullmatch(r"[A-Z][A-Z0-9_]*", entry.key)
    assert (entry.key == "") == (entry.is_local or bool(entry.platform))
    assert urlsplit(entry.docs).scheme == "https"
    assert entry.confirmed == "" or re.fullmatch(r"20\d\d-\d\d-\d\d", entry.confirmed)
    assert set(entry.placeholders) == set(entry.questions)
    assert all(question.text and question.example for question in entry.questions.values())
    ids = [model.id for model in entry.models]
    assert len(ids) == len(set(ids))
    assert all(set(model.roles) <= set(ROUTE_NAMES) and model.roles for model in entry.models)
    if ids and entry.name not in {"perplexity", "hyperbolic"}:
        assert any("default" in model.roles for model in entry.models)
    assert bool(entry.url) != bool(entry.platform)


@pytest.mark.parametrize("shape", ["classic", "guide"])
@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_entries_load(entry, shape, tmp_path):
    """In both shapes each is a provider without warnings, whose URL alone gives its dialect, and its only endpoint."""
    answers = {name: question.example for name, question in entry.questions.items()}
    url = entry.filled(entry.url, answers)
    more = {name: entry.filled(value, answers) for name, value in entry.options.items()}
    if entry.platform:
        more["platform"] = entry.platform
    models = [model.id for model in entry.models] or ["some-model"]
    key = {"key": "${KEY}"} if entry.key else {}
    record = {**({"url": url} if url else {}), **key, **more, "models": models}
    if shape == "classic":
        tree = {"Providers": [{"name": entry.name, **record}], "Router": {"default": f"{entry.name},{models[0]}"}}
    else:
        routes = {f"{entry.name},{models[0]}": {"default": True}}
        tree = {"providers": {entry.name: record}, "routers": {"default": {"routes": routes}}}
    reading = read(None, {"KEY": "k" * 24, "HOME": str(tmp_path)}, text=json.dumps(tree))
    assert reading.problems == ()
    assert [str(warning) for warning in reading.config.warnings] == []
    (endpoint,) = reading.config.providers[0].endpoints
    assert endpoint.dialect == entry.dialect
    if url:
        assert endpoint.url.rstrip("/") == url.rstrip("/")


def test_finding():
    """By name in any case; what is like it is suggested."""
    assert find(" OpenRouter ", ENTRIES) is find("openrouter", ENTRIES)
    assert find("nobody", ENTRIES) is None
    assert nearest("opnrouter", ENTRIES)[0] == "openrouter"


def test_searching():
    """Every word has to be somewhere: in names, titles, URLs, dialects, models. Names and titles come first."""
    assert {entry.name for entry in search("kimi anthropic", ENTRIES)} >= {"moonshot-anthropic"}
    assert [entry.name for entry in search("GROQ", ENTRIES)] == ["groq"]
    assert search("no such thing anywhere", ENTRIES) == []
    found = [entry.name for entry in search("openrouter", ENTRIES)]
    assert found[:2] == ["openrouter", "openrouter-openai"]


def test_the_page_is_current():
    """The table in docs/providers.md is what the entries say."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "stale: run `python -m ccrouter.config.catalogue_page`"
    assert text.count("| `") > len(ENTRIES)
