"""The page of routes: the drawing and the list say the same, and what is forbidden or missing says so."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.schema import ModelRef, Router
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.plan import make_plan
from ccrouter.routing.rules import Route
from ccrouter.store.reports import Reports
from ccrouter.web.page import View, facts_of, render
from ccrouter.web.pages import PAGES, routes
from ccrouter.web.parts.graph import draw
from tests.store.seed import CHAT, CONFIG, HAIKU, MYSTERY, OPUS, SONNET, seed
from tests.web.conftest import Document
from tests.web.test_pages import soundness

NOW = datetime(2026, 11, 22, 18, 0, 0, tzinfo=UTC)
ROUTER = Router(
    routes={
        "default": ModelRef("anthropic", SONNET),
        "background": ModelRef("ANTHROPIC", HAIKU),
        "think": ModelRef("anthropic", OPUS),
        "image": ModelRef("gone", "m"),
        "auxiliary": ModelRef("lab", MYSTERY),
    },
    aliases=(("claude-3-*", ModelRef("relay", SONNET)), ("gpt-*", ModelRef("deepseek", CHAT))),
    fallback={
        "default": (ModelRef("relay", SONNET), ModelRef("deepseek", CHAT), ModelRef("anthropic", SONNET)),
        "think": (ModelRef("anthropic", SONNET),),
    },
    alias_fallback={"gpt-*": (ModelRef("lab", MYSTERY),)},
)
FULL = replace(CONFIG, router=ROUTER, unavailable={"gone": "environment variable GONE is not set"})


def view(**more) -> View:
    return View(**{
        "config": FULL, "policy": NO_POLICY, "version": "1", "pid": 1, "started": NOW, "now": NOW,
        "folder": Path("/nowhere"), **more,
    })  # fmt: skip


def page(**more) -> Document:
    return Document(render(routes.PAGE, view(**more), PAGES, signed_in=True))


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Reports:
    path = tmp_path_factory.mktemp("records") / "records.db"
    seed(path, now=NOW.timestamp())
    return Reports(path, now=NOW.timestamp)


def chains(facts: dict) -> dict[str, list[str]]:
    return {one["name"]: [f"{t['provider']},{t['model']}" for t in one["targets"]] for one in facts["routes"]}


def test_the_chains_are_those_that_requests_take():
    """Every route and alias has the targets, in their order, that the plan of a request on it has; what is not
    configured stays visible with the reason."""
    facts = facts_of(routes.PAGE, view())
    told = chains(facts)
    assert list(told) == ["default", "background", "think", "image", "auxiliary", "alias claude-3-*", "alias gpt-*"]
    catalog = Catalog(FULL.providers)
    for name, ref in ROUTER.routes.items():
        target = catalog.target(ref)
        if target is not None:
            plan = make_plan(Route(name, target, ""), ROUTER, catalog)
            assert told[name] == [str(one) for one in plan.targets], name
    for pattern, ref in ROUTER.aliases:
        plan = make_plan(Route("alias", catalog.target(ref), "", pattern), ROUTER, catalog)
        assert told[f"alias {pattern}"] == [str(one) for one in plan.targets]
    image = next(one for one in facts["routes"] if one["name"] == "image")
    assert image["targets"][0]["unavailable"] == "environment variable GONE is not set"
    assert "environment variable GONE is not set" in page().content


def test_what_is_forbidden_is_struck_through_with_the_reason():
    """In the drawing the box is of class denied with the reason beneath, in the list the name is struck through; all
    lines to it are marked as shut."""
    document = page(denial_of=lambda one: "Model not allowed: it" if one.model == CHAT else "")
    boxes = [one for one in document.of("g") if "denied" in (one.get("class") or "")]
    assert len(boxes) == 1
    assert "forbidden: Model not allowed: it" in document.content
    struck = [one for one in document.of("code") if one.get("class") == "struck"]
    facts = facts_of(routes.PAGE, view(denial_of=lambda one: "no" if one.model == CHAT else ""))
    times = sum(name.endswith(CHAT) for chain in chains(facts).values() for name in chain)
    assert len(struck) == times > 1
    shut = [one for one in facts["drawing"]["lines"] if "shut" in one["kind"]]
    assert len(shut) == times + 1  # and the one to the provider that is not there


def test_shares_are_those_of_the_records(reports):
    """A route's share is its part of the requests of the last 24 hours; routes that nobody wrote are listed; without
    records nothing is said, and no nought."""
    facts = facts_of(routes.PAGE, view(reports=reports))
    rows = {row["name"]: row["requests"] for row in reports.usage("route")}
    total = sum(rows.values())
    for one in facts["routes"]:
        if not one["alias"] and one["name"] in rows:
            assert one["requests"] == rows[one["name"]]
            assert one["share"] == pytest.approx(rows[one["name"]] / total)
    written = {one["name"] for one in facts["routes"]}
    assert {one["name"] for one in facts["others"]} == set(rows) - written - {"alias"}
    silent = facts_of(routes.PAGE, view())
    assert {one["share"] for one in silent["routes"]} == {None}
    assert "not recorded" in page().content


def test_what_a_policy_sends_instead_is_told():
    """A model that goes out as another says so."""
    policy = Policy(name="p", source="s", digest="d", sent_as={SONNET: "claude-sonnet-4-5-20250929"})
    assert "sent as claude-sonnet-4-5-20250929 , says the policy" in page(policy=policy).content


def test_health_is_told(reports):
    """A target that is passed over says so in the drawing and in the list."""
    health = {"targets": [{"provider": "relay", "model": SONNET, "state": "open", "secondsLeft": 12.2}]}
    content = page(health=health, reports=reports).content
    assert "passed over: it failed too often" in content
    assert f"relay,{SONNET} passed over asked again in 13 s" in content


TOLD = {
    "result": "sent",
    "error": None,
    "route": {"name": "default", "reason": "default: no other rule applies", "alias": None, "fidelity": "any"},
    "targets": [
        {
            "provider": "lab", "model": MYSTERY, "dialect": "openai_chat", "host": "lab.example", "denied": None,
            "failures": 0, "passedOver": False, "role": "first", "turn": 1,
            "key": {"label": "main", "freeInSeconds": 3.2, "disabled": None},
        },
        {
            "provider": "lab", "model": CHAT, "dialect": "openai_chat", "host": None, "denied": "Model not allowed",
            "failures": 1, "passedOver": False, "role": "longer", "turn": None, "key": None,
        },
    ],
    "viewer": None,
    "facts": {
        "asked": "claude", "client": None, "session": None, "agent": None, "agentType": None, "requestClass": None,
        "taskClass": None, "subagentModel": None, "thinking": None, "thinkingBudget": None, "effort": None,
        "newImage": False, "anyImage": False, "webSearch": False, "probe": False, "streamed": False, "bytes": 90,
        "turns": 1,
    },
    "tokens": {"estimate": 12, "previous": None, "longContextAbove": 60_000},
    "translation": {
        "target": f"lab,{MYSTERY}", "dialect": "openai_chat", "model": MYSTERY, "bytes": 80, "transforms": ["maxtoken"],
        "kept": ["messages[].content"], "mapped": ["max_tokens"],
        "losses": [{"path": "top_k", "what": "the model takes none", "fate": "dropped", "count": 1, "places": ["top_k"]}],
    },
}  # fmt: skip
GIVEN = {
    "lines": ["{", '  "model": "claude"', "}"],
    "api": "messages",
    "fields": dict.fromkeys(("session", "agent", "agentType", "requestClass", "taskClass", "userAgent"), ""),
}


def test_a_trial_is_told_in_words():
    """The decision, who would be asked with which key, what the request says and what the translation changes."""
    document = page(outcome={"given": GIVEN, "error": None, "told": TOLD})
    assert soundness(document) == []
    for words in (
        "would be sent by route default Why: default: no other rule applies",
        f"1 lab,{MYSTERY} first choice allowed well main free in 4 s",
        f"if too long lab,{CHAT} asked if the request turns out too long for the others forbidden Model not allowed",
        "Tokens about 12 by our count; long above 60,000",
        "top_k dropped the model takes none 1",
        "Goes out as it came: messages[].content .",
    ):
        assert words in document.content, words


def test_what_was_pasted_is_there_again():
    """With its lines, so that the place of a mistake can be found; the error is announced."""
    text = render(
        routes.PAGE, view(outcome={"given": GIVEN, "error": "not JSON at line 2", "told": None}), PAGES, signed_in=True
    )
    document = Document(text)
    assert soundness(document) == []
    found = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", text, re.DOTALL)
    assert found is not None
    assert found[1].strip().split("\n") == ["{", "  &#34;model&#34;: &#34;claude&#34;", "}"]
    assert [one for one in document.of("p") if one.get("role") == "alert"]


@pytest.mark.parametrize("result", ["denied", "refused"])
def test_a_trial_that_ends_early_is_sound(result):
    """Without a route, targets and a translation too."""
    error = {"status": 403, "type": "permission_error", "message": "Model not allowed", "rule": "models.allowed"}
    told = {**TOLD, "result": result, "error": error, "route": None, "targets": [], "translation": None}
    document = page(outcome={"given": GIVEN, "error": None, "told": told})
    assert soundness(document) == []
    assert "Model not allowed status 403, permission_error, rule models.allowed" in document.content


def test_facts_are_json(reports):
    """The twin can serve exactly what the page is written from."""
    facts = facts_of(routes.PAGE, view(reports=reports))
    assert json.loads(json.dumps(facts)) == facts


# -- the drawing ---------------------------------------------------------------------------------------------------------

PAIRS = st.tuples(st.sampled_from("pq"), st.sampled_from(["m1", "m2", "m3", "x" * 90]))


@given(st.lists(st.lists(PAIRS, min_size=1, max_size=5, unique=True), min_size=1, max_size=12))
def test_boxes_do_not_overlap_and_lines_meet_them(given_chains):
    """Whatever leads where: every route and every target has one box within the picture, none over another; one line
    for each target of each route, from the side of the one to the side of the other; nothing longer than its box."""
    listed = [
        {"name": f"route {n}", "share": None, "targets": [{"provider": p, "model": m} for p, m in chain]}
        for n, chain in enumerate(given_chains)
    ]
    every = {pair for chain in given_chains for pair in chain}
    drawing = draw(listed, {
        (p, m): {"provider": p, "model": m, "denied": None, "unavailable": None, "state": "well", "share": None}
        for p, m in every
    })  # fmt: skip
    boxes = [*drawing["routes"], *drawing["targets"]]
    assert len(drawing["routes"]) == len(given_chains)
    assert len(drawing["targets"]) == len(every)
    for one in boxes:
        assert 0 <= one["x"] <= one["x"] + one["width"] <= drawing["width"]
        assert 0 <= one["y"] <= one["y"] + one["height"] <= drawing["height"] + 0.1
        assert len(one["label"]) <= 37
    for one, other in combinations(boxes, 2):
        apart = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        assert apart or abs(one["y"] - other["y"]) >= min(one["height"], other["height"])
    lines = drawing["lines"]
    assert len(lines) == sum(map(len, given_chains))
    assert [one["place"] for one in lines] == [n + 1 for chain in given_chains for n in range(len(chain))]
    for line in lines:
        numbers = [float(one) for one in re.findall(r"-?[\d.]+", line["path"])]
        assert any(
            abs(numbers[0] - (b["x"] + b["width"])) < 0.2 and b["y"] <= numbers[1] <= b["y"] + b["height"]
            for b in drawing["routes"]
        )
        assert any(
            0 <= b["x"] - numbers[-2] < 10 and b["y"] <= numbers[-1] <= b["y"] + b["height"] for b in drawing["targets"]
        )
