"""Which price holds for which model at which provider."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccrouter.config.load import load
from ccrouter.config.rates import Rates
from ccrouter.config.schema import Config
from ccrouter.prices.book import PriceBook
from ccrouter.prices.catalogue import read_catalogue

DAY = "catalogue 2026-11-22"
SMALL = {
    "format": "ccrouter-prices/1",
    "date": "2026-10-01",
    "vendors": {
        "openai": {"models": {"gpt-4o": {"input": 7, "output": 8, "context": 5}, "gpt-9": {"input": 1, "output": 2}}},
        "bedrock": {"models": {"us.anthropic.claude-opus-4-6-v1": {"input": 9, "output": 99}}},
        "mine": {"hosts": ["llm.example.com", "*.gpu.example.net"], "models": {"m": {"input": 1, "output": 1}}},
    },
}


@pytest.fixture
def book() -> PriceBook:
    return PriceBook()


def figures(price):
    return None if price is None else (price.input, price.output, price.cache_read)


@pytest.mark.parametrize(
    ("host", "model", "told"),
    [
        ("api.anthropic.com", "claude-sonnet-4-5-20250929", (3, 15, 0.3)),
        ("api.anthropic.com", "claude-opus-4-1-20250805", (15, 75, 1.5)),
        ("api.anthropic.com", "claude-opus-4-20250514", (15, 75, 1.5)),
        ("api.anthropic.com", "claude-haiku-4-5", (1, 5, 0.1)),
        ("API.OpenAI.com.", "gpt-4o", (2.5, 10, 1.25)),
        ("api.openai.com", "gpt-4o-2024-08-06", (2.5, 10, 1.25)),
        ("api.openai.com", "gpt-4o-2024-05-13", (5, 15, None)),  # a day that is another price
        ("api.openai.com", "gpt-4o-mini", (0.15, 0.6, 0.075)),
        ("api.openai.com", "gpt-4o-realtime", None),
        ("api.openai.com", "gpt-4", (30, 60, None)),
        ("api.openai.com", "gpt", None),
        ("generativelanguage.googleapis.com", "models/gemini-2.5-pro", (1.25, 10, 0.125)),
        ("api.openai.com", "claude-sonnet-4-5", None),  # a model of somebody else's
        ("api.anthropic.com.evil.example", "claude-sonnet-4-5", None),
        ("notapi.openai.com", "gpt-4o", None),
        ("relay.example.com", "claude-sonnet-4-5", None),  # who knows what a relay charges
        ("", "claude-sonnet-4-5", None),
        ("api.deepseek.com", "deepseek-v4-pro", None),  # by the time of day: left out
    ],
)
def test_by_host_and_whole_name(book, host, model, told):
    """The host says who sends the bill; a model is found by its whole name, or not at all."""
    assert figures(book.price_of("p", host, "generic", model)) == told


@pytest.mark.parametrize(
    ("host", "model", "told"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", 3.3),
        ("bedrock-runtime.us-east-1.amazonaws.com", "anthropic.claude-sonnet-4-6", 3.3),
        ("bedrock-runtime.us-east-1.amazonaws.com", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", 3.0),
        ("bedrock-runtime.us-east-1.amazonaws.com", "us.anthropic.claude-sonnet-4-20250514-v1:0", 3.0),
        ("aiplatform.googleapis.com", "claude-sonnet-4-5@20250929", 3.0),
        ("aiplatform.googleapis.com", "gemini-2.5-pro", 1.25),
        ("us-east5-aiplatform.googleapis.com", "claude-sonnet-4-5@20250929", 3.3),
        ("us-east5-aiplatform.googleapis.com", "claude-opus-4-1@20250805", 15.0),
        ("aiplatform.eu.rep.googleapis.com", "claude-haiku-4-5@20251001", 1.1),
    ],
)
def test_clouds(book, host, model, told):
    """Clouds charge what Anthropic does, and a tenth more where the region is chosen, from Claude 4.5 on."""
    price = book.price_of("p", host, "generic", model)
    assert price.input == pytest.approx(told)
    if model.startswith("us.anthropic.claude-sonnet-4-5"):
        assert (price.cache_write_1h, price.tiers[0].input) == (pytest.approx(6.6), pytest.approx(6.6))


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("anthropic/claude-sonnet-4.5", (3, 15, 0.3)),
        ("anthropic/claude-sonnet-4.5:online", (3, 15, 0.3)),
        ("openai/gpt-4o-mini", (0.15, 0.6, 0.075)),
        ("google/gemini-2.5-pro", (1.25, 10, 0.125)),
        ("qwen/qwen3-coder:free", (0, 0, 0)),
        ("anthropic/claude-sonnet-4.5:nitro", None),  # of whoever is the fastest
        ("qwen/qwen3-coder", None),
        ("claude-sonnet-4-5", None),
        ("openai/claude-sonnet-4.5", None),
    ],
)
def test_a_gateway(book, model, told):
    """OpenRouter charges the makers' prices, its free variants cost nothing; what it routes by price is not known."""
    assert figures(book.price_of("or", "openrouter.ai", "openrouter", model)) == told


