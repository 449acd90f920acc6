"""Sessions, and the page of one: which model answered each turn and why, what it cost, where the cache broke."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

ROWS = "#recorded-part tbody tr"


def open_session(desk):
    """The page of the newest session."""
    page = desk.go("/ui/sessions")
    page.locator(ROWS).first.get_by_role("link").first.click()
    page.wait_for_url(re.compile(r"/ui/sessions/5e55"))
    return page


def test_sessions_can_be_searched(desk):
    """By a part of a project's name; the address keeps it."""
    page = desk.go("/ui/sessions")
    assert page.locator(ROWS).count() == 3
    page.get_by_label("Search").fill("notes")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile("search=notes"))
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(ROWS)).to_contain_text("-home-ada-notes")
    desk.go("/ui/sessions")
    desk.shot("sessions-light")


def test_a_session_answers_what_one_asks(desk):
    """The cache break with who it was and the request; what failed; each turn with model, reason and cost; agents."""
    page = open_session(desk)
    breaks = page.get_by_role("region", name="Where the cache broke")
    expect(breaks).to_contain_text("the client changed what it had sent before")
    expect(breaks).to_contain_text("system[0]")
    failures = page.get_by_role("region", name="What failed")
    expect(failures).to_contain_text("at relay, which failed after")
    expect(page.locator("figure.chart canvas")).to_have_count(3)
    turns = page.get_by_role("table", name="Turns").locator("tbody tr")
    assert turns.count() > 10
    first = turns.first.inner_text()
    for words in ("main thread", "claude-sonnet-4-5", "default", "nothing else applies", "$"):
        assert words in first
    expect(page.locator(".tree")).to_contain_text("Agent Explore")
    expect(page.locator(".tree")).to_contain_text("Side requests")
    desk.shot("session-light")
    breaks.get_by_role("link", name="The request").click()
    page.wait_for_url(re.compile(r"/ui/requests/req_"))
    expect(page.get_by_role("region", name="The cache broke here")).to_contain_text("system[0]")
    page.get_by_role("link", name="Its session").click()
    page.wait_for_url(re.compile(r"/ui/sessions/5e55"))


def test_a_break_leads_to_its_turn(desk):
    """The link goes to the row of that turn, which is marked."""
    page = open_session(desk)
    page.get_by_role("region", name="Where the cache broke").get_by_role("link", name="Turn").first.click()
    marked = page.locator("tr:target")
    expect(marked).to_have_count(1)
    expect(marked).to_contain_text("break 1")


def test_pictures_have_their_figures(desk):
    """Beneath each picture the same figures can be unfolded, by keyboard too."""
    page = open_session(desk)
    figure = page.locator("#chart-share")
    figure.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(figure.locator("details table")).to_be_visible()
    expect(figure.locator("tr[data-mark]")).to_have_count(1)


@pytest.mark.parametrize("path", ["/ui/sessions", "/ui/sessions/5e550000-0000-4000-8000-000000000000"])
def test_in_the_dark_and_on_a_phone(night, phone, path):
    """Dark colours, and no moving sideways on a phone."""
    name = "sessions" if path.endswith("sessions") else "session"
    page = night.go(path)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground))) < 64
    night.shot(f"{name}-dark")
    phone.go(path)
    assert not phone.is_wider_than_the_window()
    phone.shot(f"{name}-phone")
