"""The overview, as somebody sees it who wants to know at a glance how it goes."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from tests.e2e.browser.conftest import answer, ask


def tile(page, name: str):
    return page.locator("dl.tiles div").filter(has=page.locator("dt", has_text=re.compile(f"^{name}$")))


def requests_today(page) -> int:
    return int(re.search(r"([\d,]+) requests", tile(page, "Spent today").inner_text())[1].replace(",", ""))


def test_it_shows_figures_and_draws_them(desk):
    """Each figure has a heading; six pictures are drawn, each with its table; both tables have their names."""
    page = desk.go("/ui/?range=7d")
    for name in ("Spent today", "Tokens in, out", "Cache share", "Failed", "First token", "Whole answer"):
        expect(tile(page, name)).to_have_count(1)
    expect(page.locator("figure.chart canvas")).to_have_count(6)
    expect(page.locator("figure.chart table tbody tr").first).to_be_attached()
    for name in ("claude-sonnet-4-5", "mystery-7b"):
        expect(page.locator("#models-part").get_by_role("link", name=name)).to_be_visible()
    expect(page.locator("#models-part")).to_contain_text("unknown")
    desk.shot("overview-light")


def test_the_range_is_chosen_by_a_link(desk):
    """The chosen one is marked, and the words follow it."""
    page = desk.go("/ui/")
    page.get_by_role("link", name="30d").click()
    page.wait_for_url("**/ui/?range=30d")
    expect(page.locator('.choices a[aria-current="true"]')).to_have_text("30d")
    expect(page.get_by_text("Spent in the last 30 days")).to_be_visible()


def test_figures_follow_what_happens(desk, house):
    """A request that ends is counted while one looks, without loading the page again; the pictures are drawn anew."""
    page = desk.go("/ui/?range=1h")
    before = requests_today(page)
    page.evaluate("window.isTheSamePage = true")
    ask(house)
    page.wait_for_function(
        "count => [...document.querySelectorAll('dl.tiles dd')].some(one => one.textContent.includes(`${count} requests`))",
        arg=before + 1,
    )
    assert page.evaluate("window.isTheSamePage") is True
    expect(page.locator("figure.chart canvas")).to_have_count(6)


def test_it_can_be_paused(desk, house):
    """While it is paused nothing is asked for; then it goes on."""
    page = desk.go("/ui/")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live-state")).to_have_text("paused")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)  # longer than between two questions
    assert asked == []
    with page.expect_response(lambda response: response.url.endswith("/ui/")):
        page.get_by_role("button", name="Go on").click()
    expect(page.locator("#live-state")).to_have_text("live")


def test_requests_under_way_are_seen(desk, house):
    """From their arrival to their end, with what is known of them."""
    page = desk.go("/ui/")
    came, go_on = threading.Event(), threading.Event()

    def slowly(request):
        came.set()
        go_on.wait(30)
        return answer(request)

    house.upstream.always(slowly)
    try:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask, house)
            assert came.wait(10)
            row = page.locator("#live-part tbody tr")
            expect(row).to_have_count(1)
            expect(row).to_contain_text("waiting for the provider")
            expect(row).to_contain_text("claude-sonnet-4-5")
            with page.expect_navigation():
                row.get_by_role("link").first.click()
            expect(page.get_by_text("This request is under way")).to_be_visible()
            desk.expected.add("404")  # between its end and its record
            go_on.set()
            asked.result(20)
            expect(page.get_by_role("heading", name="What happened")).to_be_visible()
            expect(page.get_by_role("button", name="Copy as curl")).to_be_visible()
    finally:
        go_on.set()
        house.upstream.always(answer)


def test_by_keyboard(desk):
    """The first stop leads to the content, and every stop can be seen."""
    page = desk.go("/ui/")
    page.keyboard.press("Tab")
    expect(page.locator("a.skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="1h")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("path", ["/ui/?range=7d"])
def test_in_the_dark_and_on_a_phone(night, phone, path):
    """In dark colours the ground is dark; on a phone nothing has to be moved sideways, and all eight links are there."""
    page = night.go(path)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground))) < 64
    expect(page.locator("figure.chart canvas")).to_have_count(6)
    night.shot("overview-dark")
    page = phone.go(path)
    assert not phone.is_wider_than_the_window()
    expect(page.locator("header nav a")).to_have_count(8)
    for link in page.locator("header nav a").all():
        assert link.bounding_box()["height"] >= 40
    phone.shot("overview-phone")


def test_without_scripts_it_says_the_same(browser, house):
    """Figures, tables and links are there; what needs a script is not shown."""
    window = browser.new_context(java_script_enabled=False)
    try:
        page = window.new_page()
        page.goto(f"{house.url}/ui/sign-in")
        page.get_by_label("Router key").fill("the-key-of-this-router")
        page.get_by_role("button", name="Sign in").click()
        expect(tile(page, "Spent today")).to_have_count(1)
        expect(page.get_by_role("button", name="Pause")).to_have_count(0)
        page.locator("#chart-cost summary").click()
        expect(page.locator("#chart-cost table")).to_be_visible()
    finally:
        window.close()