@pytest.mark.parametrize(
    ("host", "profile", "model", "is_free"),
    [
        ("localhost", "ollama", "qwen3:8b", True),
        ("127.0.0.1", "lmstudio", "x", True),
        ("::1", "llamacpp", "x", True),
        ("[::1]", "vllm", "x", True),
        ("localhost", "ollama", "glm-5.2:cloud", False),  # only passed on
        ("localhost", "ollama", "gpt-oss:120b-cloud", False),
        ("localhost", "generic", "x", False),  # a relay, for all that is known
        ("localhost", "openrouter", "x", False),
        ("192.168.1.20", "ollama", "qwen3:8b", False),  # somebody's machine
        ("ollama.com", "ollama", "qwen3:8b", False),
    ],
)
def test_on_this_machine(book, host, profile, model, is_free):
    """A server of models on this machine charges nothing; anything else there, and anybody else's, may."""
    price = book.price_of("p", host, profile, model)
    assert (price is not None and price.source == "local" and price.input == 0) is is_free


def test_the_dry_run_costs_nothing(book):
    """The provider that sends nothing has no bill; one of that name that sends has."""
    assert book.price_of("dry-run", "", "generic", "dry-run").source == "local"
    assert book.price_of("dry-run", "example.com", "generic", "dry-run") is None


def test_the_users_own_word_counts_most():
    """A price of the config, for a provider's model or for a model, goes before everything, also before "local"."""
    book = PriceBook({"Corp, GPT-4o": Rates(1, 2), "gpt-4o": Rates(3, 4), "qwen3:8b": Rates(5, 6)})
    assert book.price_of("corp", "llm.corp.example", "generic", "gpt-4o").input == 1
    assert book.price_of("corp", "llm.corp.example", "generic", "gpt-4o-2024-08-06").input == 1
    other = book.price_of("other", "api.openai.com", "openai", "gpt-4o")
    assert (other.input, other.source) == (3, "config")
    assert book.price_of("o", "localhost", "ollama", "qwen3:8b").input == 5
    assert book.price_of("other", "api.openai.com", "openai", "gpt-4o-mini").source == DAY


def test_a_file_goes_over_the_catalogue():
    """Model by model; what it does not have stays, and so do a vendor's hosts. Its own figures have every premium in
    them, and it may have vendors of its own.
    """
    book = PriceBook(file=read_catalogue(SMALL, "prices.json", "file prices.json"))
    price = book.price_of("p", "api.openai.com", "openai", "gpt-4o")
    assert (price.input, price.source, price.cache_read) == (7, "file prices.json", None)
    assert book.price_of("p", "api.openai.com", "openai", "gpt-9").output == 2
    assert book.price_of("p", "api.openai.com", "openai", "gpt-4o-mini").source == DAY
    assert (
        book.price_of("p", "bedrock-runtime.eu-west-1.amazonaws.com", "", "us.anthropic.claude-opus-4-6-v1").input == 9
    )
    assert book.price_of("p", "eu.llm.example.com", "", "m").input == 1
    assert book.price_of("p", "a.gpu.example.net", "", "m").input == 1
    assert book.price_of("p", "gpu.example.net", "", "m") is None
    assert book.context_window("api.openai.com", "openai", "gpt-4o") == 5
    assert book.dates == ("2026-10-01", "2026-11-22")


