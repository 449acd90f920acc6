"""The catalogue: sound, sourced, and strict about files of its form."""

from __future__ import annotations

import json
import re
from datetime import date
from importlib.resources import files

import pytest

from ccrouter.config.catalogue_hosts import HOSTS
from ccrouter.config.catalogue_makers import MAKERS
from ccrouter.dialects.profile_data import PROVIDERS
from ccrouter.errors import ConfigError
from ccrouter.prices.catalogue import packaged, read_catalogue

TREE = json.loads(files("ccrouter.prices").joinpath("catalogue.json").read_text())
MODELS = [
    (vendor, model, entry)
    for vendor, said in TREE["vendors"].items()
    for model, entry in said.get("models", {}).items()
]


def test_it_is_dated():
    """By a day that has been."""
    assert date(2026, 1, 1) < date.fromisoformat(packaged().date) <= date.today()  # noqa: DTZ011 - a day, anywhere


@pytest.mark.parametrize("vendor", TREE["vendors"])
def test_every_vendor_says_where_from(vendor):
    """And at which hosts it is known; the vendors that it takes prices from are there."""
    said = TREE["vendors"][vendor]
    assert re.match(r"https://[\w.-]+/", said["origin"])
    assert said["hosts"]
    assert {*said.get("as", ()), *said.get("makers", {}).values()} <= set(TREE["vendors"])


@pytest.mark.parametrize(("vendor", "model", "entry"), MODELS)
def test_figures_hang_together(vendor, model, entry):
    """Names are lower case; reading a cache costs no more than input, output no less; tiers rise and hide no figure."""
    assert model == model.lower()
    if "input" not in entry:
        assert entry["context"]
        return
    assert entry["output"] >= entry["input"]
    assert entry.get("cacheRead", 0) <= entry["input"]
    if not model.endswith("-highspeed"):  # MiniMax's fast models write at the price of the slow ones
        assert entry.get("cacheWrite5m", entry["input"]) >= entry["input"]
    assert entry.get("cacheWrite1h", 1e9) >= entry.get("cacheWrite5m", 0)
    said, tokens = {"input", "output", "cacheRead", "cacheWrite5m", "cacheWrite1h"} & set(entry), 0
    for tier in entry.get("above", ()):
        assert tier["tokens"] > tokens
        tokens = tier["tokens"]
        assert set(tier) - {"tokens"} == said
        assert all(tier[name] >= entry[name] for name in said)


def test_anthropics_own_ratios():
    """Writing for minutes costs 1.25, for an hour 2 times the input, but for models from before that rule."""
    for model, entry in TREE["vendors"]["anthropic"]["models"].items():
        if "cacheWrite1h" in entry and model != "claude-3-haiku":
            assert entry["cacheWrite5m"] == pytest.approx(entry["input"] * 1.25)
            assert entry["cacheWrite1h"] == pytest.approx(entry["input"] * 2)


def test_local_profiles_are_profiles():
    """Those that run where they are asked are known under these names."""
    assert packaged().local_profiles <= {known.profile.name for known in PROVIDERS}


def test_vendors_are_where_the_providers_catalogue_says():
    """A provider of the router's own catalogue that is at a vendor's host is at that vendor's."""
    hosts = {entry.url.split("/")[2] for entry in (*HOSTS, *MAKERS) if entry.url}
    known = {"api.anthropic.com", "api.openai.com", "openrouter.ai", "api.groq.com", "api.moonshot.ai", "api.z.ai"}
    known |= {"api.x.ai", "api.mistral.ai", "api.minimax.io", "api.cerebras.ai", "ai-gateway.vercel.sh"}
    listed = {host for said in TREE["vendors"].values() for host in said["hosts"]}
    assert known <= hosts
    assert known <= listed


VENDOR = {"models": {"m": {"input": 1, "output": 2}}}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"format": "ccrouter-prices/9"}, "format"),
        ({"date": "22.11.2026"}, "date"),
        ({"vendors": []}, "vendors"),
        ({"vendors": {"v": 3}}, "vendors.v"),
        ({"surprise": 1}, ""),
        ({"vendors": {"v": {"modles": {}}}}, "vendors.v"),
        ({"vendors": {"v": {"models": {"m": {"input": 1}}}}}, "vendors.v.models.m"),
        ({"vendors": {"v": {"models": {"m": {"input": -1, "output": 1}}}}}, "vendors.v.models.m.input"),
        ({"vendors": {"v": {"models": {"m": {"input": 1e9, "output": 1}}}}}, "vendors.v.models.m.input"),
        ({"vendors": {"v": {"models": {"m": {"input": "1", "output": 1}}}}}, "vendors.v.models.m.input"),
        ({"vendors": {"v": {"models": {"m": {"input": 1, "output": 1, "cacheReed": 1}}}}}, "vendors.v.models.m"),
        ({"vendors": {"v": {"models": {"m": {"context": 0}}}}}, "vendors.v.models.m.context"),
        ({"vendors": {"v": {"models": {"m": {"above": [{"input": 1}]}}}}}, "vendors.v.models.m.above[0]"),
        ({"vendors": {"v": {"models": {"m": {}, "n": {"also": ["M"]}}}}}, "vendors.v.models.n"),
        ({"vendors": {"v": {"premium": {"factor": 2, "model": "("}}}}, "vendors.v.premium.model"),
        ({"local": {"profiles": [], "remote": "["}}, "local.remote"),
    ],
)
def test_nonsense_is_refused_with_its_place(change, place):
    """Nothing of a file that holds a mistake is used, and it is told where the mistake is."""
    tree = {"format": "ccrouter-prices/1", "date": "2026-11-22", "vendors": {"v": VENDOR}}
    assert read_catalogue(tree, "f.json").vendors["v"].models["m"].rates
    with pytest.raises(ConfigError) as caught:
        read_catalogue({**tree, **change}, "f.json")
    assert [(problem.file, problem.path) for problem in caught.value.problems] == [("f.json", place)]


@pytest.mark.parametrize("tree", [None, [], "x", 3, {}])
def test_what_is_no_catalogue_at_all(tree):
    """Is refused, whatever it is."""
    with pytest.raises(ConfigError):
        read_catalogue(tree, "f.json")
