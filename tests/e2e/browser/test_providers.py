"""The page of providers in a browser: what is so, testing one, asking again, live, dark, on a phone."""

from __future__ import annotations

import re
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect

from tests.e2e.browser.conftest import KEY, UPSTREAM_KEY, ask
from tests.upstream import json_reply
from tests.upstream.anthropic_wire import error_json


def told(house) -> str:
    with urlopen(Request(f"{house.url}/api/providers", headers={"x-api-key": KEY}), timeout=10) as answer:
        return answer.read().decode()


def test_it_shows_every_provider(desk):
    """Each provider with its address, dialect, models, keys and what a day took; no key, neither here nor in the twin."""
    ask(desk.house)
    page = desk.go("/ui/providers")
    card = page.locator("section.provider", has=page.get_by_role("heading", name="anthropic"))
    expect(card).to_contain_text("Anthropic Messages")
    expect(card).to_contain_text("127.0.0.1")
    expect(card.get_by_role("row", name=re.compile("claude-sonnet-4-5"))).to_contain_text("well")
    expect(card.get_by_role("row", name=re.compile("UPSTREAM_KEY"))).to_contain_text("ready")
    assert UPSTREAM_KEY not in page.content()
    assert UPSTREAM_KEY not in told(desk.house)
    desk.shot("providers")


def test_a_provider_is_tested(desk):
    """The form says what it costs; the result comes up on the page by itself, with what was seen."""
    page = desk.go("/ui/providers")
    page.get_by_text("Test this provider…").first.click()
    expect(page.get_by_text("paid with your key").first).to_be_visible()
    page.get_by_label("Model", exact=True).first.select_option("claude-sonnet-4-5")
    page.get_by_role("button", name="Test now").first.click()
    expect(page.get_by_role("heading", name=re.compile("Test of anthropic over"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("answers at all"))).to_contain_text("yes")
    assert page.url.endswith("/ui/providers#test")
    desk.shot("providers-tested")


def test_a_failing_model_is_seen_live_and_asked_again(desk):
    """What begins to fail shows itself without reloading, with the reason in words; the button forgets it."""
    page = desk.go("/ui/providers")
    house = desk.house
    row = page.get_by_role("row", name=re.compile("deepseek-chat"))
    expect(row).to_contain_text("well")
    house.upstream.reply(*[json_reply(error_json("overloaded_error", "busy"), status=529)] * 3)
    with pytest.raises(HTTPError, match="529"):
        ask(house, model="openrouter,deepseek/deepseek-chat")
    expect(row).to_contain_text("overloaded")
    desk.shot("providers-failing")
    row.get_by_role("button", name="Ask again now").click()
    expect(page.get_by_role("status").filter(has_text="is forgotten")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("deepseek-chat"))).to_contain_text("well")


def test_in_the_dark(night):
    """The colours follow the system's."""
    page = night.go("/ui/providers")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(25, 24, 22)"
    night.shot("providers-dark")


def test_on_a_phone(phone):
    """Nothing has to be scrolled sideways, and the buttons can be hit."""
    page = phone.go("/ui/providers")
    assert not phone.is_wider_than_the_window()
    page.get_by_text("Test this provider…").first.click()
    assert not phone.is_wider_than_the_window()
    assert page.get_by_role("button", name="Test now").first.bounding_box()["height"] >= 38
    phone.shot("providers-phone")


def test_by_keyboard(desk):
    """Everything on the page can be reached and used with the keys alone."""
    page = desk.go("/ui/providers")
    page.get_by_text("Test this provider…").first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "model"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Test now"
