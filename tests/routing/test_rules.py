"""The rules as a whole: their order is the documented one, and counting is paid for only where it decides."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from ccrouter.config.schema import ROUTE_NAMES
from ccrouter.errors import NoTarget
from ccrouter.messages.request import MessagesRequest
from ccrouter.messages.tokens import TokenMemo, estimate_request
from ccrouter.routing.catalog import Catalog
from ccrouter.routing.facts import RequestFacts, read_facts
from ccrouter.routing.rules import EFFORTS, RULES, choose
from tests.routing.casefile import PROVIDERS, ROUTER, make_provider, make_router

CATALOG = Catalog(make_provider(name, models) for name, models in PROVIDERS.items())
GUIDE = (Path(__file__).parents[2] / "docs" / "routing.md").read_text(encoding="utf-8")


def test_the_documented_order_is_the_order():
    """The numbered list of the guide names the rules as they are tried."""
    documented = re.findall(r"^\d+\. \*\*([^*]+)\*\*", GUIDE, re.MULTILINE)
    assert [name.lower().replace(" ", "_") for name in documented] == [
        {"long_context": "longcontext", "web_search": "websearch"}.get(rule.__name__, rule.__name__) for rule in RULES
    ]


@pytest.mark.parametrize("name", [*ROUTE_NAMES, *EFFORTS])
def test_every_route_and_effort_is_documented(name: str):
    """A reader finds each name that can be written."""
    assert f"`{name}`" in GUIDE


def test_every_rule_selects_in_some_case():
    """The golden cases reach every rule, so none is dead."""
    cases = (Path(__file__).parents[1] / "cases" / "routing").glob("*.txt")
    reached = {line[7:] for case in cases for line in case.read_text().splitlines() if line.startswith("route: ")}
    assert reached >= {*ROUTE_NAMES, "explicit", "alias", "main"}


def test_tokens_are_counted_once():
    """Two thresholds are compared with one count."""
    counted = []
    facts = RequestFacts(asked="x", size=200_000)
    choose(facts, make_router(ROUTER), CATALOG, lambda: counted.append(1) or 30_000, 60_001)
    assert counted == [1]


def test_an_image_as_base64_is_not_a_long_context():
    """Half a megabyte of base64 in a tool result counts as one image (T15)."""
    data = base64.b64encode(bytes(500_000)).decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    body = {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": [result]}]}
    request = MessagesRequest.read(json.dumps(body).encode())
    router = make_router({name: ref for name, ref in ROUTER.items() if name != "image"})

    def count() -> int:
        return estimate_request(request.members, TokenMemo())

    assert choose(read_facts(request, {}), router, CATALOG, count).name == "default"


def test_many_images_by_url_are_counted():
    """Images by address are small bodies and many tokens: the size alone does not excuse from counting."""
    image = {"type": "image", "source": {"type": "url", "url": "http://x/y.png"}}
    messages = [
        {"role": "user", "content": [image] * 60},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": "x"},
    ]
    request = MessagesRequest.read(json.dumps({"model": "claude-opus-5-5", "messages": messages}).encode())
    facts = read_facts(request, {})
    assert facts.size < 60_000
    route = choose(facts, make_router(ROUTER), CATALOG, lambda: estimate_request(request.members, TokenMemo()))
    assert route.name == "longContext"


@pytest.mark.parametrize("name", ["image", "longContext", "compaction", "subagent", "background", "webSearch", "think"])
def test_a_route_to_nowhere_is_an_error_that_names_it(name: str):
    """No rule passes its requests on to the next because its own provider is missing."""
    facts = {
        "image": RequestFacts(asked="claude-x", has_image=True),
        "longContext": RequestFacts(asked="claude-x", size=100_000),
        "compaction": RequestFacts(asked="claude-x", request_class="compaction"),
        "subagent": RequestFacts(asked="claude-x", request_class="subagent"),
        "background": RequestFacts(asked="claude-haiku"),
        "webSearch": RequestFacts(asked="claude-x", has_web_search=True),
        "think": RequestFacts(asked="claude-x", thinking="enabled"),
    }[name]
    router = make_router({"default": ROUTER["default"], name: "nowhere,x"})
    with pytest.raises(NoTarget, match=rf"Router\.{name} is 'nowhere,x'"):
        choose(facts, router, CATALOG, lambda: 70_000)
