"""The page of providers: how each target and key is, in words; what it took; the last test."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ccrouter.compliance.policy import NO_POLICY
from ccrouter.config.schema import Config
from ccrouter.store.reports import Reports
from ccrouter.web.page import View, facts_of, render
from ccrouter.web.pages import PAGES, providers
from tests.store.seed import CHAT, CONFIG, HAIKU, MYSTERY, OPUS, SONNET, seed
from tests.web.conftest import Document
from tests.web.test_pages import HOSTILE, UNSEEN, shape, soundness

NOW = datetime(2026, 11, 22, 18, 0, 0, tzinfo=UTC)
AT = "2026-11-22T17:59:00.000Z"


def target(provider: str, model: str, state: str = "well", **more) -> dict:
    return {
        "provider": provider,
        "model": model,
        "state": state,
        "failures": 0,
        "secondsLeft": None,
        "until": None,
        "lastFailure": None,
        **more,
    }


def key(label: str = "main", state: str = "ready", **more) -> dict:
    return {
        "label": label,
        "source": "${KEY}",
        "state": state,
        "reason": None,
        "weight": 1.0,
        "priority": 0,
        "limits": {"requestsPerMinute": None, "tokensPerMinute": None, "concurrent": None},
        "secondsLeft": None,
        "until": None,
        "rests": [],
        "quota": None,
        **more,
    }


FAILED = {
    "failures": 5,
    "secondsLeft": 28.4,
    "until": AT,
    "lastFailure": {"kind": "overloaded", "secondsAgo": 60.0, "at": AT},
}
QUOTA = {
    "at": AT,
    "limits": [
        {"name": "requests", "limit": 1000, "remaining": 412, "usedShare": None, "resetsInSeconds": 30.0},
        {"name": "subscription, 5 hours", "limit": None, "remaining": None, "usedShare": 0.42, "resetsInSeconds": None},
    ],
}
REST = {
    "model": SONNET,
    "secondsLeft": 150.0,
    "until": AT,
    "reason": "a rate limit of the provider",
    "toldByProvider": True,
}
HEALTH = {
    "at": AT,
    "targets": [target("anthropic", SONNET, "open", **FAILED), target("anthropic", HAIKU), target("lab", MYSTERY)],
    "providers": [
        {
            "name": "anthropic",
            "keys": [
                key(quota=QUOTA, limits={**key()["limits"], "requestsPerMinute": {"limit": 30, "used": 7}}),
                key("spare", "resting", reason=REST["reason"], rests=[REST]),
                key("third", "disabled", reason="the provider refused it (401)"),
            ],
        },
        {"name": "lab", "keys": [key(source=None)]},
    ],
    "retry": {"again": 2, "waitSeconds": 10, "attempts": 10, "openAfter": 5, "openSeconds": 30.0},
}
TEST = {
    "id": "req_1",
    "state": "done",
    "provider": "lab",
    "model": MYSTERY,
    "key": "main",
    "began": AT,
    "ended": AT,
    "error": None,
    "probes": [
        {"name": "answers", "title": "answers at all", "verdict": "pass", "evidence": "200, by mystery"},
        {"name": "tools", "title": "calls a tool", "verdict": "fail", "evidence": "not called"},
        {"name": "usage", "title": "counts tokens", "verdict": "unknown", "evidence": None},
    ],
    "spent": {"requests": 3, "tokens": 111},
    "most": {"requests": 7, "tokens": 7800},
}


def view(**more) -> View:
    return View(CONFIG, NO_POLICY, "1", 1, NOW, NOW, Path("/nowhere"), **{"health": HEALTH, **more})


def page(**more) -> Document:
    return Document(render(providers.PAGE, view(**more), PAGES, signed_in=True))


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Reports:
    path = tmp_path_factory.mktemp("records") / "records.db"
    seed(path, now=NOW.timestamp())
    return Reports(path, now=NOW.timestamp)


@pytest.mark.parametrize(
    "words",
    [
        f"{SONNET} passed over asked again in 29 s 5 failures on end; the last",
        "the provider said that it is overloaded",
        f"{HAIKU} well background",
        "main from ${KEY} ; weight 1, priority 0 ready 7 of 30 requests a minute",
        "requests: 412 of 1,000 left anew in 30 s",
        "subscription, 5 hours: 42 % used",
        f"spare from ${{KEY}} ; weight 1, priority 0 resting a rate limit of the provider {SONNET} : a rate limit of the provider; 3 min left, as the provider asked",
        "third from ${KEY} ; weight 1, priority 0 refused the provider refused it (401)",
        "main none is configured ready none it has said nothing",
        "At most 7 requests and about 7.8k tokens, paid with your key",
        "passed over for 30 s after 5 failures on end",
    ],
)
def test_the_page_says_how_everything_is(words):
    """Each target's state, what it waits for and how it failed last; each key's state, limits, rests and quota; what a
    test would cost: all of it in words."""
    assert words in page().content


def test_what_a_day_took_is_told(reports):
    """Requests, failures, tokens and cost of the last 24 hours per provider, from the records; a price that is not known
    is unknown, and no nought."""
    facts = facts_of(providers.PAGE, view(reports=reports))
    used = {one["name"]: one["used"] for one in facts["providers"]}
    whole = {row["name"]: row for row in reports.usage("provider")}
    for name in ("anthropic", "deepseek", "lab"):
        assert used[name]["requests"] == whole[name]["requests"] > 0
        assert used[name]["cost"] == whole[name]["cost"]
    assert used["lab"]["cost"]["usd"] is None
    content = page(reports=reports).content
    assert "cost unknown" in content
    anthropic = next(one for one in facts["providers"] if one["name"] == "anthropic")
    assert {one["model"]: one["used"] is not None for one in anthropic["targets"]} == {SONNET: True, HAIKU: True}


def test_every_model_is_there_once():
    """Models that routes lead to or that failed are told of as targets, all others by name; the worst target's state is
    the provider's."""
    told = {one["name"]: one for one in facts_of(providers.PAGE, view())["providers"]}
    assert [one["model"] for one in told["anthropic"]["targets"]] == [SONNET, HAIKU]
    assert told["anthropic"]["models"] == [OPUS]
    assert told["deepseek"]["models"] == [CHAT]
    assert (told["anthropic"]["state"], told["lab"]["state"]) == ("open", "well")
    assert told["anthropic"]["targets"][0]["routes"] == ["default"]


