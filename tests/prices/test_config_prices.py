"""`prices` of the config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccrouter.config.load import load
from ccrouter.config.rates import Rates, Tier
from ccrouter.errors import ConfigError


def prices_of(tmp_path: Path, prices):
    path = tmp_path / "config.json"
    one = {"name": "p", "api_base_url": "http://localhost:11434/v1/chat/completions", "models": ["m"]}
    path.write_text(json.dumps({"Providers": [one], "Router": {"default": "p,m"}, "prices": prices}))
    return load(path, {})


def test_read(tmp_path):
    """Figures in every form that numbers of the file may have, tiers in the order of their tokens."""
    said = {
        "or,qwen/qwen3-coder": {"input": 0.3, "output": "1.2"},
        "claude-sonnet-4-5": {
            "input": 3, "output": 15, "cacheRead": 0.3, "cache_write_5m": 3.75, "cacheWrite1h": 6, "thinking": 15,
            "search": 10, "above": [{"tokens": 500000, "input": 9}, {"tokens": "200000", "input": 6, "output": 22.5}],
        },
        "free": {"input": 0, "output": 0},
    }  # fmt: skip
    config = prices_of(tmp_path, said)
    assert config.prices == {
        "or,qwen/qwen3-coder": Rates(0.3, 1.2),
        "claude-sonnet-4-5": Rates(3, 15, 0.3, 3.75, 6, 15, 10, (Tier(200_000, 6, 22.5), Tier(500_000, 9))),
        "free": Rates(0, 0),
    }
    assert not config.warnings


def test_none(tmp_path):
    """Without the key there are none."""
    assert dict(load(None, {}).prices) == {}
    assert dict(prices_of(tmp_path, {}).prices) == {}


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"m": {"input": 1}}, "prices.m"),
        ({"m": {}}, "prices.m"),
        ({"m": 3}, "prices.m"),
        ({"m": {"input": -1, "output": 1}}, "prices.m.input"),
        ({"m": {"input": "much", "output": 1}}, "prices.m.input"),
        ({"m": {"input": 1e6, "output": 1}}, "prices.m.input"),
        ({"m": {"input": 1, "output": 1, "above": [{"input": 2}]}}, "prices.m.above[0]"),
        ({"m": {"input": 1, "output": 1, "above": [{"tokens": 9}]}}, "prices.m.above[0]"),
        ({"m": {"input": 1, "output": 1, "above": [{"tokens": 0, "input": 1}]}}, "prices.m.above[0].tokens"),
        ([], "prices"),
    ],
)
def test_nonsense_is_refused(tmp_path, said, path):
    """At its place; a price without input or output is none."""
    with pytest.raises(ConfigError) as caught:
        prices_of(tmp_path, said)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_a_figure_that_is_misspelled_is_told(tmp_path):
    """And what was probably meant."""
    (warning,) = prices_of(tmp_path, {"m": {"input": 1, "output": 1, "cacheReed": 1}}).warnings
    assert (warning.path, "cacheRead" in warning.hint) == ("prices.m.cacheReed", True)
