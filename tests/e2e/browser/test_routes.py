"""The page of routes in a browser: the drawing, its list, and a route that is tried."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.e2e.browser.conftest import ask

REQUEST = {
    "model": "openrouter,deepseek/deepseek-chat",
    "max_tokens": 100,
    "novel": {"member": 1},
    "messages": [{"role": "user", "content": "Hello"}],
}


def test_routes_are_drawn(desk):
    """Every route and target is in the picture, and the list beneath says the same."""
    ask(desk.house)
    page = desk.go("/ui/routes")
    names = ["default", "background", "think", "longContext"]
    expect(page.locator("svg.graph g.route text.name")).to_have_text(names)
    assert sorted(page.locator("svg.graph g.target text.name").all_text_contents()) == [
        "claude-sonnet-4-5", "deepseek/deepseek-chat", "openai/gpt-5-mini",
    ]  # fmt: skip
    assert page.locator("svg.graph path.line.first").count() == 4
    rows = page.locator("table.list tbody tr")
    expect(rows).to_have_count(len(names))
    expect(rows.nth(2)).to_contain_text("anthropic,claude-sonnet-4-5 well")
    expect(rows.nth(2)).to_contain_text("openrouter,deepseek/deepseek-chat")
    desk.shot("routes")


def test_nothing_sticks_out_of_its_box(desk):
    """Every word in the picture lies within the box that it belongs to."""
    page = desk.go("/ui/routes")
    stuck = page.evaluate(
        """() => [...document.querySelectorAll("svg.graph g")].flatMap((group) => {
            const box = group.querySelector("rect").getBBox();
            return [...group.querySelectorAll("text")].filter((one) => {
                const words = one.getBBox();
                return words.x < box.x || words.x + words.width > box.x + box.width || words.y + words.height > box.y + box.height;
            }).map((one) => one.textContent);
        })"""
    )
    assert stuck == []


def test_a_route_is_tried(desk):
    """A pasted request is decided about: the route, why, whom, with which key, and what the translation drops. Nobody
    was asked."""
    before = len(desk.house.upstream.requests)
    page = desk.go("/ui/routes")
    page.get_by_label("Request body, JSON").fill(json.dumps(REQUEST, indent=2))
    page.get_by_text("Headers and API").click()
    page.get_by_label("Agent", exact=True).fill("agent-17")
    page.get_by_role("button", name="Decide, without sending").click()
    result = page.locator("#result")
    expect(result).to_contain_text("would be sent by route explicit")
    expect(result).to_contain_text("openrouter,deepseek/deepseek-chat is asked for by name")
    expect(result).to_contain_text("agent agent-17")
    expect(result.get_by_role("row", name="novel")).to_contain_text("dropped")
    assert json.loads(page.get_by_label("Request body, JSON").input_value()) == REQUEST
    assert len(desk.house.upstream.requests) == before
    desk.shot("routes-tried")


def test_a_mistake_is_shown(desk):
    """What is no JSON is said to be none, with line and column, and stands in the field as it was."""
    desk.expected.add("400")
    page = desk.go("/ui/routes")
    wrong = '{"model": "x",\n  "max_tokens": 1O0}'
    page.get_by_label("Request body, JSON").fill(wrong)
    page.get_by_role("button", name="Decide, without sending").click()
    expect(page.get_by_role("alert")).to_contain_text("at line 2, column 18")
    assert page.get_by_label("Request body, JSON").input_value().strip() == wrong


def test_in_the_dark(night):
    """Lines and boxes have colours of the dark."""
    page = night.go("/ui/routes")
    assert page.evaluate("getComputedStyle(document.querySelector('svg.graph .name')).fill") == "rgb(236, 233, 227)"
    night.shot("routes-dark")


def test_on_a_phone(phone):
    """The picture makes room for the list, and nothing has to be scrolled sideways."""
    page = phone.go("/ui/routes")
    expect(page.locator("svg.graph")).to_be_hidden()
    expect(page.locator("table.list tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Decide, without sending").click()
    expect(page.locator("#result")).to_contain_text("would be sent")
    assert not phone.is_wider_than_the_window()
    phone.shot("routes-phone")
