"""Price lists of others, in our form."""

from __future__ import annotations

import json

import pytest

from ccrouter.errors import ConfigError
from ccrouter.prices.book import PriceBook
from ccrouter.prices.catalogue import read_catalogue
from ccrouter.prices.foreign import read_foreign

LITELLM = {
    "sample_spec": {"litellm_provider": "one of https://…", "input_cost_per_token": "a number"},
    "claude-sonnet-4-5-20250929": {
        "litellm_provider": "anthropic", "mode": "chat", "max_input_tokens": 200000, "max_tokens": 64000,
        "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05, "cache_read_input_token_cost": 3e-07,
        "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
        "input_cost_per_token_above_200k_tokens": 6e-06, "output_cost_per_token_above_200k_tokens": 2.25e-05,
        "cache_read_input_token_cost_above_200k_tokens": 6e-07,
        "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_medium": 0.01},
    },
    "gemini/gemini-2.5-flash": {
        "litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06,
        "output_cost_per_reasoning_token": 2.5e-06,
    },
    "azure/gpt-4o": {
        "litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
    },
    "dashscope/qwen3-coder-plus": {
        "litellm_provider": "dashscope", "mode": "chat", "max_input_tokens": 997952,
        "tiered_pricing": [
            {"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 5e-06},
            {"range": [32000.0, 128000.0], "input_cost_per_token": 1.8e-06, "output_cost_per_token": 9e-06,
             "cache_read_input_token_cost": 1.8e-07},
        ],
    },
    "openrouter/qwen/qwen3-coder": {
        "litellm_provider": "openrouter", "mode": "chat", "input_cost_per_token": 2.2e-07, "output_cost_per_token": 1e-06,
    },
    "text-embedding-3-small": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 2e-08},
    "watsonx/x": {"litellm_provider": "watsonx", "mode": "chat", "input_cost_per_token": 1, "output_cost_per_token": 1},
    "gpt-4o-free": {"litellm_provider": "openai", "mode": "chat"},
}  # fmt: skip
OPENROUTER = {
    "data": [
        {
            "id": "anthropic/claude-sonnet-4.5", "context_length": 1000000,
            "pricing": {
                "prompt": "0.000003", "completion": "0.000015", "request": "0", "image": "0.0048",
                "web_search": "0.01", "internal_reasoning": "0", "input_cache_read": "0.0000003",
                "input_cache_write": "0.00000375",
            },
        },
        {"id": "Qwen/Qwen3-Coder:free", "context_length": 262144, "pricing": {"prompt": "0", "completion": "0"}},
        {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
        {"id": "perplexity/sonar", "pricing": {"prompt": "0.000001", "completion": "0.000001", "request": "0.005"}},
        {"id": "x/thinks", "pricing": {"prompt": "0.000001", "completion": "0.000002", "internal_reasoning": "0.000003"}},
        {"id": "x/nothing", "pricing": {}},
        {"id": "x/none"},
    ]
}  # fmt: skip


def book_of(tree):
    found = read_foreign(json.loads(json.dumps(tree)), "f.json", "2026-11-20")
    return PriceBook(file=read_catalogue(found.tree, "f.json", "file f.json")), found


def test_litellm():
    """Figures by the token become dollars per million, tiers and windows with them; providers are known by their hosts."""
    book, found = book_of(LITELLM)
    price = book.price_of("p", "api.anthropic.com", "anthropic", "claude-sonnet-4-5-20250929")
    assert (price.input, price.output, price.cache_read) == (3, 15, 0.3)
    assert (price.cache_write_5m, price.cache_write_1h, price.search, price.source) == (3.75, 6, 10, "file f.json")
    (tier,) = price.tiers
    assert (tier.tokens, tier.input, tier.output, tier.cache_read, tier.cache_write_5m) == (200_000, 6, 22.5, 0.6, None)
    assert book.price_of("p", "generativelanguage.googleapis.com", "gemini", "gemini-2.5-flash").thinking == 2.5
    assert book.price_of("p", "my.openai.azure.com", "azure", "gpt-4o").input == 2.5
    tiered = book.price_of("p", "dashscope-intl.aliyuncs.com", "dashscope", "qwen3-coder-plus")
    assert (tiered.input, [(one.tokens, one.input, one.cache_read) for one in tiered.tiers]) == (
        1,
        [(32000, 1.8, 0.18)],
    )
    assert book.context_window("dashscope-intl.aliyuncs.com", "dashscope", "qwen3-coder-plus") == 997952
    assert book.price_of("p", "openrouter.ai", "openrouter", "qwen/qwen3-coder").input == 0.22
    assert (found.kind, found.tree["date"]) == ("LiteLLM", "2026-11-20")
    assert sum(found.left_out.values()) == 3


def test_openrouter():
    """Texts in dollars by the token; what is billed otherwise is left out, and it is counted why."""
    book, found = book_of(OPENROUTER)
    price = book.price_of("p", "openrouter.ai", "openrouter", "anthropic/claude-sonnet-4.5")
    assert (price.input, price.output, price.cache_read, price.cache_write_5m) == (3, 15, 0.3, 3.75)
    assert (price.search, price.thinking, price.cache_write_1h) == (10, None, None)
    assert book.price_of("p", "openrouter.ai", "openrouter", "qwen/qwen3-coder:free").input == 0
    assert book.price_of("p", "openrouter.ai", "openrouter", "x/thinks").thinking == 3
    assert book.context_window("openrouter.ai", "openrouter", "qwen/qwen3-coder:free") == 262144
    for unknown in ("openrouter/auto", "perplexity/sonar", "x/nothing", "x/none"):
        assert book.price_of("p", "openrouter.ai", "openrouter", unknown) is None
    assert dict(found.left_out) == {
        "whose price depends on what answers": 1,
        "that are billed by the request too": 1,
        "without a price by the token": 2,
    }


def test_our_own():
    """Passes as it is."""
    tree = {"format": "ccrouter-prices/1", "date": "2026-11-22", "vendors": {}}
    assert read_foreign(tree, "f.json", "2026-01-01").tree is tree


def with_figure(value):
    entry = {**LITELLM["claude-sonnet-4-5-20250929"], "output_cost_per_token": value}
    return {"m": entry}


@pytest.mark.parametrize(
    ("tree", "places"),
    [
        ([], [""]),
        ("x", [""]),
        ({"a": 1}, [""]),
        (with_figure("3e-06"), ["m.output_cost_per_token"]),
        (with_figure(-1), ["m.output_cost_per_token"]),
        (with_figure([]), ["m.output_cost_per_token"]),
        ({"m": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [{}]}}, ["m.tiered_pricing[0]"]),
        ({"data": [{"name": "x"}]}, ["data[0]"]),
        ({"data": [{"id": "x", "pricing": {"prompt": "much", "completion": "0"}}]}, ["data[0].pricing.prompt"]),
        ({"data": [{"id": "x", "pricing": {"prompt": "inf", "completion": "0"}}]}, ["data[0].pricing.prompt"]),
    ],
)
def test_nonsense_is_refused_with_its_place(tree, places):
    """A list with a figure that is none is no list to reckon by."""
    with pytest.raises(ConfigError) as caught:
        read_foreign(tree, "f.json", "2026-11-20")
    assert [problem.path for problem in caught.value.problems] == places


def test_a_figure_beyond_all_reason_is_refused():
    """Also where it is well formed: nobody charges a thousand dollars a token."""
    found = read_foreign(with_figure(1000.0), "f.json", "2026-11-20")
    with pytest.raises(ConfigError):
        read_catalogue(found.tree, "f.json")