def test_what_is_forbidden_is_struck_through():
    """A target that the policy forbids is marked so, with the reason, and not by colour alone."""
    document = page(denial_of=lambda one: "Model not allowed" if one.model == SONNET else "")
    assert "The policy forbids it: Model not allowed" in document.content
    assert len([one for one in document.of("code") if one.get("class") == "struck"]) == 1


@pytest.mark.parametrize(("state", "words"), [
    ("running", "under way"), ("done", "over"), ("failed", "failed"),
])  # fmt: skip
def test_the_last_test_is_told(state, words):
    """Of whom, how far, each question with its result and what was seen, and what it has spent."""
    error = "401: no such key" if state == "failed" else None
    content = page(test={**TEST, "state": state, "error": error}).content
    assert f"Test of lab {words}" in content
    assert "answers at all yes 200, by mystery" in content
    assert "calls a tool no not called" in content
    assert "counts tokens not known –" in content
    assert "3 requests and 111 tokens" in content
    assert (error or "") in content


@pytest.mark.parametrize("outcome", [
    {"did": "reset", "error": None, "provider": "lab", "model": MYSTERY},
    {"did": "reset", "error": None, "provider": "lab", "model": None},
    {"did": "test", "error": "a test is under way"},
])  # fmt: skip
def test_it_is_sound(reports, outcome):
    """Whatever it shows: sound HTML, and facts that are JSON."""
    more = {"reports": reports, "test": TEST, "outcome": outcome}
    assert soundness(page(**more)) == []
    assert json.loads(json.dumps(facts_of(providers.PAGE, view(**more)))) == facts_of(providers.PAGE, view(**more))


@pytest.mark.parametrize("name", [HOSTILE, UNSEEN])
def test_words_of_providers_are_text(name):
    """What a provider, a probe or a form says is written as text, whatever it is."""

    def told(words: str) -> Document:
        probes = [{**one, "evidence": words, "title": words} for one in TEST["probes"]]
        test = {**TEST, "provider": words, "model": words, "error": words, "probes": probes}
        quota = {"at": AT, "limits": [{**QUOTA["limits"][0], "name": words}]}
        keys = [{"name": "anthropic", "keys": [key(words, source=words, reason=words, quota=quota)]}]
        return page(test=test, outcome={"did": "test", "error": words}, health={**HEALTH, "providers": keys})

    document, plain = told(name), told("x")
    assert document.problems == []
    assert shape(document) == shape(plain)


def test_without_a_provider_it_says_what_to_do():
    """An empty configuration has a page that helps."""
    empty = View(Config(), NO_POLICY, "1", 1, NOW, NOW, Path("/nowhere"))
    content = Document(render(providers.PAGE, empty, PAGES, signed_in=True)).content
    assert "No provider is configured." in content
    assert "ccr providers add" in content