def test_windows(book):
    """A model's window is the same wherever it is served; on this machine its server sets it, and nobody knows."""
    assert book.context_window("api.anthropic.com", "anthropic", "claude-sonnet-4-5-20250929") == 200_000
    assert book.context_window("api.anthropic.com", "anthropic", "claude-sonnet-4-5[1m]") == 1_000_000
    assert book.context_window("relay.example.com", "generic", "claude-haiku-4-5") == 200_000
    assert book.context_window("relay.example.com", "generic", "anthropic/claude-haiku-4.5") == 200_000
    assert book.context_window("api.deepseek.com", "deepseek", "deepseek-v4-pro") == 1_000_000
    assert book.context_window("localhost", "ollama", "claude-haiku-4-5") is None
    assert book.context_window("api.openai.com", "openai", "nobody-knows") is None


def test_a_window_that_two_tell_differently():
    """Is not known for a third."""
    tree = {**SMALL, "vendors": {"a": {"models": {"m": {"context": 1000}}}, "b": {"models": {"m": {"context": 2000}}}}}
    book = PriceBook(file=read_catalogue(tree, "prices.json"))
    assert book.context_window("c.example", "generic", "m") is None


def test_load(tmp_path: Path):
    """The file beside the config is read; one that cannot be used is left out, and it is told why."""
    assert PriceBook.load(Config(), tmp_path).faults == ()
    (tmp_path / "prices.json").write_text(json.dumps(SMALL))
    assert PriceBook.load(Config(), tmp_path).price_of("p", "api.openai.com", "openai", "gpt-4o").input == 7
    for broken in ("{", "[]", json.dumps({**SMALL, "date": "yesterday"}), "\ufeff\udcff"):
        (tmp_path / "prices.json").write_text(broken, errors="surrogateescape")
        book = PriceBook.load(Config(prices={"m": Rates(1, 1)}), tmp_path)
        assert book.price_of("p", "api.openai.com", "openai", "gpt-4o").input == 2.5
        assert book.price_of("p", "x.example", "generic", "m").source == "config"
        (fault,) = book.faults
        assert str(tmp_path / "prices.json") in fault


def test_a_profile_that_nobody_names(tmp_path: Path):
    """Is looked up as the router itself does, here by the port: Ollama on this machine is known without a word."""
    path = tmp_path / "config.json"
    url = "http://localhost:{}/v1/chat/completions"
    said = [
        {"name": name, "api_base_url": url.format(port), "models": ["m"]} for name, port in (("a", 11434), ("b", 9))
    ]
    path.write_text(json.dumps({"Providers": said, "Router": {"default": "a,m"}}))
    book = PriceBook.load(load(path, {}), tmp_path)
    assert book.price_of("a", "localhost", "", "m").source == "local"
    assert book.price_of("b", "localhost", "", "m") is None
    assert book.price_of("c", "localhost", "", "m") is None


def test_what_was_asked_is_remembered(book):
    """The same answer is the same object, and a great many models leave no more than a bounded memory behind."""
    ask = ("p", "api.anthropic.com", "anthropic", "claude-haiku-4-5")
    assert book.price_of(*ask) is book.price_of(*ask)
    for number in range(5000):
        book.price_of("p", "api.openai.com", "openai", f"gpt-{number}-x")
    assert len(book._known) <= 4096
    assert book.price_of(*ask).input == 1
